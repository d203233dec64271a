"""Marking: of what was decided, what still stands becomes deliveries with a place in a sequence.

Called inside the transaction that records it. Every item that stands on a consent or a window is
asked of the case as it is now (`hub/release.py`); what no longer stands, or stands on another
basis, is recorded beside. So from the moment a withdrawal is acknowledged nothing resting on it is
marked any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import orjson

from hub.deliveries import Owed, Settlement
from hub.domain.case import Case
from hub.domain.timers import days
from hub.exchange import Exchange
from hub.recording.draft import Draft, Fresh, delivery_stream
from hub.release import standing
from hub.store import events as stored


@dataclass
class _Overtaken:
    """What a decision released to one agency and, by the time of sending, stood no longer so."""

    held_back: dict[str, list[str]] = field(default_factory=dict)
    rebased: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, item: Owed, standing: Mapping[str, str]) -> None:
        gone = sorted(set(item.bases) - set(standing))
        if gone:
            self.held_back[item.event_id] = gone
        other = {c: basis for c, basis in standing.items() if basis != item.bases[c]}
        if other:
            self.rebased[item.event_id] = other


def mark(exchange: Exchange, draft: Draft, settled: Sequence[Fresh]) -> list[stored.Sending]:
    """Draft what these decisions owe, in their order; returns the deliveries drafted."""
    sendings: list[stored.Sending] = []
    for row in settled:
        decided = row.event
        assert isinstance(decided, stored.Settled)
        settlement = row.settlement or Settlement.from_record(orjson.loads(decided.settlement))
        owed = list(settlement.owed())
        if not owed:
            continue
        case = exchange.case(decided.originator_id)
        assert case is not None
        if settlement.backfill:
            turns = [(_turn(item, settlement.event_id, case), item) for item in owed]
            owed = [item for _, item in sorted(turns, key=itemgetter(0))]
        overtaken: dict[str, _Overtaken] = {}
        for item in owed:
            sending = _sending(exchange, draft, row.position, decided, case, item, overtaken)
            if sending is not None:
                draft.add(sending)
                sendings.append(sending)
        for agency, changes in overtaken.items():
            _hold_back(exchange, draft, decided.originator_id, case, agency, changes)
    return sendings


def _turn(item: Owed, event_id: str, case: Case) -> int:
    """Recalls, then the event, then what is caught up on as it was recorded: of two corrections
    the later one has to arrive last, also when the decision was read back from the log."""
    if item.recall is not None:
        return -1
    return 0 if item.event_id == event_id else case.position_of(item.event_id)


def _sending(
    exchange: Exchange,
    draft: Draft,
    position: int,
    decided: stored.Settled,
    case: Case,
    item: Owed,
    overtaken: dict[str, _Overtaken],
) -> stored.Sending | None:
    """The next delivery of one recipient, or None if nothing of it stands any more."""
    kind: Literal["release", "recall"] = "release"
    if item.recall is not None:
        kind = "recall"
        about = decided.position
        body: dict[str, Any] = {
            "action": item.recall.action,
            "due": (draft.now + _recall_due(exchange, draft.now, case)).isoformat(),
            "items": [[event, sorted(names)] for event, names in item.recall.items],
        }
    else:
        parties, profile = exchange.agencies.parties(), exchange.policy()
        bases = standing(case, item.agency, item.event_id, item.bases, parties, profile, draft.now)
        if bases != item.bases:
            overtaken.setdefault(item.agency, _Overtaken()).note(item, bases)
        if not bases:
            return None
        about = case.position_of(item.event_id)
        body = {"bases": bases}
    stream = delivery_stream(item.agency)
    return stored.Sending(
        originator_id=stream,
        originator_version=exchange.version_of(draft, stream) + 1,
        timestamp=draft.now,
        agency=item.agency,
        kind=kind,
        case_id=decided.originator_id.bytes,
        subject_id=case.subject_id.bytes if case.subject_id else bytes(16),
        event_position=about,
        decision=position,
        items=orjson.dumps(body),
    )


def _recall_due(exchange: Exchange, now: datetime, case: Case) -> timedelta:
    """T11."""
    policy = exchange.policy().timers
    return timedelta(days=days(policy, "T11_recall_answer_days", case.jurisdiction, now.date()))


def _hold_back(
    exchange: Exchange, draft: Draft, case_id: UUID, case: Case, agency: str, changes: _Overtaken
) -> None:
    """Record what is not sent after all, or sent on another basis than was decided."""
    draft.add(
        stored.HeldBack(
            originator_id=case_id,
            originator_version=exchange.next_case_version(case_id),
            timestamp=draft.now,
            agency=agency,
            items=orjson.dumps(changes.held_back),
            rebased=orjson.dumps(changes.rebased),
        )
    )
    case.holdings.hold_back(agency, changes.held_back)
    case.holdings.rebase(agency, changes.rebased)
