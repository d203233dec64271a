"""A real browser for tests of pages: the distribution's Chromium, driven by Playwright.

    def test_something(chromium, shot):
        page = chromium.new_context().new_page()
        …
        shot(page, "something")          # .artifacts/screenshots/something.png

One browser per file of tests: while Playwright runs, its event loop is this thread's, and a test
that runs one of its own could not. Every context is new and knows nothing of another. Whatever asks
for one of these is marked `browser`, so `make check` goes without.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

SHOTS = Path(__file__).parents[2] / ".artifacts" / "screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Shot = Callable[[Page, str], Path]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


def chromium_path() -> str:
    """CHROMIUM, or the first one found."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "no Chromium: sudo apt-get install chromium, or set CHROMIUM to its path"
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser. Make contexts of it; close none of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), headless=True, args=list(FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def shot() -> Shot:
    """Keep what a page looks like, for people to look at."""

    def keep(page: Page, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = SHOTS / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return keep


class Alone:
    """A context without any network: every request but those allowed is refused and noted."""

    def __init__(self, context: BrowserContext, *allowed: str) -> None:
        self.context = context
        self.allowed = list(allowed)
        self.left: list[str] = []  # addresses asked for, though not allowed
        self.wrong: list[str] = []  # errors on pages: uncaught, logged, against the policy
        context.route("**/*", self._refuse)
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        context.on(
            "console",
            lambda said: self.wrong.append(said.text) if said.type == "error" else None,
        )

    def _refuse(self, route: Route) -> None:
        if any(route.request.url.startswith(one) for one in self.allowed):
            route.continue_()
        else:
            self.left.append(route.request.url)
            route.abort()

    def page(self, address: str) -> Page:
        self.allowed.append(address)
        page = self.context.new_page()
        page.goto(address)
        return page


@pytest.fixture
def alone(chromium: Browser) -> Iterator[Callable[..., Alone]]:
    """Make contexts without a network; options as of `Browser.new_context`."""
    made: list[BrowserContext] = []

    def make(**options: object) -> Alone:
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        made.append(context)
        return Alone(context)

    yield make
    for context in made:
        context.close()
