"""After a restore: who may open the console, who looked, what was ordered, and what a witness says.

A hub is lost with a redrive ordered and not carried out. The one put back has the same viewers and
looks, nobody's session, and carries the order out once. A witness agrees with a hub that lost
nothing; of one that goes on after a loss it cosigns nothing, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from connectors.sink import Sink
from consumers.witnesses import Witnesses
from consumers.witnesses.settings import LogSettings, WitnessSettings
from hub.audit import conservation, verify_log
from hub.audit.looks import looks
from hub.audit.two_persons import TwoPersons
from hub.authority.viewers import PASSKEY, Grant
from hub.console.browsing import BrowsingLimits
from hub.console.grants import GrantsOnRecord, viewer_of
from hub.console.looking import RecordedLooks
from hub.hub import Hub
from hub.sending import redrives
from hub.witness.book import Book
from hub.witness.home import WitnessHome
from hub.witness.server import serve_witness
from hub.witness.witness import Witness
from schemas.registry import Schemas
from tests.backup.place import Place, names_held
from tests.backup.test_restore import lost
from tests.consent.stage import partner
from tests.console.admitted import Office
from tests.policy.officers import HUB_ID


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    opened = Place.open(tmp_path)
    yield opened
    opened.close()


def without_identities() -> Schemas:
    known = Schemas.load()
    return Schemas(
        known.by_type(one).document for one in known.types() if one != "IdentityRecorded"
    )


def set_aside(place: Place) -> int:
    """SH-1 could not read an identity, and was upgraded since; its sequence."""
    road = place.road
    road.partners.pop("SH-1")._inbox.close()
    sink: Sink = road.sinks[0]
    partner(road, "SH-1", sink, without_identities())
    place.person("C1", "Ana")
    [row] = sink.quarantine()
    assert row.sequence is not None
    road.partners.pop("SH-1")._inbox.close()
    road.partner("SH-1")
    road.settle()
    return row.sequence


def recording(hub: Hub) -> tuple[GrantsOnRecord, RecordedLooks]:
    grants = GrantsOnRecord(hub.exchange.log, HUB_ID)
    return grants, RecordedLooks(hub.exchange, grants, BrowsingLimits(cases_per_hour_stop=2))


def problems(hub: Hub) -> list[str]:
    check = TwoPersons(HUB_ID)
    for one in hub.exchange.log.read(0, 1_000_000):
        check.look(one.position, one.event)
    check.finish()
    return check.problems


@pytest.mark.parametrize("after_loss", [False, True])
def test_viewers_looks_and_an_ordered_redrive_come_back(place: Place, after_loss: bool) -> None:
    sequence = set_aside(place)
    office = Office(place.road.hub.exchange)
    granted, code = office.grant(Grant("audit-1", "auditor", "", PASSKEY))
    office.granting.add_passkey(code, b"credential", b"public", 0, "")
    _, recorded = recording(place.road.hub)
    for number in range(2):
        recorded.record(viewer_of(granted), "timeline", f"{number:032x}")
    office.account("https://id.example", "gone", "audit-2")
    office.revoke("audit-2")
    redrives.order(place.road.hub.exchange, "SH-1", sequence, by="A. Operator")
    before = [(one.viewer, one.page, one.about) for one in looks(place.road.hub.exchange.log)]
    kept = newest(place.road.hub)
    place.backup()
    lost(place)

    last = place.road.partners["SH-1"]._sink.position().sequence
    more = {"SH-1": last, "LAW-1": 99, "NGO-1": 99}
    options = {"after_loss": True, "sequences": more} if after_loss else {"checkpoints": [kept]}
    _, new = place.restored(place.wanted(**options))
    try:
        hub = new.road.hub
        grants, recorded = recording(hub)
        assert set(grants.viewers().standing) == {"audit-1"}
        assert grants.viewers().by_credential(b"credential") is not None
        assert [(one.viewer, one.page, one.about) for one in looks(hub.exchange.log)] == before
        assert problems(hub) == []
        new.road.settle()
        assert hub.exchange.log.tracking(redrives.FOLLOWER) == 1
        assert names_held(new, "SH-1") == ["Ana-family"]
        assert conservation(hub.exchange.log).classes["quarantined"] == 0
        assert hub.publisher.redrive() == 0
        hub.checkpoints.step(now=True)
        *_, verdict = verify_log(hub.exchange.log, HUB_ID, hub.checkpoints.verifier)
        assert verdict.problems == []
    finally:
        new.close()


def newest(hub: Hub) -> str:
    """The newest checkpoint, as an auditor keeps it."""
    hub.checkpoints.step(now=True)
    latest = hub.exchange.log.latest_checkpoint()
    assert latest is not None
    return latest[1]


def line(hub: Hub, url: str, home: WitnessHome) -> Witnesses:
    told = WitnessSettings("W1", url, home.cosigner().verifier)
    ticks = count(1_000.0, 120.0)
    clock = hub.exchange.clock
    return Witnesses(hub.exchange.log, LogSettings(witnesses=(told,)), clock, lambda: next(ticks))


def test_a_witness_agrees_with_what_lost_nothing_and_never_with_another_history(
    place: Place, tmp_path: Path
) -> None:
    hub = place.road.hub
    home = WitnessHome(tmp_path / "witness")
    home.init("w.example/1")
    home.watch([str(hub.checkpoints.verifier)])
    now = datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()
    book = Book(home.path / "witness.db")
    serving = serve_witness(Witness(home, book, home.logs(), lambda: now), "127.0.0.1", 0)
    try:
        place.person("C1", "Ana")
        hub.checkpoints.step(now=True)
        asked = line(hub, serving.url, home)
        assert asked.step() == 1
        place.backup("early")
        place.person("C2", "Ben")
        kept = newest(hub)
        assert asked.step() == 1
        place.backup("late")
        lost(place)

        _, same = place.restored(place.wanted("late", checkpoints=[kept]), "same")
        same.road.settle()
        same.road.hub.checkpoints.step(now=True)
        again = line(same.road.hub, serving.url, home)
        assert again.step() == 1
        assert [one.trouble for one in again.lines] == [""]
        same.close()

        more = {"SH-1": 99, "LAW-1": 99, "NGO-1": 99}
        _, other = place.restored(place.wanted("early", after_loss=True, sequences=more), "other")
        other.road.settle()
        other.road.hub.checkpoints.step(now=True)
        forked = line(other.road.hub, serving.url, home)
        assert forked.step() == 0
        [one] = forked.lines
        assert one.trouble == "key_not_trusted"
        other.close()
    finally:
        serving.stop()
        book.close()
