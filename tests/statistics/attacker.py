"""Two outsiders who try to work out hidden figures from what was published.

`interval` knows only that parts add up to their whole and what the marks mean: it finds, exactly,
every value a hidden figure can have. `inversions` knows the whole algorithm as well: it goes
through all true counts there could be and keeps those that would have been published in just this
way, whatever lots were drawn. Written from docs/statistics.md, apart from the product's code.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from hub.statistics import suppression
from hub.statistics.counts import Node

NAMES = "abcdef"
FAR = 10**6


def number(shown: Any) -> int | None:
    figure = shown["all"] if isinstance(shown, Mapping) else shown
    return figure if isinstance(figure, int) else None


def parts(shown: Any) -> Mapping[str, Any]:
    return shown.get("by", {}) if isinstance(shown, Mapping) else {}


def walk(shown: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every figure of a table with its place."""
    yield path, shown
    for name, part in parts(shown).items():
        yield from walk(part, (*path, name))


def bounds(figure: Any) -> tuple[int, int]:
    """What a mark says by itself."""
    if isinstance(figure, Mapping):
        return bounds(figure["all"])
    if isinstance(figure, int):
        return figure, figure
    if str(figure).startswith("<"):
        return 1, int(figure[1:]) - 1
    return 0, FAR


def interval(siblings: Mapping[str, Any], whole: int, name: str) -> tuple[int, int]:
    """All values of one hidden figure among siblings run from the first to the second.

    Each sibling stands in one equation only (the whole), so the ends are reached: integers, and
    every value in between is too.
    """
    low, high = bounds(siblings[name])
    others = [bounds(one) for other, one in siblings.items() if other != name]
    return (
        max(low, whole - sum(most for _, most in others)),
        min(high, whole - sum(least for least, _ in others)),
    )


# -- the outsider who knows the algorithm ------------------------------------------------------


def node(values: Sequence[int], *, pooled: bool = False) -> Node:
    named = {NAMES[i]: Node(value) for i, value in enumerate(values) if value or not pooled}
    return Node(sum(values), pooled, named)


def divisions(whole: int, count: int) -> Iterator[tuple[int, ...]]:
    """All ways to divide a whole."""
    if count == 1:
        yield (whole,)
        return
    for first in range(whole + 1):
        for rest in divisions(whole - first, count - 1):
            yield (first, *rest)


def published(
    values: Sequence[int], limit: int, before: Sequence[Any] = (), *, pooled: bool = False
) -> set[str]:
    """Everything the algorithm may publish of these counts, whatever lots are drawn.

    Any order of drawing has some chance, so all orders are gone through: the lots are chosen so
    that each comes about.
    """
    found = set()
    for order in itertools.permutations(range(len(values))):
        lots = {NAMES[part]: place for place, part in enumerate(order)}
        with mock.patch.object(suppression, "log", lambda lot: -lot):
            shown = suppression.show(
                node(values, pooled=pooled),
                limit,
                lambda path, lots=lots: 1000.0 ** lots[path[-1]],  # type: ignore[misc]
                before,
            )
        found.add(json.dumps(shown, sort_keys=True))
    return found


def inversions(
    wholes: Iterable[int], count: int, limit: int, *, pooled: bool = False
) -> dict[str, set[tuple[int, ...]]]:
    """What may be published → the true counts that may be behind it."""
    found = defaultdict(set)
    for whole in wholes:
        for values in divisions(whole, count):
            for shown in published(values, limit, pooled=pooled):
                found[shown].add(values)
    return found


def two_editions(
    wholes: Sequence[int], count: int, limit: int, *, pooled: bool = False
) -> dict[tuple[str, str], set[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """The same for two editions after one another, drawn with the same lots."""
    found = defaultdict(set)
    every = [values for whole in wholes for values in divisions(whole, count)]
    for order in itertools.permutations(range(count)):
        lots = {NAMES[part]: 1000.0**place for place, part in enumerate(order)}
        known: dict[tuple[str, tuple[int, ...]], str] = {}
        with mock.patch.object(suppression, "log", lambda lot: -lot):

            def show(values: tuple[int, ...], before: Sequence[Any], lots=lots) -> Any:  # type: ignore[no-untyped-def]
                truth = node(values, pooled=pooled)
                return suppression.show(truth, limit, lambda path: lots[path[-1]], before)

            for then in every:
                first = show(then, ())
                text = json.dumps(first, sort_keys=True)
                for now in every:
                    if (text, now) not in known:
                        known[text, now] = json.dumps(show(now, [first]), sort_keys=True)
                    found[text, known[text, now]].add((then, now))
    return found
