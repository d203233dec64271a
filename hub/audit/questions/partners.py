"""Q10 and Q23: what partners' receipts prove of their copies, and what a connector still owes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hub.audit.compare_rows import compare, whose
from hub.audit.questions.answer import Column, Found, Row, days_between, listed, moment
from hub.audit.questions.asking import (
    AGENCY,
    AS_OF,
    Asked,
    Parameter,
    Question,
    required,
)
from hub.audit.questions.items import QUARANTINED, reason_of
from hub.errors import Refused
from hub.membership.agencies import CHANGES
from hub.recalling.book import ANSWERS, KEPT
from hub.store import events as stored
from hub.store.events import StoreEvent
from schemas import wire


@dataclass(slots=True)
class _Open:
    """One delivery that no receipt says was applied."""

    sequence: int
    kind: str
    at: datetime
    reason: str = ""  # of a quarantine


@dataclass
class Account:
    """One recipient's sequence: what was sent, and what its receipts say of it."""

    last: int = 0
    answered_to: int = 0  # the highest sequence any receipt covers
    applied: int = 0
    open: dict[int, _Open] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)  # places the hub's own sequence skips
    recalls: dict[int, str] = field(default_factory=dict)  # sequence → how it was answered
    hashes: int = 0

    def take(self, event: StoreEvent) -> None:
        """One row of the agency; what is no delivery and no receipt says nothing here."""
        if isinstance(event, stored.Sending):
            self._sending(event)
        elif isinstance(event, stored.Received):
            self._received(event)

    def _sending(self, row: stored.Sending) -> None:
        sequence = row.originator_version
        self.missing += range(self.last + 1, sequence)
        self.last = max(self.last, sequence)
        kind: str = row.kind
        if kind == "recall" and not json.loads(row.items)["items"]:
            kind = "empty"  # a sequence given out before a loss; being applied answers it
        self.open[sequence] = _Open(sequence, kind, row.timestamp)
        if kind == "recall":
            self.recalls[sequence] = ""

    def _received(self, row: stored.Received) -> None:
        said: dict[int, list[dict[str, Any]]] = {}
        for one in wire.RECEIPT.unsingle(row.receipt)["exceptions"]:
            said.setdefault(one["sequence"], []).append(one)
        self.answered_to = max(self.answered_to, row.last_sequence)
        for sequence in sorted({*range(row.first_sequence, row.last_sequence + 1), *said}):
            self._answered(sequence, said.get(sequence, []))

    def _answered(self, sequence: int, lines: list[dict[str, Any]]) -> None:
        waiting = self.open.get(sequence)
        if waiting is None:
            return
        outcomes = {one["outcome"] for one in lines}
        if QUARANTINED in outcomes:
            reasons = (one["detail"] for one in lines if one["outcome"] == QUARANTINED)
            waiting.reason = reason_of(next(reasons))
            return
        if waiting.reason and not lines:
            return  # covered again in passing: still set aside
        if waiting.kind == "recall":
            if not outcomes & ANSWERS:
                return
            self.recalls[sequence] = KEPT if KEPT in outcomes else "removed"
        del self.open[sequence]
        self.applied += 1

    @property
    def quarantined(self) -> list[_Open]:
        return [one for one in self.open.values() if one.reason]

    @property
    def unanswered(self) -> list[_Open]:
        return [one for one in self.open.values() if not one.reason]

    @property
    def skipped(self) -> list[_Open]:
        """Unanswered although something later is answered."""
        return [one for one in self.unanswered if one.sequence < self.answered_to]


