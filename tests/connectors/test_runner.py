"""The runner on real topics and a real SQLite sink: through gaps, junk, outages and deaths."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived
from connectors.errors import FencedError, RetryError, SinkDownError, SinkRefusedError
from connectors.opening.opener import Opener
from connectors.pace import Pace
from connectors.redriving import redrive
from connectors.runner import Runner
from connectors.sink import Batch
from connectors.sql import SqlSink
from connectors.telling.alarms import ALARMS, Alarm
from hub.topics import TopicUnavailable
from tests.connectors.builder import MiniHub, case_opened, identity_recorded
from tests.connectors.site import TO, Flaky, Site
from tests.patience import PATIENCE, until


def test_from_topic_to_row_to_receipt(site: Site) -> None:
    [event] = site.hub.stated(site.shelter, identity_recorded())
    site.deliver(site.hub.release(TO, event, {"identity": "consent:c1"}))
    progress = site.runner().run_once()
    assert (progress.applied, progress.quarantined, progress.receipts) == (1, 0, 1)
    [row] = site.rows(
        "SELECT given_name, date_of_birth, gender, agency, case_ref, bases FROM identity_recorded"
    )
    assert row == (
        "Synthetic",
        "2001-02-03",
        None,
        "SH-1",
        site.hub.case_ref(TO, "C-1"),
        '{"identity":"consent:c1"}',
    )
    [receipt] = site.receipts()
    assert (receipt["first_sequence"], receipt["last_sequence"]) == (1, 1)
    assert receipt["exceptions"] == []
    assert site.rows("SELECT category, basis FROM nrm_holding") == [("identity", "consent:c1")]
    assert len(site.rows("SELECT * FROM nrm_evidence")) == 1


def test_nothing_new_does_nothing(site: Site) -> None:
    runner = site.runner()
    assert runner.run_once().idle
    site.deliver(site.release(site.events(1)[0]))
    assert runner.run_once().applied == 1
    assert runner.run_once().idle


def test_a_restart_goes_on_where_it_was(site: Site) -> None:
    for event in site.events(3):
        site.deliver(site.release(event))
    assert site.runner().run_once().applied == 3
    for event in site.events(2, 4):
        site.deliver(site.release(event))
    assert site.runner().run_once().applied == 2
    assert site.sequences() == [1, 2, 3, 4, 5]


def test_the_same_message_again_is_answered_again_and_applied_once(site: Site) -> None:
    message = site.hub.message(TO, [site.release(event) for event in site.events(2)])
    site.append("deliveries", message)
    runner = site.runner()
    runner.run_once()
    site.append("deliveries", message, message)
    runner.run_once()
    assert site.sequences() == [1, 2]
    assert len(site.receipts()) == 2
    assert site.receipts()[0] == site.receipts()[1]


def test_overlapping_messages(site: Site) -> None:
    releases = [site.release(event) for event in site.events(4)]
    site.append(
        "deliveries",
        site.hub.message(TO, releases[:2], first=1),
        site.hub.message(TO, releases[:3], first=1),
        site.hub.message(TO, releases[1:], first=2),
    )
    assert site.runner().run_once().applied == 4
    assert site.sequences() == [1, 2, 3, 4]


def test_many_messages_are_applied_in_batches(site: Site) -> None:
    for event in site.events(30):
        site.deliver(site.release(event))
    runner = site.runner(pace=Pace(messages=20, deliveries=7))
    rounds = [runner.run_once().applied for _ in range(6)]
    assert rounds == [7, 7, 7, 7, 2, 0]
    assert site.sequences() == list(range(1, 31))


def test_a_gap_waits_alarms_and_closes(site: Site) -> None:
    one, two, three = [site.release(event) for event in site.events(3)]
    site.append("deliveries", site.hub.message(TO, [one], first=1))
    site.append("deliveries", site.hub.message(TO, [three], first=3))
    runner = site.runner()
    assert runner.run_once().applied == 1
    for _ in range(3):
        assert runner.run_once().applied == 0
    assert runner.alarms["sequence_gap"].detail == "sequence 2 is missing, there is 3 already"
    assert site.sequences() == [1]
    assert len(site.receipts()) == 1, "looking again asks for no receipts"
    site.append("deliveries", site.hub.message(TO, [two], first=2))
    for _ in range(3):
        runner.run_once()
    assert site.sequences() == [1, 2, 3]
    assert "sequence_gap" not in runner.alarms
    assert site.alarms == [("sequence_gap", True), ("sequence_gap", False)]


def test_a_topic_made_again_is_read_from_its_start(site: Site, tmp_path: Path) -> None:
    for event in site.events(3):
        site.deliver(site.release(event))
    site.runner().run_once()
    site.url = f"embedded:///{tmp_path}/new-topics.db"
    site.topics = site.new_topics()
    site.topics.ensure(site.identity.hub.topics.values())
    site.append("registry", site.hub.registry())
    site.deliver(site.release(site.events(1, 4)[0]))
    assert site.runner().run_once().applied == 1
    assert site.sequences() == [1, 2, 3, 4]


def test_poison_is_quarantined_and_later_ones_flow(site: Site) -> None:
    good, bad, after = [site.release(event) for event in site.events(3)]
    bad["compartments"][0]["key"] = bytes(32)
    site.deliver(good, bad, after)
    runner = site.runner()
    progress = runner.run_once()
    assert (progress.applied, progress.quarantined) == (2, 1)
    assert site.sequences() == [1, 3]
    assert site.rows("SELECT sequence, reason FROM nrm_quarantine") == [
        (2, "compartment_unopenable")
    ]
    [receipt] = site.receipts()
    assert [(e["sequence"], e["outcome"], e["detail"]) for e in receipt["exceptions"]] == [
        (2, "quarantined", "compartment_unopenable")
    ]
    assert "quarantined" in runner.alarms


def test_strangers_are_kept_apart_once(site: Site) -> None:
    impostor = MiniHub(site.hub.hub_id)
    impostor.names, impostor.agencies = site.hub.names, site.hub.agencies
    [event] = site.events(1)
    forged = impostor.message(TO, [site.release(event)])
    site.append("deliveries", b"junk", forged, b"junk")
    site.deliver(site.release(event))
    runner = site.runner()
    progress = runner.run_once()
    assert (progress.applied, progress.strangers) == (1, 3)
    assert site.rows("SELECT sequence, reason FROM nrm_quarantine") == [
        (None, "message_malformed"),
        (None, "unknown_hub_key"),
    ]
    assert "strangers" in runner.alarms
    [receipt] = site.receipts()
    assert receipt["exceptions"] == []


def test_redrive_after_the_cause_is_gone(site: Site, tmp_path: Path) -> None:
    late = AgencyIdentity.create(tmp_path / "NGO-1", "NGO-1", "NGO", "ngo_support")
    late.install_approval(site.hub.approve(late.enrolment_request()))
    site.deliver(site.hub.release(TO, site.hub.stated(late, case_opened())[0]))
    sink = site.new_sink()
    runner = site.runner(sink=sink)
    assert runner.run_once().quarantined == 1
    site.append("registry", site.hub.registry())
    assert runner.refresh_registry()
    opener = Opener(site.identity, RegistryCache(site.identity))
    assert redrive(sink, opener, at=datetime.now(UTC)) == (1, 0)
    assert site.sequences() == [1]
    runner.run_once()
    assert [(e["sequence"], e["outcome"]) for e in site.receipts()[-1]["exceptions"]] == [
        (1, "applied")
    ]


def test_a_lost_sealing_key_put_back(site: Site) -> None:
    from hub.crypto.sealing import SealingKey

    lost = SealingKey.generate()
    role, keys, current = site.hub.agencies[TO]
    site.hub.agencies[TO] = (role, keys, lost.public)
    site.deliver(*[site.release(event) for event in site.events(3)])
    site.hub.agencies[TO] = (role, keys, current)
    site.deliver(site.release(site.events(1, 4)[0]))
    sink = site.new_sink()
    progress = site.runner(sink=sink).run_once()
    assert (progress.applied, progress.quarantined) == (1, 3)
    retired = site.identity.home / "retired"
    retired.mkdir()
    (retired / "found.key").write_bytes(lost.private)
    opener = Opener(site.identity, RegistryCache(site.identity))
    assert redrive(sink, opener, at=datetime.now(UTC)) == (3, 0)
    assert site.sequences() == [1, 2, 3, 4]
    assert sink.quarantine() == []


# -- outages ----------------------------------------------------------------------------


def rounds(runner: Runner, count: int) -> None:
    """As run() does, without its pauses."""
    for _ in range(count):
        try:
            runner.run_once()
        except RetryError:
            continue


@pytest.mark.parametrize("method", ["prepare", "claim", "position", "apply", "owed", "sent"])
def test_a_partner_outage_is_waited_out(site: Site, method: str) -> None:
    site.deliver(*[site.release(event) for event in site.events(3)])
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    sink.failing[method] = 3
    runner = site.runner(sink=sink)
    with pytest.raises(SinkDownError):
        runner.run_once()
    assert "partner_down" in runner.alarms
    rounds(runner, 5)
    assert site.sequences() == [1, 2, 3]
    assert site.rows("SELECT * FROM nrm_quarantine") == []
    assert runner.alarms == {}
    assert {r["last_sequence"] for r in site.receipts()} == {3}


@pytest.mark.parametrize("method", ["read", "append", "end", "identity"])
def test_a_hub_outage_is_waited_out(site: Site, method: str) -> None:
    site.deliver(*[site.release(event) for event in site.events(3)])
    topics = Flaky(site.new_topics(), lambda: TopicUnavailable("gone"))
    topics.failing[method] = 2
    runner = site.runner(topics=topics)
    rounds(runner, 6)
    assert site.sequences() == [1, 2, 3]
    assert {r["last_sequence"] for r in site.receipts()} == {3}
    assert runner.alarms == {}


def test_receipts_survive_a_hub_outage(site: Site) -> None:
    site.deliver(site.release(site.events(1)[0]))
    topics = Flaky(site.new_topics(), lambda: TopicUnavailable("gone"))
    topics.failing["append"] = 1
    runner = site.runner(topics=topics)
    with pytest.raises(RetryError):
        runner.run_once()
    assert site.sequences() == [1]
    assert site.receipts() == []
    assert runner.run_once().receipts == 1


def test_the_loop_stops_when_asked_and_recovers(site: Site) -> None:
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    sink.failing["apply"] = 3
    stop = threading.Event()
    runner = site.runner(sink=sink)
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    for event in site.events(5):
        site.deliver(site.release(event))
    until(lambda: any(one["last_sequence"] == 5 for one in site.receipts()[-1:]))
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert site.sequences() == [1, 2, 3, 4, 5]


# -- what the partner refuses -------------------------------------------------------------


class Picky:
    """A sink that refuses batches with certain events, naming them or not."""

    def __init__(self, sink: SqlSink, refused: Sequence[int], named: bool) -> None:
        self._sink = sink
        self._refused = set(refused)
        self._named = named

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def apply(self, batch: Batch) -> None:
        for item in batch.items:
            if isinstance(item, Arrived) and item.sequence in self._refused:
                raise SinkRefusedError(
                    "sink_refused", "too long", item.sequence if self._named else None
                )
        self._sink.apply(batch)


@pytest.mark.parametrize("named", [True, False])
def test_only_what_the_partner_refuses_is_quarantined(site: Site, named: bool) -> None:
    site.deliver(*[site.release(event) for event in site.events(20)])
    sink = Picky(site.new_sink(), [4, 17], named)
    progress = site.runner(sink=sink).run_once()
    assert (progress.applied, progress.quarantined) == (18, 2)
    assert site.sequences() == [n for n in range(1, 21) if n not in (4, 17)]
    assert site.rows("SELECT sequence, reason FROM nrm_quarantine ORDER BY sequence") == [
        (4, "sink_refused"),
        (17, "sink_refused"),
    ]
    exceptions = [e["sequence"] for r in site.receipts() for e in r["exceptions"]]
    assert sorted(exceptions) == [4, 17]


# -- deaths -----------------------------------------------------------------------------


def dies(site: Site, point: str) -> None:
    child = os.fork()
    if child == 0:
        try:
            crash.arm(point)
            runner = site.runner(pace=Pace(messages=2, deliveries=2))
            for _ in range(5):
                runner.run_once()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == crash.STATUS


@pytest.mark.parametrize(
    "point",
    [
        "before_sink_commit",
        "before_sink_commit:2",
        "after_sink_commit",
        "before_receipts",
        "after_receipts",
        "after_receipts:2",
    ],
)
def test_killed_anywhere_every_delivery_is_applied_once_and_answered(
    site: Site, point: str
) -> None:
    for event in site.events(4):
        site.deliver(site.release(event))
    dies(site, point)
    rounds(site.runner(), 3)
    assert site.sequences() == [1, 2, 3, 4]
    covered = {
        n for r in site.receipts() for n in range(r["first_sequence"], r["last_sequence"] + 1)
    }
    assert covered == {1, 2, 3, 4}


def test_a_zombie_is_fenced_and_does_not_take_back(site: Site) -> None:
    site.deliver(site.release(site.events(1)[0]))
    zombie = site.runner()
    zombie.run_once()
    heir = site.runner()
    heir.run_once()
    site.deliver(site.release(site.events(1, 2)[0]))
    with pytest.raises(FencedError):
        zombie.run_once()
    with pytest.raises(FencedError):
        zombie.run_once()
    assert heir.run_once().applied == 1
    assert site.sequences() == [1, 2]


def test_receipts_after_a_rotation_bear_the_new_key(site: Site) -> None:
    site.deliver(site.release(site.events(1)[0]))
    topics = Flaky(site.new_topics(), lambda: TopicUnavailable("gone"))
    topics.failing["append"] = 1
    runner = site.runner(topics=topics)
    rounds(runner, 1)
    site.identity.install_approval(site.hub.approve(site.identity.rotate()))
    rounds(runner, 1)
    [receipt] = site.receipts()
    assert receipt["key_id"] == site.identity.signing.key_id


def test_every_alarm_is_described() -> None:
    assert all(ALARMS.values())
    assert Alarm("x", "y", datetime.now(UTC))


def test_a_recall_is_answered_by_name(site: Site) -> None:
    [event] = site.hub.stated(site.shelter, identity_recorded())
    site.deliver(site.hub.release(TO, event))
    recall = site.hub.recall(TO, [(event, ["identity"])])
    site.deliver(recall)
    site.runner().run_once()
    assert site.rows("SELECT given_name, gender FROM identity_recorded") == [(None, "f")]
    [receipt] = site.receipts()
    [told] = receipt["exceptions"]
    assert (told["sequence"], told["outcome"], told["recall_ref"]) == (
        2,
        "deleted",
        recall["recall"]["recall_ref"],
    )
    assert b"Synthetic" not in Path(site.database.removeprefix("sqlite:///")).read_bytes()
