"""The option --bench: `pytest -p connectors.conformance.plugin --pyargs connectors.conformance`.

Also what makes a failure readable: the suite's parts come in the order in which a sink is written,
and under each failure stands which promise it was about.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance.promises import PARTS, explained, part_of


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench",
        metavar="MODULE:FUNCTION",
        help="A function (folder) → Bench of the sink to be tested.",
    )


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    named = request.config.getoption("--bench")
    if not named:
        pytest.fail("name the sink's bench: --bench my_package.bench:make", pytrace=False)
    module, _, function = str(named).partition(":")
    made = getattr(import_module(module), function or "make")(tmp_path)
    yield made
    close = getattr(made, "close", None)
    if close is not None:
        close()


@pytest.hookimpl(tryfirst=True)  # before -k chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: number for number, name in enumerate(PARTS)}
    for one in items:
        one.extra_keyword_matches.update(filter(None, [part_of(one)]))
    items.sort(key=lambda one: order.get(part_of(one) or "", len(order)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (part := part_of(item)) is not None:
        report.sections.append((f"what this asks ({part})", explained(part)))
    return report
