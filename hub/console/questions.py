"""Questions over HTTP: the catalogue as JSON, for whoever is signed in.

    GET /api/questions                      those this viewer may ask, with their parameters
    GET /api/questions/Q06                  the answer; ?format=csv for its rows alone
    GET /api/questions/Q01?case=<id>        parameters as docs/questions.md names them

Order of every call: who is looking, whether they may ask this with these parameters, the record of
the look, the answer. A refusal is a problem (RFC 9457) and repeats nothing of the request.

Auditors and operators ask everything; the rapporteur what rests on published tables; an agency's
officer what is about that agency alone, as of a time and never of a log position, since positions
would count what was recorded about everybody else. Files of the hub's machine are never named.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from hub.api.problems import PROBLEM_JSON
from hub.audit.questions import QUESTIONS, Answer, Hub, Question, answer, named
from hub.audit.replay import case_named
from hub.console.viewer import Viewer
from hub.errors import HubError, Refused

Look = Callable[[Viewer, str, str], None]
TurnedAway = Callable[[Viewer, str], None]
Given = Mapping[str, str | None]

EVERYTHING: Final = ("auditor", "operator")
ROUTE: Final = "/api/questions/{question_id}"
CSV: Final = "text/csv; charset=utf-8"


class Problem(Exception):
    """A call that is refused. code: stable; next: what to do."""

    def __init__(self, status: int, code: str, title: str, next_: str) -> None:
        super().__init__(code)
        self.status, self.code, self.title, self.next = status, code, title, next_

    def response(self) -> Response:
        body = {
            "type": f"urn:nrm:problem:{self.code.replace('_', '-')}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "next": self.next,
        }
        return JSONResponse(body, self.status, media_type=PROBLEM_JSON)


_NOT_YOURS: Final = Problem(
    403,
    "not_for_this_role",
    "This question is not for your role",
    "GET /api/questions lists those you may ask.",
)
_ANOTHERS: Final = Problem(
    403,
    "not_your_agency",
    "An officer asks about the own agency",
    "Leave the agency out: it is the one you are an officer of.",
)
_POSITION: Final = Problem(
    400,
    "position_not_for_you",
    "Log positions are not for this role",
    "Give a date or an instant as as_of.",
)


def offered(viewer: Viewer) -> list[Question]:
    """The questions this viewer may ask."""
    return [one for one in QUESTIONS.values() if _may(viewer, one)]


def _may(viewer: Viewer, question: Question) -> bool:
    if viewer.role in EVERYTHING:
        return True
    if viewer.role == "rapporteur":
        return question.who == "rapporteur"
    return question.agency_own


def parameters_for(viewer: Viewer, question: Question) -> list[dict[str, Any]]:
    """What this viewer may give with it."""
    return [
        {
            "name": one.name,
            "means": one.means,
            "example": one.example,
            "required": one.required,
            "choices": list(one.choices),
            "text": one.text,
        }
        for one in question.parameters
        if not one.local and not (viewer.role == "agency_officer" and one.name in _NOT_OFFICERS)
    ]


_NOT_OFFICERS: Final = ("agency", "case")  # whether a case exists is not for them to find out


def put(hub: Hub, viewer: Viewer, look: Look, question_id: str, given: Given) -> Answer:
    """Ask for a viewer: checked, the look recorded, answered. Raises Problem or Refused."""
    question = named(question_id)
    if not _may(viewer, question):
        raise _NOT_YOURS
    values = {name: value for name, value in given.items() if value}
    local = {one.name for one in question.parameters if one.local}
    if local & values.keys():
        raise Refused(0, "unknown_parameter", "files are for the command: nrm-hub audit ask")
    if viewer.role not in EVERYTHING and (values.get("as_of") or "").isdigit():
        raise _POSITION
    if viewer.agency is not None:
        if values.get("agency") not in (None, viewer.agency):
            raise _ANOTHERS
        if "case" in values:
            raise Refused(0, "unknown_parameter", "ask without a case: the rows name their cases")
        if any(one.name == "agency" for one in question.parameters):
            values["agency"] = viewer.agency
    checked = question.checked(values)
    look(viewer, question.id, _about(hub, checked))
    found = answer(question, hub, checked)
    return found if viewer.role in EVERYTHING else found.without_the_log()


def _about(hub: Hub, values: Mapping[str, str]) -> str:
    """Whom the look is about, by the hub's own id or the agency's; never as it was typed."""
    if "case" in values:
        return case_named(hub.exchange, values["case"]).hex
    if "person" in values:
        return hub.exchange.pseudonyms.canonical("subject", values["person"]).hex
    agency = hub.exchange.agencies.get(values.get("agency", ""))
    return agency.agency if agency else ""


def handed_out(found: Answer, format_: str) -> Response:
    """An answer as a file: JSON, or its rows as CSV."""
    if format_ == "csv":
        name = f'attachment; filename="{found.question}.csv"'
        return Response(found.as_csv(), media_type=CSV, headers={"Content-Disposition": name})
    return JSONResponse(found.as_dict())


def refused(wrong: Refused) -> Problem:
    """A refusal of the question as a problem."""
    missing = wrong.reason.startswith("unknown_") and wrong.reason != "unknown_parameter"
    status = 404 if missing or wrong.reason == "not_published" else 400
    return Problem(status, wrong.reason, "The question cannot be answered so", wrong.detail)


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _Answering(APIRoute):
    """A route whose refusals are problems, whatever application it is mounted in."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except Problem as problem:
                return problem.response()
            except Refused as wrong:
                return refused(wrong).response()
            except HubError:
                return Problem(
                    503, "not_now", "The hub cannot answer now", "Ask again in a minute."
                ).response()

        return handler


def question_calls(
    hub: Callable[[], Hub],
    viewer: Callable[[Request], Viewer],
    look: Look,
    turned_away: TurnedAway = lambda *_: None,
) -> APIRouter:
    """The calls. viewer: a dependency that says who asks (`Console.admit_caller`). look: records
    the look (viewer, question, about whom); what it raises leaves nothing shown. turned_away:
    records that somebody asked what is not for them."""
    calls = APIRouter(prefix="/api/questions", route_class=_Answering)
    signed_in = Depends(viewer)

    @calls.get("")
    def catalogue(who: Viewer = signed_in) -> Response:
        look(who, "questions", "")
        said = [
            {
                "id": one.id,
                "who": one.who,
                "asked": one.asked,
                "must_be_empty": one.must_be_empty,
                "parameters": parameters_for(who, one),
                "columns": [{"name": c.name, "means": c.means} for c in one.columns],
            }
            for one in offered(who)
        ]
        return JSONResponse(said)

    @calls.get("/{question_id}")
    def ask(question_id: str, request: Request, who: Viewer = signed_in) -> Response:
        given = dict(request.query_params)
        format_ = given.pop("format", "json")
        if format_ not in ("json", "csv"):
            raise Refused(0, "bad_parameter_value", "format is json or csv")
        try:
            found = put(hub(), who, look, question_id, given)
        except Problem as problem:
            if problem.status == 403:
                turned_away(who, ROUTE)
            raise
        return handed_out(found, format_)

    return calls
