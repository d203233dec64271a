"""The option --bench: `pytest -p connectors.conformance.plugin --pyargs connectors.conformance`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest


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
