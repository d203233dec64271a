"""Several hub processes on one home: they take turns, and nothing is done twice or lost."""

from __future__ import annotations

from pathlib import Path

from connectors.submit import Publisher
from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.store import events as stored
from tests.exchange.test_exchange import OPENED, join_shelter
from tests.patience import until
from tests.road import Road


def second_hub(road: Road) -> Hub:
    return Hub.open(Home(road.folder / "hub"), road.hub.exchange.clock)


def test_the_api_alone_takes_what_the_hub_elsewhere_publishes(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    join_shelter(road, "C1")
    road.settle()
    api = second_hub(road)
    sent = road.hub.exchange.log.tracking("sent/SH-1")
    try:
        road.hub.start(frozenset({"hub", "consumers"}))
        api.start(frozenset({"api"}))
        needs = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="x")
        answer = api.ingest.submit(Publisher(road.identities["NGO-1"]).prepare([needs]))
        assert answer.outcomes[0].accepted
        until(lambda: road.hub.exchange.log.tracking("sent/SH-1") > sent)
        assert (road.hub.failure, api.failure) == (None, None)
    finally:
        api.stop()
        road.close()


def test_two_whole_hubs_decide_and_send_everything_once(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    join_shelter(road, "C1")
    road.settle()
    other = second_hub(road)
    publisher = Publisher(road.identities["NGO-1"])
    log = road.hub.exchange.log
    before = log.counts().by_topic["nrm.Case.EventAccepted"]
    sent = log.last_version(delivery_stream("SH-1"))
    try:
        for hub in (road.hub, other):
            hub.start()
        for number in range(30):
            event = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs=str(number))
            hub = (road.hub, other)[number % 2]
            assert hub.ingest.submit(publisher.prepare([event])).outcomes[0].accepted
        until(lambda: log.tracking("sent/SH-1") >= sent + 30)
        assert (road.hub.failure, other.failure) == (None, None)
    finally:
        other.stop()
    counts = log.counts().by_topic
    assert counts["nrm.Case.EventAccepted"] == before + 30
    marked = [
        one.event.event_position
        for one in log.stream(delivery_stream("SH-1"), after_version=sent)
        if isinstance(one.event, stored.Sending)
    ]
    assert len(marked) == len(set(marked)) == 30
    road.close()


def test_a_new_agency_is_known_to_the_other_process(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    api = second_hub(road)
    try:
        api.start(frozenset({"api"}))
        road.enrol("SH-1", "shelter")
        until(lambda: "SH-1" in api.exchange.agencies)
        opened = road.event("CaseOpened", "C9", **OPENED)
        sealed = Publisher(road.identities["SH-1"]).prepare([opened])
        assert api.ingest.submit(sealed).outcomes[0].accepted
    finally:
        api.stop()
        road.close()
