"""A hub by script, its topics in a file, and a partner with its settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.topics import Topics, open_topics
from tests.connectors.builder import MiniHub


@pytest.fixture
def hub(tmp_path: Path) -> MiniHub:
    return MiniHub(topics_url=f"embedded:///{tmp_path}/topics.db")


@pytest.fixture
def topics(hub: MiniHub) -> Iterator[Topics]:
    assert hub.topics_url
    topics = open_topics(hub.topics_url)
    topics.ensure(["nrm.ingest", "nrm.receipts", "nrm.registry"])
    topics.ensure([f"nrm.{kind}.{who}" for kind in ("outcomes", "deliveries")
                   for who in ("SH-1", "POL-1")])  # fmt: skip
    yield topics
    topics.close()


@pytest.fixture
def partner(hub: MiniHub, topics: Topics, tmp_path: Path) -> Path:
    hub.enrol(tmp_path, "POL-1")
    path = tmp_path / "partner.toml"
    path.write_text('home = "POL-1"\n[sink]\nurl = "sqlite:///partner.db"\n')
    return path
