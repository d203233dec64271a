"""A partner loses its database, or puts an older copy back: it is told, and gets back everything.

What a recipient has acknowledged is no longer on its topic. The hub's log has it; over HTTP the
connector takes it from there.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.api.server import serve_api
from tests.cli.programs import nrm
from tests.road import CONSENT, Road

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """A shelter that was referred two persons' cases, and whose connector had them."""
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    road.publish(
        "NGO-1", "ConsentGiven", "C1", consent_id="c1", scope={"SH-1": ["protection"]}, **CONSENT
    )
    (tmp_path / "partner.toml").write_text(
        f'home = "{tmp_path / "SH-1"}"\n[sink]\nurl = "sqlite:///{tmp_path / "shelter.db"}"\n'
    )
    yield road
    road.close()


def refer(road: Road, number: int) -> None:
    told = {"referral_id": f"r{number}", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "1_day", "respond_by": "2026-03-03T15:00:00Z", "basis": "c1"}
    assert road.publish("NGO-1", "ReferralMade", "C1", **told, **when).accepted
    road.settle()


def connect(road: Road, *options: str, code: int = 0) -> str:
    """Run the connector once; the hub then follows what it was answered."""
    done = nrm("connector", "run", road.folder / "partner.toml", "--once", *options)
    assert done.code == code, done.err
    road.settle()
    road.hub.publisher.trim()
    return done.out + done.err


def referred(road: Road) -> list[str]:
    with sqlite3.connect(road.folder / "shelter.db") as db:
        return [row[0] for row in db.execute("SELECT referral_id FROM referral_made ORDER BY 1")]


def lose(road: Road, copy: Path | None) -> None:
    for file in road.folder.glob("shelter.db*"):
        file.unlink()
    if copy is not None:
        shutil.copy(copy, road.folder / "shelter.db")


@pytest.mark.parametrize("put_back", [False, True])
def test_it_is_told_at_once_and_gets_everything_back(road: Road, put_back: bool) -> None:
    refer(road, 1)
    assert "1 applied" in connect(road)
    with sqlite3.connect(road.folder / "copy.db") as copy:
        sqlite3.connect(road.folder / "shelter.db").backup(copy)
    refer(road, 2)
    assert "1 applied" in connect(road)
    assert "0 applied" in connect(road)

    lose(road, road.folder / "copy.db" if put_back else None)
    missing = 2 if put_back else 1
    told = connect(road, code=4)  # although nothing new has come that would show the gap
    assert f"sequence {missing} and later were applied before" in told
    assert "run --once --via http" in told
    refer(road, 3)
    assert f"sequence {missing} is missing" in connect(road, code=4)

    server = serve_api(road.hub, port=0)
    road.hub.start({"hub"})
    try:
        identity = road.folder / "SH-1" / "hub.toml"
        text = identity.read_text("utf-8")
        identity.write_text(text.replace("http://127.0.0.1:8441", server.url), "utf-8")
        done = nrm(
            "connector", "run", road.folder / "partner.toml", "--once", "--via", "http"
        )  # fmt: skip
    finally:
        server.stop()
    assert done.code == 0, done.err
    assert f"{2 if put_back else 3} applied, 0 quarantined" in done.out
    assert referred(road) == ["r1", "r2", "r3"]
    topics = nrm("connector", "run", road.folder / "partner.toml", "--once")
    assert topics.code == 0, topics.err
    assert "0 applied, 0 quarantined" in topics.out
    assert "ALARM" not in topics.err


def test_a_new_partner_and_one_that_is_up_to_date_are_told_nothing(road: Road) -> None:
    assert "ALARM" not in connect(road)
    refer(road, 1)
    assert "ALARM" not in connect(road)
    assert "ALARM" not in connect(road)