def accounts(asked: Asked, only: str | None = None) -> dict[str, Account]:
    """Every recipient's account, or one's, as of the position."""
    found: dict[str, Account] = {}
    for one in asked.walk(stored.Sending, stored.Received, stored.EventAccepted, *CHANGES):
        event = one.event
        if isinstance(event, stored.EventAccepted):
            if event.event_type == "DeliveryAcknowledged" and only in (None, event.emitter):
                found.setdefault(event.emitter, Account()).hashes += 1
        elif isinstance(event, stored.AgencyEnrolled):
            if only in (None, event.agency):
                found.setdefault(event.agency, Account())
        elif isinstance(event, stored.Sending | stored.Received) and only in (None, event.agency):
            found.setdefault(event.agency, Account()).take(event)
    return found


THEIRS: Final = Parameter(
    "theirs",
    "What the partner's `connector digest` wrote: its rows are compared one by one.",
    "theirs.jsonl",
    local=True,
)
MOST: Final = 100  # rows that differ, told one by one
NO_HASH: Final = (
    "A receipt carries no hash of the partner's records: what is proved here is which deliveries a "
    "partner signed for as applied. To compare its tables too, row by row and without content: "
    "nrm-hub audit replay --agency {agency} --out rebuilt.jsonl; at the partner nrm-hub connector "
    "digest partner.toml --key rebuilt.jsonl.key --out theirs.jsonl; then nrm-hub audit ask Q10 "
    "--theirs theirs.jsonl."
)


def _compared(asked: Asked, theirs: Path) -> tuple[str, list[str]]:
    """Whose rows they are, and every row that differs from the log's."""
    agency = whose(theirs)
    if asked.agency not in (None, agency):
        raise Refused(0, "other_rows", f"{theirs} is of {agency}, not of {asked.agency}")
    if asked.hub.rebuild is None:
        raise Refused(0, "unknown_parameter", "files are for the command: nrm-hub audit ask")
    ours = asked.hub.rebuild(agency, asked.end)
    return agency, [
        f"{one.table} {one.row}: {one.what}" + (f" ({listed(one.columns)})" if one.columns else "")
        for one in compare(ours, theirs)
    ]


def _copies(asked: Asked) -> Found:
    found, roles = Found(findings=0), asked.register()
    theirs, rows = asked.get("theirs"), list[str]()
    only = asked.agency
    if theirs is not None:
        only, rows = _compared(asked, Path(theirs))
    else:
        found.notes.append(NO_HASH.format(agency=only or AGENCY.example))
    totals: Counter[str] = Counter()
    for agency, account in sorted(accounts(asked, only).items()):
        differs = len(account.quarantined) + len(account.skipped) + len(account.missing)
        differs += len(rows)
        assert found.findings is not None
        found.findings += bool(differs)
        known = roles.get(agency)
        counts = (
            account.last,
            account.applied,
            len(account.quarantined),
            len(account.unanswered),
            len(account.skipped),
            len(account.missing),
        )
        oldest = min((one.at for one in account.open.values()), default=None)
        kept = sum(how == KEPT for how in account.recalls.values())
        unanswered = sum(not how for how in account.recalls.values())
        signed = "not proved yet" if account.open else "all signed for"
        found.rows.append(
            (
                agency,
                known.role if known else "",
                *counts,
                moment(oldest),
                len(account.recalls),
                unanswered,
                kept,
                account.hashes,
                None if theirs is None else len(rows),
                "; ".join([*rows[:MOST], *(["…"] if len(rows) > MOST else [])]),
                "differs" if differs else signed if theirs is None else "row by row the same",
            )
        )
        totals.update(sent=account.last, applied=account.applied, not_applied=len(account.open))
    found.summary = dict(totals)
    if len(rows) > MOST:
        found.notes.append(f"The first {MOST} rows are named; nrm-hub audit compare names all.")
    return found


