"""Passkeys in a real browser: registered with the officers' code, then the only thing needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from hub.authority.viewers import spelt
from hub.console.serving import ConsoleServer
from hub.home import Home
from hub.hub import Deciding, Hub
from hub.store import events as stored
from tests.browser.authenticator import Authenticator
from tests.console.admitted import Office, served


@pytest.fixture(scope="module")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    one = chromium.new_context()
    one.set_default_timeout(20_000)
    yield one
    one.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    place = Home(tmp_path / "hub")
    place.init()
    Hub.open(place).stop()
    return place


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    context.clear_cookies()
    one = context.new_page()
    yield one
    one.close()


@pytest.fixture
def server(home: Home) -> Iterator[ConsoleServer]:
    with served(home) as running:
        yield running


@pytest.fixture
def office(home: Home, server: ConsoleServer) -> Iterator[Office]:
    with Deciding.open(home) as other:
        yield Office(other.reading.exchange)


def register(page: Page, url: str, code: str) -> None:
    page.goto(f"{url}/sign-in/new")
    page.get_by_label("The code, both halves").fill(code)
    page.get_by_role("button", name="Register this device").click()


def sign_in(page: Page, url: str, path: str = "/") -> None:
    page.goto(url + path)
    page.get_by_role("button", name="Sign in with a passkey").click()


def rows(office: Office, kind: type[stored.StoreEvent]) -> list[stored.StoreEvent]:
    return [one.event for one in office.exchange.log.read(0, 10_000, frozenset({kind.TOPIC}))]


def test_register_sign_in_and_out(page: Page, server: ConsoleServer, office: Office) -> None:
    authenticator = Authenticator(page)
    register(page, server.url, spelt(office.passkey()))
    page.wait_for_url("**/sign-in?registered=yes")
    expect(page.get_by_role("status").first).to_contain_text("Your passkey is registered")
    sign_in(page, server.url, "/looks?days=31")
    page.wait_for_url("**/looks?days=31")
    expect(page.locator(".who")).to_contain_text("Signed in as audit-1, auditor")
    [credential] = authenticator.credentials()
    assert credential["isResidentCredential"] is True
    [added] = rows(office, stored.ViewerPasskeyAdded)
    [entered] = rows(office, stored.ViewerSignedIn)
    assert isinstance(added, stored.ViewerPasskeyAdded)
    assert isinstance(entered, stored.ViewerSignedIn)
    assert entered.credential == added.credential
    assert entered.counter > added.counter
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/signed-out")
    page.goto(server.url + "/")
    assert "/sign-in?then=" in page.url


def test_a_wrong_and_a_used_code_register_nothing(
    page: Page, server: ConsoleServer, office: Office
) -> None:
    authenticator = Authenticator(page)
    code = office.passkey()
    register(page, server.url, code[:16])
    expect(page.locator("#said")).to_contain_text("not valid")
    assert authenticator.credentials() == []
    register(page, server.url, code)
    page.wait_for_url("**/sign-in?registered=yes")
    register(page, server.url, code)
    expect(page.locator("#said")).to_contain_text("not valid")
    assert len(rows(office, stored.ViewerPasskeyAdded)) == 1


def test_without_fingerprint_face_or_pin_nobody_gets_in(
    page: Page, server: ConsoleServer, office: Office
) -> None:
    authenticator = Authenticator(page, verifies=False)
    code = office.passkey()
    register(page, server.url, code)
    expect(page.locator("#said")).to_contain_text("No passkey was made")
    authenticator.verify(True)
    register(page, server.url, code)  # the code was not used up
    page.wait_for_url("**/sign-in?registered=yes")
    authenticator.verify(False)
    sign_in(page, server.url)
    expect(page.locator("#said")).to_contain_text("That did not work")
    assert rows(office, stored.ViewerSignedIn) == []


def test_a_copied_passkey_is_noticed(page: Page, server: ConsoleServer, office: Office) -> None:
    authenticator = Authenticator(page)
    register(page, server.url, office.passkey())
    page.wait_for_url("**/sign-in?registered=yes")
    [copy] = authenticator.credentials()
    sign_in(page, server.url)
    page.wait_for_url(server.url + "/")
    page.context.clear_cookies()
    authenticator.replace(copy)  # as it was before that sign-in
    sign_in(page, server.url)
    expect(page.locator("#said")).to_contain_text("may have been copied")
    assert len(rows(office, stored.ViewerSignedIn)) == 1


def test_a_passkey_of_a_grant_that_fell_opens_nothing(
    page: Page, server: ConsoleServer, office: Office
) -> None:
    Authenticator(page)
    register(page, server.url, office.passkey())
    page.wait_for_url("**/sign-in?registered=yes")
    sign_in(page, server.url)
    page.wait_for_url(server.url + "/")
    office.revoke()
    page.goto(server.url + "/")
    assert "/sign-in?then=" in page.url
    sign_in(page, server.url)
    expect(page.locator("#said")).to_contain_text("did not prove itself")


def test_the_page_runs_nothing_but_our_script(
    page: Page, server: ConsoleServer, office: Office
) -> None:
    del office
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda failure: wrong.append(str(failure)))
    for path, scripts in (("/sign-in", True), ("/sign-in/new", True), ("/signed-out", False)):
        answer = page.goto(server.url + path)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert ("script-src 'self'" in policy) == scripts
        assert "unsafe" not in policy
    assert wrong == []
    page.goto(server.url + "/sign-in")
    page.evaluate(
        "() => { const one = document.createElement('script');"
        " one.textContent = 'document.title = \"owned\"'; document.head.append(one); }"
    )
    assert page.title() != "owned"


def test_by_keyboard_alone(page: Page, server: ConsoleServer, office: Office) -> None:
    Authenticator(page)
    code = office.passkey()
    page.goto(server.url + "/sign-in/new")
    page.get_by_label("The code, both halves").focus()
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in?registered=yes")
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(server.url + "/")
