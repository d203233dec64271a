"""The case's pages in a real browser: without scripts, by keyboard, on narrow and wide screens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from hub.console.desk import COOKIE
from hub.console.viewer import Viewer
from tests.browser.serving import at
from tests.console.stories import AUDITOR, Story, officer, played, told_by
from tests.privacy.told import Told


class Shown:
    """A story served on a port, and pages of it signed in as somebody. Scripts are off."""

    def __init__(self, story: Story, base: str, chromium: Browser) -> None:
        self.story = story
        self.base = base
        self._chromium = chromium
        self._contexts = ExitStack()

    def page(
        self,
        path: str,
        *,
        viewer: Viewer = AUDITOR,
        width: int = 1400,
        dark: bool = False,
    ) -> Page:
        context = self._chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=False,
        )
        self._contexts.callback(context.close)
        session = self.story.console.sessions.begin(viewer)
        context.add_cookies([{"name": COOKIE, "value": session, "url": self.base}])
        context.set_default_timeout(10_000)
        page = context.new_page()
        answer = page.goto(self.base + path.replace("CASE", self.story.case_id.hex))
        assert answer is not None
        assert answer.status == 200
        return page

    def close(self) -> None:
        self._contexts.close()


@contextmanager
def served(story: Story, chromium: Browser) -> Iterator[Shown]:
    with at(story.console) as base:
        shown = Shown(story, base, chromium)
        try:
            yield shown
        finally:
            shown.close()


@pytest.fixture(scope="module", params=["S1"])
def shown(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    chromium: Browser,
) -> Iterator[Shown]:
    with (
        played(tmp_path_factory.mktemp(request.param), request.param) as story,
        served(story, chromium) as opened,
    ):
        yield opened


def fits(page: Page) -> bool:
    """Whether nothing makes the page itself wider than the screen."""
    assert page.viewport_size is not None
    widest = page.evaluate("document.documentElement.scrollWidth")
    return bool(widest <= page.viewport_size["width"])


def test_a_case_is_found_and_its_address_says_nothing(shown: Shown) -> None:
    page = shown.page("/cases")
    page.get_by_label("Common reference").fill(shown.story.case)
    with page.expect_navigation():
        page.get_by_role("button", name="Find the case").click()
    assert page.url == f"{shown.base}/cases/{shown.story.case_id.hex}"
    assert page.get_by_role("heading", level=1).inner_text().startswith("Case ")


def test_the_slider_works_without_scripts_and_by_keyboard(shown: Shown) -> None:
    page = shown.page("/cases/CASE")
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.wait_for_url("**step=19**")
    assert "event 19 of 25" in page.get_by_role("status").inner_text()
    assert page.locator("a.row").count() == 19
    page.get_by_role("link", name="Previous event").click()
    page.wait_for_url("**step=18")
    assert page.locator("a.row").count() == 18
    with page.expect_navigation():
        page.get_by_role("link", name="All events").click()
    assert page.locator("a.row").count() == 25


def test_the_thumb_stands_under_its_event(shown: Shown) -> None:
    """The slider's ends are under the first and the last mark of the picture above it."""
    page = shown.page("/cases/CASE?step=25")
    slider = page.get_by_role("slider").bounding_box()
    first = page.locator("a.dot").first.locator("circle, path").first.bounding_box()
    last = page.locator("a.dot").last.locator("circle, path").first.bounding_box()
    assert slider is not None
    assert first is not None
    assert last is not None
    assert abs(slider["x"] + 8 - (first["x"] + first["width"] / 2)) < 3
    end = slider["x"] + slider["width"] - 8
    assert abs(end - (last["x"] + last["width"] / 2)) < 3


def test_rows_of_the_picture_are_walked_by_keyboard(shown: Shown) -> None:
    page = shown.page("/cases/CASE")
    page.locator("a.row").first.focus()
    named = []
    for _ in range(3):
        named.append(page.locator("a.row:focus").get_attribute("aria-label") or "")
        page.keyboard.press("Tab")
    assert [name.partition(":")[0] for name in named] == ["Event 1", "Event 2", "Event 3"]
    page.keyboard.press("Enter")
    page.wait_for_url("**#e*")
    target = page.locator("tr:target")
    assert target.locator(".n").inner_text() == "4"
    page.locator("body").press("Tab")
    assert page.locator("tr:target :focus").count() == 1


def test_one_event_alone_leaves_the_others_faint(shown: Shown) -> None:
    page = shown.page("/cases/CASE")
    with page.expect_navigation():
        page.get_by_role("link", name="Only this event").nth(10).click()
    assert page.locator("a.row.chosen").count() == 1
    assert page.get_by_role("link", name="All events together").is_visible()


def test_a_cell_leads_to_why(shown: Shown) -> None:
    page = shown.page("/cases/CASE/held")
    with page.expect_navigation():
        page.get_by_role("link", name="held 1 once, recalled").first.click()
    assert "/why?" in page.url
    assert page.get_by_text("all the same").is_visible()


