"""Q03 and Q04: whether every release was covered, and what became of what was withdrawn."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.audit.questions.answer import Cell, Column, Found, Row, days_between, listed, moment
from hub.audit.questions.asking import AS_OF, CASE, Asked, Question
from hub.audit.questions.releases import CONSENT, Joined, Release
from hub.recalling.book import RecallBook, RecallRecord
from hub.recalling.in_flight import WITHDRAWING
from hub.store import events as stored
from hub.store.log import Recorded


def _covered(asked: Asked) -> Found:
    joined, found = Joined(asked), Found(findings=0)
    whole = asked.case is None
    checked: Counter[str] = Counter()
    for one in joined.rows():
        if isinstance(one.event, stored.EventAccepted):
            joined.accept(one.position, one.event)
            continue
        moment_ = "sent" if isinstance(one.event, stored.Sending) else "decided"
        for case_id, release in joined.releases(one):
            fine, by = release.covered_by(joined.file(case_id))
            kind = "consent" if release.basis.startswith(CONSENT) else "statutory basis"
            checked[f"{moment_}, on {kind}"] += 1
            if not fine:
                assert found.findings is not None
                found.findings += 1
            if not fine or not whole:
                found.rows.append(_release(case_id, one, moment_, release, fine, by))
    found.summary = {name: checked[name] for name in sorted(checked)}
    if whole:
        found.notes.append("Only what was not covered is listed; with --case, everything.")
    return found


def _release(
    case_id: UUID, one: Recorded, moment_: str, release: Release, fine: bool, by: str
) -> Row:
    return (
        case_id.hex,
        release.agency,
        release.event,
        release.type,
        release.category,
        release.basis,
        moment_,
        one.position,
        moment(release.when),
        fine,
        by,
    )


Q03: Final = Question(
    "Q03",
    "auditor",
    "Was every release covered by a consent valid at that moment, or a named statutory basis?",
    (CASE, AS_OF),
    (
        Column("case", "The hub's id of the case."),
        Column("agency", "To whom it was released."),
        Column("event", "Log position of the event."),
        Column("type", "Type of the event."),
        Column("category", "Category of data."),
        Column("basis", "The basis on record."),
        Column("moment", "decided or sent: each release is checked at both."),
        Column("position", "Log position of the decision or delivery."),
        Column("at", "When that was recorded."),
        Column("covered", "Whether something on record covered it at that moment."),
        Column("by", "What did, or why nothing did."),
    ),
    _covered,
    "Every consent message folded into spans of log positions, joined with every release, without "
    "asking the release rules; windows of break-glass and the recorded age likewise.",
    "Whether the law named fits the facts of the case; that is for a person to judge.",
    must_be_empty=True,
)


@dataclass(slots=True)
class _Withdrawal:
    """One message that took something back."""

    case_id: UUID
    consent: str
    position: int
    at: datetime
    by: str
    extent: str
    pairs: int
    last_sent: int = 0
    last_at: datetime | None = None
    in_flight: int = 0
    sent_after: int = 0


def _withdrawn(asked: Asked) -> Found:
    joined, book = Joined(asked), RecallBook()
    last: dict[tuple[UUID, str], tuple[int, datetime]] = {}
    taken: dict[int, _Withdrawal] = {}
    by_consent: dict[tuple[UUID, str], list[_Withdrawal]] = {}
    for one in joined.rows(stored.InFlight, stored.Received):
        event = one.event
        book.apply(one.position, event)
        if isinstance(event, stored.EventAccepted):
            ended = joined.accept(one.position, event)
            if event.event_type in WITHDRAWING:
                withdrawal = _of(one.position, event, len(ended))
                if withdrawal is not None:
                    key = (event.originator_id, withdrawal.consent)
                    sent = last.get(key)
                    if sent is not None:
                        withdrawal.last_sent, withdrawal.last_at = sent
                    taken[one.position] = withdrawal
                    by_consent.setdefault(key, []).append(withdrawal)
        elif isinstance(event, stored.InFlight) and event.position in taken:
            flight = json.loads(event.items)
            taken[event.position].in_flight = sum(len(names) for _, _, names in flight)
        elif isinstance(event, stored.Sending):
            for case_id, release in joined.releases(one):
                if not release.basis.startswith(CONSENT):
                    continue
                key = (case_id, release.basis.removeprefix(CONSENT))
                last[key] = (one.position, event.timestamp)
                if key in by_consent and not release.covered_by(joined.file(case_id))[0]:
                    by_consent[key][-1].sent_after += 1
    recalls: dict[int, list[RecallRecord]] = {}
    for record in book:
        recalls.setdefault(record.cause, []).append(record)
    return _told(asked, taken, recalls)


def _of(position: int, event: stored.EventAccepted, ended: int) -> _Withdrawal | None:
    facts = json.loads(event.facts)
    if event.event_type == "ConsentAmended":
        if not ended:
            return None  # widened or renewed, nothing taken back
        extent = "amended to less"
    else:
        extent = str(facts.get("extent"))
        if facts.get("leave_nrm") is True:
            extent += ", leaves"
    return _Withdrawal(
        event.originator_id,
        str(facts.get("consent_id")),
        position,
        event.timestamp,
        event.emitter,
        extent,
        ended,
    )


def _told(
    asked: Asked, taken: dict[int, _Withdrawal], recalls: dict[int, list[RecallRecord]]
) -> Found:
    found = Found(findings=0)
    totals: Counter[str] = Counter()
    for position, one in taken.items():
        asked_back = recalls.get(position, [])
        overdue = [record for record in asked_back if record.overdue(asked.now)]
        purges = [t for record in asked_back if (t := record.time_to_purge) is not None]
        kept = sorted({text for record in asked_back for text in record.own_bases})
        counts: tuple[Cell, ...] = (
            len(asked_back),
            sum(record.sequence is not None for record in asked_back),
            sum(not record.open for record in asked_back),
            len(overdue),
        )
        totals.update(
            dict(zip(("recalls", "sent", "answered", "overdue"), map(int, counts), strict=True))  # type: ignore[arg-type]
        )
        assert found.findings is not None
        found.findings += one.sent_after + len(overdue)
        found.rows.append(
            (
                one.case_id.hex,
                one.consent,
                position,
                moment(one.at),
                one.by,
                one.extent,
                one.pairs,
                one.last_sent or None,
                moment(one.last_at),
                one.in_flight,
                one.sent_after,
                *counts,
                listed(kept),
                days_between(one.at, one.at + max(purges)) if purges else None,
            )
        )
    found.summary = {"withdrawals": len(taken), **totals}
    return found


Q04: Final = Question(
    "Q04",
    "auditor",
    "After withdrawal at T: last release, recalls sent, answered, overdue, kept on own basis?",
    (CASE, AS_OF),
    (
        Column("case", "The hub's id of the case."),
        Column("consent", "The consent, as its agency numbers it."),
        Column("position", "Log position of the withdrawal."),
        Column("at", "When it was recorded."),
        Column("by", "Through which agency."),
        Column("extent", "all, recipients, categories, or an amendment to less."),
        Column("pairs", "How many pairs of agency and category it took back."),
        Column("last_sent", "Log position of the last delivery on this consent before it."),
        Column("last_at", "When that was."),
        Column("in_flight", "Items that were on their way when it was acknowledged."),
        Column("sent_after", "Items sent on what no longer stood: must be 0."),
        Column("recalls", "Recalls ordered by it."),
        Column("sent", "Of these, sent."),
        Column("answered", "Of these, answered by a signed receipt."),
        Column("overdue", "Of these, neither answered nor in time: must be 0."),
        Column("kept", "What recipients keep, and the law they name for it."),
        Column("purged_days", "Days until the last removal was stated."),
    ),
    _withdrawn,
    "Consent messages, what was listed as in flight, deliveries, and the recall book: a recall is "
    "answered by a signed receipt and by nothing else.",
    "Whether a recipient really deleted what its receipt says it deleted.",
    must_be_empty=True,
)
