"""The operations pages in a real browser without scripts: read, reached by keys, and acted on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from hub.console.desk import COOKIE, Console, LooksUnrecorded
from hub.console.navigation import MENU
from hub.console.render import texts
from hub.console.viewer import Viewer
from tests.browser.conftest import Shot
from tests.browser.serving import at
from tests.consent.stage import close
from tests.console.story import Story, reading, story

AUDITOR = Viewer("Ana Auditor", "auditor")
OPERATOR = Viewer("Omar Operator", "operator")
OFFICER = Viewer("Sara Shelter", "agency_officer", "SH-1")
RAPPORTEUR = Viewer("Rita Rapporteur", "rapporteur")
WIDE = {"width": 1400, "height": 900}
NARROW = {"width": 400, "height": 800}


@dataclass
class Served:
    """A console being served over a hub on which the story happened."""

    url: str
    console: Console
    made: Story

    def context(self, chromium: Browser, viewer: Viewer, **options: Any) -> BrowserContext:
        context = chromium.new_context(java_script_enabled=False, **options)
        session = self.console.sessions.begin(viewer)
        context.add_cookies([{"name": COOKIE, "value": session, "url": self.url}])
        return context


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = story(tmp_path_factory.mktemp("console"))
    with reading(made) as deciding:
        console = Console(deciding, LooksUnrecorded())
        with at(console) as url:
            yield Served(url, console, made)
    close(made)


Open = Callable[..., Page]


@pytest.fixture
def opened(served: Served, chromium: Browser) -> Iterator[Open]:
    """Opens a page of the console as somebody; whatever it asks for elsewhere fails the test."""
    contexts: list[BrowserContext] = []

    def open_as(viewer: Viewer, path: str, **options: Any) -> Page:
        context = served.context(chromium, viewer, **options)
        contexts.append(context)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(served.url + path)
        assert all(one.startswith(served.url) for one in asked), asked
        return page

    yield open_as
    for context in contexts:
        context.close()


PAGES = {
    "overview": "/",
    "overview-day": "/?span=day",
    "work": "/work",
    "work-overdue": "/work?overdue=yes",
    "withdrawals": "/withdrawals",
    "dead-letters": "/dead-letters",
    "refused": "/dead-letters/refused",
    "policy": "/policy",
    "policy-diff": "/policy/diff",
    "policy-replay": "/policy/replay?new=uk",
    "registry": "/registry",
}
LOOKS = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "400": {"viewport": NARROW, "color_scheme": "light"},
}


@pytest.mark.parametrize("look", ["light", pytest.param("dark", marks=pytest.mark.deep), "400"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_as_it_looks(opened: Open, shot: Shot, name: str, look: str) -> None:
    page = opened(OPERATOR, PAGES[name], **LOOKS[look])
    shot(page, f"console-{name}-{look}")
    assert page.locator("h1").count() == 1
    assert (
        page.evaluate("document.scrollingElement.scrollWidth") <= LOOKS[look]["viewport"]["width"]
    )


@pytest.mark.parametrize("viewer", [OFFICER, RAPPORTEUR], ids=lambda one: str(one.role))
def test_the_overview_of_those_who_see_less(opened: Open, shot: Shot, viewer: Viewer) -> None:
    page = opened(viewer, "/", viewport=WIDE)
    shot(page, f"console-overview-{viewer.role}")
    assert page.locator("h1").count() == 1


def test_an_officers_work_list_in_french(opened: Open, shot: Shot) -> None:
    page = opened(OFFICER, "/work", viewport=WIDE, locale="fr-FR")
    shot(page, "console-work-officer-french")
    assert page.locator("html").get_attribute("lang") == "fr"
    assert page.locator("h1").inner_text() == "À faire"


def test_printed_it_has_no_menu_and_no_forms(opened: Open, shot: Shot) -> None:
    page = opened(OPERATOR, "/dead-letters", viewport=WIDE)
    page.emulate_media(media="print")
    shot(page, "console-dead-letters-print")
    assert not page.locator("nav.menu").is_visible()
    assert not any(one.is_visible() for one in page.locator("main form").all())
    assert page.locator("article").first.is_visible()


# -- keys --------------------------------------------------------------------------------------


def focused(page: Page) -> str:
    return str(page.locator(":focus").inner_text()).strip()


def test_keys_lead_through_the_menu(opened: Open, served: Served) -> None:
    page = opened(AUDITOR, "/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "content"
    page.goto(served.url)
    seen = []
    for _ in range(14):
        page.keyboard.press("Tab")
        seen.append(focused(page))
    menu = [entry.text for entry in MENU if "auditor" in entry.roles]
    assert seen[-len(menu) :] == [texts("en")[one] for one in menu]
    page.goto(served.url)
    page.keyboard.press("Tab")
    while focused(page) != "Withdrawals":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/withdrawals")
    assert page.locator("nav [aria-current=page]").first.inner_text() == "Withdrawals"


@pytest.mark.parametrize("path", ["/", "/work", "/withdrawals", "/policy", "/registry"])
def test_what_is_focused_is_seen(opened: Open, path: str) -> None:
    page = opened(OPERATOR, path, viewport=WIDE)
    for _ in range(10):
        page.keyboard.press("Tab")
        outline = page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle")
        if page.locator(":focus").get_attribute("id") != "content":
            assert outline == "solid"


# -- forms -------------------------------------------------------------------------------------


def test_the_work_list_is_narrowed_by_its_form(opened: Open) -> None:
    page = opened(OPERATOR, "/work")
    every = page.locator("tbody tr").count()
    page.get_by_label("Kind").select_option("break_glass_review")
    page.get_by_label("only overdue").check()
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**kind=break_glass_review**")
    assert 1 <= page.locator("tbody tr").count() < every
    assert page.get_by_label("only overdue").is_checked(), "the form says what is shown"


def test_an_item_is_closed_by_its_form(opened: Open, served: Served) -> None:
    page = opened(OPERATOR, "/work?kind=sender_refused")
    with page.expect_navigation():
        page.get_by_role("link", name="Sender refused").first.click()
    page.locator("#because").select_option("seen")
    with page.expect_navigation():
        page.get_by_role("button", name="Close").click()
    assert page.locator("h1 .state").inner_text() == "done"
    assert "Omar Operator" in page.locator("dl.facts").inner_text()
    served.made.hub.exchange.catch_up()
    assert all(one.closed_by != "Omar Operator" for one in served.made.items("sender_refused"))


def test_a_dead_letter_is_sent_again_by_its_form(opened: Open, served: Served) -> None:
    page = opened(OPERATOR, "/dead-letters")
    with page.expect_navigation():
        page.get_by_role("button", name="Send again").first.click()
    assert page.url.endswith("/dead-letters")
    assert "sent again" in page.locator("article").first.inner_text()
    assert "Omar Operator" in page.locator("article").first.inner_text()
