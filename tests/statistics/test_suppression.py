"""Nothing hidden can be worked out: from one table, several, or several editions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.domain.facts import has_small_cells
from hub.statistics import suppression
from hub.statistics.counts import Node
from hub.statistics.suppression import show, unmarked
from tests.statistics import attacker

LIMITS = {"lt5": 5, "k10": 10}


def lots(seed: int = 0) -> Callable[[tuple[str, ...]], float]:
    return lambda path: (crc32(repr((seed, path)).encode()) + 1) / 2**32


@st.composite
def nodes(draw: st.DrawFn, depth: int = 3, most: int = 60, pooled: bool = False) -> Node:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return Node(draw(st.one_of(st.integers(0, 6), st.integers(0, most))))
    named = {
        name: draw(nodes(depth=depth - 1, most=most, pooled=pooled))
        for name in attacker.NAMES[: draw(st.integers(1, 5))]
    }
    open_ = pooled and draw(st.booleans())
    parts = {name: part for name, part in named.items() if part.count or not open_}
    return Node(sum(part.count for part in parts.values()), open_, parts)


# -- one edition -------------------------------------------------------------------------------


@given(nodes(pooled=True), st.sampled_from(["lt5", "k10"]), st.integers(0, 9))
def test_no_small_number_stands_anywhere(truth: Node, kind: str, seed: int) -> None:
    shown = show(truth, LIMITS[kind], lots(seed))
    assert not has_small_cells(json.loads(json.dumps(shown)), kind)


@given(nodes(), st.sampled_from([5, 10]), st.integers(0, 9))
def test_every_hidden_figure_may_be_several_numbers(truth: Node, limit: int, seed: int) -> None:
    """The exact interval of each, from everything the table says."""
    for path, figure in attacker.walk(show(truth, limit, lots(seed))):
        siblings = attacker.parts(figure)
        whole = attacker.number(figure)
        hidden = [name for name, one in siblings.items() if attacker.number(one) is None]
        if not hidden:
            continue
        assert whole is not None, f"divided though hidden: {path}"
        assert len(hidden) > 1
        for name in hidden:
            low, high = attacker.interval(siblings, whole, name)
            assert high - low >= (limit - 1) // 2, (path, name, low, high)
        together = whole - sum(attacker.number(one) or 0 for one in siblings.values())
        assert together >= min(2 * limit, whole)


@given(nodes(pooled=True), st.sampled_from([5, 10]), st.integers(0, 9))
def test_what_is_shown_is_true_and_adds_up(truth: Node, limit: int, seed: int) -> None:
    def check(node: Node, figure: Any) -> None:
        number, by = attacker.number(figure), attacker.parts(figure)
        if number is not None:
            assert number == node.count
        for name, part in by.items():
            if name != suppression.OTHER or not node.open:
                check(node.parts[name], part)
        if by and all(attacker.number(one) is not None for one in by.values()):
            assert sum(attacker.number(one) or 0 for one in by.values()) == number

    check(truth, show(truth, limit, lots(seed)))


@pytest.mark.parametrize(
    ("parts", "limit", "pooled", "wholes"),
    [
        (2, 5, False, range(10, 27)),
        (3, 3, False, range(6, 15)),
        (4, 3, False, range(6, 12)),
        (3, 3, True, range(6, 15)),
    ],
)
def test_knowing_the_algorithm_does_not_help(
    parts: int, limit: int, pooled: bool, wholes: range
) -> None:
    """All true counts behind a published table differ in every figure that is hidden."""
    for text, behind in attacker.inversions(wholes, parts, limit, pooled=pooled).items():
        by = attacker.parts(json.loads(text))
        for i in range(parts):
            hidden = attacker.number(by.get(attacker.NAMES[i], "c" if "other" in by else 0)) is None
            if hidden:
                assert len({values[i] for values in behind}) >= (limit + 1) // 2, (text, i)


def test_a_total_below_the_limit_is_all_that_is_said() -> None:
    assert show(attacker.node([1, 2]), 5, lots()) == "<5"
    assert show(attacker.node([9, 0]), 10, lots()) == "<10"
    assert show(attacker.node([0, 0]), 5, lots()) == {"all": 0, "by": {"a": 0, "b": 0}}


def test_a_figure_below_twice_the_limit_is_not_divided() -> None:
    assert show(attacker.node([4, 4]), 5, lots()) == {"all": 8}["all"]
    assert show(attacker.node([5, 4]), 5, lots()) == 9


def test_pooled_parts_are_not_named() -> None:
    shown = show(attacker.node([30, 2, 9, 0, 1], pooled=True), 5, lots())
    assert shown["by"] == {"a": 30, "other": 12}


def test_percentiles_need_many() -> None:
    def timed(count: int) -> Any:
        return show(Node(count, days=list(range(count))), 5, lots())["days"]

    assert timed(9) == {"median": "c", "p90": "c"}
    assert timed(10) == {"median": "P4D", "p90": "c"}
    assert timed(50) == {"median": "P24D", "p90": "P44D"}


# -- several editions --------------------------------------------------------------------------


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("parts", "wholes"), [(2, (3, 6, 7, 9, 10)), (3, (6, 7, 9))])
def test_two_editions_do_not_tell_what_changed_by_a_few(
    parts: int, wholes: tuple[int, ...], pooled: bool
) -> None:
    for texts, behind in attacker.two_editions(wholes, parts, 3, pooled=pooled).items():
        for i in range(parts):
            changes = {now[i] - then[i] for then, now in behind}
            if len(changes) == 1:
                assert not 0 < abs(changes.pop()) < 3, (texts, i)
            for edition, text in enumerate(texts):
                by = attacker.parts(json.loads(text))
                values = {pair[edition][i] for pair in behind}
                if by and attacker.number(by.get(attacker.NAMES[i], "c")) is None:
                    assert len(values) > 1 or min(values) == 0, (texts, i)


@st.composite
def histories(draw: st.DrawFn) -> list[list[int]]:
    """True counts at several times, each a little or a lot after the last."""
    count = draw(st.integers(2, 5))
    counts = [draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))]
    for _ in range(draw(st.integers(1, 4))):
        steps = draw(st.lists(st.integers(-9, 9), min_size=count, max_size=count))
        counts.append([max(0, a + b) for a, b in zip(counts[-1], steps, strict=True)])
    return counts


def published(history: list[list[int]], limit: int, pooled: bool, seed: int) -> list[Any]:
    editions: list[Any] = []
    for values in history:
        editions.append(show(attacker.node(values, pooled=pooled), limit, lots(seed), editions))
    return editions


@given(histories(), st.sampled_from([3, 5]), st.booleans(), st.integers(0, 9))
@example([[0, 3, 3, 0], [2, 5, 0, 3]], 3, True, 0)  # a part that ended is not listed any more
@settings(max_examples=150)
def test_no_two_exact_figures_differ_by_a_few(
    history: list[list[int]], limit: int, pooled: bool, seed: int
) -> None:
    """Neither any figure, nor the sum of what was hidden in either of two editions."""
    editions = published(history, limit, pooled, seed)
    for j, after in enumerate(editions):
        for before in editions[:j]:
            then, now = dict(attacker.walk(before)), dict(attacker.walk(after))
            for path in then.keys() & now.keys() - {("other",)}:
                a, b = attacker.number(then[path]), attacker.number(now[path])
                assert a is None or b is None or not 0 < abs(a - b) < limit, path
            old, new = exact_parts(before, pooled), exact_parts(after, pooled)
            if old is None or new is None:
                continue
            both = old.keys() & new.keys()
            change = attacker.number(after) - attacker.number(before)  # type: ignore[operator]
            rest = change - sum(new[name] - old[name] for name in both)
            assert not 0 < abs(rest) < limit, (before, after)


@st.composite
def revised(draw: st.DrawFn) -> tuple[Node, Node]:
    """A tree, and the same with other counts in it."""
    first = draw(nodes(depth=2))

    def again(node: Node) -> Node:
        if not node.parts:
            return Node(max(0, node.count + draw(st.integers(-8, 12))))
        parts = {name: again(part) for name, part in node.parts.items()}
        return Node(sum(part.count for part in parts.values()), node.open, parts)

    return first, again(first)


@given(revised(), st.integers(0, 9))
def test_nothing_in_a_tree_differs_by_a_few(trees: tuple[Node, Node], seed: int) -> None:
    before = show(trees[0], 5, lots(seed))
    after = show(trees[1], 5, lots(seed), [before])
    then = dict(attacker.walk(before))
    for path, figure in attacker.walk(after):
        a, b = attacker.number(then.get(path, "c")), attacker.number(figure)
        assert a is None or b is None or not 0 < abs(a - b) < 5, path


def exact_parts(figure: Any, pooled: bool) -> dict[str, int] | None:
    """Parts known exactly; None if the table's total is not."""
    by = attacker.parts(figure)
    if attacker.number(figure) is None or not by:
        return None
    known = {
        n: x for n, one in by.items() if n != "other" and (x := attacker.number(one)) is not None
    }
    if pooled and "other" not in by:
        known = {**dict.fromkeys(attacker.NAMES, 0), **known}
    return known


