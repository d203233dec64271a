"""Age: is the person a child in procedure, and for which recipients (docs/release.md 2.6, 2.6a).

What was stated is kept as a short list and folded when asked, because whose dispute counts as an
enforcement dispute is the profile's to say. Nothing but an assessment or a birthday that made the
person a minor when stated can end childhood; a claimed date of birth is never read.

Dates are UTC days and include their last day. A birthday on 29 February is kept on 1 March in
other years, the later of the two usual readings: protection ends late rather than early.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

ADULT, CHILD, DISPUTED, UNKNOWN = "adult", "child", "age_disputed", "unknown"


class AgeView(NamedTuple):
    """child: by 2.6, for everybody. disputed: an enforcement dispute stands (2.6a)."""

    child: bool
    disputed: bool

    @property
    def in_procedure(self) -> bool:
        """A child for guards and for leaving: 2.6a counts."""
        return self.child or self.disputed

    def for_role(self, role: str, served: Set[str]) -> bool:
        """A child for the release to this role."""
        return self.child or (self.disputed and role in served)


def eighteenth_birthday(born: date) -> date:
    try:
        return born.replace(year=born.year + 18)
    except ValueError:
        return date(born.year + 18, 3, 1)


@dataclass(frozen=True, slots=True)
class _Opened:
    status: str


@dataclass(frozen=True, slots=True)
class _Disputed:
    role: str
    day: date


@dataclass(frozen=True, slots=True)
class _Assessed:
    outcome: str
    born: date | None
    appeal_until: date | None


@dataclass(frozen=True, slots=True)
class _Stated:
    """A date of birth that made the person a minor when stated; other dates are not kept."""

    born: date


@dataclass(slots=True)
class _Folded:
    """What the list says under one profile."""

    status: str = UNKNOWN
    assessed: bool = False
    appeal_until: date | None = None
    assessed_dob: date | None = None
    stated_dob: date | None = None
    disputed: bool = False

    @property
    def born(self) -> date | None:
        return self.assessed_dob or self.stated_dob

    def come_of_age(self, today: date) -> bool:
        born = self.born
        return born is not None and today >= eighteenth_birthday(born)

    @property
    def rests_on_birthday(self) -> bool:
        """Without a known date of birth, only a record can say whether this is a child."""
        return self.born is None and (
            self.status == CHILD or (self.status == ADULT and not self.assessed)
        )

    def child(self, today: date) -> bool:
        if self.status == CHILD:
            return not self.come_of_age(today)
        if self.status == ADULT:
            window = self.appeal_until
            return self.assessed and window is not None and today <= window
        return True


class Age:
    """Everything stated about one person's age, in log order."""

    __slots__ = ("_folded", "_folded_for", "_recorded", "_statements")

    def __init__(self) -> None:
        self._statements: list[_Opened | _Disputed | _Assessed | _Stated] = []
        self._folded: _Folded | None = None
        self._folded_for: Set[str] | None = None
        self._recorded: AgeView | None = None

    def opened(self, status: str) -> None:
        """The status the case starts with; only the first counts."""
        if not self._statements:
            self._add(_Opened(status))

    def disputed(self, role: str, at: datetime) -> None:
        self._add(_Disputed(role, at.date()))

    def assessed(self, outcome: str, born: date | None, appeal_until: date | None) -> None:
        self._add(_Assessed(outcome, born, appeal_until))

    def stated(self, born: date, at: datetime) -> None:
        if at.date() < eighteenth_birthday(born):
            self._add(_Stated(born))

    def recorded(self, view: AgeView) -> None:
        """Take the view recorded with the last decision, because dates it rests on were erased.

        It answers only what can no longer be worked out: whether a birthday has passed.
        """
        self._recorded = view

    def come_of_age(self, now: datetime) -> bool:
        """Whether the known date of birth, if there is one, makes the person 18 by now."""
        return self._fold(frozenset()).come_of_age(now.date())

    def view(self, now: datetime, enforcement_roles: Set[str]) -> AgeView:
        folded = self._folded
        if folded is None or self._folded_for is not enforcement_roles:
            folded = self._folded = self._fold(enforcement_roles)
            self._folded_for = enforcement_roles
        if self._recorded is not None and folded.rests_on_birthday:
            return self._recorded
        return AgeView(folded.child(now.date()), folded.disputed)

    def born(self, enforcement_roles: Set[str]) -> date | None:
        """The date of birth that counts (2.6): assessed, else stated; None without, or erased."""
        return self._fold(enforcement_roles).born

    def _add(self, statement: _Opened | _Disputed | _Assessed | _Stated) -> None:
        self._statements.append(statement)
        self._folded = None

    def _fold(self, enforcement_roles: Set[str]) -> _Folded:
        age = _Folded()
        for statement in self._statements:
            match statement:
                case _Opened():
                    age.status = statement.status
                case _Disputed():
                    grown = age.status == ADULT or (
                        age.status == CHILD and age.come_of_age(statement.day)
                    )
                    if statement.role in enforcement_roles and grown:
                        age.disputed = True  # 2.6a: nothing else changes
                    else:
                        age.status, age.disputed = DISPUTED, False
                case _Assessed():
                    known = statement.outcome in (ADULT, CHILD)
                    age.status = statement.outcome if known else DISPUTED
                    age.assessed, age.disputed = True, False
                    age.appeal_until = statement.appeal_until
                    age.assessed_dob = statement.born or age.assessed_dob
                case _Stated():
                    age.stated_dob = statement.born
                    if age.status == ADULT and not age.assessed:
                        age.status, age.disputed = DISPUTED, False
                    elif age.status == CHILD and age.assessed_dob is None:
                        age.disputed = False  # 2.6a: the date acts, and answers the dispute
        return age
