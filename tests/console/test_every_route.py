"""Every route there is, asked by strangers, by each role and by forged forms.

Routes are read from the application, so one that comes later is held to the same without a line
here: closed unless it is on the list of public ones, never stored by a browser or proxy, never in
a frame, and changing nothing for a form that the session was not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from hub.authority.viewers import PASSKEY, Grant
from hub.console.app import create_console
from hub.console.browsing import BrowsingLimits
from hub.console.desk import COOKIE
from hub.console.serving import put_together
from hub.console.settings import read_console
from hub.console.viewer import ROLES, Role, Viewer
from hub.store import events as stored
from tests.consent.stage import close
from tests.console.admitted import Office
from tests.console.story import Story, reading, story

URL = "http://testserver"
PUBLIC = {
    "/sign-in", "/sign-in/provider", "/sign-in/answer", "/sign-in/new", "/sign-in/new/ask",
    "/sign-in/passkey", "/sign-in/passkey/ask", "/signed-out", "/static",
}  # fmt: skip
CLOSED = {303, 401, 403}


class House:
    """A console with everything in it, over a hub on which a good deal happened."""

    def __init__(self, told: Story, deciding: Any) -> None:
        self.exchange = deciding.reading.exchange
        unlimited = {name: 0 for name in BrowsingLimits.model_fields if "_per_" in name}
        settings = read_console({"port": 0, "browsing": unlimited})
        self.console, entrance = put_together(deciding, settings, URL)
        self.app: FastAPI = create_console(self.console, None, entrance)
        self.case = told.hub.exchange.pseudonyms.canonical("case", "C1").hex
        office = Office(self.exchange, told.signing)
        self.viewers: dict[Role, tuple[Viewer, int]] = {}
        for number, role in enumerate(ROLES):
            agency = "SH-1" if role == "agency_officer" else ""
            granted, _ = office.grant(Grant(f"v-{number}", role, agency, PASSKEY))
            self.viewers[role] = (
                Viewer(f"v-{number}", role, agency or None, PASSKEY),
                (granted.position),
            )

    def routes(self, method: str) -> list[str]:
        """Paths with a case, an agency or a number where one belongs."""
        found = []
        for route in iter_route_contexts(self.app.routes):
            if method in (route.methods or ()):
                found.append(re.sub(r"\{(\w+)(?::\w+)?\}", self._filled, str(route.path)))
        return sorted(set(found))

    def _filled(self, name: re.Match[str]) -> str:
        return {"case": self.case, "agency": "SH-1", "question_id": "Q01"}.get(name[1], "1")

    def visitor(self, role: Role | None = None) -> TestClient:
        client = TestClient(self.app, base_url=URL, follow_redirects=False)
        if role is not None:
            client.cookies.set(COOKIE, self.console.sessions.begin(*self.viewers[role]))
        return client

    def rows(self) -> list[stored.StoreEvent]:
        """What is in the log, looks apart."""
        return [
            one.event
            for one in self.exchange.log.read(0, 1_000_000)
            if not isinstance(one.event, stored.ConsoleLooked)
        ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = story(tmp_path_factory.mktemp("routes"))
    with reading(made) as deciding:
        yield House(made, deciding)
    close(made)


def guarded(answer: Any) -> None:
    """Kept by nobody on the way, shown in no frame, and no type guessed."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_only_these_are_open_to_strangers(house: House) -> None:
    stranger, paths = house.visitor(), house.routes("GET")
    assert len(paths) > 15
    mounts = {one.path for one in iter_route_contexts(house.app.routes) if one.methods is None}
    assert mounts == {"/static"}, "whatever is mounted is public: say so here"
    for path in paths:
        answer = stranger.get(path)
        guarded(answer)
        if path not in PUBLIC:
            assert answer.status_code in CLOSED, path
            assert house.case not in answer.text


