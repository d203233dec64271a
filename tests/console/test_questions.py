"""Questions over HTTP and as pages: who may ask what, looks recorded first, problems, downloads."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from hub.audit.questions import QUESTIONS, Hub
from hub.console.app import create_console
from hub.console.desk import Console, LooksUnrecorded
from hub.console.questions import question_calls
from hub.console.viewer import Viewer
from hub.home import Home
from hub.hub import Deciding
from hub.store.errors import StoreUnavailable
from tests.console.conftest import SignIn
from tests.played import play, scenario
from tests.questions.test_mappings import MAPPING

AUDITOR = Viewer("Ana Auditor", "auditor")
OPERATOR = Viewer("Omar Operator", "operator")
RAPPORTEUR = Viewer("Rosa Rapporteur", "rapporteur")
OFFICER = Viewer("Pia Police", "agency_officer", "POL-1")
DOCUMENT = scenario("S1")
CASE = DOCUMENT["events"][0]["case"]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("console-questions")
    road = play(folder, DOCUMENT)
    road.hub.checkpoints.step(now=True)
    road.close()
    return folder / "hub"


@pytest.fixture
def console(played: Path) -> Iterator[Console]:
    with Deciding.open(Home(played)) as deciding:
        yield Console(deciding, LooksUnrecorded())


class Calls:
    """The calls in an application of their own, and whoever is signed in at the moment."""

    def __init__(self, console: Console) -> None:
        self.viewer = AUDITOR
        self.looks: list[tuple[str, str, str]] = []
        self.fails: Exception | None = None
        app = FastAPI()
        hub = Hub(console.exchange, console.hub_id, console.log_verifier)
        app.include_router(question_calls(lambda: hub, self._who, self._look))
        self.client = TestClient(app)

    def _who(self, request: Request) -> Viewer:
        return self.viewer

    def _look(self, viewer: Viewer, question: str, about: str) -> None:
        if self.fails:
            raise self.fails
        self.looks.append((viewer.name, question, about))

    def get(self, path: str = "", **params: str) -> Any:
        return self.client.get(f"/api/questions{path}", params=params)

    def problem(self, status: int, code: str, path: str, **params: str) -> dict[str, Any]:
        answer = self.get(path, **params)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        said: dict[str, Any] = answer.json()
        assert (said["status"], said["code"]) == (status, code)
        assert said["type"] == f"urn:nrm:problem:{code.replace('_', '-')}"
        assert said["title"]
        assert said["next"]
        return said


@pytest.fixture
def calls(console: Console) -> Iterator[Calls]:
    calls = Calls(console)
    with calls.client:
        yield calls


# -- the calls ---------------------------------------------------------------------------------


def test_an_auditor_asks_and_gets_the_answer_as_json_and_csv(calls: Calls) -> None:
    said = calls.get("/Q01", case=CASE).json()
    assert (said["question"], said["position"]) == ("Q01", calls.get("/Q06").json()["position"])
    assert len(said["rows"]) == 56
    as_csv = calls.get("/Q01", case=CASE, format="csv")
    assert as_csv.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [row["agency"] for row in rows] == [row["agency"] for row in said["rows"]]
    assert calls.get("/q06").json()["verdict"] == "empty as it must be"


@pytest.mark.parametrize(
    ("viewer", "allowed"),
    [
        (AUDITOR, set(QUESTIONS)),
        (OPERATOR, set(QUESTIONS)),
        (RAPPORTEUR, {f"Q{n}" for n in range(15, 23)}),
        (OFFICER, {"Q02", "Q23", "Q24"}),
    ],
)
def test_each_role_may_ask_its_own(viewer: Viewer, allowed: set[str], calls: Calls) -> None:
    calls.viewer = viewer
    assert {one["id"] for one in calls.get().json()} == allowed
    for id_ in set(QUESTIONS) - allowed:
        calls.problem(403, "not_for_this_role", f"/{id_}")


def test_nobody_asks_without_signing_in(console: Console) -> None:
    with TestClient(create_console(console)) as stranger:
        for path in ("", "/Q06"):
            answer = stranger.get(f"/api/questions{path}")
            assert answer.status_code == 401
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "sign_in_needed"
    assert isinstance(console.looks, LooksUnrecorded)
    assert console.looks.seen == []


def test_an_officer_asks_about_the_own_agency_alone(calls: Calls) -> None:
    calls.viewer = OFFICER
    mine = calls.get("/Q02").json()
    assert mine["parameters"]["agency"] == "POL-1"
    assert calls.get("/Q02", agency="POL-1").json()["rows"] == mine["rows"]
    calls.problem(403, "not_your_agency", "/Q02", agency="SH-1")
    calls.problem(403, "not_your_agency", "/Q23", agency="SH-1")
    # Whether a case exists is not for an agency outside it to find out.
    calls.problem(400, "unknown_parameter", "/Q02", case=CASE)
    calls.problem(400, "unknown_parameter", "/Q02", case="NO-SUCH-CASE")


def test_no_log_position_reaches_who_may_not_count_others(calls: Calls) -> None:
    whole = calls.get("/Q02", agency="POL-1").json()
    hidden = {"case", "event", "recorded"}
    calls.viewer = OFFICER
    mine = calls.get("/Q02").json()
    assert mine["position"] is None
    assert {one["name"] for one in whole["columns"]} - hidden == {
        one["name"] for one in mine["columns"]
    }
    assert len(mine["rows"]) == len(whole["rows"])
    assert not any(hidden & row.keys() for row in mine["rows"])
    calls.problem(400, "position_not_for_you", "/Q02", as_of="60")
    assert calls.get("/Q02", as_of="2026-03-05").json()["rows"]
    assert calls.get("/Q23").json()["position"] is None
    calls.viewer = RAPPORTEUR
    calls.problem(400, "position_not_for_you", "/Q15", period="2026-Q1", as_of="60")


def test_an_officer_tries_the_own_mapping(calls: Calls) -> None:
    calls.viewer = OFFICER
    assert calls.get("/Q24", mapping_text=MAPPING).json()["findings"] == 0
    # A file of the hub's own machine is never named from outside.
    for name in ("mapping", "schemas"):
        calls.problem(400, "unknown_parameter", "/Q24", **{name: "/etc/passwd"})
    calls.viewer = AUDITOR
    calls.problem(400, "unknown_parameter", "/Q24", mapping="/etc/passwd")


def test_the_look_is_recorded_before_the_answer(calls: Calls, console: Console) -> None:
    case_id = console.exchange.pseudonyms.canonical("case", CASE).hex
    calls.get("/Q01", case=CASE)
    calls.get("/Q02", agency="POL-1")
    calls.get("/Q06")
    calls.get("")
    assert calls.looks == [
        (AUDITOR.name, "Q01", case_id),  # never as it was typed
        (AUDITOR.name, "Q02", "POL-1"),
        (AUDITOR.name, "Q06", ""),
        (AUDITOR.name, "questions", ""),
    ]
    calls.fails = StoreUnavailable("the log cannot be written")
    calls.problem(503, "not_now", "/Q06")
    calls.problem(503, "not_now", "")


@pytest.mark.parametrize(
    ("status", "code", "path", "params"),
    [
        (404, "unknown_question", "/Q99", {}),
        (404, "unknown_case", "/Q01", {"case": "Kanarie"}),
        (404, "unknown_agency", "/Q23", {"agency": "Kanarie"}),
        (404, "not_published", "/Q15", {"period": "2026-Q1"}),
        (400, "missing_parameter", "/Q02", {}),
        (400, "unknown_parameter", "/Q06", {"kanarie": "Kanarie"}),
        (400, "bad_parameter_value", "/Q15", {"period": "2026-Q1", "table": "Kanarie"}),
        (400, "bad_parameter_value", "/Q06", {"format": "Kanarie"}),
        (400, "bad_period", "/Q15", {"period": "Kanarie"}),
        (400, "bad_as_of", "/Q06", {"as_of": "Kanarie"}),
        (400, "bad_moment", "/Q02", {"agency": "POL-1", "happened_before": "Kanarie"}),
    ],
)
def test_refusals_are_problems_that_repeat_nothing(
    status: int, code: str, path: str, params: dict[str, str], calls: Calls
) -> None:
    said = calls.problem(status, code, path, **params)
    assert "kanarie" not in json.dumps(said).lower()


# -- the pages ---------------------------------------------------------------------------------


def token_of(page: str) -> str:
    [token] = set(re.findall(r'name="token" value="([^"]+)"', page))
    return token


@pytest.mark.parametrize("viewer", [AUDITOR, RAPPORTEUR, OFFICER])
def test_the_page_lists_what_this_viewer_may_ask(viewer: Viewer, signed_in: SignIn) -> None:
    page = signed_in(viewer).get("/questions")
    assert page.status_code == 200
    listed = set(re.findall(r'href="/questions/(Q\d\d)"', page.text))
    answer = signed_in(viewer).get("/api/questions")
    assert listed == {one["id"] for one in answer.json()}
    assert 'aria-current="page"' in page.text


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_a_form_of_its_parameters(question: str, signed_in: SignIn) -> None:
    client = signed_in(AUDITOR)
    page = client.get(f"/questions/{question}")
    assert page.status_code == 200
    for one in QUESTIONS[question].parameters:
        assert (f'name="{one.name}"' in page.text) == (not one.local)
    assert "<script" not in page.text
    assert page.text.count("<label>") == sum(
        not one.local for one in QUESTIONS[question].parameters
    )


def test_an_answer_is_an_accessible_table_and_a_file(signed_in: SignIn, console: Console) -> None:
    client = signed_in(AUDITOR)
    token = token_of(client.get("/questions/Q04").text)
    page = client.post("/questions/Q04", data={"token": token, "case": CASE})
    assert page.status_code == 200
    assert '<caption id="rows">' in page.text
    assert page.text.count('<th scope="col">') == len(QUESTIONS["Q04"].columns)
    assert "nothing that must not be there" in page.text
    assert isinstance(console.looks, LooksUnrecorded)
    case_id = console.exchange.pseudonyms.canonical("case", CASE).hex
    assert console.looks.seen[-1] == (AUDITOR, "Q04", case_id)
    form = {"token": token, "case": CASE}
    as_json = client.post("/questions/Q04", data={**form, "format": "json"})
    assert len(as_json.json()["rows"]) == 2
    as_csv = client.post("/questions/Q04", data={**form, "format": "csv"})
    assert as_csv.headers["content-disposition"] == 'attachment; filename="Q04.csv"'


def test_a_mapping_is_pasted_into_the_form(signed_in: SignIn) -> None:
    client = signed_in(OFFICER)
    token = token_of(client.get("/questions/Q24").text)
    page = client.post("/questions/Q24", data={"token": token, "mapping_text": MAPPING})
    assert "nothing found" in page.text
    wrong = client.post("/questions/Q24", data={"token": token, "mapping_text": "<b>"})
    assert wrong.status_code == 400
    assert "bad_mapping" in wrong.text
    assert "<b>" not in wrong.text


def test_what_is_wrong_is_said_above_the_form(signed_in: SignIn) -> None:
    client = signed_in(AUDITOR)
    token = token_of(client.get("/questions/Q02").text)
    page = client.post("/questions/Q02", data={"token": token, "agency": "<i>"})
    assert page.status_code == 404
    assert "unknown_agency" in page.text
    assert "<i>" not in page.text


def test_a_page_of_another_role_and_a_form_that_is_not_ours(signed_in: SignIn) -> None:
    officer = signed_in(OFFICER)
    assert officer.get("/questions/Q06").status_code == 403
    token = token_of(officer.get("/questions/Q02").text)
    assert officer.post("/questions/Q06", data={"token": token}).status_code == 403
    assert officer.post("/questions/Q02", data={"token": "another"}).status_code == 403
    another = {"token": token, "agency": "SH-1"}
    assert officer.post("/questions/Q02", data=another).status_code == 403
    stranger = signed_in(AUDITOR)
    stranger.cookies.clear()
    assert stranger.get("/questions").status_code == 303
    assert stranger.get("/api/questions").status_code == 401
