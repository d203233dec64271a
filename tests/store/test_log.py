"""The log's contract, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.store.errors import HeadMoved, StoreConflict, StoreCorrupt, StoreRefused
from hub.store.events import EventAccepted, Sending, StoreEvent
from hub.store.log import AdmissionKey, HubLog, Recorded, leaf_entry
from tests.store.conftest import Server, postgres_url
from tests.store.samples import accepted, at, octets, one_of_each, sending, stream


def key(event: EventAccepted, position: int) -> AdmissionKey:
    return AdmissionKey(event.emitter, event.event_id, event.digest, position)


# -- one append -----------------------------------------------------------------------------------


def test_an_empty_log(log: HubLog) -> None:
    assert log.head == 0
    assert log.read(0, 10) == []
    assert log.stream(stream("none")) == []
    assert log.last_version(stream("none")) == 0
    assert log.leaves(1, 10) == []
    assert log.tracking("publisher") == 0
    assert log.position_at(at(0)) == 0
    assert log.latest_checkpoint() is None
    assert log.counts().head == 0


def test_what_was_appended_is_read_in_order_with_positions(log: HubLog) -> None:
    events = one_of_each()
    log.append(events, expected_head=0)
    assert log.head == len(events)
    read = log.read(0, 100)
    assert [one.event for one in read] == events
    assert [one.position for one in read] == list(range(1, len(events) + 1))
    assert log.read(len(events) - 2, 1)[0].position == len(events) - 1


def test_positions_have_no_gaps_after_refused_appends(log: HubLog) -> None:
    log.append([sending("a", 1)], expected_head=0)
    for _ in range(3):
        with pytest.raises(StoreConflict):
            log.append([sending("b", 1), sending("a", 1)], expected_head=1)
        with pytest.raises(HeadMoved):
            log.append([sending("b", 1)], expected_head=0)
    log.append([sending("b", 1)], expected_head=1)
    assert [one.position for one in log.read(0, 10)] == [1, 2]


def test_topics_narrow_a_read(log: HubLog) -> None:
    log.append([sending("a", 1), accepted("c", 1), sending("a", 2)], expected_head=0)
    read = log.read(0, 10, frozenset({Sending.TOPIC}))
    assert [one.position for one in read] == [1, 3]
    assert log.read(0, 10, frozenset({"nrm.Hub.Initialised"})) == []


def test_every_row_between_two_positions_across_pages(
    log: HubLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.log.PAGE", 3)
    log.append([sending("a", n) for n in range(1, 11)], expected_head=0)
    log.append([accepted("c", 1)], expected_head=10)
    kinds = frozenset({Sending.TOPIC})
    assert [one.position for one in log.every()] == list(range(1, 12))
    assert [one.position for one in log.every(kinds)] == list(range(1, 11))
    assert [one.position for one in log.every(kinds, after=2, until=6)] == [3, 4, 5, 6]
    assert [one.position for one in log.every(kinds, until=6)] == [1, 2, 3, 4, 5, 6]
    assert list(log.every(kinds, after=6, until=6)) == []
    assert list(log.every(after=11)) == []


def test_a_stream_is_read_by_version(log: HubLog) -> None:
    log.append([sending("a", 1), sending("b", 1), sending("a", 2)], expected_head=0)
    log.append([sending("a", n) for n in range(3, 40)], expected_head=3)
    assert [one.event.originator_version for one in log.stream(stream("a"))] == list(range(1, 40))
    assert [one.position for one in log.stream(stream("a"), 1, limit=2)] == [3, 4]
    assert log.last_version(stream("a")) == 39
    assert [e.originator_version for e in log.recorder.select_events(stream("a"), gt=37)] == [
        38,
        39,
    ]
    assert len(log.recorder.select_events(stream("a"), lte=5, desc=True, limit=2)) == 2


def test_leaves_stand_beside_their_rows(log: HubLog) -> None:
    log.append(one_of_each(), expected_head=0)
    rows = log.rows(0, 100)
    assert log.leaves(1, 100) == [(row.id, leaf_entry(row)) for row in rows]
    assert log.leaves(5, 2) == log.leaves(1, 100)[4:6]


def test_everything_survives_reopening(url: str) -> None:
    event = accepted("c", 1)
    with HubLog.open(url) as log:
        log.append([event], expected_head=0, admissions=[key(event, 1)], tracking={"publisher": 1})
        log.put_checkpoint(1, "note", tiles={"tile/0/000": b"t"})
    with HubLog.open(url) as log:
        assert log.head == 1
        assert log.read(0, 10)[0].event == event
        assert log.admission("police-1", [event.event_id]) == {event.event_id: key(event, 1)}
        assert log.tracking("publisher") == 1
        assert log.latest_checkpoint() == (1, "note")
        assert log.read_tile("tile/0/000") == b"t"


def test_a_large_append_is_one_transaction(log: HubLog) -> None:
    events = [accepted(n, 1) for n in range(1500)]
    keys = [key(event, n) for n, event in enumerate(events, 1)]
    log.append(events, expected_head=0, admissions=keys)
    assert log.head == 1500
    assert len(log.admission("police-1", [event.event_id for event in events])) == 1500
    assert [one.event for one in log.read(1000, 500)] == events[1000:]


# -- the fence ------------------------------------------------------------------------------------


def test_the_head_must_be_where_the_caller_believes(log: HubLog) -> None:
    log.append([sending("a", 1)], expected_head=0)
    for wrong in (0, 2, 7):
        with pytest.raises(HeadMoved) as raised:
            log.append([sending("a", 2)], expected_head=wrong)
        assert (raised.value.expected, raised.value.found) == (wrong, 1)
    assert log.head == 1


def test_of_two_writers_one_gets_in(url: str) -> None:
    with HubLog.open(url) as one, HubLog.open(url) as two:
        head = one.head
        assert two.head == head
        one.append([sending("a", 1)], expected_head=head)
        with pytest.raises(HeadMoved):
            two.append([sending("b", 1)], expected_head=head)
        two.append([sending("b", 1)], expected_head=two.head)
        assert [r.event for r in one.read(0, 10)] == [sending("a", 1), sending("b", 1)]


def race(logs: list[HubLog], each: int) -> list[list[StoreEvent]]:
    """Every log appends `each` times from its own thread, reading the head again when beaten."""
    won: list[list[StoreEvent]] = [[] for _ in logs]
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            for turn in range(1, each + 1):
                while True:
                    events = [sending((number, turn), v) for v in (1, 2)]
                    try:
                        logs[number].append(events, expected_head=logs[number].head)
                    except HeadMoved:
                        continue
                    won[number].extend(events)
                    break
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(logs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return won


@pytest.mark.parametrize("shared", [True, False], ids=["one log", "a log each"])
def test_racing_writers_lose_nothing_and_never_interleave(url: str, shared: bool) -> None:
    first = HubLog.open(url)
    logs = [first, first, first] if shared else [first, HubLog.open(url), HubLog.open(url)]
    try:
        won = race(logs, each=15)
        read = first.read(0, 1000)
        assert [one.position for one in read] == list(range(1, 91))
        for pair in range(0, 90, 2):
            assert read[pair].event.originator_id == read[pair + 1].event.originator_id
        for events in won:
            assert [one.event for one in read if one.event in events] == events
        assert len(first.leaves(1, 1000)) == 90
    finally:
        for log in logs:
            log.close()


RACER = """
import sys
from hub.store.errors import HeadMoved
from hub.store.log import HubLog
from tests.store.samples import sending
with HubLog.open(sys.argv[1]) as log:
    for turn in range(20):
        events = [sending((sys.argv[2], turn), v) for v in (1, 2, 3)]
        while True:
            try:
                log.append(events, expected_head=log.head)
                break
            except HeadMoved:
                pass
