"""Which real server of the suite stands for a variable that a page asks its reader to set.

By the variable's name, else by the scheme of the address the page shows, else (`…_PORT`) a free
port. A page that needs another kind of server adds its line here, and its fixture to
`tests/servers.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from hub.topics.local_ports import free_port


@dataclass(frozen=True)
class Place:
    """A fixture, the marker of what needs it, and how its value becomes the variable's."""

    fixture: str
    marker: str
    take: Callable[[Any], str]


BY_NAME: Final[Mapping[str, Place]] = {
    "SHELTER_KAFKA": Place("kafka_broker", "kafka", lambda broker: str(broker.address)),
    "FHIR_URL": Place("empty_fhir_url", "fhir", str),
    "DHIS2_URL": Place("described_dhis2", "slow", str),
    "PRIMERO_URL": Place("described_primero", "slow", str),
}

BY_SCHEME: Final[Mapping[str, Place]] = {
    "postgresql": Place("new_postgres_database", "postgres", lambda new: str(new())),
    "mariadb": Place("new_mariadb_database", "mariadb", lambda new: str(new())),
}


def place(name: str, example: str) -> Place | None:
    """What stands for this variable; None for a port, or if nothing does."""
    return BY_NAME.get(name) or BY_SCHEME.get(urlsplit(example).scheme)


def given(needs: Mapping[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables' values; starts what has to be started."""
    values = {}
    for name, example in needs.items():
        found = place(name, example)
        assert found is not None or name.endswith("_PORT"), (
            f"no server of the suite stands for {name} ({example}): tests/tutorials/places.py"
        )
        values[name] = (
            str(free_port())
            if found is None
            else found.take(request.getfixturevalue(found.fixture))
        )
    return values


def markers(needs: Mapping[str, str]) -> set[str]:
    """Markers of a page that needs these."""
    found = (place(name, example) for name, example in needs.items())
    return {one.marker for one in found if one is not None}
