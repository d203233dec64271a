"""Tables: what each counts, how it is divided, and what every cell means.

A table counts units (persons, nearly always) that fall into a period by one day of theirs, and
divides them level by level; each unit is in exactly one cell. Tables of one family count the same
units: they share their total and those levels that are the same. Definitions are data:
`docs/statistics.md` and `nrm-hub statistics tables` are made from them. The log names tables: one
that is to count otherwise gets another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hub.statistics import parts, results
from hub.statistics.counts import Level, Node, tree
from hub.statistics.lives import Feedback, Life, Referral
from hub.statistics.periods import Period


@dataclass
class Book:
    """Everybody counted, emergencies (first and last day each), and the days anything happened."""

    lives: list[Life] = field(default_factory=list)
    emergencies: list[tuple[date, date]] = field(default_factory=list)
    days: frozenset[date] = frozenset()

    def emergency(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self.emergencies)


@dataclass(frozen=True)
class Table:
    """One table. units: what is counted, out of everybody, for a period.

    days: what is timed, if anything; timed: on how many levels, the whole table being the first.
    persons: whether one person is at most one unit, which differential privacy rests on.
    adds_up: whether a year is the sum of its quarters.
    """

    name: str
    family: str
    title: str
    counts: str
    units: Callable[[Book, Period], Iterable[Any]]
    levels: tuple[Level[Any], ...]
    days: Callable[[Any], int | None] | None = None
    timed: int = 0
    timing: str = ""
    persons: bool = True
    adds_up: bool = True

    def count(self, book: Book, period: Period) -> Node:
        """The true figures. Never to be shown: `suppression.show` says what may be."""
        return tree(self.units(book, period), self.levels, self.days, self.timed)

    def levels_shared_with(self, other: Table) -> int:
        """How many levels from the top divide in the same way."""
        pairs = zip(self.levels, other.levels, strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a.title != b.title), len(self.levels))

    @property
    def closed(self) -> bool:
        """Whether all its cells are known beforehand."""
        return not any(level.open for level in self.levels)


def _by(day: Callable[[Life], date | None]) -> Callable[[Book, Period], Iterable[Life]]:
    return lambda book, period: (life for life in book.lives if day(life) in period)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person who waits for a decision on the last day of the period, or was taken on in it."""

    life: Life
    kind: str
    since: date
    until: date | None

    @property
    def days(self) -> int | None:
        return _between(self.since, self.until)


def _between(first: date | None, last: date | None) -> int | None:
    return None if first is None or last is None or last < first else (last - first).days


def _waiting(book: Book, period: Period) -> Iterable[Waiting]:
    last = period.last
    for life in book.lives:
        over = life.closed is not None and life.closed <= last
        if over or life.accepted is None or life.accepted > last:
            continue
        if life.rg is None or life.rg.on > last or life.rg.outcome == "suspended":
            yield Waiting(life, "reasonable_grounds", life.accepted, last)
        elif life.rg.outcome == "positive" and (life.cg is None or life.cg.on > last):
            yield Waiting(life, "conclusive_grounds", life.rg.on, last)


def _taken_on(book: Book, period: Period) -> Iterable[Waiting]:
    for life in book.lives:
        if life.accepted in period and life.accepted is not None:
            kind = "emergency" if book.emergency(life.accepted) else "ordinary"
            yield Waiting(life, kind, life.accepted, life.rg.on if life.rg else None)


def _referrals(book: Book, period: Period) -> Iterable[Referral]:
    return (one for life in book.lives for one in life.referrals.values() if one.made in period)


def _feedback(book: Book, period: Period) -> Iterable[Feedback]:
    return (one for life in book.lives for one in life.feedback if one.on in period)


def _reopened(book: Book, period: Period) -> Iterable[str]:
    for life in book.lives:
        reasons = [reason for on, reason in life.reopened if on in period]
        if reasons:
            yield "retrafficked" if "retrafficked" in reasons else reasons[-1]


_REGISTERED = "Persons whose first case was opened in the period."
_opened = _by(lambda life: life.opened)
_rg = _by(lambda life: life.rg.on if life.rg else None)
_cg = _by(lambda life: life.cg.on if life.cg else None)


def _rg_days(life: Life) -> int | None:
    return _between(life.accepted, life.rg.on if life.rg else None)


def _cg_days(life: Life) -> int | None:
    return _between(life.rg.on if life.rg else None, life.cg.on if life.cg else None)


_RG = "Persons whose reasonable-grounds decision was taken in the period (decided_on)."
_CG = "Persons whose conclusive-grounds decision was taken in the period (decided_on)."
_RG_TIMING = "Days from the authority's acceptance of the referral to the decision."
_CG_TIMING = "Days from the reasonable-grounds to the conclusive-grounds decision."

