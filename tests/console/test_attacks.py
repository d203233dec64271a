"""What somebody would try at the sign-in pages, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.console import serving
from hub.console.attempts import LIFE, Attempt, Attempts, own_path
from hub.console.desk import COOKIE
from hub.console.entrance import TRIES
from hub.console.serving import ConsoleServer
from hub.home import Home
from hub.hub import Deciding
from tests.console.admitted import Office, served
from tests.console.hostile import Hostile, hostile


@pytest.fixture
def liar() -> Iterator[Hostile]:
    with hostile() as one:
        yield one


@pytest.fixture
def server(home: Home, liar: Hostile) -> Iterator[ConsoleServer]:
    oidc = {"issuer": liar.url, "client_id": "nrm-console", "client_secret": "s"}
    with served(home, oidc=oidc) as running:
        yield running


@pytest.fixture
def office(home: Home, server: ConsoleServer) -> Iterator[Office]:
    with Deciding.open(home) as other:
        yield Office(other.reading.exchange)


@pytest.fixture
def browser() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as one:
        yield one


def answered(server: ConsoleServer, liar: Hostile, browser: httpx2.Client, **other: Any) -> Any:
    """The provider's answer to a sign-in begun in this browser, as an honest one gives it."""
    begun = browser.get(f"{server.url}/sign-in/provider", params=other.pop("query", {}))
    asked = httpx2.URL(begun.headers["location"]).params
    answer = {"state": asked["state"], "code": asked["nonce"], "iss": liar.url, **other}
    return browser.get(f"{server.url}/sign-in/answer", params=answer)


ELSEWHERE = [
    "https://attacker.example/",
    "//attacker.example/",
    "///attacker.example/",
    "/\\attacker.example/",
    "\\\\attacker.example",
    "/%0d%0aset-cookie:a=b",
    "/\r\nset-cookie: a=b",
    "/\tx",
    "javascript:alert(1)",
    "data:text/html,x",
    "attacker.example",
    "/ü",
    "/sign-out",
    "/sign-in/answer?code=x",
    "/" + "x" * 2_000,
    "",
]


@pytest.mark.parametrize("then", ELSEWHERE)
def test_signing_in_leads_nowhere_else(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client, then: str
) -> None:
    office.account(liar.url, "ana")
    inside = answered(server, liar, browser, query={"then": then})
    assert inside.status_code == 303
    where = inside.headers["location"]
    assert where == "/" or (then.startswith("/%0d") and where == then)  # a path, still encoded
    assert "a" not in browser.cookies


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_path_to_go_on_to_is_always_one_of_ours(then: str) -> None:
    where = own_path(then)
    assert where.startswith("/")
    joined = httpx2.URL("https://console.example").join(where)
    assert (joined.scheme, joined.host) == ("https", "console.example")
    assert where.isascii()
    assert where.isprintable()


def test_an_id_from_before_the_sign_in_is_worth_nothing_after(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client
) -> None:
    """Session fixation."""
    office.account(liar.url, "ana")
    browser.cookies.set(COOKIE, "planted-by-somebody-else", domain="localhost.local")
    with httpx2.Client(trust_env=False, headers={"cookie": f"{COOKIE}=planted"}) as thief:
        answered(server, liar, browser)
        assert browser.get(server.url + "/").status_code == 200
        assert thief.get(server.url + "/").status_code == 303


def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client
) -> None:
    office.account(liar.url, "ana")
    begun = browser.get(f"{server.url}/sign-in/provider").headers["set-cookie"]
    inside = answered(server, liar, browser).headers["set-cookie"]
    for told in (begun, inside.partition(", nrm-sign-in")[0]):
        assert "HttpOnly" in told
        assert "SameSite=lax" in told
        assert "Path=/" in told
        assert "Domain" not in told
    assert "Max-Age" not in inside.partition(";")[2].partition(", ")[0]


def test_a_code_is_exchanged_once_and_an_answer_is_taken_once(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client
) -> None:
    office.account(liar.url, "ana")
    inside = answered(server, liar, browser)
    assert inside.status_code == 303
    again = browser.get(str(inside.url))
    assert "sign_in_expired" in again.text
    assert liar.asked.count("/token") == 1


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"state": "x"}, "sign_in_expired"),
        ({"state": "é"}, "sign_in_expired"),
        ({"iss": "https://attacker.example"}, "sign_in_failed"),
        ({"code": "another-nonce"}, "sign_in_failed"),
        ({"code": ""}, "provider_refused"),
        ({"error": "access_denied<script>"}, "provider_refused"),
    ],
)
def test_answers_that_let_nobody_in(
    server: ConsoleServer,
    office: Office,
    liar: Hostile,
    browser: httpx2.Client,
    other: dict[str, str],
    code: str,
) -> None:
    office.account(liar.url, "ana")
    page = answered(server, liar, browser, **other)
    assert f"<code>{code}</code>" in page.text
    assert "<script>" not in page.text
    assert browser.get(server.url + "/").status_code == 303


