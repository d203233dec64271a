"""A delivery set aside at its recipient's is sent once more, when somebody orders it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sink import Sink
from hub.audit import conservation
from hub.errors import Refused
from hub.home import Home
from hub.hub import Deciding, Hub
from hub.publisher import delivery_stream
from hub.sending import redrives
from hub.store import events as stored
from hub.topics.port import TopicUnavailable
from schemas.registry import Schemas
from tests.consent.stage import ROLES, close, needs, open_case, partner, sink_of, withdraw
from tests.road import Road


def without_needs() -> Schemas:
    """What a connector knows that is older than the type."""
    known = Schemas.load()
    return Schemas(
        known.by_type(name).document for name in known.types() if name != "NeedsAssessed"
    )


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    made = Road.open(tmp_path, ROLES)
    yield made
    close(made)


def set_aside(road: Road) -> tuple[Sink, int]:
    """SH-1 could not read a NeedsAssessed, and was upgraded since; its sink and the sequence."""
    sink = sink_of(road, "SH-1", "sqlite")
    partner(road, "SH-1", sink, without_needs())
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    needs(road, "C1")
    road.settle()
    [row] = sink.quarantine()
    assert row.reason == "unknown_schema"
    assert row.sequence is not None
    road.partners.pop("SH-1")._inbox.close()
    partner(road, "SH-1", sink)
    road.settle()
    assert [one.sequence for one in sink.quarantine()] == [row.sequence], "not of itself"
    return sink, row.sequence


def held(road: Road) -> dict[str, int]:
    return conservation(road.hub.exchange.log).classes


def test_ordered_it_is_sent_applied_and_answered(road: Road) -> None:
    sink, sequence = set_aside(road)
    exchange = road.hub.exchange
    before, marked = held(road), exchange.last_version(delivery_stream("SH-1"))
    assert before["quarantined"] > 0
    position = redrives.order(exchange, "SH-1", sequence, by="A. Operator")
    road.settle()
    assert sink.quarantine() == []
    after = held(road)
    assert after["quarantined"] == 0
    assert after["released"] == before["released"] + before["quarantined"]
    assert exchange.last_version(delivery_stream("SH-1")) == marked, "no new sequence"
    row = exchange.log.read(position - 1, 1)[0].event
    assert isinstance(row, stored.RedriveOrdered)
    assert (row.agency, row.sequence, row.by) == ("SH-1", sequence, "A. Operator")


def test_ordered_in_another_process_it_is_done_by_the_hub(road: Road) -> None:
    sink, sequence = set_aside(road)
    with Deciding.open(Home(road.folder / "hub")) as desk:
        redrives.order(desk.reading.exchange, "SH-1", sequence, by="A. Operator")
    road.settle()
    assert sink.quarantine() == []


def test_what_was_withdrawn_since_is_not_sealed_again(road: Road) -> None:
    sink, sequence = set_aside(road)
    withdraw(road, "C1")
    road.hub.step()  # recall marked, not yet applied at the partner
    redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")
    road.settle()
    text = "".join(path.read_bytes().decode("latin-1") for path in road.folder.glob("SH-1.db*"))
    assert "Kanarie" not in text
    assert not sink.quarantine()


def test_a_hub_that_stopped_in_between_does_it_once_back(road: Road) -> None:
    sink, sequence = set_aside(road)
    redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")
    road.hub.stop()
    road.hub = Hub.open(Home(road.folder / "hub"), road.hub.exchange.clock)
    road.settle()
    assert sink.quarantine() == []
    assert road.hub.exchange.log.tracking(redrives.FOLLOWER) == 1
    assert road.hub.publisher.redrive() == 0, "carried out once"


def test_while_the_topics_are_away_it_waits(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, sequence = set_aside(road)
    redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")

    def away(*_: object) -> None:
        raise TopicUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(road.hub.topics, "append", away)
        assert road.hub.publisher.redrive() == 0
    assert sink.quarantine()
    road.settle()
    assert sink.quarantine() == []


@pytest.mark.parametrize(
    ("agency", "sequence", "by", "reason"),
    [
        ("XX-9", 1, "A. Operator", "unknown_agency"),
        ("SH-1", 999, "A. Operator", "never_sent"),
        ("SH-1", 0, "A. Operator", "never_sent"),
        ("SH-1", 1, "  ", "who"),
        ("SH-1", 1, "x" * 101, "who"),
    ],
)
def test_what_cannot_be_ordered(
    road: Road, agency: str, sequence: int, by: str, reason: str
) -> None:
    set_aside(road)
    head = road.hub.exchange.log.head
    with pytest.raises(Refused) as refused:
        redrives.order(road.hub.exchange, agency, sequence, by=by)
    assert refused.value.reason == reason
    assert road.hub.exchange.log.head == head


def test_nothing_is_sealed_to_revoked_keys(road: Road) -> None:
    _, sequence = set_aside(road)
    redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")
    road.hub.enrolment.revoke("SH-1", None, reason="lost", by="operator")
    topic = road.hub.exchange.pseudonyms.topic("nrm.d", "SH-1")
    end = road.hub.topics.end(topic)
    road.hub.step()
    assert road.hub.topics.end(topic) == end
    with pytest.raises(Refused) as refused:
        redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")
    assert refused.value.reason == "shut_out"
