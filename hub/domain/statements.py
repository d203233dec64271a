"""Statements: the same thing stated by several agencies, kept side by side.

Two agencies may say two things about one matter: two ages, two dates of birth, two stages of the
proceedings. Both are recorded and neither is preferred here; whoever reads the case is shown both,
with who said it and where it stands in the log. Codes are shown as they are. A date of birth is
content: only that one was stated, and whether it is another than somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from hub.domain.case import CaseEvent

AGE, BORN = "age", "date of birth"

# Type of event → (matter, fact). Of several events on one matter an agency's latest counts.
MATTERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CaseOpened": ((AGE, "age_status"),),
    "AgeDisputed": ((AGE, ""),),
    "AgeAssessed": ((AGE, "outcome"), (BORN, "assessed_dob")),
    "IdentityRecorded": ((BORN, "date_of_birth"),),
    "RecordCorrected": ((BORN, "date_of_birth"),),
    "ProceedingLinked": (("stage of proceedings", "stage"),),
    "NonPunishmentDecided": (("non-punishment", "outcome"),),
    "ReasonableGroundsDecided": (("reasonable grounds", "outcome"),),
    "ConclusiveGroundsDecided": (("conclusive grounds", "outcome"),),
    "AsylumClaimRecorded": (("asylum claim", "status"),),
    "ResidencePermitDecided": (("residence permit", "outcome"),),
    "ReturnRiskAssessed": (("risk on return", "level"),),
    "DisqualificationDecided": (("disqualification", "outcome"),),
}
SEALED = frozenset({BORN})  # matters whose statements are content
DISPUTED, STATED, ERASED = "disputed", "stated", "erased"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one agency last said about a matter. said: a code, or `stated` where it is content."""

    agency: str
    said: str
    position: int
    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Matter:
    """One matter and every agency's latest statement on it. differ: not all say the same."""

    about: str
    statements: tuple[Statement, ...]
    differ: bool


class Statements:
    """Everything stated in one case about the matters above."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, tuple[Statement, str]]] = {}

    def take(self, event: CaseEvent) -> None:
        for about, fact in MATTERS.get(event.type, ()):
            value = DISPUTED if not fact else event.facts.get(fact)
            if value is None and about == BORN and "birth_date_stated" in event.facts:
                value = ERASED
            if value is None:
                continue
            told = STATED if about in SEALED and value != ERASED else str(value)
            statement = Statement(event.emitter, told, event.position, event.at, event.event_id)
            self._latest.setdefault(about, {})[event.emitter] = (statement, str(value))

    def matters(self) -> Iterator[Matter]:
        """Matters more than one agency spoke about, in the order they were first mentioned."""
        for about, latest in self._latest.items():
            if len(latest) < 2:
                continue
            statements = sorted((one for one, _ in latest.values()), key=lambda one: one.position)
            values = {value for _, value in latest.values() if value != ERASED}
            yield Matter(about, tuple(statements), len(values) > 1)
