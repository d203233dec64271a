"""Asking: the parameters of a question, and what is at hand to answer it.

A question is answered on the log up to one position, by default its head; "now" is the instant of
that position, so that the same question as of the same position has the same answer for ever.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from hub.audit.questions.answer import Answer, Column, Found, verdict_of
from hub.audit.replay import case_named, position_of
from hub.errors import Refused
from hub.exchange import Exchange
from hub.membership.agencies import CHANGES, Agencies
from hub.recording.draft import stream_id
from hub.store.events import StoreEvent
from hub.store.log import Recorded
from hub.tlog.note import VerifierKey

PAGE: Final = 5_000
_OF_AN_AGENCY: Final = ("deliveries", "receipts")
Who = Literal["auditor", "rapporteur", "IT team"]
Tell = Callable[[int, int], None]


def untold(_done: int, _total: int) -> None:
    """For whoever does not watch."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing a question is asked with. choices: the only values, if there are few.

    local: names a file on the asker's own machine, so it is an option of the command only. text:
    several lines, pasted into a form.
    """

    name: str
    means: str
    example: str
    required: bool = False
    choices: tuple[str, ...] = ()
    local: bool = False
    text: bool = False


CASE = Parameter("case", "A case, by its common reference or its id.", "C1")
AGENCY = Parameter("agency", "An agency, by its id.", "POL-1")
AS_OF = Parameter(
    "as_of", "Log position, date (its end, UTC) or instant; without it, now.", "2026-03-16"
)


def required(parameter: Parameter) -> Parameter:
    return Parameter(parameter.name, parameter.means, parameter.example, True, parameter.choices)


@dataclass(frozen=True)
class Hub:
    """What a home gives to answer from.

    upcoming: folder of schemas that are to come. rebuild: (agency, log position) → a file of the
    row digests the agency should hold; None where content may not be opened, as in the console.
    """

    exchange: Exchange
    hub_id: str
    verifier: VerifierKey
    upcoming: Path | None = None
    rebuild: Callable[[str, int], Path] | None = None


@dataclass
class Asked:
    """One question as asked. values: parameters given, checked. end: the log position it is
    answered at; now: the instant of that."""

    hub: Hub
    values: Mapping[str, str]
    end: int
    now: datetime
    tell: Tell = untold
    _case: UUID | None = field(default=None, init=False)

    @property
    def exchange(self) -> Exchange:
        return self.hub.exchange

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    @property
    def case(self) -> UUID | None:
        """The case asked about; Refused(unknown_case) if there is none by the position."""
        ref = self.get("case")
        if ref is None:
            return None
        if self._case is None:
            case_id = case_named(self.exchange, ref)
            first = self.exchange.log.stream(case_id, limit=1)
            if not first or first[0].position > self.end:
                raise Refused(0, "unknown_case", "no such case at that position; check --case")
            self._case = case_id
        return self._case

    @property
    def agency(self) -> str | None:
        """The agency asked about; Refused(unknown_agency) if it was never enrolled."""
        agency = self.get("agency")
        if agency is not None and agency not in self.exchange.agencies:
            raise Refused(0, "unknown_agency", "no such agency is enrolled; check --agency")
        return agency

    def walk(self, *kinds: type[StoreEvent]) -> Iterator[Recorded]:
        """Every row of these kinds up to the position, once, in order; tells how far it is."""
        topics = frozenset(kind.TOPIC for kind in kinds)
        after = 0
        while page := self.exchange.log.read(after, PAGE, topics):
            for one in page:
                if one.position > self.end:
                    break
                yield one
            after = page[-1].position
            self.tell(min(after, self.end), self.end)
            if after >= self.end:
                break
        self.tell(self.end, self.end)

    def rows_of(self, case_id: UUID) -> Iterator[Recorded]:
        """The case's own rows up to the position."""
        return (one for one in self.exchange.log.stream(case_id) if one.position <= self.end)

    def deliveries_of(self, agency: str) -> Iterator[Recorded]:
        """An agency's deliveries and receipts up to the position, and nobody else's."""
        return merged(*(self._stream(stream_id(kind, agency)) for kind in _OF_AN_AGENCY))

    def _stream(self, stream: UUID) -> Iterator[Recorded]:
        version = 0
        while page := self.exchange.log.stream(stream, version, PAGE):
            for one in page:
                if one.position > self.end:
                    return
                yield one
            version = page[-1].event.originator_version

    def register(self) -> Agencies:
        """Who took part, as of the position."""
        agencies = Agencies()
        for one in self.walk(*CHANGES):
            agencies.apply(one.position, one.event)
        return agencies