_ALL = (
    Table(
        "victims-by-organisation",
        "registered",
        "Victims by status and registering organisation",
        _REGISTERED,
        _opened,
        (parts.STATUS, parts.REGISTERED_BY),
    ),
    Table(
        "victims-by-sex-and-age",
        "registered",
        "Victims by status, sex and age",
        _REGISTERED,
        _opened,
        (parts.STATUS, parts.SEX, parts.ADULTHOOD, parts.AGE),
    ),
    Table(
        "victims-by-citizenship",
        "registered",
        "Victims by status and citizenship",
        _REGISTERED,
        _opened,
        (parts.STATUS, parts.CITIZENSHIP),
    ),
    Table(
        "victims-by-form",
        "registered",
        "Victims by status and form of exploitation",
        _REGISTERED,
        _opened,
        (parts.STATUS, parts.FORM),
    ),
    Table(
        "funnel",
        "registered",
        "How far people came, and why they went no further",
        _REGISTERED,
        _opened,
        (parts.STATUS, parts.FURTHEST, parts.STANDING),
    ),
    Table(
        "notifications",
        "notifications",
        "Notifications without identity, and what became of them",
        "Persons first notified of in the period without their name (DutyNotificationSubmitted).",
        _by(lambda life: life.notified),
        (parts.STATUS,),
    ),
    Table(
        "overlap",
        "registered",
        "People known to two or more agencies",
        _REGISTERED,
        _opened,
        (parts.AGENCIES, parts.KINDS),
    ),
    Table(
        "reasonable-grounds",
        "reasonable-grounds",
        "Reasonable-grounds decisions, recovery periods and negative reasons",
        _RG,
        _rg,
        (results.RG_OUTCOME, results.RG_DETAIL),
        _rg_days,
        1,
        _RG_TIMING,
    ),
    Table(
        "reasonable-grounds-delays",
        "reasonable-grounds",
        "How long reasonable-grounds decisions took",
        _RG,
        _rg,
        (results.delays(_rg_days),),
        _rg_days,
        1,
        _RG_TIMING,
    ),
    Table(
        "conclusive-grounds",
        "conclusive-grounds",
        "Conclusive-grounds decisions and negative reasons",
        _CG,
        _cg,
        (results.CG_OUTCOME, results.CG_REASON),
        _cg_days,
        1,
        _CG_TIMING,
    ),
    Table(
        "conclusive-grounds-delays",
        "conclusive-grounds",
        "How long conclusive-grounds decisions took",
        _CG,
        _cg,
        (results.delays(_cg_days),),
        _cg_days,
        1,
        _CG_TIMING,
    ),
    Table(
        "age-of-open-cases",
        "open-cases",
        "How long people have been waiting for a decision",
        "Persons in the procedure who wait for a decision on the last day of the period.",
        _waiting,
        (results.WAITING_FOR, results.delays(lambda one: one.days)),
        lambda one: one.days,
        2,
        "Days waited so far: since acceptance, or since the reasonable-grounds decision.",
        adds_up=False,
    ),
    Table(
        "emergency",
        "taken-on",
        "Effect of an emergency mode on delays and on children",
        "Persons whose referral the competent authority accepted in the period.",
        _taken_on,
        (results.MODE, results.ADULT_OR_CHILD),
        lambda one: one.days,
        3,
        _RG_TIMING,
    ),
    Table(
        "referrals",
        "referrals",
        "Referrals by receiving organisation and answer",
        "Referrals made in the period; a person may have several.",
        _referrals,
        (results.REFERRED_TO, results.ANSWER),
        persons=False,
    ),
    Table(
        "residence-permits",
        "residence-permits",
        "Residence permits",
        "Persons whose first decision on a residence permit was recorded in the period.",
        _by(lambda life: life.permit.on if life.permit else None),
        (results.PERMIT,),
    ),
    Table(
        "compensation",
        "compensation",
        "Compensation claimed, awarded and paid",
        "Persons whose first claim was made in the period, by the latest result known.",
        _by(lambda life: life.claimed),
        (results.COMPENSATION,),
    ),
    Table(
        "non-punishment",
        "non-punishment",
        "Non-punishment of victims for what they were made to do",
        "Persons for whom non-punishment was first raised in the period, by the latest outcome.",
        _by(lambda life: life.offence_raised),
        (results.NON_PUNISHMENT,),
    ),
    Table(
        "proceedings",
        "proceedings",
        "Criminal proceedings linked to victims",
        "Persons whose case was first linked to proceedings in the period, by the latest stage.",
        _by(lambda life: life.proceeding),
        (results.STAGE,),
    ),
    Table(
        "returns",
        "returns",
        "Returns by assessed risk",
        "Persons who returned in the period.",
        _by(lambda life: life.returned),
        (results.RETURN_RISK,),
    ),
    Table(
        "reopened",
        "reopened",
        "Cases reopened, re-trafficking among them",
        "Persons whose case was reopened in the period; re-trafficked if that was one reason.",
        _reopened,
        (results.REOPENED,),
        adds_up=False,
    ),
    Table(
        "complaints",
        "feedback",
        "Feedback and complaints by kind and result",
        "Statements recorded in the period; never by content.",
        _feedback,
        (results.KIND, results.RESULT),
        persons=False,
    ),
    Table(
        "complaints-by-organisation",
        "feedback",
        "Feedback and complaints by the kind of agency they are about",
        "Statements recorded in the period; never by content or author.",
        _feedback,
        (results.ABOUT,),
        persons=False,
    ),
)
TABLES: Mapping[str, Table] = {table.name: table for table in _ALL}
