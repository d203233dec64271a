"""Late redelivery never resurrects: whatever arrives again after a recall leaves nothing behind.

A shelter holds health needs on a consent; the consent is withdrawn and the recall applied. Then the
old delivery comes once more, on every road there is, into every kind of system.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from connectors.agency.http_auth import signed_requests
from connectors.agency.inbox import HttpInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived, Opened
from connectors.opening.opener import Opener
from connectors.quarantine import Quarantine
from connectors.redriving import redrive
from connectors.runner import Runner
from connectors.sink import Sink
from connectors.sql import open_engine
from hub.api.server import serve_api
from hub.home import Home
from hub.hub import Hub
from schemas.registry import Schemas
from tests.consent.stage import CANARY, ROLES, close, needs, open_case, partner, sink_of, withdraw
from tests.road import CONSENT, Road

SYSTEMS = ["sqlite", "jsonl", "postgres"]


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> str:
    """What the partner has: a kind of sink, or the url of a PostgreSQL database."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("new_postgres_database")()
        return url
    kind: str = request.param
    return kind


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    close(road)


def rows(road: Road, system: str) -> str:
    """Every row of every table at the partner, and the file it writes."""
    urls = {"jsonl": f"sqlite:///{road.folder}/SH-1.jsonl.state.db"}
    urls["sqlite"] = f"sqlite:///{road.folder}/SH-1.db"
    engine = open_engine(urls.get(system, system))
    found: list[Any] = []
    try:
        with engine.connect() as db:
            for name in sorted(sa.inspect(engine).get_table_names()):
                query = sa.text(f'SELECT * FROM "{name}"')
                found += [name, *map(str, db.execute(query).all())]
    finally:
        engine.dispose()
    file = road.folder / "SH-1.jsonl"
    return "\n".join(found) + (file.read_text("utf-8") if system == "jsonl" else "")


def holdings(road: Road) -> set[str]:
    """Categories the hub knows SH-1 to hold of the needs."""
    exchange = road.hub.exchange
    case = exchange.case(exchange.pseudonyms.canonical("case", "C1"))
    assert case is not None
    about = {one.event_id for one in case.events if one.type == "NeedsAssessed"}
    return {name for event_id, name in case.holdings["SH-1"] if event_id in about}


def shared(road: Road, system: str) -> Sink:
    """The shelter holds the needs."""
    sink = sink_of(road, "SH-1", system)
    partner(road, "SH-1", sink)
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    needs(road, "C1")
    road.settle()
    return sink


def recalled(road: Road, system: str) -> None:
    """The shelter held it, and has given it back."""
    shared(road, system)
    assert CANARY in rows(road, system), "or the test could not fail"
    withdraw(road, "C1")
    road.settle()
    assert holdings(road) == set()
    gone(road, system)


def gone(road: Road, system: str) -> None:
    left = rows(road, system)
    assert CANARY not in left
    assert "NeedsAssessed" not in left, "nor that there ever was one"


def again_from_the_start(road: Road, _system: str) -> None:
    road.hub.publisher.republish("SH-1")


def again_over_http(road: Road, system: str) -> None:
    """A partner that asks from zero gets all of it, sealed anew from the hub's log."""
    identity = road.identities["SH-1"]
    server = serve_api(road.hub, port=0)
    try:
        with httpx2.Client(timeout=30) as client:
            inbox = HttpInbox(server.url, signed_requests(identity), client=client)
            inbox.start("", 0)
            assert sum(len(one.value) for one in inbox.read(100, 0)) > 1_000, "the old deliveries"
            runner = Runner(inbox, sink_of(road, "SH-1", system), identity)
            runner.run_once()
            assert inbox.rewind(1)
            runner.run_once()
            assert runner.alarms == {}
    finally:
        server.stop()
    partner(road, "SH-1", sink_of(road, "SH-1", system))  # takes over again


def again_after_topics_were_wiped(road: Road, system: str) -> None:
    road.close()
    for path in (road.folder / "hub").glob("topics.db*"):
        path.unlink()
    restarted = Road.open(road.folder, ROLES)
    road.hub = restarted.hub
    road.hub.publisher.republish("SH-1")
    partner(road, "SH-1", sink_of(road, "SH-1", system))


def test_whatever_comes_again_leaves_nothing(road: Road, system: str) -> None:
    recalled(road, system)
    for again in (again_from_the_start, again_over_http, again_after_topics_were_wiped):
        again(road, system)
        road.settle()
        gone(road, system)
    # The tombstone bars what is older than the recall, not what the person agrees to later.
    given = {**CONSENT, "scope": {"SH-1": ["protection", "health"]}, "consent_id": "c2"}
    assert road.publish("NGO-1", "ConsentGiven", "C1", **given).accepted
    road.settle()
    assert holdings(road) == {"protection", "health"}
    again_from_the_start(road, system)
    road.settle()
    assert CANARY in rows(road, system)


def without_needs() -> Schemas:
    """What a connector knows that is older than the type."""
    known = Schemas.load()
    return Schemas(
        known.by_type(name).document for name in known.types() if name != "NeedsAssessed"
    )


