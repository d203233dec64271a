"""Questions: the catalogue, a form for each question, and its answer as a table or a file.

What is typed travels in a form, never in an address: a reference of a case would stay in the
browser's history. Works without scripts.
"""

from __future__ import annotations

import re
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from hub.audit.questions import Hub, Question, named
from hub.audit.questions.answer import shown
from hub.console.desk import Console, NotForYou
from hub.console.form import Sent
from hub.console.questions import (
    Problem,
    handed_out,
    offered,
    parameters_for,
    put,
    question_calls,
    refused,
)
from hub.console.viewer import Viewer
from hub.errors import Refused

_CASE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
SHOWN: Final = 500  # rows on a page; a file has all


def _case_asked(request: Request) -> str:
    """The hub's own id of a case, from an address of ours; nothing else stands in addresses."""
    told = request.query_params.get("case", "")
    return told if _CASE_ID.fullmatch(told) else ""


def questions_pages(console: Console) -> APIRouter:
    """Pages and calls."""
    pages = APIRouter()

    def hub() -> Hub:
        upcoming = console.deciding.reading.settings.upcoming
        return Hub(console.exchange, console.hub_id, console.log_verifier, upcoming)

    def caller(request: Request) -> Viewer:
        return console.admit_caller(request)

    def turned_away(viewer: Viewer, route: str = "/questions/{question_id}") -> None:
        console.looks.refused(viewer, route, "not_for_this_role")

    def about(request: Request, viewer: Viewer, one: Question, **names: Any) -> Response:
        return console.page(
            request,
            "question",
            question=one,
            parameters=parameters_for(viewer, one),
            **{"given": {}, "found": None, "problem": None, "status": 200, **names},
        )

    @pages.get("/questions")
    def catalogue(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "questions")
        return console.page(
            request, "questions", questions=offered(viewer), case=_case_asked(request)
        )

    @pages.get("/questions/{question_id}")
    def blank(question_id: str, request: Request) -> Response:
        viewer = console.admit(request)
        one = named(question_id)
        if one not in offered(viewer):
            turned_away(viewer)
            raise NotForYou("not_for_this_role")
        console.look(viewer, "questions")
        return about(request, viewer, one, given={"case": _case_asked(request)})

    @pages.post("/questions/{question_id}")
    def ask(question_id: str, request: Request, form: Sent) -> Response:
        viewer = console.admit_form(request, form.get("token"))
        one = named(question_id)
        format_ = form.get("format")
        said = {parameter.name: form.get(parameter.name) for parameter in one.parameters}
        try:
            found = put(hub(), viewer, console.look, one.id, said)
        except (Problem, Refused) as wrong:
            problem = refused(wrong) if isinstance(wrong, Refused) else wrong
            if problem.status == 403:
                turned_away(viewer)
                raise NotForYou(problem.code) from None
            return about(request, viewer, one, given=said, problem=problem, status=problem.status)
        if format_ in ("json", "csv"):
            return handed_out(found, format_)
        rows = [[shown(cell) for cell in row] for row in found.rows[:SHOWN]]
        return about(request, viewer, one, given=said, found=found, rows=rows, shown=shown)

    pages.include_router(question_calls(hub, caller, console.look, turned_away))
    return pages
