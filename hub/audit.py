"""Audit: what happened, who was told what, why, and whether the log is what it was.

Reads the recorded log only, up to a position: an answer given today about last March is the
answer that could have been given then. Content is never shown: an auditor sees metadata. Where a
person was erased, the entry stands as a tombstone and everything else still verifies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hub.errors import Refused
from hub.exchange import Exchange, stream_id
from hub.store import events as stored
from hub.store.log import HubLog, Recorded, leaf_entry
from hub.tlog import merkle
from hub.tlog.checkpoint import CheckpointError, open_checkpoint
from hub.tlog.note import NoteError, VerifierKey

PAGE = 5_000


@dataclass
class Told:
    """One delivery to one agency, as far as the log knows its fate."""

    sequence: int
    position: int
    sent_at: str
    categories: dict[str, str]
    receipt_position: int | None = None


@dataclass
class Entry:
    """One event of a case as replay shows it. No content, only what was recorded about it."""

    position: int
    recorded_at: str
    occurred_at: str
    event_id: str
    type: str
    agency: str
    categories: list[str]
    erased: bool
    released: dict[str, dict[str, str]] = field(default_factory=dict)
    withheld: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    backfill: dict[str, Any] = field(default_factory=dict)
    recalls: list[dict[str, Any]] = field(default_factory=list)
    policy: str = ""
    parties: int = 0


def position_of(log: HubLog, as_of: str | None) -> int:
    """A position from what an auditor typed: nothing (now), a number, a date or an instant.

    A date means its end, in UTC. Raises Refused with what to type.
    """
    if not as_of:
        return log.head
    if as_of.isdigit():
        return min(int(as_of), log.head)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise Refused(
            0, "bad_as_of", "give a log position, a date (2026-03-16) or an instant in UTC"
        ) from None
    if len(as_of) == 10:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return log.position_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def replay_case(exchange: Exchange, case_ref: str, as_of: str | None = None) -> list[Entry]:
    """The case's events up to a position or time, each with what was decided on it then."""
    log = exchange.log
    end = position_of(log, as_of)
    case_id = exchange.pseudonyms.canonical("case", case_ref)
    recorded = [one for one in log.stream(case_id) if one.position <= end]
    if not recorded:
        raise Refused(0, "unknown_case", "no such case at that position; check the reference")
    return list(_entries(exchange, recorded))


def _entries(exchange: Exchange, recorded: list[Recorded]) -> Iterator[Entry]:
    entry: Entry | None = None
    for one in recorded:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            if entry is not None:
                yield entry
            entry = Entry(
                position=one.position,
                recorded_at=event.timestamp.isoformat(),
                occurred_at=event.occurred_at.isoformat(),
                event_id=str(UUID(bytes=event.event_id)),
                type=event.event_type,
                agency=event.emitter,
                categories=list(event.categories),
                erased=exchange.secrets.erased(UUID(bytes=event.secret_id)),
            )
        elif isinstance(event, stored.Settled) and entry is not None:
            _fill(entry, json.loads(event.settlement))
            entry.policy, entry.parties = event.policy, event.parties
    if entry is not None:
        yield entry


def _fill(entry: Entry, settlement: dict[str, Any]) -> None:
    for agency, categories in settlement.get("decided", {}).items():
        for category, answer in categories.items():
            if isinstance(answer, str):
                entry.released.setdefault(agency, {})[category] = answer
            else:
                entry.withheld.setdefault(agency, {})[category] = answer
    entry.backfill = settlement.get("backfill", {})
    entry.recalls = settlement.get("recalls", [])


def deliveries_to(log: HubLog, agency: str, decision: int) -> list[Told]:
    """Deliveries of one decision to one agency, with the receipt that covers each."""
    told: dict[int, Told] = {}
    for one in log.stream(stream_id("deliveries", agency)):
        event = one.event
        if isinstance(event, stored.Sending) and event.decision == decision:
            body = json.loads(event.items)
            told[event.originator_version] = Told(
                event.originator_version,
                one.position,
                event.timestamp.isoformat(),
                body.get("bases", {}),
            )
    for one in log.stream(stream_id("receipts", agency)) if told else []:
        event = one.event
        if isinstance(event, stored.Received):
            for sequence, delivery in told.items():
                if event.first_sequence <= sequence <= event.last_sequence:
                    delivery.receipt_position = delivery.receipt_position or one.position
    return list(told.values())


@dataclass
class Verdict:
    """What `verify_log` found. `problems` is empty when everything stands."""

    head: int
    checkpoints: int
    covered: int
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify_log(log: HubLog, origin: str, key: VerifierKey) -> Iterator[Verdict]:
    """Recompute every leaf from its row and every checkpoint's root from the leaves.

    Yields the verdict so far after each page, for progress; the last one is the answer. One pass,
    constant memory: a million rows take minutes on one core.
    """
    notes = dict(log.checkpoints())
    verdict = Verdict(log.head, len(notes), 0)
    frontier = merkle.Frontier()
    position = 0
    while rows := log.rows(position, PAGE):
        stored_leaves = dict(log.leaves(position + 1, len(rows)))
        for row in rows:
            if row.id != position + 1:
                verdict.problems.append(f"position {position + 1} is missing")
            position = row.id
            entry = leaf_entry(row)
            if stored_leaves.get(position) != entry:
                verdict.problems.append(f"position {position}: row and leaf differ")
            frontier.append(merkle.leaf_hash(entry))
            note = notes.get(position)
            if note is not None:
                _check_note(verdict, note, origin, key, position, frontier.root())
        yield verdict
    newest = max(notes, default=0)
    if newest > position:
        verdict.problems.append(f"a checkpoint covers {newest} leaves, the log holds {position}")
    yield verdict


def _check_note(
    verdict: Verdict, note: str, origin: str, key: VerifierKey, size: int, root: bytes
) -> None:
    try:
        checkpoint = open_checkpoint(note.encode(), origin=origin, log_keys=[key]).checkpoint
    except (CheckpointError, NoteError):
        verdict.problems.append(f"checkpoint {size}: its signature does not verify")
        return
    if checkpoint.size != size or checkpoint.root != root:
        verdict.problems.append(f"checkpoint {size}: the log no longer has this root")
    else:
        verdict.covered = size
