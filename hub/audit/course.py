"""Course: one case from its first event to any position, read once, as a picture needs it.

Steps with what was decided on each, agreements and break-glass windows as spans of steps, and
where the case stands. The case's rows are read from the log once; nothing is decided again, and
no content is opened.
"""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from hub.audit.erased import destroyed
from hub.audit.replay import Entry, entries, position_of
from hub.audit.standing import CaseStanding, standing_in
from hub.domain.breakglass import INVOKED, REVIEWED
from hub.domain.catalogue import CONSENT_GROUP, group_of
from hub.domain.consent import GIVEN, Consents
from hub.domain.dates import instant
from hub.domain.window import Window
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.log import Recorded

UNKNOWN_CASE = Refused(0, "unknown_case", "no such case at that position; check the reference")


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the whole case, also after the position looked at.

    number: from 1 in its case. until: the last position before the case's next event; as of it,
    the event and everything decided on it is in, and nothing later.
    """

    number: int
    position: int
    until: int
    at: datetime
    type: str
    emitter: str
    role: str
    event_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """One event up to the position looked at. held_back: agency → event → categories that were
    released, here or by the backfill of this event, and stopped before they were sent."""

    moment: Moment
    entry: Entry
    held_back: dict[str, dict[str, list[str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A consent, from one change of its scope to the next. Steps by number, `to` not included;
    None while it lasts. ended: why it does not go on, or "" if its scope changed or it lasts."""

    consent_id: str
    start: int
    to: int | None
    scope: dict[str, tuple[str, ...]]
    valid_until: date
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """A break-glass window. Steps by number, `to` not included; None while it is open."""

    event_id: str
    agency: str
    categories: tuple[str, ...]
    start: int
    to: int | None
    closes: datetime
    reviews: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """One case as of `end`. moments: all events there are; steps: those up to `end`."""

    case_id: UUID
    end: int
    as_of: str | None
    moments: tuple[Moment, ...]
    steps: tuple[Step, ...]
    agreements: tuple[Agreement, ...]
    openings: tuple[Opening, ...]
    standing: CaseStanding

    @property
    def last(self) -> int:
        """Number of the last step."""
        return len(self.steps)


def course_of(
    exchange: Exchange, case_id: UUID, as_of: str | None = None, *, step: int | None = None
) -> Course:
    """The case as of a position or time, or as of one of its events by number.

    A number beyond the last event is the last. Raises Refused if there is no such case, or nothing
    of it then, or `as_of` cannot be read.
    """
    rows = exchange.log.stream(case_id)
    moments = _moments(rows, exchange.log.head)
    if not moments:
        raise UNKNOWN_CASE
    if step is not None:
        chosen = moments[min(max(step, 1), len(moments)) - 1]
        as_of = str(chosen.until)
    end = position_of(exchange.log, as_of)
    rows = [one for one in rows if one.position <= end]
    if not rows:
        raise UNKNOWN_CASE
    steps = _steps(rows, moments, destroyed(exchange.log, end))
    standing = standing_in(exchange, case_id.hex, as_of, end, rows)
    return Course(
        case_id,
        end,
        as_of,
        moments,
        steps,
        _agreements(rows, date.fromisoformat(standing.as_of[:10]), steps),
        _openings(rows, datetime.fromisoformat(standing.as_of)),
        standing,
    )


def rows_of(exchange: Exchange, case_id: UUID, as_of: str | None = None) -> list[Recorded]:
    """The case's rows up to a position or time. Raises Refused if there are none."""
    end = position_of(exchange.log, as_of)
    rows = [one for one in exchange.log.stream(case_id) if one.position <= end]
    if not rows:
        raise UNKNOWN_CASE
    return rows


def _moments(rows: list[Recorded], head: int) -> tuple[Moment, ...]:
    happened = [
        (one.position, one.event) for one in rows if isinstance(one.event, stored.EventAccepted)
    ]
    nexts = [*(position - 1 for position, _ in happened[1:]), head][: len(happened)]
    return tuple(
        Moment(
            number,
            position,
            until,
            event.timestamp,
            event.event_type,
            event.emitter,
            event.role,
            str(UUID(bytes=event.event_id)),
        )
        for number, ((position, event), until) in enumerate(
            zip(happened, nexts, strict=True), start=1
        )
    )


