"""Q08: what was refused, to whom and why: releases, and submissions and requests likewise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.audit.questions.answer import Cell, Column, Found, listed, moment
from hub.audit.questions.asking import AS_OF, CASE, Asked, Parameter, Question
from hub.domain.settlement import Settlement, Withheld
from hub.membership.agencies import CHANGES, Agencies
from hub.store import events as stored

_TO: Final = Parameter("agency", "Only what was refused to, or of, this agency.", "POL-1")


@dataclass(slots=True)
class _Line:
    """Equal refusals, counted."""

    count: int = 0
    first: int = 0
    last: int = 0
    since: datetime | None = None

    def add(self, position: int, at: datetime, count: int = 1) -> None:
        if not self.count:
            self.first, self.since = position, at
        self.count, self.last = self.count + count, position


Key = tuple[str, str, str, str, str, str]  # kind, who, event type, category or step, reasons, under


def _refusals(asked: Asked) -> Found:
    case, agency = asked.case, asked.agency
    kinds = (stored.EventAccepted, stored.Settled, stored.HeldBack, stored.Refused, *CHANGES)
    lines: dict[Key, _Line] = {}
    register = Agencies()
    last: stored.EventAccepted | None = None
    rows = asked.walk(*kinds) if case is None else asked.rows_of(case)
    roles = asked.register() if case is not None else register
    for one in rows:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            last = event
        elif type(event) in CHANGES:
            register.apply(one.position, event)
        for key, count in _of(event, last, roles, agency):
            lines.setdefault(key, _Line()).add(one.position, event.timestamp, count)
    found = Found()
    totals: dict[str, Cell] = {}
    for key in sorted(lines, key=lambda key: (key[0], lines[key].first, key)):
        line = lines[key]
        totals[key[0]] = int(totals.get(key[0]) or 0) + line.count
        found.rows.append((*key, line.count, line.first, line.last, moment(line.since)))
    found.summary = totals
    if case is not None:
        found.notes.append("Refused submissions are kept without their case, so none is listed.")
    return found


def _of(
    event: object, last: stored.EventAccepted | None, register: Agencies, only: str | None
) -> Iterator[tuple[Key, int]]:
    """The refusals one row holds."""
    if isinstance(event, stored.Settled) and last is not None:
        yield from _withheld(event, last, register, only)
    elif isinstance(event, stored.HeldBack) and only in (None, event.agency):
        for names in json.loads(event.items).values():
            for category in names:
                yield ("held back", event.agency, "", category, "no longer stood when sent", ""), 1
    elif isinstance(event, stored.Refused) and only in (None, event.agency):
        why = listed(filter(None, (event.reason, event.guard)))
        yield ("submission", event.agency, "", f"step {event.step}", why, ""), 1
    elif isinstance(event, stored.EventAccepted) and event.event_type == "SubjectRequestDecided":
        facts = json.loads(event.facts)
        if only is None and facts.get("outcome") in ("refused", "partly"):
            why = listed(filter(None, (str(facts["outcome"]), facts.get("exemption"))))
            yield ("person's request", event.emitter, event.event_type, "", why, ""), 1


def _withheld(
    row: stored.Settled, last: stored.EventAccepted, register: Agencies, only: str | None
) -> Iterator[tuple[Key, int]]:
    settlement = Settlement.from_record(json.loads(row.settlement))
    known = register.get(only) if only is not None else None
    for agency, outcomes in settlement.decided.items():
        for category, outcome in outcomes.items():
            if isinstance(outcome, Withheld) and only in (None, agency):
                yield (
                    (
                        "release",
                        agency,
                        last.event_type,
                        category,
                        listed(outcome.reasons),
                        row.policy,
                    ),
                    1,
                )
    for role, by_category in settlement.outsiders.by_role.items():
        if only is not None and (
            known is None
            or known.role != role
            or only in settlement.decided
            or only == last.emitter
        ):
            continue
        who = only or f"every other {role}"
        for category, outcome in by_category.items():
            if isinstance(outcome, Withheld):
                yield (
                    (
                        "release",
                        who,
                        last.event_type,
                        category,
                        listed(outcome.reasons),
                        row.policy,
                    ),
                    1,
                )


Q08: Final = Question(
    "Q08",
    "auditor",
    "Which releases were refused, and why?",
    (CASE, _TO, AS_OF),
    (
        Column("kind", "release, held back (before sending), submission, or person's request."),
        Column("who", "To whom it was refused; of a submission or request, whose it was."),
        Column("type", "Type of the event."),
        Column("about", "Category of data; of a submission, the step of admission."),
        Column("reasons", "Reason codes, the deciding one first (docs/release.md)."),
        Column("policy", "Version of the policy profile it was decided under."),
        Column("count", "How often, exactly so."),
        Column("first", "Log position of the first."),
        Column("last", "Log position of the last."),
        Column("since", "When the first was recorded."),
    ),
    _refusals,
    "Every decision to withhold, every item held back before sending, every refused submission.",
    "What was refused at the door of the HTTP interface before it was known who asked.",
)