@given(histories(), st.sampled_from([3, 5]), st.integers(0, 9))
def test_old_figures_stand_until_enough_has_changed(
    history: list[list[int]], limit: int, seed: int
) -> None:
    editions = published(history, limit, False, seed)
    for values, edition in zip(history, editions, strict=True):
        for i, name in enumerate(attacker.NAMES[: len(values)]):
            figure = attacker.parts(edition).get(name)
            if isinstance(figure, str) and figure.endswith("*"):
                told = unmarked(figure)
                earlier = [attacker.number(attacker.parts(e).get(name, "c")) for e in editions]
                assert told in earlier
            elif isinstance(figure, int) and attacker.number(edition) == sum(values):
                assert figure == values[i]


def test_one_person_more_changes_nothing() -> None:
    first = show(attacker.node([20, 12, 7]), 5, lots())
    assert show(attacker.node([21, 12, 7]), 5, lots(), [first]) == first
    assert show(attacker.node([19, 13, 6]), 5, lots(), [first]) == first


def test_a_figure_that_changed_by_a_few_stands_as_before() -> None:
    first = show(attacker.node([20, 12, 17]), 5, lots())
    second = show(attacker.node([26, 14, 17]), 5, lots(), [first])
    assert second["all"] == 57
    assert "12*" in second["by"].values()
    assert 14 not in second["by"].values()