@pytest.mark.parametrize("name", ["<b>ana</b>", '"><script>alert(1)</script>', "{{7*7}}", "a'b"])
def test_a_name_from_outside_is_text(
    server: ConsoleServer, liar: Hostile, browser: httpx2.Client, name: str
) -> None:
    """Somebody not granted is shown the name their provider gave: as text."""
    liar.claims = {"sub": name}
    page = answered(server, liar, browser)
    assert page.status_code == 403
    assert "<b>ana" not in page.text
    assert "<script>alert" not in page.text
    assert "<dd>49</dd>" not in page.text


def test_an_unknown_account_and_a_revoked_one_read_the_same(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client
) -> None:
    never = answered(server, liar, browser).text
    office.account(liar.url, "ana")
    office.revoke()
    assert answered(server, liar, browser).text == never


@pytest.mark.parametrize("path", ["new/ask", "new", "passkey/ask", "passkey"])
def test_only_our_own_pages_ask_for_passkeys(
    server: ConsoleServer, browser: httpx2.Client, path: str
) -> None:
    for headers in (
        {},
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"origin": server.url, "sec-fetch-site": "cross-site"},
    ):
        answer = browser.post(f"{server.url}/sign-in/{path}", json={}, headers=headers)
        assert (answer.status_code, "form_not_ours" in answer.text) == (403, True)


JUNK: list[Any] = [
    None,
    [],
    "x",
    7,
    {},
    {"id": 7},
    {"id": "", "rawId": "", "type": "public-key", "response": {}},
    {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {"clientDataJSON": "AAAA"}},
    {"id": "x" * 5_000, "rawId": [], "type": {}, "response": None},
]


@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_junk_for_a_passkey_is_refused_and_never_fails(
    server: ConsoleServer, office: Office, browser: httpx2.Client, junk: Any
) -> None:
    code = office.passkey()
    ours = {"origin": server.url}
    for begin, end, told in (
        ("/sign-in/passkey/ask", "/sign-in/passkey", {"then": "//x"}),
        ("/sign-in/new/ask", "/sign-in/new", {"code": code}),
    ):
        assert browser.post(server.url + begin, json=told, headers=ours).status_code == 200
        answer = browser.post(server.url + end, json=junk, headers=ours)
        assert (answer.status_code, answer.json()["code"]) == (403, "passkey_failed")
        again = browser.post(server.url + end, json=junk, headers=ours)
        assert again.json()["code"] == "sign_in_expired"


def test_codes_cannot_be_tried_for_long(
    server: ConsoleServer, office: Office, browser: httpx2.Client
) -> None:
    office.passkey()
    ours, seen = {"origin": server.url}, set()
    for at in range(int(TRIES.burst) + 5):
        wrong = {"code": f"{at:032d}"}
        answer = browser.post(f"{server.url}/sign-in/new/ask", json=wrong, headers=ours)
        seen.add((answer.status_code, answer.json()["code"]))
    assert seen == {(403, "code_not_valid"), (429, "too_many_attempts")}
    assert browser.get(f"{server.url}/sign-in/provider").status_code == 429


def test_attempts_live_for_minutes_and_are_of_one_kind() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    name = attempts.begin(Attempt("passkey"))
    assert attempts.take(name, "oidc") is None
    assert attempts.take(name, "passkey") is None  # spoilt: an attempt is tried once
    name = attempts.begin(Attempt("oidc"))
    now[0] = LIFE + 1
    assert attempts.take(name, "oidc") is None
    assert attempts.take(None, "oidc") is None
    assert attempts.take("", "oidc") is None


def test_nobody_is_signed_out_by_somebody_elses_page(
    server: ConsoleServer, office: Office, liar: Hostile, browser: httpx2.Client
) -> None:
    office.account(liar.url, "ana")
    answered(server, liar, browser)
    assert browser.post(f"{server.url}/sign-out", data={"token": "x"}).status_code == 403
    assert browser.get(f"{server.url}/sign-out").status_code == 405
    assert browser.get(server.url + "/").status_code == 200


@pytest.mark.parametrize("host", ["attacker.example", "localhost.attacker.example", ""])
def test_another_hosts_name_is_not_answered(
    server: ConsoleServer, browser: httpx2.Client, host: str
) -> None:
    """DNS rebinding: a page of an attacker whose name leads to this machine."""
    assert browser.get(f"{server.url}/sign-in", headers={"host": host}).status_code == 400


def test_bodies_are_small(server: ConsoleServer, browser: httpx2.Client) -> None:
    large = browser.post(f"{server.url}/sign-out", content=b"x" * 300_000)
    assert large.status_code == 413


def test_headers_cannot_be_written_through_a_language_or_a_path(
    server: ConsoleServer, browser: httpx2.Client
) -> None:
    path = quote("/sign-in\r\nset-cookie: a=b")
    answer = browser.get(server.url + path, headers={"accept-language": "../../etc,en;q=x"})
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


def test_a_body_that_does_not_come_is_given_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    assert serving.LIMITS.body_seconds <= 30
    monkeypatch.setattr(serving, "LIMITS", replace(serving.LIMITS, body_seconds=1.0))
    with served(home) as server:
        port = server._listener.port
        with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
            slow.sendall(
                b"POST /sign-in/passkey HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
            )
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
