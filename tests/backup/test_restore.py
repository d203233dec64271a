"""A hub is lost and put back: everything acknowledged is there, whoever was erased stays erased."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.audit import replay_case, verify_log, why
from hub.errors import Inconsistent, Refused
from hub.store import events as stored
from hub.tlog import merkle
from hub.tlog.checkpoint import open_checkpoint
from hub.topics.broker import LocalBroker
from tests.backup.place import Place, names_held, readable
from tests.road import Road
from tests.servers import PostgresServer

BOTH = pytest.mark.parametrize("where", ["sqlite and embedded", "postgres and kafka"])


@pytest.fixture
def place(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    urls: dict[str, str] = {}
    if where == "postgres and kafka":
        server: PostgresServer = request.getfixturevalue("postgres")
        broker: LocalBroker = request.getfixturevalue("kafka_broker")
        urls = {
            "store": server.new_database(),
            "keys": f"{server.new_database()}?epoch_key={tmp_path / 'hub' / 'epoch.key'}",
            "topics": f"{broker.url}?prefix=restore-{tmp_path.name}",
        }
    opened = Place.open(tmp_path, **urls)
    yield opened
    opened.close()


def elsewhere(place: Place, where: str, request: pytest.FixtureRequest) -> dict[str, str]:
    """Places for the restored hub: what is lost stays lost."""
    if where == "sqlite and embedded":
        return {}
    server: PostgresServer = request.getfixturevalue("postgres")
    epoch = place.folder / "new" / "epoch.key"
    return {
        "store.url": server.new_database(),
        "store.keys": f"{server.new_database()}?epoch_key={epoch}",
    }


def lost(place: Place) -> None:
    """The machine is gone: home and embedded topics with it."""
    place.close()
    shutil.rmtree(place.home)


@BOTH
def test_erased_after_the_backup_stays_erased_and_everyone_else_is_readable(
    where: str, place: Place, request: pytest.FixtureRequest
) -> None:
    place.person("C1", "Ana")
    place.person("C2", "Ben")
    ana, ben = place.subject("C1"), place.subject("C2")
    place.backup()
    taken = place.road.hub.exchange.log.head
    place.erase("C1")
    last = place.road.partners["SH-1"]._sink.position().sequence
    lost(place)

    done, new = place.restored(
        place.wanted(
            after_loss=True,
            sequences={"SH-1": last, "LAW-1": 99, "NGO-1": 99},
            settings=elsewhere(place, where, request),
        )
    )
    try:
        assert (done.head, done.persons, done.erased_since) == (taken, 1, 1)
        exchange = new.road.hub.exchange
        assert exchange.secrets.erased(ana)
        assert exchange.secrets.secrets({ana, ben}).keys() == {ben}
        # A tombstone, although the event that granted the erasure is lost.
        assert all(entry.erased for entry in replay_case(exchange, "C1"))
        shredded = exchange.log.read(0, 10_000, frozenset({stored.SubjectShredded.TOPIC}))
        assert len(shredded) == 1
        position = replay_case(exchange, "C1")[1].position
        assert not why(exchange, "SH-1", str(position)).divergent

        # What the person agrees to for somebody else reaches him in full, from before the loss.
        new.agree("C2", "LAW-1", "C2-k2")
        new.agree("C1", "LAW-1", "C1-k2")
        held = readable(new, "LAW-1")
        assert b"Ben-family" in held
        assert b"Ana" not in held
        assert new.road.partners["SH-1"].alarms == {}
        assert new.road.partners["LAW-1"].alarms == {}
    finally:
        new.close()


@pytest.mark.parametrize(
    "where", ["sqlite and embedded", "postgres and kafka", "sqlite to postgres"]
)
def test_the_log_goes_on_as_the_same_tree_and_nothing_is_delivered_twice(
    where: str, place: Place, request: pytest.FixtureRequest
) -> None:
    place.person("C1", "Ana")
    place.road.hub.checkpoints.step(now=True)
    size, note = place.road.hub.exchange.log.latest_checkpoint() or (0, "")
    place.backup()
    before = place.road.partners["SH-1"]._sink.position().sequence
    keys = {
        one.relative_to(place.home): one.read_bytes()
        for one in (place.home / "keys").rglob("*")
        if one.is_file()
    }
    lost(place)

    done, new = place.restored(
        place.wanted(checkpoints=[note], settings=elsewhere(place, where, request))
    )
    try:
        assert not done.after_loss
        assert {name: (new.home / name).read_bytes() for name in keys} == keys
        new.road.settle()
        sink = new.road.partners["SH-1"]._sink
        assert sink.position().sequence == before, "nothing new: nothing is delivered"
        new.person("C2", "Ben")
        assert sink.position().sequence > before
        assert names_held(new, "SH-1") == ["Ana-family", "Ben-family"]

        # The old checkpoint is a prefix of the new one.
        hub = new.road.hub
        hub.checkpoints.step(now=True)
        key = hub.checkpoints.verifier
        old = open_checkpoint(note.encode(), origin=hub.settings.hub_id, log_keys=[key]).checkpoint
        newer = hub.exchange.log.latest_checkpoint()
        assert newer is not None
        assert newer[0] > size == old.size
        latest = open_checkpoint(
            newer[1].encode(), origin=hub.settings.hub_id, log_keys=[key]
        ).checkpoint
        leaves = [merkle.leaf_hash(entry) for _, entry in hub.exchange.log.leaves(1, newer[0])]
        assert merkle.root(leaves[:size]) == old.root
        assert merkle.root(leaves) == latest.root
        *_, verdict = verify_log(hub.exchange.log, hub.settings.hub_id, key)
        assert verdict.problems == []
    finally:
        new.close()


@pytest.mark.parametrize("where", ["postgres and kafka"])
def test_a_backup_older_than_what_partners_saw_is_refused_or_goes_on_behind_it(
    where: str, place: Place, request: pytest.FixtureRequest
) -> None:
    place.person("C1", "Ana")
    place.backup()
    place.person("C2", "Ben")
    road = place.road
    applied = road.partners["SH-1"]._sink.position().sequence
    former = road.hub.checkpoints.verifier
    lost(place)

    # Kafka is still there and holds the hub's own signed answers and deliveries.
    with pytest.raises(Refused, match="the hub had gone on after this backup") as refused:
        place.restored(place.wanted(settings=elsewhere(place, where, request)))
    assert refused.value.reason == "rewound"
    assert list((place.folder / "new").iterdir()) == [], "no half of a home is left"

    done, new = place.restored(
        place.wanted(
            after_loss=True,
            sequences={"SH-1": applied, "LAW-1": 0, "NGO-1": 0},
            settings=elsewhere(place, where, request),
        )
    )
    try:
        hub = new.road.hub
        assert str(hub.checkpoints.verifier) == done.log_verifier != str(former)
        [fact] = hub.exchange.log.read(0, 10_000, frozenset({stored.HubRestored.TOPIC}))
        assert isinstance(fact.event, stored.HubRestored)
        assert fact.event.after_loss
        # What lay on the ingest topic is admitted again, and delivered behind what was seen.
        new.road.settle()
        assert len(replay_case(hub.exchange, "C2")) == 5
        new.person("C3", "Cleo")
        # Ben twice or once: an event is one row, however many deliveries it came in.
        assert names_held(new, "SH-1") == ["Ana-family", "Ben-family", "Cleo-family"]
        assert new.road.partners["SH-1"].alarms == {}
        hub.checkpoints.step(now=True)
        *_, verdict = verify_log(hub.exchange.log, hub.settings.hub_id, hub.checkpoints.verifier)
        assert verdict.problems == []
        assert verdict.covered == verdict.head
    finally:
        new.close()


@pytest.mark.parametrize("where", ["sqlite and embedded"])
def test_a_log_put_back_behind_the_hubs_back_stops_before_it_sends(
    where: str, place: Place
) -> None:
    """Somebody copies an old `events.db` over the present one; the topics are still there."""
    place.person("C1", "Ana")
    place.road.close()
    shutil.copytree(place.home, place.folder / "old")
    place.road = Place.open(place.folder).road
    del place.road.partners["SH-1"]  # away: its deliveries wait in the topic
    place.person("C2", "Ben")
    place.road.close()
    (place.home / "events.db").write_bytes((place.folder / "old" / "events.db").read_bytes())

    with pytest.raises(Inconsistent, match="put back to an older state"):
        Road.open(place.folder, {})


@pytest.mark.parametrize("where", ["sqlite and embedded"])
def test_also_when_everything_was_received_and_trimmed(where: str, place: Place) -> None:
    place.person("C1", "Ana")
    place.road.close()
    old = (place.home / "events.db").read_bytes()
    place.road = Place.open(place.folder).road
    place.person("C2", "Ben")
    place.road.close()
    (place.home / "events.db").write_bytes(old)
    with pytest.raises(Inconsistent, match="put back to an older state"):
        Road.open(place.folder, {})
