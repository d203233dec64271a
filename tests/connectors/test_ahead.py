"""Messages opened ahead in a second process: the same rows, whatever happens to the process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.agency.inbox import Sealed, TopicInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import RetryError, SinkDownError
from connectors.opening.ahead import MESSAGES, Ahead
from connectors.runner import Pace, Runner
from tests.connectors.builder import identity_recorded
from tests.connectors.site import TO, Flaky, Site


class Counting(TopicInbox):
    count = 0

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        found = super().read(limit, timeout)
        self.count += len(found)
        return found


@pytest.fixture
def ahead(site: Site) -> Iterator[Ahead]:
    registry = RegistryCache(site.identity)
    made = Ahead(Counting(site.new_topics(), site.identity), site.identity.home, registry)
    yield made
    made.close()


def runner(site: Site, ahead: Ahead, sink: Any = None, **pace: Any) -> Runner:
    return Runner(
        ahead, sink or site.new_sink(), site.identity, ahead._registry, pace=Pace(poll=0, **pace)
    )


def finish(one: Runner) -> None:
    for _ in range(200):
        if one.run_once().idle:
            return
    pytest.fail("it never comes to an end")


def test_the_process_is_given_no_secret_of_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NRM_DB", "postgresql://nrm:CANARY-secret@db.example/casework")
    box = TopicInbox(site.new_topics(), site.identity)
    made = Ahead(box, site.identity.home, RegistryCache(site.identity))
    given = Path(f"/proc/{made.process}/environ").read_bytes()
    made.close()
    assert b"PYTHONPATH=" in given
    assert b"CANARY" not in given


def test_the_same_rows_in_the_same_order(site: Site, ahead: Ahead) -> None:
    """Through junk, poison, a delivery sent again, batches that end amid what was read, a key the
    process does not know yet, and the end of the process."""
    for event in site.events(30):
        site.deliver(site.release(event))
    site.append("deliveries", b"not the hub's", b"")
    bad, good = [site.release(one) for one in site.events(2, 40)]
    site.deliver({**bad, "bases": []}, good)
    one = runner(site, ahead, messages=7, deliveries=3)
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
    ahead._process.kill()
    ahead._process.wait()
    for event in site.events(5, 50):
        site.deliver(site.release(event))
    finish(one)
    assert site.sequences()[-5:] == [34, 35, 36, 37, 38]
    told = [(r["first_sequence"], r["last_sequence"]) for r in site.receipts()]
    assert {n for first, last in told for n in range(first, last + 1)} == {*range(1, 39)}


def test_no_more_is_read_than_said_while_the_partner_is_down(site: Site, ahead: Ahead) -> None:
    for event in site.events(3 * MESSAGES):
        site.deliver(site.release(event))
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    one = runner(site, ahead, sink, messages=MESSAGES)
    one.run_once()
    assert site.sequences() == [*range(1, MESSAGES + 1)]
    sink.failing = {"position": 5, "apply": 1}
    inbox = ahead._inbox
    assert isinstance(inbox, Counting)
    for _ in range(6):
        with pytest.raises(RetryError):
            one.run_once()
        time.sleep(0.02)
    assert inbox.count <= 3 * MESSAGES
    assert len(ahead._read) + len(ahead._handed) <= MESSAGES
    finish(one)
    assert site.sequences() == [*range(1, 3 * MESSAGES + 1)]
