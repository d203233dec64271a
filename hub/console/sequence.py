"""Sequence: a case event by event, a row for each and a column per agency. Pure geometry.

All arrows of an event lie in its own row, so no two of them cross; recalls and backfill have lines
of their own below them. Columns are percentages, rows pixels, as in `lanes.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hub.audit.course import Agreement, Course, Opening, Step
from hub.console.lanes import PAGE, kind_of, kinds_of, lanes_of, shape_of

HEAD: Final = 8  # above the first row
BUS: Final = 30  # from a row's top to its arrows
ROW: Final = 48
RECALL: Final = 20
CAUGHT_UP: Final = 26
CHIP: Final = 15


@dataclass(frozen=True, slots=True)
class Arrow:
    """What one agency was sent of one event. bases: category → basis; held: stopped before it was
    sent; through: came through a break-glass window."""

    to: str
    x: float
    x_from: float
    y: int
    kinds: tuple[str, ...]
    bases: Mapping[str, str]
    held: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether all of it was held back."""
        return bool(self.held) and set(self.held) >= set(self.bases)

    @property
    def stopped(self) -> frozenset[str]:
        """Kinds of basis of which everything was held back."""
        left = {kind_of(basis) for name, basis in self.bases.items() if name not in self.held}
        return frozenset(self.kinds) - left

    @property
    def half(self) -> float:
        """Half the width of its chips, in pixels."""
        return CHIP * len(self.kinds) / 2


@dataclass(frozen=True, slots=True)
class Return:
    """A recall: what one agency has to give back. items: event id → categories."""

    to: str
    x: float
    x_from: float
    y: int
    action: str
    items: Mapping[str, list[str]]

    @property
    def count(self) -> int:
        return sum(map(len, self.items.values()))


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Earlier events one agency receives because of this one."""

    to: str
    x: float
    y: int
    items: Mapping[str, Mapping[str, str]]
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One event and everything that followed from it."""

    step: Step
    y: int
    height: int
    x: float
    shape: str
    releases: tuple[Arrow, ...]
    recalls: tuple[Return, ...]
    backfill: tuple[CatchUp, ...]
    policy: str = ""  # its version, where it begins to decide

    @property
    def bus(self) -> int:
        return self.y + BUS


@dataclass(frozen=True, slots=True)
class Stripe:
    """Where a consent names an agency, or a window is open to it: along its column."""

    x: float
    y: int
    height: int
    about: Agreement | Opening
    agency: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One page of the case, event by event."""

    lanes: tuple[tuple[str, float], ...]
    rows: tuple[Row, ...]
    agreements: tuple[Stripe, ...]
    openings: tuple[Stripe, ...]
    height: int
    width: str = field(default="")


def pages_of(course: Course) -> int:
    return (course.last + PAGE - 1) // PAGE


def sequence_of(course: Course, page: int) -> Sequence:
    """Rows of one page, from 1. The columns are those of the whole case on every page."""
    lanes = lanes_of(course)
    across = {agency: 100 * (i + 0.5) / len(lanes) for i, agency in enumerate(lanes)}
    shown = course.steps[(page - 1) * PAGE : page * PAGE]
    before = course.steps[(page - 1) * PAGE - 1].entry.policy if page > 1 else ""
    rows: list[Row] = []
    y = HEAD
    for step in shown:
        row = _row(step, y, across, "" if step.entry.policy == before else step.entry.policy)
        before = step.entry.policy
        rows.append(row)
        y += row.height
    tops = {row.step.moment.number: row.y for row in rows}
    first, last = shown[0].moment.number, shown[-1].moment.number

    def span(about: Agreement | Opening) -> tuple[int, int] | None:
        to = about.to or last + 1
        if about.start > last or to <= first:
            return None
        begins = tops[about.start] + BUS if about.start >= first else 0
        ends = tops[to] + BUS if to <= last else y
        return begins, max(ends - begins, 10)

    def stripes(about: Agreement | Opening, agencies: Iterable[str]) -> Iterable[Stripe]:
        found = span(about)
        if found is not None:
            for agency in agencies:
                yield Stripe(across[agency], *found, about, agency)

    return Sequence(
        lanes=tuple(across.items()),
        rows=tuple(rows),
        agreements=tuple(
            stripe for one in course.agreements for stripe in stripes(one, sorted(one.scope))
        ),
        openings=tuple(stripe for one in course.openings for stripe in stripes(one, (one.agency,))),
        height=y + HEAD,
        width=f"lanes-{min(-(-len(lanes) // 4) * 4, 40)}",
    )


def _row(step: Step, y: int, across: Mapping[str, float], policy: str) -> Row:
    entry = step.entry
    x, bus = across[entry.agency], y + BUS
    releases = tuple(
        Arrow(
            agency,
            across[agency],
            x,
            bus,
            kinds_of(bases.values()),
            bases,
            tuple(step.held_back.get(agency, {}).get(entry.event_id, ())),
        )
        for agency, bases in sorted(entry.released.items())
    )
    height, recalls, backfill = ROW, [], []
    for one in entry.recalls:
        to = one["to"]
        recalls.append(Return(to, across[to], x, y + height + 2, one["action"], one["items"]))
        height += RECALL
    if entry.backfill:
        height += CAUGHT_UP
        for agency, items in sorted(entry.backfill.items()):
            kinds = kinds_of(basis for bases in items.values() for basis in bases.values())
            backfill.append(CatchUp(agency, across[agency], y + height - 12, items, kinds))
    return Row(
        step, y, height, x, shape_of(step), releases, tuple(recalls), tuple(backfill), policy
    )
