"""Noise: a table under differential privacy, by OpenDP's discrete Laplace mechanism.

For tables that count each person at most once and whose cells are all known beforehand: then one
person changes one cell by one, and every cell gets integer noise of scale 1/epsilon. Totals are
the sums of noisy cells; a figure below zero is printed as zero, so parts may not add up to their
whole. Percentiles are not given. The noise cannot be repeated: what was published once is kept and
published again as it is (`editions.py`), and spends nothing more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hub.errors import Refused
from hub.statistics.counts import Node

EXTRA = "install what it needs: pip install 'nrm-hub[dp]'"
LEAST, MOST = Decimal("0.01"), Decimal("10")


def parse_epsilon(text: str) -> Decimal:
    """Refused(bad_epsilon) unless it is a number from 0.01 to 10 of at most two places."""
    try:
        epsilon = Decimal(text)
    except ArithmeticError:
        epsilon = Decimal(0)
    if not (epsilon.is_finite() and LEAST <= epsilon <= MOST) or epsilon.as_tuple().exponent < -2:  # type: ignore[operator]
        raise Refused(0, "bad_epsilon", "epsilon is a number from 0.01 to 10 in steps of 0.01")
    return epsilon


def noisy(node: Node, epsilon: Decimal) -> Any:
    """The table as it may be shown. Its shape does not depend on the counts."""
    leaves: list[Node] = []
    _leaves(node, leaves)
    drawn = iter(_drawn([leaf.count for leaf in leaves], epsilon))
    return _sum(node, {id(leaf): next(drawn) for leaf in leaves})[1]


def _leaves(node: Node, found: list[Node]) -> None:
    if not node.parts:
        found.append(node)
    for part in node.parts.values():
        _leaves(part, found)


def _sum(node: Node, drawn: dict[int, int]) -> tuple[int, Any]:
    if not node.parts:
        value = drawn[id(node)]
        return value, max(value, 0)
    parts = {name: _sum(part, drawn) for name, part in node.parts.items()}
    total = sum(value for value, _ in parts.values())
    return total, {"all": max(total, 0), "by": {name: one for name, (_, one) in parts.items()}}


def _drawn(counts: list[int], epsilon: Decimal) -> list[int]:
    try:
        import opendp.prelude as dp
    except ImportError:
        raise Refused(0, "dp_not_installed", EXTRA) from None
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=int), size=len(counts))
    mechanism = dp.m.make_laplace(domain, dp.l1_distance(T=int), scale=float(1 / epsilon))
    spends = mechanism.map(1)  # type: ignore[no-untyped-call]
    if spends > float(epsilon) * (1 + 1e-9):
        raise Refused(0, "bad_epsilon", "this epsilon cannot be kept to; choose another")
    return [int(one) for one in mechanism(counts)]
