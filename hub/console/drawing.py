"""Small drawings as SVG geometry: the templates write the elements, the numbers are made here.

Pure. Nothing a drawing says is said by it alone: a table or a number stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDE: Final = 600
HIGH: Final = 120
GAP: Final = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chart, in the units of its viewBox."""

    x: float
    y: float
    width: float
    height: float
    value: int


@dataclass(frozen=True, slots=True)
class Columns:
    """A column chart. top: the value its height stands for, a round number."""

    columns: tuple[Column, ...]
    top: int

    @property
    def wide(self) -> int:
        return WIDE

    @property
    def high(self) -> int:
        return HIGH


def columns(values: Sequence[int]) -> Columns:
    """Values side by side; a value above zero is seen, however small."""
    top = round_up(max(values, default=0))
    step = WIDE / max(len(values), 1)
    drawn = []
    for index, value in enumerate(values):
        height = max(HIGH * value / top, 2.0) if value else 0.0
        drawn.append(
            Column(
                round(index * step + GAP / 2, 2),
                round(HIGH - height, 2),
                round(step - GAP, 2),
                round(height, 2),
                value,
            )
        )
    return Columns(tuple(drawn), top)


def round_up(value: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 … that is not below it; 1 for nothing."""
    step = 1
    while True:
        for digit in (1, 2, 5):
            if value <= digit * step:
                return digit * step
        step *= 10


def share(value: float, most: float) -> float:
    """A bar's length in per cent of the longest; what is not nothing is at least one."""
    if value <= 0 or most <= 0:
        return 0.0
    return round(max(min(value / most, 1.0) * 100, 1.0), 2)
