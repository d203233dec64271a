"""Nothing withheld is readable: canaries in every free-text field, looked for in every file.

The whole pipeline runs on whole scenarios; then every file of the hub, every topic, everything
logged, and every partner's database is searched. A partner's database must hold exactly the
canaries of what it was released and not told to delete: one too many is a leak, one too few is a
lost referral.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub.audit import replay_case
from tests.played import NAMES, event_id, play, scenario
from tests.privacy.canaries import Canary, files, found_in, planted
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


@pytest.mark.parametrize("where", ["sqlite and embedded", "postgres and kafka"])
def test_an_erased_person_is_nowhere(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """I7: content and key are gone from every file: data, WAL, segments, partners."""
    document, canaries = planted(scenario("S1"))
    folders, urls = [tmp_path], {}
    if where == "postgres and kafka":
        server = request.getfixturevalue("postgres")
        broker = request.getfixturevalue("kafka_broker")
        folders += [server.folder, Path(broker.home)]
        urls = {
            "store": server.new_database(),
            "keys": f"{server.new_database()}?epoch_key={tmp_path / 'epoch.key'}",
            "topics": f"{broker.url}?prefix=erasure",
        }
    road = play(tmp_path, document, **urls)
    try:
        case = road.hub.exchange.pseudonyms.canonical("subject", document["events"][0]["case"])
        secret = road.hub.exchange.secrets.secrets({case})[case]
        before = len(replay_case(road.hub.exchange, document["events"][0]["case"]))
        road.time.at = datetime.fromisoformat("2026-06-01T09:00:00+00:00")
        asked = {"request_id": "q1", "right": "erasure", "due_on": "2026-07-01"}
        ngo = document["events"][0]["agency"]
        ref = document["events"][0]["case"]
        assert road.publish(ngo, "SubjectRequestReceived", ref, **asked).accepted
        granted = {
            "request_id": "q1",
            "outcome": "granted",
            "exemption": "none",
            "action": "key_destroyed",
        }
        assert road.publish(ngo, "SubjectRequestDecided", ref, **granted).accepted
        road.settle()

        everything = [path for folder in folders for path in files(folder)]
        assert len(everything) > 10
        assert found_in(everything, canaries) == []
        key = Canary(secret.hex(), "", "the person's secret")
        shapes = [secret, *key.shapes()]
        assert [p.name for p in everything if any(s in p.read_bytes() for s in shapes)] == []

        entries = replay_case(road.hub.exchange, ref)
        assert len(entries) == before + 2
        assert [entry.erased for entry in entries[:before]] == [True] * before
        assert not entries[-1].erased, "the erasure itself can still be read"
    finally:
        road.close()