def test_redriven_from_quarantine_after_the_recall(
    road: Road, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases lay in quarantine, unread, when their recalls came; then somebody redrives them.

    The second recall is kept from finding the quarantine: there the tombstone alone has to hold.
    """
    identity = road.identities["SH-1"]
    sink = sink_of(road, "SH-1", system)
    partner(road, "SH-1", sink, without_needs())
    for case in ("C1", "C2"):
        open_case(road, case, {"SH-1": ["protection", "health"]})
        needs(road, case)
    road.settle()
    assert [row.reason for row in sink.quarantine()] == ["unknown_schema"] * 2
    withdraw(road, "C1")
    road.settle()
    monkeypatch.setattr(Quarantine, "purge", lambda *_, **__: None)
    withdraw(road, "C2")
    road.settle()
    [waiting] = sink.quarantine()
    opener = Opener(identity, RegistryCache(identity))
    assert redrive(sink, opener, at=datetime.now(UTC)) == (1, 0)
    road.settle()
    left = rows(road, system)
    assert CANARY not in left
    assert left.count("NeedsAssessed") == 1, "where the quarantine names the second"
    assert str(waiting.id) in left


def test_a_database_restored_from_before_the_recall(road: Road) -> None:
    """A backup of the partner's brings it back; the next delivery takes it away again."""
    sink = shared(road, "sqlite")
    kept = road.folder / "backup"
    kept.mkdir()
    for path in road.folder.glob("SH-1.db*"):
        shutil.copy(path, kept / path.name)
    withdraw(road, "C1")
    road.settle()
    gone(road, "sqlite")
    road.partners.pop("SH-1")
    sink.close()
    for path in road.folder.glob("SH-1.db*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, road.folder / path.name)
    assert CANARY in rows(road, "sqlite")
    partner(road, "SH-1", sink_of(road, "SH-1", "sqlite"))
    # What it had acknowledged is trimmed from its topic, so the operator sends it again.
    road.hub.publisher.republish("SH-1")
    road.settle()
    gone(road, "sqlite")


def handed_out(road: Road, messages: list[bytes]) -> list[dict[str, Any]]:
    """What is in these messages for whoever has SH-1's keys and no scruples: no connector asked."""
    identity = road.identities["SH-1"]
    opener = Opener(identity, RegistryCache(identity))
    found: list[dict[str, Any]] = []
    for message in messages:
        opened = opener.open(message)
        assert isinstance(opened, Opened)
        for item in opened.items:
            assert isinstance(item, Arrived), item
            if item.kind == "release":
                found.append(dict(item.fields))
    return found


def test_what_was_recalled_is_not_handed_out_again(road: Road) -> None:
    """The hub does not rely on the partner's tombstones: it asks its own books before sealing."""
    partner(road, "SH-1", sink_of(road, "SH-1", "sqlite"))
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    needs(road, "C1")
    road.settle()
    before = handed_out(road, road.hub.publisher.sealed_after("SH-1", 0, 100))
    assert CANARY in str(before)
    withdraw(road, "C1")
    road.settle()
    after = handed_out(road, road.hub.publisher.sealed_after("SH-1", 0, 100))
    assert len(after) == len(before) + 1, "no sequence is missing, and the withdrawal is there"
    assert CANARY not in str(after)


def test_marked_before_and_sealed_after_the_withdrawal(road: Road) -> None:
    """A topic that was away for days: what was marked then goes out now, with nothing in it."""
    partner(road, "SH-1", sink_of(road, "SH-1", "sqlite"))
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    road.settle()
    kept = str(needs(road, "C1", "Bleibt Zkouska").event_id)
    road.hub.publisher.mark()
    outcome = withdraw(road, "C1", extent="categories", categories=["health"])
    assert [one.event_ref for one in outcome.in_flight] == [kept]
    road.settle()
    sent = handed_out(road, road.hub.publisher.sealed_after("SH-1", 0, 100))
    [told] = [one for one in sent if "medical" in str(one)]
    assert set(told) == {"protection"}, "what was not withdrawn is not lost"
    assert "Bleibt" not in rows(road, "sqlite")
    assert holdings(road) == {"protection"}


def test_another_process_hands_out_what_this_one_released_and_not_what_it_recalled(
    road: Road,
) -> None:
    """The process that serves HTTP knows neither yet when it is asked."""
    partner(road, "SH-1", sink_of(road, "SH-1", "sqlite"))
    other = Hub.open(Home(road.folder / "hub"), road.hub.exchange.clock)
    try:
        open_case(road, "C1", {"SH-1": ["protection", "health"]})
        needs(road, "C1")
        road.settle()
        assert CANARY in str(handed_out(road, other.publisher.sealed_after("SH-1", 0, 100)))
        withdraw(road, "C1")
        road.settle()
        assert CANARY not in str(handed_out(road, other.publisher.sealed_after("SH-1", 0, 100)))
    finally:
        other.stop()