def merged(*streams: Iterable[Recorded]) -> Iterator[Recorded]:
    """Several streams as one, in log order."""
    return heapq.merge(*streams, key=lambda one: one.position)


def instant_of(text: str, name: str) -> datetime:
    """A date (its end, UTC) or an instant. Refused(bad_moment)."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            0, "bad_moment", f"{option(name)} is a date (2026-03-16) or an instant in UTC"
        ) from None
    if len(text) == 10:
        at = datetime.combine(at.date(), time.max)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def option(name: str) -> str:
    """A parameter as the command spells it."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class Question:
    """One question of the catalogue, and how it is answered.

    id, who, asked: as in the catalogue. must_be_empty: whether any finding is an alarm; of some
    questions any row is one. rests_on: what the answer is made from. cannot_tell: what nobody
    should read into it. agency_own: an officer of an agency may ask it about that agency. shown:
    optional parameters in its example. proof: the commands that make what others can check.
    """

    id: str
    who: Who
    asked: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    find: Callable[[Asked], Found]
    rests_on: str
    cannot_tell: str
    must_be_empty: bool = False
    agency_own: bool = False
    shown: tuple[str, ...] = ()
    proof: str = ""

    @property
    def command(self) -> str:
        """An example of it."""
        given = [
            f"{option(one.name)} {one.example}"
            for one in self.parameters
            if one.required or one.name in self.shown
        ]
        return " ".join(["nrm-hub audit ask", self.id, *given])

    def checked(self, given: Mapping[str, str | None]) -> dict[str, str]:
        """The parameters given, those left out and empty ones without. Refused otherwise."""
        known = {one.name: one for one in self.parameters}
        values = {name: value for name, value in given.items() if value not in (None, "")}
        if values.keys() - known.keys():
            takes = ", ".join(option(one.name) for one in self.parameters if not one.text)
            raise Refused(
                0, "unknown_parameter", f"{self.id} takes {takes or 'no parameters'}, nothing else"
            )
        for one in self.parameters:
            value = values.get(one.name)
            if value is None and one.required:
                raise Refused(
                    0, "missing_parameter", f"{self.id} needs {option(one.name)}: {one.means}"
                )
            if value is not None and one.choices and value not in one.choices:
                raise Refused(
                    0,
                    "bad_parameter_value",
                    f"{option(one.name)} is one of {', '.join(one.choices)}",
                )
        return {name: str(value) for name, value in values.items()}


def answer(
    question: Question, hub: Hub, given: Mapping[str, str | None], tell: Tell = untold
) -> Answer:
    """Ask. Raises Refused with one line that says what to give instead."""
    values = question.checked(given)
    log = hub.exchange.log
    end = position_of(log, values.get("as_of"))
    asked = Asked(hub, values, end, _now(hub.exchange, values.get("as_of"), end), tell)
    found = question.find(asked)
    return Answer(
        question=question.id,
        asked=question.asked,
        parameters={
            one.name: values[one.name]
            for one in question.parameters
            if one.name in values and not (one.local or one.text)
        },
        columns=question.columns,
        rows=found.rows,
        verdict=verdict_of(found.findings, question.must_be_empty, len(found.rows)),
        findings=found.findings,
        summary=found.summary,
        notes=[*found.notes, *_beyond(values.get("as_of"), end, asked.now)],
        rests_on=question.rests_on,
        cannot_tell=question.cannot_tell,
        position=end,
        as_of=asked.now,
        must_be_empty=question.must_be_empty,
        proof=question.proof,
    )


def _beyond(as_of: str | None, end: int, now: datetime) -> list[str]:
    """If more was asked for than there is."""
    if as_of and as_of.isdigit() and int(as_of) > end:
        return [f"The log ends at position {end}: that is what was answered from."]
    if as_of and not as_of.isdigit() and instant_of(as_of, "as_of") > now:
        return ["That moment is still to come: this is how it stands now."]
    return []


def _now(exchange: Exchange, as_of: str | None, end: int) -> datetime:
    """What "now" is: the clock, the instant asked for, or that of the row at the position.

    What is still to come cannot be asked about: nothing would be late by then that is not late now.
    """
    if not as_of:
        return exchange.clock.now()
    if as_of.isdigit():
        last = exchange.log.read(end - 1, 1) if end else []
        return last[0].event.timestamp if last else exchange.clock.now()
    return min(instant_of(as_of, "as_of"), exchange.clock.now())