def test_a_made_up_session_is_a_stranger(house: House) -> None:
    for name in ("x" * 43, "", "a" * 5_000, "'; --"):
        stranger = house.visitor()
        stranger.cookies.set(COOKIE, name)
        assert stranger.get("/cases").status_code == 303


@pytest.mark.parametrize("role", ROLES)
def test_every_page_for_every_role(house: House, role: Role) -> None:
    client = house.visitor(role)
    for path in house.routes("GET"):
        answer = client.get(path)
        assert answer.status_code < 500 or answer.status_code == 503, path
        guarded(answer)


@pytest.mark.parametrize("role", [None, *ROLES])
@pytest.mark.parametrize("token", ["", "x", "another's"])
def test_a_form_that_was_not_shown_changes_nothing(
    house: House, role: Role | None, token: str
) -> None:
    client = house.visitor(role)
    if token == "another's":
        another = house.console.sessions.begin(*house.viewers["auditor"])
        found = house.console.sessions.find(another)
        assert found is not None
        token = found.token
    before = house.rows()
    paths = house.routes("POST")
    assert len(paths) >= 8
    for path in paths:
        sent = {"token": token, "do": "redrive", "case": "C1", "because": "not_needed"}
        headers = {"origin": "https://attacker.example"}
        answer = client.post(path, data=sent, headers=headers)
        guarded(answer)
        if (role is None and path == "/sign-out") or path == "/language":
            continue  # there is nothing to end; how a page reads is nobody's secret and no change
        assert answer.status_code in (CLOSED if role is None else {403}), path
    for method in ("PUT", "DELETE", "PATCH"):
        for path in house.routes("POST") + house.routes("GET"):
            assert client.request(method, path).status_code in (404, 405), path
    assert house.rows() == before
    if role is not None:
        assert client.get("/").status_code == 200, "nobody was signed out"


OFFICERS = ["/", "/work", "/preview", "/deliveries", "/dead-letters", "/registry", "/questions"]


def test_an_officer_cannot_tell_a_case_that_is_there_from_one_that_is_not(house: House) -> None:
    client = house.visitor("agency_officer")
    session = house.console.sessions.find(client.cookies.get(COOKIE))
    assert session is not None
    theirs = house.exchange.pseudonyms.canonical("case", "C3").hex  # POL-1's, never SH-1's
    nobodys, references = "0" * 31 + "1", ("C3", "C-no-such")

    def alike(answers: list[Any], names: tuple[str, str]) -> None:
        texts = []
        for answer in answers:
            text = answer.text
            for name in names:
                text = text.replace(name, "·").replace(f">{name[:8]}<", ">·<")
            texts.append(text)
        assert answers[0].status_code == answers[1].status_code
        assert texts[0] == texts[1]

    ids = theirs, nobodys
    for path in house.routes("GET"):
        if house.case in path:
            alike([client.get(path.replace(house.case, one)) for one in ids], ids)
    for path in OFFICERS:
        for case in (ids, references):
            asked = [{"case": one, "about": one} for one in case]
            alike([client.get(path, params=one) for one in asked], case)
    for case in (ids, references):
        for path in house.routes("POST"):
            if path.startswith("/sign"):
                continue
            sent = {"token": session.token, "type": "NeedsAssessed", "stage": "decide"}
            alike([client.post(path, data={**sent, "case": one}) for one in case], case)


@pytest.mark.parametrize(
    "path",
    [
        "..%2fapp.py",
        "%2e%2e/app.py",
        "..%5capp.py",
        "%2fetc%2fpasswd",
        "verify/%2e%2e/%2e%2e/app.py",
        "%00",
        "verify",
        "x" * 5_000,
    ],
)
def test_files_beside_the_static_ones_are_out_of_reach(house: House, path: str) -> None:
    answer = house.visitor().get(f"/static/{path}")
    assert answer.status_code == 404
    assert b"create_console" not in answer.content
    guarded(answer)
