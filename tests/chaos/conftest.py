"""Where the town of a test stands: all in one folder, or on PostgreSQL and Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub.topics.local_ports import free_port
from tests.chaos.town import Town

SERVERS = pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.postgres])


@pytest.fixture(scope="module")
def towns(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Town]]:
    """Builds towns, and closes them after the module."""
    built: list[Town] = []

    def build(place: str = "embedded", **options: Any) -> Town:
        folder = tmp_path_factory.mktemp("town")
        if place == "servers":
            options = on_servers(request, folder) | options
        else:
            options = {"port": free_port()} | options
        built.append(Town(folder, **options))
        return built[-1]

    yield build
    for town in built:
        town.close()


def on_servers(request: pytest.FixtureRequest, folder: Path) -> dict[str, Any]:
    """Log, keys and one partner on PostgreSQL; topics on Kafka, under a prefix of their own."""
    database: Callable[[], str] = request.getfixturevalue("new_postgres_database")
    kafka = request.getfixturevalue("kafka_url")
    return {
        "store": database(),
        "keys": f"{database()}?epoch_key={folder / 'epoch.key'}",
        "topics": f"{kafka}?timeout=5&prefix=chaos-{uuid4().hex[:8]}-",
        "databases": {"SH-1": database()},
    }
