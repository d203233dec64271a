"""Sessions: begun anew at sign-in, ended by time, by signing out and by their grant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import Request, Response
from starlette.testclient import TestClient

from hub.console.app import create_console
from hub.console.desk import COOKIE, Console, LooksUnrecorded, NotForYou, SignInNeeded
from hub.console.form import Sent
from hub.console.sessions import FRESH, IDLE, LONGEST, Sessions
from hub.console.viewer import Viewer
from tests.console.conftest import SignIn

AUDITOR = Viewer("audit-1", "auditor")
OPERATOR = Viewer("operator-1", "operator")


class Time:
    at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sessions(time: Time) -> Sessions:
    return Sessions(time)


def test_a_session_ends_when_nobody_asks(sessions: Sessions, time: Time) -> None:
    name = sessions.begin(AUDITOR)
    time.at = IDLE
    assert sessions.find(name) is not None
    time.at = 2 * IDLE
    assert sessions.find(name) is not None
    time.at = 3 * IDLE + 1
    assert sessions.find(name) is None
    time.at = 3 * IDLE
    assert sessions.find(name) is None  # for good, whatever the clock does


def test_a_session_ends_after_a_day_of_work_in_any_case(sessions: Sessions, time: Time) -> None:
    name = sessions.begin(AUDITOR)
    while time.at <= LONGEST - IDLE / 2:
        time.at += IDLE / 2
        assert sessions.find(name) is not None
    time.at += IDLE / 2
    assert sessions.find(name) is None


def test_only_a_young_sign_in_may_change_something(sessions: Sessions, time: Time) -> None:
    session = sessions.find(sessions.begin(AUDITOR))
    assert session is not None
    time.at = FRESH
    assert sessions.fresh(session)
    time.at = FRESH + 1
    assert not sessions.fresh(session)


def test_ids_are_long_and_never_the_same(sessions: Sessions) -> None:
    names = {sessions.begin(AUDITOR) for _ in range(1_000)}
    assert len(names) == 1_000
    assert min(map(len, names)) >= 43


@pytest.fixture
def changing(console: Console, time: Time) -> Iterator[TestClient]:
    """A console with a page that changes something."""
    console.sessions = Sessions(time)
    app = create_console(console)

    @app.post("/change")
    def change(request: Request, sent: Sent) -> Response:
        viewer = console.admit_change(request, sent.get("token"), "operator")
        return Response(f"changed by {viewer.name}")

    with TestClient(app, follow_redirects=False) as client:
        yield client


def test_a_form_needs_the_sessions_token_and_a_young_sign_in(
    console: Console, changing: TestClient, time: Time
) -> None:
    name = console.sessions.begin(OPERATOR)
    changing.cookies.set(COOKIE, name)
    session = console.sessions.find(name)
    assert session is not None
    assert changing.post("/change", data={"token": session.token}).text == "changed by operator-1"
    for wrong in ("", "x", session.token[:-1], session.token + "x", "é"):
        answer = changing.post("/change", data={"token": wrong})
        assert (answer.status_code, "form_not_ours" in answer.text) == (403, True)
    assert changing.post("/change").status_code == 403
    time.at = FRESH + 1
    again = changing.post(
        "/change", data={"token": session.token}, headers={"referer": "http://testserver/cases?a=b"}
    )
    assert again.status_code == 303
    assert again.headers["location"] == "/sign-in?then=%2Fcases%3Fa%3Db&again=yes"
    for elsewhere in ("https://attacker.example/x", "http://[", "http://testserver//attacker"):
        led = changing.post(
            "/change", data={"token": session.token}, headers={"referer": elsewhere}
        )
        assert led.headers["location"] == "/sign-in?then=%2F&again=yes"


def test_another_role_changes_nothing_and_the_try_is_recorded(
    console: Console, changing: TestClient
) -> None:
    name = console.sessions.begin(AUDITOR)
    changing.cookies.set(COOKIE, name)
    session = console.sessions.find(name)
    assert session is not None
    answer = changing.post("/change", data={"token": session.token})
    assert answer.status_code == 403
    assert isinstance(console.looks, LooksUnrecorded)
    assert console.looks.refusals == [(AUDITOR, "/change", "not_for_this_role")]


def test_a_session_whose_grant_fell_is_nobodys(console: Console, signed_in: SignIn) -> None:
    class Fallen:
        def stand(self, viewer: Viewer, granted: int) -> bool:
            return False

        def of(self, viewer: Viewer) -> int:
            return 0

    client = signed_in(AUDITOR)
    assert client.get("/").status_code == 200
    console.grants = Fallen()
    assert client.get("/").status_code == 303


# -- programs that ask with a session ----------------------------------------------------------


def asked(method: str, cookie: str, **headers: str) -> Request:
    sent = {"cookie": f"{COOKIE}={cookie}", **headers}
    return Request(
        {
            "type": "http",
            "method": method,
            "path": "/",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        }
    )


def test_a_session_asks_too_and_shows_its_token_unless_it_only_reads(console: Console) -> None:
    from hub.console.desk import CallerUnknown

    name = console.sessions.begin(AUDITOR)
    session = console.sessions.find(name)
    assert session is not None
    assert console.admit_caller(asked("GET", name)) is AUDITOR
    with pytest.raises(NotForYou):
        console.admit_caller(asked("POST", name))
    told = {"x-console-token": session.token}
    assert console.admit_caller(asked("POST", name, **told), "auditor") is AUDITOR
    with pytest.raises(CallerUnknown):
        console.admit_caller(asked("GET", "other"))
    with pytest.raises(CallerUnknown):  # a header is never passed over for the cookie
        console.admit_caller(asked("GET", name, authorization="Bearer x"))
    with pytest.raises(CallerUnknown):
        console.admit_caller(asked("GET", name, authorization="Basic YTpi"))


def test_programs_are_answered_with_problem_details(console: Console) -> None:
    app = create_console(console)

    @app.get("/ask")
    def ask(request: Request) -> Response:
        return Response(console.admit_caller(request, "rapporteur").name)

    with TestClient(app) as client:
        nobody = client.get("/ask")
        assert nobody.status_code == 401
        assert nobody.headers["content-type"] == "application/problem+json"
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        assert nobody.json()["code"] == "sign_in_needed"
        client.cookies.set(COOKIE, console.sessions.begin(AUDITOR))
        assert client.get("/ask").json()["code"] == "not_for_this_role"


def test_where_a_stranger_wanted_to_go_is_kept() -> None:
    assert SignInNeeded("/a?b=c&d").location == "/sign-in?then=%2Fa%3Fb%3Dc%26d"
