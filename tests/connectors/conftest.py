from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from tests.connectors.builder import MiniHub
from tests.connectors.site import Site

CONNECTOR = [
    sys.executable,
    "-c",
    "from connectors.commands.connector import connector; connector()",
]
"""`nrm-hub connector` in a process of its own."""


@pytest.fixture
def hub() -> MiniHub:
    return MiniHub()


@pytest.fixture
def shelter(hub: MiniHub, tmp_path: Path) -> AgencyIdentity:
    """The agency that states things."""
    return hub.enrol(tmp_path, "SH-1", "shelter")


@pytest.fixture
def police(hub: MiniHub, tmp_path: Path) -> AgencyIdentity:
    """The agency that receives."""
    return hub.enrol(tmp_path, "POL-1", "police")


@pytest.fixture
def registry(hub: MiniHub, shelter: AgencyIdentity, police: AgencyIdentity) -> RegistryCache:
    cache = RegistryCache(police)
    cache.update(hub.registry())
    return cache


@pytest.fixture
def site(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> Iterator[Site]:
    site = Site(hub, police, shelter, tmp_path)
    yield site
    site.close()
