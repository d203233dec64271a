"""Finding a case: what is typed stays in the form, the address holds the hub's own id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.console.lanes import words
from hub.store import events as stored
from tests.console.stories import (
    AUDITOR,
    OPERATOR,
    RAPPORTEUR,
    Story,
    elements,
    of_class,
    officer,
    played,
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder: Path = tmp_path_factory.mktemp("S7")
    with played(folder, "S7") as found:
        yield found


def test_a_case_is_found_by_its_reference_and_by_its_id(story: Story) -> None:
    for text in (story.case, story.case_id.hex):
        answer = story.client().post("/cases", data={"token": story.token(), "case": text})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/cases/{story.case_id.hex}"


def test_a_look_names_the_case_by_the_hubs_id(story: Story) -> None:
    story.looks.seen.clear()
    story.post("/cases", case=story.case, status=303)
    story.get("/cases/CASE")
    assert story.looks.seen == [
        (AUDITOR, "cases", story.case_id.hex),
        (AUDITOR, "timeline", story.case_id.hex),
    ]


def test_what_is_not_there_says_so_and_is_not_repeated(story: Story) -> None:
    page = story.post("/cases", case="Ann-Example-1990", status=404)
    assert "No such case" in page
    assert "Ann-Example" not in page
    assert "unknown_case" in story.get(f"/cases/{'0' * 32}", status=404)
    assert "unknown_case" in story.get("/cases/C7", status=404)


def test_a_form_of_somebody_else_finds_nothing(story: Story) -> None:
    answer = story.client().post("/cases", data={"token": "x", "case": story.case})
    assert answer.status_code == 403
    assert "form_not_ours" in answer.text


@pytest.mark.parametrize("window", [3, 2_000])
def test_recent_cases_come_latest_first(
    story: Story, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.console.pages.cases.WINDOW", window)
    log = story.exchange.log
    happened = [
        one
        for one in log.read(0, log.head, frozenset({stored.EventAccepted.TOPIC}))
        if isinstance(one.event, stored.EventAccepted)
    ]
    page = story.get("/cases", OPERATOR)
    last: dict[str, str] = {}
    for one in happened:
        last.pop(one.event.originator_id.hex, None)
        last[one.event.originator_id.hex] = words(one.event.event_type)
    places = [page.index(f'/cases/{case}"') for case in reversed(last)]
    assert places == sorted(places)
    assert all(said in page for said in last.values())
    assert len(last) > 1
    counted = [int(one.text) for one in of_class(elements(page), "number") if one.tag == "td"]
    assert sum(counted[1::2]) == len(happened)


@pytest.mark.parametrize(
    "path", ["/cases", "/cases/CASE", "/cases/CASE/held", "/agencies/CA-1/held"]
)
def test_cases_are_for_auditors_and_operators(story: Story, path: str) -> None:
    for viewer in (RAPPORTEUR, officer("NGO-1")):
        assert "not_for_this_role" in story.get(path, viewer, status=403)
    story.get(path, OPERATOR)
    story.get(path, AUDITOR)
