"""The described servers for pages of docs/: their address, empty and for one page alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.case_systems.dhis2_server import Dhis2Server
from tests.case_systems.primero_server import PrimeroServer


@pytest.fixture
def described_dhis2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _served(Dhis2Server(tmp_path_factory.mktemp("dhis2") / "server.db"))


@pytest.fixture
def described_primero(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from _served(PrimeroServer(tmp_path_factory.mktemp("primero") / "server.db"))


def _served(server: Dhis2Server | PrimeroServer) -> Iterator[str]:
    with server.described.running() as url:
        yield url
    assert server.described.violations == []
