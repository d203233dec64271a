"""Nothing withheld is readable: canaries in every free-text field, looked for in every file.

The whole pipeline runs on whole scenarios; then every file of the hub, every topic, everything
logged, and every partner's database is searched. A partner's database must hold exactly the
canaries of what it was released and not told to delete: one too many is a leak, one too few is a
lost referral.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.audit import replay_case
from tests.played import NAMES, event_id, play, scenario
from tests.privacy.canaries import files, found_in, planted
from tests.road import Road


def held(road: Road, document: dict[str, Any], agency: str) -> set[tuple[str, str]]:
    """(event, category) the agency should hold now, by the recorded decisions."""
    names = {str(event_id(event["id"])): event["id"] for event in document["events"]}
    holding: set[tuple[str, str]] = set()
    for case in {event["case"] for event in document["events"]}:
        for entry in replay_case(road.hub.exchange, case):
            for recall in entry.recalls:
                if recall["to"] == agency:
                    for event, categories in recall["items"].items():
                        holding -= {(names[event], category) for category in categories}
            for category in entry.released.get(agency, {}):
                holding.add((names[entry.event_id], category))
            for event, bases in entry.backfill.get(agency, {}).items():
                holding |= {(names[event], category) for category in bases}
    return holding


@pytest.mark.parametrize("name", NAMES)
def test_every_canary_is_where_it_was_released_and_nowhere_else(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    document, canaries = planted(scenario(name))
    assert canaries
    road = play(tmp_path, document)
    try:
        # The hub: event store, key store, topics, their WALs, its configuration, its logs.
        assert found_in(files(tmp_path / "hub"), canaries) == []
        printed = capfd.readouterr()
        spoken = caplog.text + printed.out + printed.err
        assert [c.word for c in canaries if c.word in spoken] == []

        # The partners: exactly what was released and not recalled, and not in the WAL either.
        for agency in road.partners:
            holding = held(road, document, agency)
            database = [path for path in files(tmp_path) if path.name.startswith(f"{agency}.db")]
            content = b"".join(path.read_bytes() for path in database)
            for canary in canaries:
                due = (canary.event, canary.category) in holding
                there = canary.word.encode() in content
                assert there == due, f"{agency}: {canary} {'is missing' if due else 'leaked'}"
    finally:
        road.close()