"""


def test_processes_racing_and_a_process_following(url: str) -> None:
    """Two processes append; this one follows by polling and sees every position once, in order."""
    with HubLog.open(url) as log:
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, url, name],
                env={"PYTHONPATH": ":".join(sys.path)},
                stderr=subprocess.PIPE,
            )
            for name in ("left", "right")
        ]
        seen: list[Recorded] = []
        ended = False
        while not ended or log.head > len(seen):
            ended = all(racer.poll() is not None for racer in racers)
            seen += log.read(len(seen), 7)
        for racer in racers:
            _, errors = racer.communicate()
            assert racer.returncode == 0, errors.decode()
        assert [one.position for one in seen] == list(range(1, 121))
        for start in range(0, 120, 3):
            whole = {one.event.originator_id for one in seen[start : start + 3]}
            assert len(whole) == 1
        assert [leaf for _, leaf in log.leaves(1, 200)] == [leaf_entry(r) for r in log.rows(0, 200)]


def test_readers_do_not_wait_for_the_writer_and_see_whole_appends_only(url: str) -> None:
    with HubLog.open(url) as writer, HubLog.open(url) as reader:
        writer.append([sending("a", 1)], expected_head=0)
        seen = []
        tables: Any = writer.recorder
        insert = tables.insert_leaves

        def insert_and_look(*arguments: Any) -> None:
            insert(*arguments)  # inside the transaction, rows written
            seen.append((reader.head, len(reader.read(0, 10)), reader.counts().head))
            seen.append((writer.head, len(writer.read(0, 10)), writer.counts().head))

        tables.insert_leaves = insert_and_look
        writer.append([sending("a", 2), sending("a", 3)], expected_head=1)
        assert seen == [(1, 1, 1), (1, 1, 1)]
        assert reader.head == 3


# -- idempotency index ----------------------------------------------------------------------------


def test_the_index_is_written_with_the_rows_or_not_at_all(log: HubLog) -> None:
    first, second = accepted("c", 1), accepted("c", 2)
    log.append([first], expected_head=0, admissions=[key(first, 1)])
    with pytest.raises(StoreConflict):
        log.append([second], expected_head=1, admissions=[key(second, 2), key(first, 2)])
    assert log.head == 1
    assert log.admission("police-1", [second.event_id]) == {}
    assert log.admission("police-1", [first.event_id, b"x" * 16])[first.event_id].position == 1


def test_event_ids_belong_to_their_agency(log: HubLog) -> None:
    mine = AdmissionKey("police-1", octets(16, 1), octets(32, 1), 1)
    theirs = AdmissionKey("ngo-1", octets(16, 1), octets(32, 2), 2)
    log.append([sending("a", 1), sending("a", 2)], expected_head=0, admissions=[mine, theirs])
    assert log.admission("ngo-1", [octets(16, 1)]) == {octets(16, 1): theirs}
    assert log.admission("police-1", [octets(16, 1)]) == {octets(16, 1): mine}


# -- what a few rows say --------------------------------------------------------------------------


def test_rows_are_found_by_topic_and_by_type_of_event(log: HubLog) -> None:
    events = [*one_of_each(), *(accepted("c", n) for n in (1, 2))]
    events[-1] = replace(events[-1], event_type="ConsentWithdrawn")
    events[-2] = replace(events[-2], facts=b'{"about":"\x20ConsentWithdrawn"}')  # and is another
    log.append(events, expected_head=0)
    topics = frozenset({"nrm.PolicyProfile.Published", "nrm.Agency.KeyAdded"})
    by_topic = log.read(0, 1_000, topics)
    withdrawn = Recorded(len(events), events[-1])
    assert by_topic
    assert list(log.saying(topics, ["ConsentWithdrawn"])) == [*by_topic, withdrawn]
    assert list(log.saying((), ["ConsentWithdrawn"])) == [withdrawn]
    assert list(log.saying(topics, ())) == by_topic
    assert list(log.saying(topics, ["ConsentWithdrawn"], until=log.head - 1)) == by_topic
    assert list(log.saying((), ["ConsentWithdrawn"], after=log.head)) == []


# -- followers ------------------------------------------------------------------------------------


def test_a_follower_moves_with_its_effect_or_not_at_all(log: HubLog) -> None:
    log.append([sending("a", 1)], expected_head=0, tracking={"publisher": 5, "timers": 3})
    assert (log.tracking("publisher"), log.tracking("timers")) == (5, 3)
    for position in (5, 4):  # another instance of it was faster
        with pytest.raises(StoreConflict):
            log.append([sending("a", 2)], expected_head=1, tracking={"publisher": position})
    assert log.head == 1
    log.append([], expected_head=1, tracking={"publisher": 6})
    assert log.tracking("publisher") == 6


def test_a_follower_without_effect_may_repeat_but_not_go_back(log: HubLog) -> None:
    log.track("metrics", 7)
    log.track("metrics", 7)
    log.track("metrics", 9)
    with pytest.raises(StoreConflict):
        log.track("metrics", 8)
    assert log.tracking("metrics") == 9


# -- time -----------------------------------------------------------------------------------------


def test_position_at_a_time(log: HubLog) -> None:
    log.append([sending("a", n, seconds=10 * n) for n in range(1, 21)], expected_head=0)
    assert log.position_at(at(9.999999)) == 0
    assert log.position_at(at(10)) == 1
    assert log.position_at(at(105)) == 10
    assert log.position_at(at(10_000)) == 20


def test_position_at_counts_a_row_only_with_all_before_it(log: HubLog) -> None:
    """A clock that was set back must not make an earlier row look absent."""
    times = [10, 50, 20, 30, 60]
    log.append([sending("a", n, seconds=s) for n, s in enumerate(times, 1)], expected_head=0)
    log.append([sending("a", 6, seconds=40)], expected_head=5)
    assert log.position_at(at(20)) == 1
    assert log.position_at(at(50)) == 4
    assert log.position_at(at(59)) == 4
    assert log.position_at(at(60)) == 6


def test_times_in_other_zones_are_the_same_instant(log: HubLog) -> None:
    from datetime import timezone

    there = timezone(timedelta(hours=-5))
    log.append([sending("a", 1, seconds=10)], expected_head=0)
    assert log.position_at(at(10).astimezone(there)) == 1
    assert log.position_at(at(9).astimezone(there)) == 0


# -- checkpoints, tiles, counts -------------------------------------------------------------------


def test_checkpoints_grow_and_never_pass_the_head(log: HubLog) -> None:
    log.append([sending("a", n) for n in range(1, 6)], expected_head=0)
    log.put_checkpoint(2, "two")
    log.put_checkpoint(4, "four")
    log.put_checkpoint(4, "four, cosigned")
    for size in (3, 6):
        with pytest.raises(StoreConflict):
            log.put_checkpoint(size, "wrong")
    assert log.latest_checkpoint() == (4, "four, cosigned")
    assert log.checkpoints() == [(2, "two"), (4, "four, cosigned")]
    assert log.checkpoints(after=2) == [(4, "four, cosigned")]
    assert log.checkpoints(limit=1) == [(2, "two")]


def test_cosignatures_replace_only_the_note_that_was_read(log: HubLog) -> None:
    log.append([sending("a", n) for n in range(1, 6)], expected_head=0)
    log.put_checkpoint(2, "two")
    log.put_checkpoint(4, "four")
    assert not log.cosign(2, "other", "two, cosigned", "witness/w")
    assert not log.cosign(3, "two", "two, cosigned", "witness/w")
    assert log.tracking("witness/w") == 0
    assert log.cosign(4, "four", "four, cosigned", "witness/w")
    assert log.tracking("witness/w") == 4
    assert log.cosign(2, "two", "two, cosigned", "witness/w"), "also an earlier one"
    assert log.tracking("witness/w") == 2
    assert log.checkpoints() == [(2, "two, cosigned"), (4, "four, cosigned")]
    assert log.newest_checkpoints(1) == [(4, "four, cosigned")]
    assert log.newest_checkpoints(9) == [(4, "four, cosigned"), (2, "two, cosigned")]


def test_a_checkpoint_comes_with_its_tiles(log: HubLog) -> None:
    log.append([sending("a", n) for n in range(1, 6)], expected_head=0)
    log.put_checkpoint(2, "two", tiles={"tile/0/000.p/2": b"2"})
    log.put_checkpoint(5, "five", tiles={"tile/0/000.p/5": b"5"}, dropped=["tile/0/000.p/2"])
    assert log.read_tile("tile/0/000.p/2") is None
    assert log.read_tile("tile/0/000.p/5") == b"5"
    with pytest.raises(StoreConflict):
        log.put_checkpoint(5, "again", tiles={"tile/0/000.p/5": b"other", "tile/1": b"x"})
    assert log.latest_checkpoint() == (5, "five")
    assert log.read_tile("tile/1") is None


def test_a_tile_never_changes(log: HubLog) -> None:
    log.write_tile("tile/0/000", b"bytes")
    log.write_tile("tile/0/000", b"bytes")
    with pytest.raises(StoreConflict):
        log.write_tile("tile/0/000", b"other")
    assert log.read_tile("tile/0/000") == b"bytes"


def test_counts(log: HubLog) -> None:
    log.append([sending("a", 1), accepted("c", 1)], expected_head=0, tracking={"publisher": 1})
    log.append([sending("a", 2)], expected_head=2)
    log.put_checkpoint(3, "note")
    counts = log.counts()
    assert (counts.head, counts.checkpoint) == (3, 3)
    assert counts.by_topic == {"nrm.Case.EventAccepted": 1, "nrm.DeliveryLog.Sending": 2}
    assert counts.followers == {"publisher": 1}


# -- both databases hold the same -----------------------------------------------------------------

TABLES = {
    "stored_events": "originator_version, topic, state",
    "leaves": "position, entry, recorded_at",
    "admissions": "agency, event_id, digest, position",
    "followers": "name, position",
    "topics": "topic, events",
    "checkpoints": "size, note",
    "tiles": "path, data",
    "about": "name, value",
}


def dump(log: HubLog) -> dict[str, list[tuple[Any, ...]]]:
    tables: Any = log.recorder
    found = {}
    for table, columns in TABLES.items():
        rows = tables.query(f"SELECT {columns} FROM {table}")
        found[table] = sorted(
            tuple(
                bytes(row[name]) if isinstance(row[name], memoryview) else row[name]
                for name in columns.split(", ")
            )
            for row in rows
        )
    found["rows"] = [
        (row.id, row.originator_id, row.originator_version, row.topic, row.state)
        for row in log.rows(0, 10_000)
    ]
    return found


def test_the_same_appends_give_the_same_bytes_on_both_databases(
    tmp_path: Any, server: Server
) -> None:
    def fill(log: HubLog) -> None:
        log.append(one_of_each(), expected_head=0, tracking={"publisher": 3})
        head = log.head
        for turn in range(20):
            events = [accepted((turn, n), 1, seconds=(turn * 7) % 5) for n in range(turn)]
            keys = [key(event, head + 1 + n) for n, event in enumerate(events)]
            log.append(events, expected_head=head, admissions=keys)
            with pytest.raises(HeadMoved):  # a refused append leaves no trace
                log.append(events, expected_head=head - 1)
            if turn:
                with pytest.raises(StoreConflict):
                    log.append([accepted((turn, 0), 1)], expected_head=head + turn)
            head += turn
            log.put_checkpoint(head, f"note {head}", tiles={f"tile/{head}": octets(99, turn)})

    with HubLog.open(f"sqlite:///{tmp_path}/log.db") as one:
        fill(one)
        left = dump(one)
    with HubLog.open(postgres_url(server)) as two:
        fill(two)
        right = dump(two)
    assert left == right
    assert len(left["leaves"]) == len(left["rows"]) == len(one_of_each()) + 190


# -- opening --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://x/y", "", "sqlite:///x?mode=memory"],
)
def test_an_address_that_is_not_a_store_is_refused(address: str) -> None:
    with pytest.raises(StoreRefused):
        HubLog.open(address)


def change(log: HubLog, sql: str) -> None:
    tables: Any = log.recorder
    with tables.write() as c:
        c.execute(sql)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("UPDATE about SET value = '2' WHERE name = 'format'", StoreRefused),
        ("UPDATE about SET value = 'other' WHERE name = 'kind'", StoreRefused),
        ("DELETE FROM leaves WHERE position = 2", StoreCorrupt),
    ],
)
def test_a_log_of_another_kind_or_format_or_without_leaves_is_refused(
    url: str, sql: str, error: type[Exception]
) -> None:
    with HubLog.open(url) as log:
        log.append([sending("a", 1), sending("a", 2)], expected_head=0)
        change(log, sql)
    with pytest.raises(error):
        HubLog.open(url)


def test_the_environment_does_not_choose_the_store(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PERSISTENCE_MODULE", "HUB_PERSISTENCE_MODULE", "MAPPER_TOPIC", "CIPHER_TOPIC"):
        monkeypatch.setenv(name, "eventsourcing.popo")
    monkeypatch.setenv("SQLITE_DBNAME", ":memory:")
    monkeypatch.setenv("IS_SNAPSHOTTING_ENABLED", "y")
    with HubLog.open(url) as log:
        log.append([sending("a", 1)], expected_head=0)
        assert log.snapshots is None
    with HubLog.open(url) as log:
        assert log.head == 1


def test_writing_past_the_fence_is_impossible(log: HubLog) -> None:
    """The library's own `save` has no fence, so it writes nothing."""
    save: Callable[..., Any] = log.save
    with pytest.raises(TypeError):
        save(sending("a", 1))
    assert log.head == 0
