"""The verifier's page in a real browser, opened from disk as one file, with no network at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, expect

from hub.console import verifier
from hub.tlog.note import VerifierKey
from tests.browser.conftest import Alone, Shot
from tests.browser.looks import contrasts, unnamed
from tests.webverify.corpus import Place, lived
from tests.webverify.damage import STRANGER

MAKE = Callable[..., Alone]
WIDTHS = {"wide": 1100, "narrow": 400}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = lived(tmp_path_factory.mktemp("lived"), "S1")
    yield place
    place.road.close()


@pytest.fixture(scope="module")
def files(place: Place) -> dict[str, Path]:
    """Bundles by what they are, and the page."""
    made = {
        "case": place.made(case=place.case),
        "holder": place.made(case=place.case, holder="NGO-1"),
        "absence": place.made(case=place.case, agency="RAP-1", absent=True),
    }
    flipped = bytearray(made["case"])
    flipped[len(flipped) // 2] ^= 1
    made["flipped"] = bytes(flipped)
    files = {}
    for name, data in made.items():
        files[name] = place.folder / f"shown-{name}.zip"
        files[name].write_bytes(data)
    files["page"] = place.folder / "nrm-verify.html"
    files["page"].write_text(verifier.page().html, "utf-8", newline="\n")
    return files


@pytest.fixture
def opened(alone: MAKE, files: dict[str, Path]) -> Callable[..., tuple[Alone, Page]]:
    """Open the page from disk; whatever it asks for besides is refused and noted."""

    def open_(**options: object) -> tuple[Alone, Page]:
        browser = alone(**options)
        page = browser.page(files["page"].as_uri())
        expect(page.locator("html")).to_have_attribute("data-ready", "14")
        return browser, page

    return open_


def check(page: Page, file: Path, key: str = "") -> None:
    page.set_input_files("#file", file)
    page.get_by_label("The log's key").fill(key)
    page.get_by_role("button", name="Check the bundle").click()
    expect(page.locator("#verdict")).to_have_attribute(
        "data-code", re.compile(".*"), timeout=60_000
    )


def state(page: Page) -> str | None:
    return page.locator("#verdict").get_attribute("data-state")


def test_a_good_bundle_verifies_and_shows_what_it_holds(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    browser, page = opened()
    check(page, files["case"], place.log_key)
    expect(page.get_by_role("status")).to_contain_text("Verifies")
    assert state(page) == "verifies"
    assert page.locator("#steps li").count() == 14
    assert page.locator("#steps li[data-state=holds]").count() == 12
    told = page.get_by_role("region", name="Who was told what, and why").locator("tbody tr")
    assert told.count() > 30
    expect(told.first).to_contain_text("the same")
    page.get_by_label("Row", exact=True).select_option("17")
    expect(page.get_by_role("img")).to_have_accessible_name(re.compile("Row 17 is leaf 16 of"))
    expect(page.locator("#cannot li").first).to_contain_text("no earlier checkpoint")
    expect(page.locator("#keys")).to_contain_text(place.log_key)
    assert (browser.left, browser.wrong) == ([], [])


def test_without_a_key_the_page_says_whose_key_it_took(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path]
) -> None:
    _, page = opened()
    check(page, files["case"])
    assert state(page) == "inside"
    expect(page.get_by_role("status")).to_contain_text("Agrees with itself")
    expect(page.locator("#cannot li").first).to_contain_text("no key was given")


def test_one_flipped_bit_is_found(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    browser, page = opened()
    check(page, files["flipped"], place.log_key)
    assert state(page) == "fails"
    expect(page.get_by_role("status")).to_contain_text("Does not verify")
    failed = page.locator("#steps li[data-state=fails]")
    expect(failed).to_have_attribute("data-code", "bad_checksum")
    expect(failed).to_have_attribute("data-step", "1")
    assert page.locator("#steps li[data-state=not_reached]").count() == 13
    expect(page.locator("#claims")).to_be_empty()
    assert (browser.left, browser.wrong) == ([], [])


def test_another_logs_key_is_told(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    _, page = opened()
    check(page, files["case"], str(VerifierKey(place.origin, STRANGER.public)))
    assert state(page) == "fails"
    expect(page.locator("#steps li[data-state=fails]")).to_have_attribute("data-code", "wrong_log")
    expect(page.get_by_role("status")).to_contain_text("Compare the key")


def test_a_word_that_is_no_key_stops_before_anything_is_checked(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path]
) -> None:
    _, page = opened()
    page.set_input_files("#file", files["case"])
    page.get_by_label("The log's key").fill("secret")
    page.get_by_role("button", name="Check the bundle").click()
    expect(page.get_by_role("status")).to_contain_text("The log key is not one")
    expect(page.get_by_label("The log's key")).to_be_focused()
    expect(page.locator("#steps li")).to_have_count(0)


def test_what_a_holder_may_see_and_what_is_absent(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    _, page = opened()
    check(page, files["holder"], place.log_key)
    assert state(page) == "verifies"
    expect(page.get_by_role("heading", name="What was opened")).to_be_visible()
    expect(page.locator("#cannot")).to_contain_text("The decisions themselves")
    check(page, files["absence"], place.log_key)
    expect(page.locator("#claims")).to_contain_text("was released to RAP-1")


def test_the_keyboard_alone_does_it(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    _, page = opened()
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(files["case"])
    page.keyboard.press("Tab")
    expect(page.get_by_label("The log's key")).to_be_focused()
    page.keyboard.insert_text(place.log_key)
    for wanted in ("summary", "#keep", "#check"):
        page.keyboard.press("Tab")
        expect(page.locator(wanted)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_be_focused()
    expect(page.locator("#verdict")).to_have_attribute("data-state", "verifies")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Row", exact=True)).to_be_focused()


def test_a_dropped_file_is_taken(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path]
) -> None:
    _, page = opened()
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["no bundle"], "dropped.zip"));
          document.getElementById("drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator("#drop")).to_contain_text("dropped.zip")
    page.get_by_role("button", name="Check the bundle").click()
    expect(page.locator("#steps li[data-state=fails]")).to_have_attribute(
        "data-code", "not_a_bundle"
    )


def test_keys_are_kept_only_if_asked(
    opened: Callable[..., tuple[Alone, Page]], files: dict[str, Path], place: Place
) -> None:
    _, page = opened()
    check(page, files["case"], place.log_key)
    page.reload()
    expect(page.get_by_label("The log's key")).to_have_value("")
    page.get_by_label("Keep the keys in this browser").check()
    check(page, files["case"], place.log_key)
    page.reload()
    expect(page.get_by_label("The log's key")).to_have_value(place.log_key)
    page.get_by_label("Keep the keys in this browser").uncheck()
    page.reload()
    expect(page.get_by_label("The log's key")).to_have_value("")


def test_the_modules_as_they_are_do_the_same(
    alone: MAKE, files: dict[str, Path], place: Place
) -> None:
    """As the console serves them: a page, a style and modules, each a file."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=verifier.FOLDER))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        browser = alone()
        origin = f"http://127.0.0.1:{server.server_port}/"
        browser.allowed.append(origin)
        page = browser.page(f"{origin}verify.html")
        expect(page.locator("html")).to_have_attribute("data-ready", "14")
        check(page, files["case"], place.log_key)
        assert state(page) == "verifies"
        assert browser.left in ([], [f"{origin}favicon.ico"])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_its_policy_lets_nothing_out_and_no_other_script_run(
    opened: Callable[..., tuple[Alone, Page]],
) -> None:
    browser, page = opened()
    answers = page.evaluate(
        """async () => {
          const tried = [];
          try { await fetch("https://example.org/"); tried.push("fetch"); } catch { }
          const image = new Image();
          image.src = "https://example.org/pixel";
          const script = document.createElement("script");
          script.textContent = "window.intruder = true";
          document.head.append(script);
          await new Promise((done) => setTimeout(done, 200));
          if (window.intruder) tried.push("script");
          return tried;
        }"""
    )
    assert answers == []
    assert browser.left == []  # the policy stopped them before they were asked for
    assert any("Content Security Policy" in one for one in browser.wrong)


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.deep)])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_can_be_read_by_everybody(
    opened: Callable[..., tuple[Alone, Page]],
    files: dict[str, Path],
    place: Place,
    shot: Shot,
    scheme: str,
    width: str,
) -> None:
    _, page = opened(color_scheme=scheme, viewport={"width": WIDTHS[width], "height": 900})
    shot(page, f"verifier-{scheme}-{width}-empty")
    for name, key in (("case", place.log_key), ("case", ""), ("flipped", place.log_key)):
        check(page, files[name], key)
        shot(page, f"verifier-{scheme}-{width}-{state(page)}")
        assert unnamed(page) == []
        assert contrasts(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