def test_a_preview_is_asked_by_keyboard(shown: Shown) -> None:
    page = shown.page("/preview?case=CASE")
    page.locator("select[name=agency]").select_option("NGO-1")
    page.locator("select[name=type]").select_option("RiskAssessed")
    with page.expect_navigation():
        page.get_by_role("button", name="Choose").press("Enter")
    with page.expect_navigation():
        page.get_by_role("button", name="Decide").press("Enter")
    assert page.get_by_role("heading", name="what would follow").is_visible()
    assert page.url == f"{shown.base}/preview#answer"


def test_the_verifier_of_accessibility_finds_names_everywhere(shown: Shown) -> None:
    """Every link and control has a name; every picture has a title."""
    for path in ("/cases", "/cases/CASE", "/cases/CASE/held", "/preview?case=CASE"):
        page = shown.page(path)
        for role in ("link", "button", "slider", "textbox", "combobox"):
            for one in page.get_by_role(role).all():  # type: ignore[arg-type]
                name = one.get_attribute("aria-label") or one.inner_text()
                labelled = one.get_attribute("id") or one.get_attribute("name")
                assert name.strip() or labelled, (path, role, one.inner_html())
        for svg in page.locator("svg[role=group]").all():
            assert svg.locator("title").first.text_content()
            assert svg.locator("desc").first.text_content()


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(1400, False, id="1400-light"),
        pytest.param(400, True, id="400-dark"),
        pytest.param(400, False, id="400-light", marks=pytest.mark.deep),
        pytest.param(1400, True, id="1400-dark", marks=pytest.mark.deep),
    ],
)
def test_pages_fit_and_are_kept_to_be_looked_at(
    shown: Shown, shot: object, width: int, dark: bool
) -> None:
    assert callable(shot)
    pages = {
        "cases": "/cases",
        "timeline": "/cases/CASE",
        "timeline-as-of": "/cases/CASE?step=19",
        "timeline-alone": f"/cases/CASE?event={_some_event(shown.story)}",
        "held": "/cases/CASE/held",
        "why": "/cases/CASE/why?agency=POL-1&category=identity",
        "across": "/agencies/POL-1/held",
        "preview": "/preview?case=CASE",
    }
    mode = "dark" if dark else "light"
    for name, path in pages.items():
        page = shown.page(path, width=width, dark=dark)
        shot(page, f"{name}-{width}-{mode}")
        assert fits(page), (name, width)
        page.context.close()
    page = shown.page("/deliveries", viewer=officer("SH-1"), width=width, dark=dark)
    shot(page, f"deliveries-{width}-{mode}")
    assert fits(page)
    page = shown.page("/preview?case=CASE", width=width, dark=dark)
    page.locator("select[name=agency]").select_option("NGO-1")
    page.locator("select[name=type]").select_option("ConsentGiven")
    with page.expect_navigation():
        page.get_by_role("button", name="Choose").click()
    page.locator("[name='f.consent_id']").fill("c9")
    page.locator("[name='f.given_by']").select_option("self")
    page.locator("[name='f.scope']").fill("SH-1: identity, health\nPOL-1: identity, decision")
    page.locator("[name='f.covers_history']").select_option("yes")
    page.locator("[name='f.valid_until']").fill("2027-12-01")
    with page.expect_navigation():
        page.get_by_role("button", name="Decide").click()
    shot(page, f"preview-answer-{width}-{mode}")
    assert fits(page)


def _some_event(story: Story) -> int:
    case = story.exchange.case(story.case_id)
    assert case is not None
    return next(one.position for one in case.events if one.type == "ConsentWithdrawn")


@pytest.mark.parametrize("name", [pytest.param("S2", marks=pytest.mark.deep), "S5", "S7"])
def test_other_stories_are_kept_to_be_looked_at(
    tmp_path: Path, chromium: Browser, shot: object, name: str
) -> None:
    assert callable(shot)
    with played(tmp_path, name) as story, served(story, chromium) as opened:
        for width, dark in ((1400, False), (400, True)):
            page = opened.page("/cases/CASE", width=width, dark=dark)
            shot(page, f"timeline-{name}-{width}")
            assert fits(page)
            page = opened.page("/cases/CASE/held", width=width, dark=dark)
            shot(page, f"held-{name}-{width}")
            assert fits(page)


def test_a_large_case_stays_readable(tmp_path: Path, chromium: Browser, shot: object) -> None:
    assert callable(shot)
    with Told(tmp_path, "NGO-1", "SH-1", "HLT-1", "CA-1") as told:
        told.opened()
        told.consents({"SH-1": ["protection"], "HLT-1": ["protection", "health"]})
        told.involves("NGO-1", "SH-1", "HLT-1")
        for start in range(0, 500, 100):
            events = [told.event("RiskAssessed") for _ in range(start, start + 100)]
            assert all(one.accepted for one in told.road.publish_all("NGO-1", events))
        told.road.settle()
    with told_by(tmp_path) as story, served(story, chromium) as opened:
        page = opened.page("/cases/CASE?page=3")
        shot(page, "timeline-500")
        assert fits(page)
        assert page.locator("a.row").count() == 40
        assert page.locator("a.dot").count() > 500


def test_printed_pages_leave_out_the_controls(shown: Shown) -> None:
    page = shown.page("/cases/CASE")
    page.emulate_media(media="print")
    assert not page.get_by_role("slider").is_visible()
    assert not page.get_by_role("link", name="Previous event").is_visible()
    assert page.locator("table.events").is_visible()