def _steps(
    rows: list[Recorded], moments: tuple[Moment, ...], erased: Container[UUID]
) -> tuple[Step, ...]:
    steps = [
        Step(moment, entry) for moment, entry in zip(moments, entries(rows, erased), strict=False)
    ]
    _hold_back(steps, rows)
    return tuple(steps)


def _hold_back(steps: list[Step], rows: list[Recorded]) -> None:
    """Put what was held back beside the last step at which it was released."""
    for one in rows:
        event = one.event
        if not isinstance(event, stored.HeldBack):
            continue
        for event_id, names in json.loads(event.items).items():
            for step in reversed(steps):
                entry = step.entry
                first = entry.event_id == event_id and event.agency in entry.released
                if entry.position < one.position and (
                    first or event_id in entry.backfill.get(event.agency, {})
                ):
                    step.held_back.setdefault(event.agency, {})[event_id] = names
                    break


def _agreements(
    rows: list[Recorded], today: date, steps: tuple[Step, ...]
) -> tuple[Agreement, ...]:
    """Spans of equal scope, in the order they began."""
    consents, number = Consents(), 0
    running: dict[str, Agreement] = {}
    done: list[Agreement] = []
    for one in rows:
        event = one.event
        if not isinstance(event, stored.EventAccepted):
            continue
        number += 1
        if group_of(event.event_type) != CONSENT_GROUP:
            continue
        facts = json.loads(event.facts)
        consents.apply(event.event_type, one.position, facts)
        consent = consents.get(str(facts.get("consent_id")))
        if consent is None:
            continue
        before = running.get(consent.consent_id)
        lasts = consent.state == GIVEN and bool(consent.scope)
        if lasts and before is not None and _same(before, consent.scope, consent.valid_until):
            continue
        if before is not None:
            ended = "" if lasts else _ending(event.event_type)
            done.append(replace(running.pop(consent.consent_id), to=number, ended=ended))
        if lasts:
            running[consent.consent_id] = Agreement(
                consent.consent_id, number, None, consent.scope, consent.valid_until
            )
    done += [_lapsed(one, today, steps) for one in running.values()]
    return tuple(sorted(done, key=lambda one: (one.start, one.consent_id)))


def _same(before: Agreement, scope: dict[str, tuple[str, ...]], until: date) -> bool:
    return before.scope == scope and before.valid_until == until


def _ending(event_type: str) -> str:
    return "expired" if event_type == "ConsentExpired" else "withdrawn"


def _lapsed(agreement: Agreement, today: date, steps: tuple[Step, ...]) -> Agreement:
    """Nobody recorded its end, and its last day is over: it ends before the first later step."""
    if today <= agreement.valid_until:
        return agreement
    to = next(
        (
            step.moment.number
            for step in steps[agreement.start :]
            if step.moment.at.date() > agreement.valid_until
        ),
        len(steps) + 1,
    )
    return replace(agreement, to=to, ended="expired")


def _openings(rows: list[Recorded], now: datetime) -> tuple[Opening, ...]:
    found: dict[str, Opening] = {}
    number = 0
    for one in rows:
        event = one.event
        if not isinstance(event, stored.EventAccepted):
            continue
        number += 1
        for key, opening in found.items():
            if opening.to is None and event.timestamp >= opening.closes:
                found[key] = replace(opening, to=number)
        facts = json.loads(event.facts)
        if event.event_type == INVOKED:
            event_id = str(UUID(bytes=event.event_id))
            requested = frozenset(facts.get("requested_categories") or ())
            window = Window.of(
                event_id,
                event.emitter,
                event.timestamp,
                instant(facts.get("expires_at")),
                requested,
            )
            found[event_id] = Opening(
                event_id, event.emitter, tuple(sorted(requested)), number, None, window.closes
            )
        elif event.event_type == REVIEWED:
            about = found.get(str(facts.get("invocation_event_id")))
            if about is not None:
                outcome = str(facts.get("outcome"))
                shut = number if outcome == "not_justified" and about.to is None else about.to
                found[about.event_id] = replace(about, to=shut, reviews=(*about.reviews, outcome))
    return tuple(
        replace(one, to=number + 1) if one.to is None and now >= one.closes else one
        for one in found.values()
    )
