"""The case timeline: one case as it stood at any position, as pictures and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from hub.audit.course import Course, Step, course_of
from hub.console.desk import Console
from hub.console.form import whole
from hub.console.lanes import (
    PAGE,
    SIGNS,
    kind_of,
    overview_of,
    shape_of,
    words,
)
from hub.console.pages.cases import case_id_of, kept
from hub.console.sequence import pages_of, sequence_of


@dataclass(frozen=True, slots=True)
class Shown:
    """What is chosen of one course: a page of its events, and at most one event."""

    page: int
    pages: int
    selected: Step | None


def chosen(course: Course, page: int | None, event: int | None) -> Shown:
    """The page asked for, or the one with the event, or the last."""
    pages = pages_of(course)
    selected = next((one for one in course.steps if one.entry.position == event), None)
    if selected is not None:
        page = (selected.moment.number - 1) // PAGE + 1
    return Shown(min(max(page or pages, 1), pages), pages, selected)


def timeline_pages(console: Console) -> APIRouter:
    """One case over time."""
    pages = APIRouter()

    @pages.get("/cases/{case}")
    def timeline(
        request: Request,
        case: str,
        as_of: str = "",
        step: str = "",
        page: str = "",
        event: str = "",
    ) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        case_id = case_id_of(case)
        console.look(viewer, "timeline", case_id.hex)
        course = course_of(console.exchange, case_id, as_of or None, step=whole(step))
        shown = chosen(course, whole(page), whole(event))
        return console.page(request, "timeline", **_names(course, shown))

    return pages


def _names(course: Course, shown: Shown) -> dict[str, Any]:
    """What the template uses. `at`: query that keeps the position looked at."""
    steps = course.steps[(shown.page - 1) * PAGE : shown.page * PAGE]
    types = {step.entry.event_id: step for step in course.steps}
    return {
        "course": course,
        "standing": course.standing,
        "shown": shown,
        "steps": steps,
        "steps_by_id": types,
        "overview": overview_of(course, shown.page),
        "sequence": sequence_of(course, shown.page),
        "case": course.case_id.hex,
        "at": kept(course.as_of),
        "page_of": lambda number: (number - 1) // PAGE + 1,
        "kind_of": kind_of,
        "shape_of": shape_of,
        "signs": SIGNS,
        "words": words,
    }
