"""A consent record: every statement about one consent, and what follows from them today.

Pure. A statement is one consent event as recorded: who said it, when, at which log position, its
plain facts, which outlive an erasure, and its content, which does not (`content` is None then).
What agencies state differently about one consent is kept and told side by side; the record says
where they differ and does not choose. Pairs and state are those decisions read, by the same fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from hub.domain import consent as states
from hub.domain.consent import Consent, Consents

# Fields of the content that describe the record as a whole; two agencies may differ about them.
DESCRIBING: Final = (
    "given_by",
    "purposes",
    "method",
    "notice_version",
    "language",
    "interpreter_used",
    "interpreter_accredited_until",
    "explained_by_role",
    "child_heard",
    "coercion_risk",
    "withdrawal_channel",
)
RISKY: Final = frozenset({"possible", "evident"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One consent event. occurred_at: as the agency says. recorded_at: by the hub.

    in_flight: of a withdrawal, how many events had been sent, or were being sent, to whom.
    """

    position: int
    event_id: str
    type: str
    agency: str
    role: str
    occurred_at: datetime
    recorded_at: datetime
    facts: Mapping[str, Any]
    content: Mapping[str, Any] | None
    in_flight: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two or more statements that do not agree: what each agency said, latest last."""

    about: str
    said: tuple[tuple[str, int, Any], ...]  # agency, position, value


@dataclass(slots=True)
class ConsentRecord:
    """One consent as of `today`. scope: agency → category → position that granted the pair."""

    consent_id: str
    case_ref: str
    state: str
    scope: dict[str, dict[str, int]]
    covers_history: bool
    valid_until: date | None
    statements: tuple[Statement, ...]
    jurisdiction: str | None = None
    retention_until: str | None = None
    describing: dict[str, Any] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()

    @property
    def erased(self) -> bool:
        """Nothing that was said can be read any more."""
        return all(statement.content is None for statement in self.statements)

    @property
    def given(self) -> Statement | None:
        """The latest statement that gave it."""
        found = [one for one in self.statements if one.type == "ConsentGiven"]
        return found[-1] if found else None

    @property
    def renewed(self) -> bool:
        last = [one for one in self.statements if one.type in ("ConsentGiven", "ConsentAmended")]
        return bool(last) and last[-1].facts.get("reason") == "renewal"

    @property
    def to_review(self) -> bool:
        """Whether a person should look at it: somebody noted that it may not have been free."""
        return any(one.facts.get("coercion_risk") in RISKY for one in self.statements)


def records(
    case_ref: str,
    statements: Iterable[Statement],
    today: date,
    *,
    jurisdiction: str | None = None,
    retention_until: str | None = None,
) -> list[ConsentRecord]:
    """The case's records, by first mention. Statements: consent events of one case, in order."""
    folded = Consents()
    by_id: dict[str, list[Statement]] = {}
    for one in statements:
        folded.apply(one.type, one.position, one.facts)
        by_id.setdefault(str(one.facts.get("consent_id")), []).append(one)
    found = []
    for consent_id, said in by_id.items():
        consent = folded.get(consent_id) or Consent(consent_id)
        known = consent.valid_until != date.min
        found.append(
            ConsentRecord(
                consent_id=consent_id,
                case_ref=case_ref,
                state=state(consent, today),
                scope=consent.pairs(),
                covers_history=consent.covers_history,
                valid_until=consent.valid_until if known else None,
                statements=tuple(said),
                jurisdiction=jurisdiction,
                retention_until=retention_until,
                describing=_describing(said),
                differences=tuple(_differences(said)),
            )
        )
    return found


def state(consent: Consent, today: date) -> str:
    """The record's state as a person would name it: past its last day it is expired, and with
    nobody left in its scope it is withdrawn, whether or not an event has said so."""
    if consent.state == states.GIVEN:
        if not consent.named:
            return states.WITHDRAWN
        if not consent.active(today):
            return states.EXPIRED
    return consent.state


def _describing(said: Sequence[Statement]) -> dict[str, Any]:
    """The latest value of each field that was stated and can still be read."""
    found: dict[str, Any] = {}
    for one in said:
        for name in DESCRIBING:
            value = (one.content or {}).get(name)
            if value is not None:
                found[name] = value
    return found


def _differences(said: Sequence[Statement]) -> Iterator[Difference]:
    """What different agencies say differently. One agency saying something new is no conflict."""
    for name in DESCRIBING:
        values = [
            (one.agency, one.position, one.content[name])
            for one in said
            if one.content is not None and one.content.get(name) is not None
        ]
        latest = {agency: value for agency, _, value in values}
        if len({repr(value) for value in latest.values()}) > 1:
            yield Difference(name, tuple(values))
    answers = [
        (one.agency, one.position, one.type)
        for one in said
        if one.type in ("ConsentGiven", "ConsentRefused")
    ]
    if len({answer for _, _, answer in answers}) > 1 and len({who for who, _, _ in answers}) > 1:
        yield Difference("answer", tuple(answers))
