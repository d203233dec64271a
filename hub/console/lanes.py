"""Lanes: where everything of a case's first picture stands. Pure geometry; templates draw it.

Time goes from left to right, by log position: one lane per agency with its events as dots, above
them the agreements and below them the policy in force as bands. What follows from each event is
drawn by `sequence.py`.

Positions across are percentages of the picture's width, so that it fits every screen without
scaling its text; positions down are pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.audit.course import Agreement, Course, Opening, Step
from hub.domain.breakglass import LOUD
from hub.domain.parties import HUB_ROLE
from hub.release import CONSENT, VITAL_INTERESTS

PAGE: Final = 40  # events in one sequence

# Kinds of basis, the strongest first: what a release rests on decides what can end it.
LAW, CHILD, AGREED, WINDOW = KINDS = ("law", "safeguarding", "consent", "breakglass")
SIGNS: Final[Mapping[str, str]] = {LAW: "L", CHILD: "S", AGREED: "C", WINDOW: "!"}


def kind_of(basis: str) -> str:
    """Which of the four kinds a recorded basis is."""
    if basis.startswith(CONSENT):
        return AGREED
    if basis == VITAL_INTERESTS:
        return WINDOW
    return CHILD if basis == "safeguarding" else LAW


def kinds_of(bases: Iterable[str]) -> tuple[str, ...]:
    found = {kind_of(basis) for basis in bases}
    return tuple(kind for kind in KINDS if kind in found)


def words(event_type: str) -> str:
    """`ConsentGiven` as people read it: "Consent given"."""
    said = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in event_type)
    return said.strip().capitalize()


def lanes_of(course: Course) -> tuple[str, ...]:
    """Every agency that said, received, gave back or was named something, by first appearance.

    The hub's own lane comes last. Who speaks only later has a lane already, so that lanes keep
    still while `as of` moves.
    """
    found: dict[str, None] = {}
    hub = {one.emitter for one in course.moments if one.role == HUB_ROLE}
    for step in course.steps:
        entry = step.entry
        found.setdefault(entry.agency)
        for agency in (*entry.released, *entry.backfill, *(one["to"] for one in entry.recalls)):
            found.setdefault(agency)
    for agreement in course.agreements:
        for agency in agreement.scope:
            found.setdefault(agency)
    for moment in course.moments:
        found.setdefault(moment.emitter)
    return (*(one for one in found if one not in hub), *(one for one in found if one in hub))


# -- the overview ----------------------------------------------------------------------------

LANE_HEIGHT: Final = 18
BAND_HEIGHT: Final = 16
GAP: Final = 8


@dataclass(frozen=True, slots=True)
class Dot:
    """One event in its emitter's lane. later: after the position looked at; gives_back: something
    is recalled because of it."""

    x: float
    y: int
    number: int
    position: int
    type: str
    emitter: str
    at: datetime
    shape: str
    later: bool
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A span of steps. open: it goes on beyond what is shown."""

    x: float
    width: float
    y: int
    height: int
    about: Agreement | Opening | str
    label: str
    open: bool

    @property
    def fits(self) -> bool:
        """Whether its label is likely to find room; it is told by its title anyway."""
        return self.width > 1.4 * len(self.label)


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole case at one glance."""

    lanes: tuple[tuple[str, int], ...]  # agency and the middle of its lane
    consents: tuple[tuple[str, int], ...]  # consent and the middle of its row
    policy_y: int
    dots: tuple[Dot, ...]
    agreements: tuple[Band, ...]
    openings: tuple[Band, ...]
    policies: tuple[Band, ...]
    as_of: float
    page: tuple[float, float]
    height: int
    dense: bool


def overview_of(course: Course, page: int) -> Overview:
    """Percentages are of the whole case, so that the picture keeps still while `as of` moves."""
    total = len(course.moments)
    lanes = lanes_of(course)

    def left(number: int) -> float:
        return 100 * (number - 1) / total

    consents = list(dict.fromkeys(one.consent_id for one in course.agreements))
    rows = {name: GAP + BAND_HEIGHT * i for i, name in enumerate(consents)}
    top = GAP + BAND_HEIGHT * len(consents) + (GAP if consents else 0)
    middle = {agency: top + LANE_HEIGHT * i + LANE_HEIGHT // 2 for i, agency in enumerate(lanes)}
    policy_y = top + LANE_HEIGHT * len(lanes) + GAP
    seen = {step.moment.number: step for step in course.steps}

    def band(about: Agreement | Opening, y: int, height: int, label: str) -> Band:
        to = about.to or course.last + 1
        width = max(left(to) - left(about.start), 60 / total)
        return Band(left(about.start), width, y, height, about, label, about.to is None)

    return Overview(
        lanes=tuple(middle.items()),
        consents=tuple((name, y + BAND_HEIGHT // 2) for name, y in rows.items()),
        policy_y=policy_y + BAND_HEIGHT // 2,
        dots=tuple(
            Dot(
                left(one.number) + 50 / total,
                middle[one.emitter],
                one.number,
                one.position,
                one.type,
                one.emitter,
                one.at,
                shape_of(seen[one.number]) if one.number in seen else "event",
                one.number not in seen,
                one.number in seen and bool(seen[one.number].entry.recalls),
            )
            for one in course.moments
        ),
        agreements=tuple(
            band(one, rows[one.consent_id] + 2, BAND_HEIGHT - 4, ", ".join(one.scope))
            for one in course.agreements
        ),
        openings=tuple(
            band(one, middle[one.agency] - LANE_HEIGHT // 2, LANE_HEIGHT, "!")
            for one in course.openings
        ),
        policies=tuple(_policies(course, policy_y + 2, left)),
        as_of=left(course.last + 1),
        page=(
            left((page - 1) * PAGE + 1),
            100 * min(PAGE, course.last - (page - 1) * PAGE) / total,
        ),
        height=policy_y + BAND_HEIGHT + GAP,
        dense=total > 120,
    )


def _policies(course: Course, y: int, left: object) -> Iterable[Band]:
    assert callable(left)
    start, version = 1, course.steps[0].entry.policy
    for step in course.steps:
        if step.entry.policy != version:
            number = step.moment.number
            width = left(number) - left(start)
            yield Band(left(start), width, y, BAND_HEIGHT - 4, version, version, False)
            start, version = number, step.entry.policy
    width = left(course.last + 1) - left(start)
    yield Band(left(start), width, y, BAND_HEIGHT - 4, version, version, True)


def shape_of(step: Step) -> str:
    """How an event is marked: `tombstone`, `loud`, `consent` or `event`."""
    if step.entry.erased:
        return "tombstone"
    if step.entry.type in LOUD:
        return "loud"
    return "consent" if step.entry.type.startswith("Consent") else "event"
