"""Messages opened ahead in a second process: the same rows, whatever happens to the process."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import crash
from connectors.agency.inbox import Sealed, TopicInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import RetryError, SinkDownError
from connectors.opening import ahead as module
from connectors.opening import beside
from connectors.opening.ahead import MESSAGES, Ahead, processors
from connectors.pace import Pace
from connectors.runner import Runner
from tests.connectors.builder import identity_recorded
from tests.connectors.site import TO, Flaky, Site
from tests.patience import until


class Counting(TopicInbox):
    count = 0

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        found = super().read(limit, timeout)
        self.count += len(found)
        return found


@pytest.fixture
def ahead(site: Site) -> Iterator[Ahead]:
    made = new(site)
    yield made
    made.close()


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second message is a backlog."""
    monkeypatch.setattr(module, "BACKLOG", 1)


def new(site: Site) -> Ahead:
    registry = RegistryCache(site.identity)
    return Ahead(Counting(site.new_topics(), site.identity), site.identity.home, registry)


def runner(site: Site, ahead: Ahead, sink: Any = None, **pace: Any) -> Runner:
    return Runner(
        ahead, sink or site.new_sink(), site.identity, ahead._registry, pace=Pace(poll=0, **pace)
    )


def finish(one: Runner) -> None:
    for _ in range(200):
        if one.run_once().idle:
            return
    pytest.fail("it never comes to an end")


def deliver(site: Site, count: int, start: int = 1) -> None:
    for event in site.events(count, start):
        site.deliver(site.release(event))


def up(one: Runner, ahead: Ahead) -> int:
    """Until there is a process that opens; there are messages to read. Its id."""
    while ahead.process is None:
        one.run_once()
    assert ahead._beside is not None
    until(lambda: ahead._beside is not None and ahead._beside.ready)
    return ahead.process


def there(process: int) -> bool:
    """Whether this process lives. One that nobody has waited for is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("little")
def test_the_process_is_given_no_secret_of_the_environment(
    site: Site, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NRM_DB", "postgresql://nrm:CANARY-secret@db.example/casework")
    deliver(site, 6)
    process = up(runner(site, ahead, deliveries=2), ahead)
    given = Path(f"/proc/{process}/environ").read_bytes()
    assert b"PYTHONPATH=" in given
    assert b"CANARY" not in given


@pytest.mark.usefixtures("little")
def test_the_same_rows_in_the_same_order(site: Site, ahead: Ahead) -> None:
    """Through junk, poison, a delivery sent again, batches that end amid what was read, and a key
    the process does not know yet."""
    deliver(site, 6)
    one = runner(site, ahead, messages=7, deliveries=3)
    up(one, ahead)
    deliver(site, 24, 7)
    site.append("deliveries", b"not the hub's", b"")
    bad, good = [site.release(one) for one in site.events(2, 40)]
    site.deliver({**bad, "bases": []}, good)
    finish(one)
    assert site.sequences() == [*range(1, 31), 32]
    assert [row[0] for row in site.rows("SELECT reason FROM nrm_quarantine ORDER BY reason")] == [
        "message_malformed",
        "message_malformed",
        "not_released",
    ]
    site.append("deliveries", site.hub.message(TO, [bad], first=31))
    finish(one)
    assert site.sequences() == [*range(1, 33)]
    # A new agency: its key is in the registry the hub publishes, not in the one held here.
    later = site.hub.enrol(site.identity.home.parent, "NGO-1", "ngo_support")
    site.append("registry", site.hub.registry())
    [event] = site.hub.stated(later, identity_recorded("C-9"))
    site.deliver(site.hub.release(TO, event))
    finish(one)
    assert site.rows("SELECT agency FROM identity_recorded") == [("NGO-1",)]
    assert ahead.process is not None, "it opened all that"
    told = [(r["first_sequence"], r["last_sequence"]) for r in site.receipts()]
    assert {n for first, last in told for n in range(first, last + 1)} == {*range(1, 34)}


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_told_and_done_without(
    site: Site,
    ahead: Ahead,
    how: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(beside, "STUCK", 0.3)
    deliver(site, 40)
    one = runner(site, ahead, messages=8, deliveries=2)
    process = up(one, ahead)
    one.run_once()  # messages are with it now
    os.kill(process, how)
    with caplog.at_level(logging.WARNING, "connectors"):
        finish(one)
    assert site.sequences() == [*range(1, 41)]
    assert "the process that opens ahead ended (signal 9)" in caplog.text
    assert not there(process)
    assert ahead.process is None, "and not at once by another one"
    monkeypatch.setattr(ahead, "_not_before", 0.0)
    deliver(site, 6, 50)
    up(one, ahead)
    finish(one)
    assert site.sequences() == [*range(1, 47)]


@pytest.mark.usefixtures("little")
def test_it_goes_when_nothing_comes_and_does_not_come_for_little(
    site: Site, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE", 0.0)
    deliver(site, 6)
    one = runner(site, ahead, deliveries=2)
    process = up(one, ahead)
    finish(one)
    one.run_once()
    assert ahead.process is None
    assert not there(process)
    monkeypatch.setattr(module, "BACKLOG", 1 << 20)
    deliver(site, 30, 7)
    for _ in range(15):
        one.run_once()
        assert ahead.process is None
    assert site.sequences() == [*range(1, 37)]


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("point", ["before_sink_commit:3", "after_sink_commit:3", "after_receipts"])
def test_a_connector_killed_takes_it_along_and_loses_nothing(site: Site, point: str) -> None:
    deliver(site, 40)
    reads, writes = os.pipe()
    connector = os.fork()
    if connector == 0:
        try:
            ahead = new(site)
            one = runner(site, ahead, messages=8, deliveries=2)
            os.write(writes, str(up(one, ahead)).encode())
            crash.arm(point)
            while True:
                one.run_once()
        finally:
            os._exit(1)
    os.close(writes)
    process = int(os.read(reads, 20))
    os.close(reads)
    _, status = os.waitpid(connector, 0)
    assert os.waitstatus_to_exitcode(status) == crash.STATUS
    until(lambda: not there(process))
    finish(site.runner())
    assert site.sequences() == [*range(1, 41)]
    told = [(r["first_sequence"], r["last_sequence"]) for r in site.receipts()]
    assert {n for first, last in told for n in range(first, last + 1)} == {*range(1, 41)}


@pytest.mark.usefixtures("little")
def test_no_more_is_read_than_said_while_the_partner_is_down(site: Site, ahead: Ahead) -> None:
    deliver(site, 3 * MESSAGES)
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    one = runner(site, ahead, sink, messages=MESSAGES)
    one.run_once()
    assert site.sequences() == [*range(1, MESSAGES + 1)]
    one.run_once()
    sink.failing = {"position": 5, "apply": 1}
    inbox = ahead._inbox
    assert isinstance(inbox, Counting)
    for _ in range(6):
        with pytest.raises(RetryError):
            one.run_once()
        time.sleep(0.02)
    assert inbox.count <= 4 * MESSAGES
    assert len(ahead._read) + len(ahead._handed) <= MESSAGES
    sink.failing = {"apply": 1}
    finish_after_outage(one)
    assert site.sequences() == [*range(1, 3 * MESSAGES + 1)]


def finish_after_outage(one: Runner) -> None:
    for _ in range(3):
        try:
            finish(one)
        except RetryError:
            continue
        return


def test_it_is_for_two_processors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(module, "_QUOTA", quota)
    assert processors() == 3
    for text, meant in (("max 100000", 3), ("200000 100000", 2), ("150000 100000", 1), ("", 3)):
        quota.write_text(text)
        assert processors() == meant
