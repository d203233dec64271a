"""Rows: a published table line by line, for terminals, CSV files and pages.

Made from figures that may be shown and from nothing else. `_T` is SDMX's code for a total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub.statistics.parts import STEPS
from hub.statistics.suppression import CONFIDENTIAL, KEPT, OTHER, exact
from hub.statistics.tables import Table

TOTAL: Final = "_T"
OTHER_LABEL: Final = "Others, too few each to be named"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. path: codes from the first level on; empty for the whole table."""

    path: tuple[str, ...]
    label: str
    figure: str
    number: int | None
    status: str
    median: str
    p90: str

    @property
    def depth(self) -> int:
        return len(self.path)


# What a reader is told of a figure that is not an exact number.
STATUSES: Final[Mapping[str, str]] = {
    "exact": "as counted",
    "small": "from 1 to below the limit",
    "confidential": "hidden, so that small numbers cannot be worked out",
    "kept": "as published before; the change since is too small to show",
    "noisy": "with random noise added (differential privacy)",
}


def rows(table: Table, figures: Any, noisy: bool = False) -> Iterator[Row]:
    """Every line, the whole table first, parts below what they are parts of."""
    yield from _rows(table, figures, (), "All", noisy)


def _rows(
    table: Table, shown: Any, path: tuple[str, ...], label: str, noisy: bool
) -> Iterator[Row]:
    figure = shown.get("all") if isinstance(shown, Mapping) else shown
    days = shown.get("days", {}) if isinstance(shown, Mapping) else {}
    yield Row(
        path,
        label,
        str(figure),
        exact(shown),
        "noisy" if noisy else _status(figure),
        days.get("median", ""),
        days.get("p90", ""),
    )
    for code, part in shown.get("by", {}).items() if isinstance(shown, Mapping) else ():
        yield from _rows(table, part, (*path, code), label_of(table, len(path), code), noisy)


def label_of(table: Table, depth: int, code: str) -> str:
    """What a part is called; a code met on the way stands for itself."""
    if code == OTHER and table.levels[depth].open:
        return OTHER_LABEL
    return table.levels[depth].labels.get(code, code)


def _status(figure: object) -> str:
    if isinstance(figure, int):
        return "exact"
    text = str(figure)
    if text == CONFIDENTIAL:
        return "confidential"
    return "kept" if text.endswith(KEPT) else "small"


@dataclass(frozen=True, slots=True)
class Step:
    """How many came at least this far; None where it cannot be said."""

    label: str
    number: int | None


def steps(figures: Any) -> list[Step]:
    """The funnel's steps, added up from published figures: what is hidden stays hidden."""
    totals: dict[str, int | None] = dict.fromkeys(STEPS, 0)
    by = figures.get("by") if isinstance(figures, Mapping) else None
    if by is None:
        return []
    for status in by.values():
        parts = status.get("by") if isinstance(status, Mapping) else None
        if parts is None:
            if status == 0:
                continue
            totals = dict.fromkeys(STEPS, None)  # how far these came is not shown
            break
        for step, part in parts.items():
            number, known = exact(part), totals[step]
            totals[step] = None if number is None or known is None else known + number
    found: list[Step] = []
    reached: int | None = 0
    for step in reversed(list(STEPS)):
        number = totals[step]
        reached = None if number is None or reached is None else reached + number
        found.append(Step(STEPS[step], reached))
    whole = exact(figures)
    found[-1] = Step(found[-1].label, whole)
    return found[::-1]


def changes(table: Table, before: Any, after: Any) -> Iterator[tuple[str, str, str, str]]:
    """Lines of two editions side by side: label, as published before, as now, difference.

    The difference is given only between two exact figures, so it is nil or at least the limit.
    Below the first level, what is zero in both is left out.
    """
    then = {row.path: row for row in rows(table, before)}
    now = {row.path: row for row in rows(table, after)}
    for path in sorted({*then, *now}, key=lambda path: _place(path, now, then)):
        old, new = then.get(path), now.get(path)
        if len(path) > 1 and not any(one and one.figure != "0" for one in (old, new)):
            continue
        label = (new or old or next(iter(now.values()))).label
        difference = ""
        if old and new and old.number is not None and new.number is not None:
            change = new.number - old.number
            difference = f"{change:+d}" if change else "0"
        yield (
            "  " * len(path) + label,
            old.figure if old else "",
            new.figure if new else "",
            difference,
        )


def _place(
    path: tuple[str, ...], now: Mapping[tuple[str, ...], Row], then: Mapping[tuple[str, ...], Row]
) -> tuple[int, ...]:
    """In the order of the new edition; what it no longer lists, below its siblings."""
    order = {
        **{one: i + len(now) for i, one in enumerate(then)},
        **{o: i for i, o in enumerate(now)},
    }
    return tuple(order[path[:depth]] for depth in range(len(path) + 1))