Q10: Final = Question(
    "Q10",
    "auditor",
    "Which partner copies differ from the hub projection?",
    (AGENCY, AS_OF, THEIRS),
    (
        Column("agency", "The recipient."),
        Column("role", "Its role."),
        Column("sent", "Deliveries marked for it; its last sequence."),
        Column("applied", "Of these, signed for as applied, or as answered, for a recall."),
        Column("quarantined", "Of these, set aside at its site and not applied since."),
        Column("unanswered", "Of these, without any receipt."),
        Column("skipped", "Of the unanswered, those before one that is answered."),
        Column("missing", "Places missing in the hub's own sequence: must be 0."),
        Column("oldest", "Since when the oldest is not applied."),
        Column("recalls", "Recalls sent to it."),
        Column("recalls_open", "Of these, not answered."),
        Column("kept", "Of these, answered with: kept, on a law it names."),
        Column("acknowledged", "DeliveryAcknowledged events of it; their hashes are content."),
        Column("rows", "With --theirs: rows of its tables that differ from the log's."),
        Column("which", "Each: missing, unexpected, differs (and in what), or erased meanwhile."),
        Column(
            "state",
            "differs (quarantined, skipped, missing, rows), not proved yet, all signed for, or, "
            "with --theirs, row by row the same.",
        ),
    ),
    _copies,
    "The gapless delivery log of each recipient, and its signed receipts; with --theirs, also its "
    "own tables, by digests (docs/replay.md).",
    "Without --theirs, what a partner changed in its own system after it applied a delivery.",
)


def _owed(asked: Asked) -> Found:
    agency = asked.agency or ""
    account = Account()
    for one in asked.deliveries_of(agency):
        account.take(one.event)
    again = [
        (one.event.sequence, moment(one.event.timestamp))
        for one in asked.walk(stored.RedriveOrdered)
        if isinstance(one.event, stored.RedriveOrdered) and one.event.agency == agency
    ]
    found = Found([_owed_row(asked, account, one) for _, one in sorted(account.open.items())])
    gaps = sorted({*account.missing, *(one.sequence for one in account.skipped)})
    found.summary = {
        "last sent": account.last,
        "answered up to": account.answered_to,
        "applied": account.applied,
        "not applied": len(account.open),
        "gaps": ", ".join(map(str, gaps[:20])) or "none",
        "redrives ordered at the hub": len(again),
    }
    found.notes = [
        "Replay is safe from any sequence: the connector keeps the last applied sequence and each "
        "delivery in the same transaction as its rows, so a delivery that comes again changes "
        "nothing and is answered with the same receipt. Without a topic, ask over HTTP from any "
        "sequence on; what was set aside is tried again with: nrm-hub connector redrive.",
    ]
    if again:
        last = listed(f"{sequence} at {at}" for sequence, at in again[-20:])
        found.notes.append(f"The hub was told to send again what was set aside: {last}.")
    return found


def _owed_row(asked: Asked, account: Account, one: _Open) -> Row:
    if one.reason.startswith(wire.DISCARDED):
        state, then = "discarded", "nothing: its recipient decided not to apply it"
    elif one.reason:
        state, then = "quarantined", "correct what the reason names, then redrive"
    elif one.sequence < account.answered_to:
        state, then = "skipped", "ask for it again from this sequence"
    else:
        state, then = "no receipt yet", "start the connector, or look why it waits"
    waits = days_between(one.at, asked.now)
    return (one.sequence, one.kind, moment(one.at), waits, state, one.reason, then)


Q23: Final = Question(
    "Q23",
    "IT team",
    "Which events has my connector not applied; can I replay from an offset without double "
    "effects?",
    (required(AGENCY), AS_OF),
    (
        Column("sequence", "Its place in your deliveries."),
        Column("kind", "release, recall, or empty (a number lost with an older log)."),
        Column("sent", "When it was marked for you."),
        Column("waits_days", "For how many days."),
        Column("state", "no receipt yet, skipped (later are answered), quarantined or discarded."),
        Column("reason", "Of a quarantine or a discard: the reason code your connector gave."),
        Column("next", "What to do."),
    ),
    _owed,
    "Your delivery log and your connector's signed receipts.",
    "What happened to a delivery between broker and connector; look at the connector's own log.",
    agency_own=True,
)
