"""Counts: a table's true figures as a tree, every node the sum of its parts.

A tree and not a cross-tabulation with two margins: siblings and the node above them are then the
only linear relation a figure stands in, so what an outsider can work out is known exactly
(`suppression.py`). Several tables may share their upper levels; the same path is the same figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

U = TypeVar("U")


@dataclass(frozen=True)
class Level(Generic[U]):
    """One way to divide a node: every unit in exactly one part.

    labels: code → label of all parts, known beforehand; for an open level, of those known.
    open: parts come as they are met (countries, national reason codes); small ones are pooled.
    only: codes of the node above that are divided; all of them if empty.
    means: how a unit's part is found, so that another person could recount.
    """

    title: str
    part: Callable[[U], str]
    labels: dict[str, str]
    open: bool = False
    only: frozenset[str] = frozenset()
    means: str = ""


@dataclass(slots=True)
class Node:
    """A true count, with its parts if it has any. days: lengths to take percentiles of."""

    count: int = 0
    open: bool = False
    parts: dict[str, Node] = field(default_factory=dict)
    days: list[int] = field(default_factory=list)


def tree(
    units: Iterable[U],
    levels: Sequence[Level[U]],
    days: Callable[[U], int | None] | None = None,
    timed: int = 1,
) -> Node:
    """Count units down the levels. days: what is timed; on the first `timed` levels, root first."""
    root = Node()
    _divide(root, "", list(units), levels, days, timed)
    return root


def _divide(
    node: Node,
    code: str,
    units: list[U],
    levels: Sequence[Level[U]],
    days: Callable[[U], int | None] | None,
    timed: int,
) -> None:
    node.count = len(units)
    if days is not None and timed > 0:
        node.days = sorted(length for one in units if (length := days(one)) is not None)
    if not levels or (levels[0].only and code not in levels[0].only):
        return
    level = levels[0]
    node.open = level.open
    sorted_out: dict[str, list[U]] = {} if level.open else {code: [] for code in level.labels}
    for one in units:
        part = level.part(one)
        if part not in sorted_out:
            part = part if level.open else "not_known"
        sorted_out.setdefault(part, []).append(one)
    for part, some in sorted_out.items():
        node.parts[part] = Node()
        _divide(node.parts[part], part, some, levels[1:], days, timed - 1)


def percentile(days: Sequence[int], share: float) -> int:
    """Nearest rank: the smallest length that at least this share of all do not exceed."""
    rank = max(1, -(-len(days) * round(share * 100) // 100))
    return days[rank - 1]
