"""The verification page as the console serves it: under its policy, with bundles of the command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from hub.cli import app
from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.home import Home
from hub.hub import Deciding
from tests.browser.conftest import Alone, Shot
from tests.browser.looks import contrasts, unnamed
from tests.browser.serving import at
from tests.console.stories import RAPPORTEUR
from tests.played import play, scenario

Checked = Callable[..., tuple[Alone, Page]]


class Place:
    """A hub with bundles of its case, and its console on a port."""

    def __init__(self, folder: Path, console: Console, url: str) -> None:
        self.folder, self.console, self.url = folder, console, url
        self.good = folder / "good.zip"
        made = CliRunner().invoke(
            app,
            [
                "audit",
                "bundle",
                "--home",
                str(folder / "hub"),
                "--case",
                "C1",
                "--out",
                str(self.good),
            ],
        )
        assert made.exit_code == 0, made.output
        data = bytearray(self.good.read_bytes())
        data[len(data) // 2] ^= 1
        self.flipped = folder / "flipped.zip"
        self.flipped.write_bytes(data)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("verified")
    road = play(folder, scenario("S1"))
    road.hub.checkpoints.step(now=True)
    road.close()
    with Deciding.open(Home(folder / "hub")) as deciding:
        console = Console(deciding, LooksUnrecorded())
        with at(console) as url:
            yield Place(folder, console, url)


@pytest.fixture
def checked(alone: Callable[..., Alone], place: Place) -> Checked:
    """Walk there from the menu, check a file, and nothing is asked for but the console's own."""

    def check(file: Path, key: str = "", **options: object) -> tuple[Alone, Page]:
        browser = alone(**options)
        session = place.console.sessions.begin(RAPPORTEUR)
        browser.context.add_cookies([{"name": COOKIE, "value": session, "url": place.url}])
        browser.allowed.append(place.url)
        page = browser.page(place.url + "/")
        page.get_by_role("link", name="Verify").click()
        page.get_by_role("link", name="Open the verifier").click()
        expect(page.locator("html")).to_have_attribute("data-ready", "14")
        page.set_input_files("#file", file)
        page.get_by_label("The log's key").fill(key)
        page.get_by_role("button", name="Check the bundle").click()
        verdict = page.locator("#verdict")
        expect(verdict).to_have_attribute("data-code", re.compile(".*"), timeout=60_000)
        return browser, page

    return check


@pytest.mark.parametrize("width", [1400, 400])
def test_a_good_bundle_verifies_under_the_consoles_policy(
    checked: Checked, place: Place, shot: Shot, width: int
) -> None:
    key = str(place.console.log_verifier)
    browser, page = checked(place.good, key, viewport={"width": width, "height": 900})
    assert page.locator("#verdict").get_attribute("data-state") == "verifies"
    assert page.locator("#steps > *").count() == 14
    shot(page, f"console-verifier-good-{width}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert unnamed(page) == []
    assert contrasts(page) == []
    assert browser.left == []
    assert browser.wrong == []
    page.get_by_role("link", name="Console").click()
    page.wait_for_url("**/verify")


def test_one_flipped_byte_is_found(checked: Checked, place: Place, shot: Shot) -> None:
    browser, page = checked(place.flipped)
    assert page.locator("#verdict").get_attribute("data-state") == "fails"
    shot(page, "console-verifier-flipped")
    assert browser.left == []


def test_the_policy_lets_nothing_leave(checked: Checked, place: Place) -> None:
    browser, page = checked(place.good)
    sent = page.evaluate("fetch('/questions').then(() => 'sent').catch(() => 'kept back')")
    assert sent == "kept back"
    assert any("Content Security Policy" in one for one in browser.wrong)
    assert place.console.looks.seen[-1][1] == "verifier"  # type: ignore[attr-defined]
