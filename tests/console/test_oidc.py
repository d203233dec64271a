"""Signing in at a certified OpenID provider, over real HTTP, without a script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from hub.console.desk import Console
from hub.console.serving import ConsoleServer
from hub.home import Home
from hub.hub import Deciding
from hub.store import events as stored
from tests.console.admitted import Office, served
from tests.console.certified import PROGRAM_SECRET, SECRET, Person, certified, free_port

AUDIENCE = "urn:nrm:console"
pytestmark = pytest.mark.oidc


@dataclass
class Scene:
    """A console, a provider, two officers, and somebody granted as ana."""

    issuer: str
    server: ConsoleServer
    office: Office

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def console(self) -> Console:
        return self.server.console


@pytest.fixture
def scene(home: Home) -> Iterator[Scene]:
    port = free_port()
    with (
        certified(f"http://localhost:{port}/sign-in/answer") as issuer,
        served(home, port=port, oidc=oidc(issuer)) as server,
        Deciding.open(home) as other,
    ):
        office = Office(other.reading.exchange)
        office.account(issuer, "ana")
        yield Scene(issuer, server, office)


def oidc(issuer: str) -> dict[str, str]:
    return {
        "issuer": issuer,
        "client_id": "nrm-console",
        "client_secret": SECRET,
        "name": "The Ministry",
        "audience": AUDIENCE,
    }


@pytest.fixture
def person() -> Iterator[Person]:
    with Person() as one:
        yield one


def test_somebody_granted_signs_in_and_gets_where_they_wanted(scene: Scene, person: Person) -> None:
    page = person.sign_in(scene.url, "ana", then="/looks?days=31")
    assert page.status_code == 200
    assert str(page.url) == f"{scene.url}/looks?days=31"
    assert "Signed in as audit-1, auditor" in page.text
    rows = scene.office.exchange.log.read(0, 10_000, frozenset({stored.ViewerSignedIn.TOPIC}))
    assert [(row.event.viewer, row.event.how) for row in rows] == [("audit-1", "oidc")]  # type: ignore[attr-defined]


def test_somebody_not_granted_is_told_what_to_ask_for(scene: Scene, person: Person) -> None:
    page = person.sign_in(scene.url, "boris")
    assert page.status_code == 403
    assert "not_granted" in page.text
    assert scene.issuer in page.text
    assert "boris" in page.text
    assert person.get(scene.url).status_code == 303


def test_a_grant_that_falls_ends_the_session_with_the_next_page(
    scene: Scene, person: Person
) -> None:
    assert person.sign_in(scene.url, "ana").status_code == 200
    scene.office.revoke()  # in another process's view of the log
    answer = person.get(scene.url + "/looks")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?then=%2Flooks")
    assert person.sign_in(scene.url, "ana").status_code == 403


def test_an_answer_is_for_the_browser_that_asked_and_for_once(scene: Scene, person: Person) -> None:
    person.console_port = scene.url.rpartition(":")[2]
    form = person.on(person.get(f"{scene.url}/sign-in/provider"))
    answer = person.at_provider(form, "ana")
    where = answer.headers["location"]
    with Person() as thief:
        assert "sign_in_expired" in thief.get(where).text  # no attempt of this browser
        thief.get(f"{scene.url}/sign-in/provider")
        assert "sign_in_expired" in thief.get(where).text  # an attempt, of another state
    assert person.get(where).status_code == 303
    person.cookies.delete("nrm-console")
    assert "sign_in_expired" in person.get(where).text  # taken once


def test_an_answer_of_another_provider_is_not_taken(scene: Scene, person: Person) -> None:
    person.console_port = scene.url.rpartition(":")[2]
    answer = person.at_provider(person.on(person.get(f"{scene.url}/sign-in/provider")), "ana")
    where = answer.headers["location"]
    assert "iss=" in where
    mixed = where.replace("iss=", "iss=https%3A%2F%2Fattacker.example&iss=")
    assert person.get(mixed).status_code == 400
    assert person.get(scene.url).status_code == 303
    begun = person.get(f"{scene.url}/sign-in/provider")
    answer = person.on(begun, until=f"{scene.url}/sign-in/answer")
    before, _, _ = answer.headers["location"].partition("iss=")
    page = person.get(before + "iss=https%3A%2F%2Fattacker.example")
    assert (page.status_code, "sign_in_failed" in page.text) == (403, True)
    assert person.get(scene.url).status_code == 303


def test_what_the_provider_is_asked(scene: Scene, person: Person) -> None:
    answer = person.get(f"{scene.url}/sign-in/provider?again=yes&then=/looks")
    asked = {
        name: value[0]
        for name, value in parse_qs(urlsplit(answer.headers["location"]).query).items()
    }
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    assert asked["state"] != asked["nonce"]


def test_signing_in_again_is_asked_of_the_provider_and_proved(scene: Scene, person: Person) -> None:
    person.sign_in(scene.url, "ana")
    before = person.cookies["nrm-console"]
    page = person.sign_in(scene.url, "ana", then="/looks", again=True)
    assert page.status_code == 200
    assert person.cookies["nrm-console"] != before
    with Person() as other:  # the old session ended with the new one
        other.cookies.set("nrm-console", before)
        assert other.get(scene.url).status_code == 303


def test_a_provider_that_changes_its_keys(home: Home, person: Person) -> None:
    port, at = free_port(), free_port()
    callback = f"http://localhost:{port}/sign-in/answer"
    issuer = f"http://localhost:{at}"
    with served(home, port=port, oidc=oidc(issuer)) as server, Deciding.open(home) as other:
        Office(other.reading.exchange).account(issuer, "ana")
        with certified(callback, port=at, kid="k1"):
            assert person.sign_in(server.url, "ana").status_code == 200
        provider = server.entrance.provider
        assert provider is not None
        provider._steady = lambda: 1e9  # some time later
        with certified(callback, port=at, kid="k2"), Person() as again:
            assert again.sign_in(server.url, "ana").status_code == 200


def test_without_the_provider_the_page_says_so(home: Home, person: Person) -> None:
    with served(home, oidc=oidc("http://localhost:9")) as server:
        assert "Sign in with The Ministry" in person.get(f"{server.url}/sign-in").text
        page = person.get(f"{server.url}/sign-in/provider")
        assert page.status_code == 503
        assert "provider_away" in page.text


def test_signing_out_offers_to_end_the_providers_session_too(scene: Scene, person: Person) -> None:
    page = person.sign_in(scene.url, "ana")
    token = page.text.partition('name="token" value="')[2].partition('"')[0]
    out = person.on(person.post(f"{scene.url}/sign-out", data={"token": token}))
    assert f"{scene.issuer}/session/end?client_id=nrm-console" in out.text
    assert person.get(scene.url).status_code == 303


# -- programs --------------------------------------------------------------------------------


def test_a_program_asks_with_an_access_token(scene: Scene) -> None:
    from fastapi import Request

    scene.office.account(scene.issuer, "programs", name="nightly", role="rapporteur")

    def asker(token: str) -> Request:
        headers = [(b"authorization", f"Bearer {token}".encode())]
        scope = {"type": "http", "headers": headers, "method": "GET", "client": ("127.0.0.1", 1)}
        return Request(scope)

    def token(resource: str) -> str:
        answer = httpx2.post(
            f"{scene.issuer}/token",
            auth=("programs", PROGRAM_SECRET),
            data={"grant_type": "client_credentials", "resource": resource, "scope": "ask"},
        )
        found: str = answer.json()["access_token"]
        return found

    viewer = scene.console.admit_caller(asker(token(AUDIENCE)), "rapporteur")
    assert (viewer.name, viewer.role) == ("nightly", "rapporteur")
    from hub.console.desk import CallerUnknown, NotForYou

    with pytest.raises(NotForYou):
        scene.console.admit_caller(asker(token(AUDIENCE)), "auditor")
    for wrong in (token("urn:other"), "junk", ""):
        with pytest.raises(CallerUnknown) as found:
            scene.console.admit_caller(asker(wrong))
        assert (found.value.status, found.value.code) == (401, "token_refused")
    scene.office.revoke("nightly")
    with pytest.raises(CallerUnknown, match="not_granted"):
        scene.console.admit_caller(asker(token(AUDIENCE)))
