"""Witnesses on the overview: one that cosigned, one never answered, one fell silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub.console.desk import Console, LooksUnrecorded
from hub.console.viewer import Viewer
from hub.witness.home import WitnessHome
from tests.console.conftest import signed_in_at
from tests.console.html import Element, read
from tests.console.story import reading
from tests.work.office import ADULT, Office, office
from tests.work.test_witness_items import Judge, ask

OPERATOR = Viewer("Omar Operator", "operator")
NOBODY = 9  # a port where nothing listens


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Office, Judge]]:
    """A hub with two witnesses: Ministry, which runs, and Ombud, which was never started."""
    desk = office(tmp_path)
    judge = Judge(tmp_path / "ministry", desk)
    silent = WitnessHome(tmp_path / "ombud")
    silent.init("ombud.example")
    with (desk.folder / "hub" / "hub.toml").open("a", encoding="utf-8") as file:
        for name, port, home in (("Ministry", judge.port, judge.home), ("Ombud", NOBODY, silent)):
            file.write(f'\n[[witnesses]]\nname = "{name}"\nurl = "http://127.0.0.1:{port}"\n')
            file.write(f'vkey = "{home.cosigner().verifier}"\n')
    desk.reopen()
    yield desk, judge
    judge.stop()
    judge.book.close()
    desk.close()


def told(desk: Office) -> dict[str, str]:
    """What the overview says of each witness, by its name."""
    with reading(desk) as deciding:
        console = Console(deciding, LooksUnrecorded())
        with signed_in_at(console, OPERATOR) as client:
            page: Element = read(client.get("/").text)
    [seal] = [one for one in page.all("section") if one.attrs["aria-labelledby"] == "seal"]
    said = [one.text.split() for one in seal.all("div")]
    return {name: " ".join(rest) for name, *rest in said}


def test_one_cosigned_and_one_is_silent(watched: tuple[Office, Judge]) -> None:
    desk, _ = watched
    ask(desk)
    assert told(desk) == {
        "Ministry": f"cosigned {desk.time.at:%Y-%m-%d %H:%M}",
        "Ombud": "silent –",
    }


def test_one_that_falls_behind_and_then_silent(watched: tuple[Office, Judge]) -> None:
    desk, judge = watched
    ask(desk)
    since = f"{desk.time.at:%Y-%m-%d %H:%M}"
    judge.stop()
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    before = desk.hub.exchange.log.latest_checkpoint()
    desk.hub.checkpoints.step(now=True)
    after = desk.hub.exchange.log.latest_checkpoint()
    assert before is not None
    assert after is not None
    assert told(desk)["Ministry"] == f"{after[0] - before[0]} behind {since}"
    desk.time.at += timedelta(minutes=31)
    assert told(desk)["Ministry"] == f"silent {since}"
    judge.start()
    ask(desk)
    assert told(desk)["Ministry"].startswith("cosigned")