def test_another_table_of_the_same_people_tells_no_difference_either() -> None:
    """Its total was published elsewhere before somebody joined: it is not divided now."""
    assert show(attacker.node([20, 12, 7]), 5, lots(), others=[38]) == "38*"
    assert show(attacker.node([20, 12, 7]), 5, lots(), others=[39])["all"] == 39


def test_levels_shared_with_another_table_are_held_to_what_it_showed() -> None:
    """One person moved from a to b between two tables that both show a and b."""
    first = show(attacker.node([20, 12, 7]), 5, lots())
    second = show(attacker.node([19, 13, 7]), 5, lots(), others=[suppression.shared(first, 1)])
    assert second["by"] == {"a": "20*", "b": "12*", "c": 7}


def test_percentiles_stand_while_the_count_does() -> None:
    first = show(Node(60, days=[10] * 60), 5, lots())
    assert show(Node(60, days=[11] * 60), 5, lots(), [first]) == first
    assert show(Node(66, days=[11] * 66), 5, lots(), [first])["days"]["median"] == "P11D"


# -- added up ----------------------------------------------------------------------------------


def added(*editions: Any, pooled: bool = False) -> Any:
    return suppression.added(editions, [pooled])


def test_added_figures_are_exact_where_all_are() -> None:
    a = {"all": 20, "by": {"x": 12, "y": 8}, "days": {"median": "P3D", "p90": "c"}}
    b = {"all": 30, "by": {"x": "c", "y": 10, "z": "c"}}
    assert added(a, b) == {
        "all": 50,
        "by": {"x": "c", "y": 18, "z": "c"},
        "days": {"median": "c", "p90": "c"},
    }
    assert added(a, "<5") == "c"
    assert added(a, 7) == {"all": 27, "days": {"median": "c", "p90": "c"}}
    assert added(b, {"all": 0, "by": {"x": 0, "y": 0, "z": 0}}) == b
    assert added({"all": 20, "by": {"x": "12*", "y": 8}}, a)["by"] == {"x": "c", "y": 16}


def test_added_parts_are_named_where_every_edition_tells_them() -> None:
    a = {"all": 40, "by": {"MD": 20, "RO": 10, "other": 10}}
    b = {"all": 30, "by": {"MD": 12, "UA": 18}}
    assert added(a, b, pooled=True) == {"all": 70, "by": {"MD": 32, "RO": 10, "other": 28}}
