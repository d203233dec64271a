"""Suppression: which true counts may be shown, beside everything that was published before.

Pure. An outsider is taken to know every edition ever published, this algorithm, and that parts add
up to their whole; not the lots (below). Rules, for a threshold t (5 for `lt5`, 10 for `k10`):

 1. A count from 1 to t − 1 is not shown, and one below 2t is not divided.
 2. What is hidden among siblings can be summed by subtraction, so at least two are hidden
    together, and as many as it takes for their sum to reach 2t. Which, is drawn by lot, small ones
    more likely: were it always the smallest, the choice itself would tell values.
 3. "<5" stands only where all hidden siblings are below t and each could still be any of at least
    half the small values; everywhere else hidden is "c". Parts that are not listed beforehand
    (countries) are pooled as "other".
 4. A later edition shows no figure that differs from an earlier exact one by 1 to t − 1: the
    earlier one stands, marked "*", with its parts. Sums of hidden siblings keep the same distance.
    Earlier is also what another table showed of the same people.
 5. If a whole table's total differs by so little, the table stays as it was.
 6. Zero is shown as zero. A median needs 2t lengths, a 90th percentile 10t.

`docs/statistics.md` says the same for readers; `tests/statistics/attacker.py` attacks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import log
from typing import Any, Final

from hub.statistics.counts import Node, percentile

CONFIDENTIAL: Final = "c"
OTHER: Final = "other"  # the pooled rest of parts that are not listed beforehand
KEPT: Final = "*"  # after a figure: as published before
THRESHOLDS: Final[Mapping[str, int]] = {"lt5": 5, "k10": 10}

# A figure as published: a number, "<5", "c", "12*", or a mapping
# {"all": figure, "by": {code: figure}, "days": {"median": "P12D", "p90": "c"}}.
Shown = Any


# From the path of a part to its lot, secret and always the same, above 0 and at most 1.
Lots = Callable[[tuple[str, ...]], float]


def show(
    node: Node,
    limit: int,
    lots: Lots,
    before: Sequence[Shown] = (),
    others: Sequence[Shown] = (),
) -> Shown:
    """What may be shown of a table.

    before: earlier editions of this table and period, oldest first. others: editions of other
    tables of the same people, cut down to the levels they share with this one (`shared`).
    """
    every = [*others, *before]
    known = [number for one in every if (number := exact(one)) is not None]
    if any(0 < abs(node.count - one) < limit for one in known):
        return before[-1] if before else f"{known[-1]}{KEPT}"
    if 0 < node.count < limit:
        return f"<{limit}"
    return _Publication(limit, lots).figure(node, (), every)


def shared(shown: Shown, levels: int) -> Shown:
    """An edition cut down to its first levels."""
    if not isinstance(shown, Mapping):
        return shown
    cut = {name: value for name, value in shown.items() if name != "by"}
    if levels and "by" in shown:
        cut["by"] = {name: shared(one, levels - 1) for name, one in shown["by"].items()}
    return cut


class _Publication:
    """The walk down one table."""

    def __init__(self, limit: int, lots: Lots) -> None:
        self._limit = limit
        self._lots = lots

    def figure(self, node: Node, path: tuple[str, ...], before: list[Shown]) -> Shown:
        """A node whose own count may be shown, with what may be shown of its parts."""
        figure: dict[str, Any] = {"all": node.count}
        if node.parts and (node.count == 0 or node.count >= 2 * self._limit):
            known = [one for one in before if exact(one) is not None]
            figure["by"] = self._parts(node, path, known)
        timed = [one for one in before if isinstance(one, Mapping) and "days" in one]
        if node.days or timed:
            same = [one["days"] for one in timed if exact(one) == node.count]
            figure["days"] = same[-1] if same else self._percentiles(node.days)
        return figure if len(figure) > 1 else node.count

    def _percentiles(self, days: Sequence[int]) -> dict[str, str]:
        return {
            name: f"P{percentile(days, share)}D"
            if len(days) >= least * self._limit
            else CONFIDENTIAL
            for name, share, least in (("median", 0.5, 2), ("p90", 0.9, 10))
        }

    def _parts(self, node: Node, path: tuple[str, ...], before: list[Shown]) -> dict[str, Shown]:
        """before: earlier editions of this node in which it was shown exactly itself."""
        limit = self._limit
        earlier = [_listed(one) for one in before]
        names = list(node.parts)
        names += sorted({name for one in earlier for name in one} - {*names, OTHER})
        values = {name: node.parts[name].count if name in node.parts else 0 for name in names}
        past = [Past.of(one, node.open, names) for one in before]
        hidden = hide(values, limit, past, lambda name: self._lots((*path, name)), pooled=node.open)

        def figure(name: str) -> Shown:
            part = node.parts.get(name) or Node()
            return self.figure(part, (*path, name), _histories(earlier, name))

        if node.open:
            listed = sorted(names, key=lambda name: (-values[name], name))
            by = {name: figure(name) for name in listed if name not in hidden and values[name]}
            pooled = sum(values[name] for name in hidden)
            return {**by, OTHER: pooled} if hidden else by
        symbol = symbol_of([values[name] for name in hidden], limit, earlier)
        return {
            name: _hidden(_histories(earlier, name), symbol) if name in hidden else figure(name)
            for name in names
        }


def _listed(shown: Shown) -> Mapping[str, Shown]:
    by: Mapping[str, Shown] = shown.get("by", {}) if isinstance(shown, Mapping) else {}
    return by


def _histories(earlier: Sequence[Mapping[str, Shown]], name: str) -> list[Shown]:
    return [one[name] for one in earlier if name in one]


def _hidden(history: list[Shown], symbol: str) -> Shown:
    """The last figure published, marked as such; or the symbol if there never was one."""
    for one in reversed(history):
        if exact(one) is not None or _is_kept(one):
            return kept(one)
    return symbol


class Past:
    """An earlier edition of one set of siblings: its whole, and its figures that were exact."""

    __slots__ = ("shown", "whole")

    def __init__(self, whole: int, shown: Mapping[str, int]) -> None:
        self.whole = whole
        self.shown = shown

    @classmethod
    def of(cls, edition: Shown, open_: bool, names: Iterable[str]) -> Past:
        listed = _listed(edition)
        shown = {
            name: number
            for name, one in listed.items()
            if name != OTHER and (number := exact(one)) is not None
        }
        if open_ and listed and OTHER not in listed:  # nothing pooled: what is absent was none
            shown = {**dict.fromkeys(names, 0), **shown}
        return cls(exact(edition) or 0, shown)


def hide(
    values: Mapping[str, int],
    limit: int,
    past: Sequence[Past],
    lot: Callable[[str], float],
    *,
    pooled: bool = False,
) -> frozenset[str]:
    """Names of the siblings to hide. Their whole, and all earlier editions, are public.

    pooled: what is hidden is not listed, and neither are zeros: then they cannot be told apart.
    """
    zeros = {name for name, value in values.items() if value == 0} if pooled else set()
    hidden = {
        name
        for name, value in values.items()
        if 0 < value < limit
        or any(0 < abs(value - one.shown.get(name, value)) < limit for one in past)
    }
    # An exponential race: each is drawn first with a chance that falls as its value grows.
    drawn = sorted(
        (value == 0, -log(lot(name)) * max(value, 1) ** 2, name)
        for name, value in values.items()
        if name not in hidden
    )
    for _, _, name in drawn:
        hidden |= zeros if hidden else set()
        if _enough(values, limit, past, hidden):
            break
        hidden.add(name)
    return frozenset(hidden | zeros if hidden else hidden)


def _enough(values: Mapping[str, int], limit: int, past: Sequence[Past], hidden: Set[str]) -> bool:
    if hidden:
        together = sum(values[name] for name in hidden)
        more = any(value for name, value in values.items() if name not in hidden)
        if more and together < 2 * limit:
            return False
    return all(_far_enough(values, limit, one, hidden) for one in past)


def _far_enough(values: Mapping[str, int], limit: int, one: Past, hidden: Set[str]) -> bool:
    """The sum of everything hidden now or then has not changed by a few."""
    unknown = {name for name in values if name in hidden or name not in one.shown}
    now = sum(values[name] for name in unknown)
    then = one.whole - sum(value for name, value in one.shown.items() if name not in unknown)
    return now == then or abs(now - then) >= limit


def symbol_of(
    hidden: Sequence[int], limit: int, earlier: Sequence[Mapping[str, Shown]] = ()
) -> str:
    """Rule 3, for all hidden siblings alike."""
    told = any(CONFIDENTIAL in one.values() for one in earlier)
    small = all(0 < value < limit for value in hidden)
    if told or not small:
        return CONFIDENTIAL
    together, others = sum(hidden), len(hidden) - 1
    least = max(1, together - others * (limit - 1))
    most = min(limit - 1, together - others)
    return f"<{limit}" if most - least >= (limit - 1) // 2 else CONFIDENTIAL


def added(editions: Sequence[Shown], open_levels: Sequence[bool]) -> Shown:
    """What published tables of periods after one another say of all of them together.

    Made from published figures alone, so it tells nothing that they do not: a figure is exact where
    all are, and hidden otherwise. Lengths of time cannot be added up.
    """
    numbers = [exact(one) for one in editions]
    if None in numbers:
        return CONFIDENTIAL
    whole = sum(number or 0 for number in numbers)
    counted = [one for one, number in zip(editions, numbers, strict=True) if number]
    lists = [_listed(one) for one in counted]
    figure: dict[str, Any] = {"all": whole}
    if all(lists) and open_levels:
        names = list(dict.fromkeys(name for one in lists for name in one))
        if open_levels[0]:
            figure["by"] = _added_open(lists, names, whole, open_levels[1:])
        else:
            figure["by"] = {
                n: added([one.get(n, 0) for one in lists], open_levels[1:]) for n in names
            }
    if any(isinstance(one, Mapping) and "days" in one for one in editions):
        figure["days"] = {"median": CONFIDENTIAL, "p90": CONFIDENTIAL}
    return figure if len(figure) > 1 else whole


def _added_open(
    lists: Sequence[Mapping[str, Shown]],
    names: Sequence[str],
    whole: int,
    open_levels: Sequence[bool],
) -> dict[str, Shown]:
    """A part is named where each edition named it, or pooled nothing; the rest is pooled."""
    known = [n for n in names if n != OTHER and all(n in one or OTHER not in one for one in lists)]
    by = {name: added([one.get(name, 0) for one in lists], open_levels) for name in known}
    rest = whole - sum(exact(one) or 0 for one in by.values())
    return {**by, OTHER: rest} if rest else by


# -- figures as published ------------------------------------------------------------------------


def exact(shown: Shown) -> int | None:
    """The number, unless the figure is hidden or that of an earlier edition."""
    number = shown.get("all") if isinstance(shown, Mapping) else shown
    return number if isinstance(number, int) else None


def _is_kept(shown: Shown) -> bool:
    number = shown.get("all") if isinstance(shown, Mapping) else shown
    return isinstance(number, str) and number.endswith(KEPT)


def kept(shown: Shown) -> Shown:
    """The same, every number in it marked as published before."""
    if isinstance(shown, Mapping):
        return {name: value if name == "days" else kept(value) for name, value in shown.items()}
    return f"{shown}{KEPT}" if isinstance(shown, int) else shown


def unmarked(shown: Shown) -> Shown:
    """The same without the marks: what a reader is told of the figures themselves."""
    if isinstance(shown, Mapping):
        return {name: unmarked(value) for name, value in shown.items()}
    if isinstance(shown, str) and shown.endswith(KEPT):
        return int(shown[: -len(KEPT)])
    return shown
