"""The timeline's pictures hold what was recorded: each release, recall, band, mark; no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from hub.audit import Entry, replay_case
from hub.audit.course import course_of
from hub.console.lanes import PAGE, SIGNS, kinds_of, lanes_of
from hub.console.sequence import pages_of, sequence_of
from hub.store import events as stored
from tests.console.stories import (
    AUDITOR,
    Element,
    Story,
    elements,
    of_class,
    officer,
    played,
    told_by,
)
from tests.played import play, scenario
from tests.privacy.canaries import planted
from tests.privacy.told import Told

STORIES = ["S1", "S2", "S5"]


@pytest.fixture(scope="module", params=STORIES)
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with played(tmp_path_factory.mktemp(request.param), request.param) as found:
        yield found


def recorded(story: Story, as_of: str | None = None) -> list[Entry]:
    return replay_case(story.exchange, story.case, as_of)


def row_of(found: list[Element], entry: Entry) -> Element:
    [row] = [
        one
        for one in of_class(found, "row")
        if one.attributes.get("data-position") == str(entry.position)
    ]
    return row


def drawn(found: list[Element], kind: str) -> Counter[tuple[str, ...]]:
    """What stands in the rows: (position of the event, agency, what) for each."""
    what = {"release": "data-categories", "recall": "data-count", "backfill": "data-events"}[kind]
    return Counter(
        (one.inside["data-position"], one["data-to"], one[what])
        for one in of_class(found, kind)
        if "sequence" in one.above
    )


def check_picture(page: str, entries: list[Entry]) -> None:
    found = elements(page)
    assert [one["data-position"] for one in of_class(found, "row")] == [
        str(entry.position) for entry in entries
    ]
    assert drawn(found, "release") == Counter(
        (str(entry.position), agency, " ".join(sorted(bases)))
        for entry in entries
        for agency, bases in entry.released.items()
    )
    assert drawn(found, "recall") == Counter(
        (str(entry.position), one["to"], str(sum(map(len, one["items"].values()))))
        for entry in entries
        for one in entry.recalls
    )
    assert drawn(found, "backfill") == Counter(
        (str(entry.position), agency, str(len(items)))
        for entry in entries
        for agency, items in entry.backfill.items()
    )


def test_each_release_recall_and_backfill_has_its_arrow(story: Story) -> None:
    check_picture(story.get("/cases/CASE"), recorded(story))


def test_an_arrow_bears_the_signs_of_its_bases(story: Story) -> None:
    found = elements(story.get("/cases/CASE"))
    for entry in recorded(story):
        arrows = [
            one
            for one in of_class(found, "release")
            if one.inside.get("data-position") == str(entry.position)
        ]
        for one in arrows:
            kinds = kinds_of(entry.released[one["data-to"]].values())
            assert {f"k-{kind}" for kind in kinds} == {
                name for name in one.classes if name.startswith("k-")
            }
    signs = {sign for one in of_class(found, "chip") for sign in one.text.strip()[:1]}
    assert signs <= set(SIGNS.values())


def test_arrows_run_between_the_columns_of_their_agencies(story: Story) -> None:
    """Every shaft begins at the emitter's column and ends at the recipient's."""
    course = course_of(story.exchange, story.case_id)
    lanes = dict(sequence_of(course, 1).lanes)
    emitters = {str(one.entry.position): one.entry.agency for one in course.steps}
    found = elements(story.get("/cases/CASE"))
    shafts = of_class(found, "shaft")
    assert shafts
    for shaft in shafts:
        emitter = emitters[shaft.inside["data-position"]]
        assert shaft["x1"] == f"{lanes[emitter]:.3f}%"
        assert shaft["x2"] == f"{lanes[shaft.inside['data-to']]:.3f}%"


def test_each_mark_has_a_title_and_leads_to_its_row(story: Story) -> None:
    found = elements(story.get("/cases/CASE"))
    ids = {one.attributes["id"] for one in found if "id" in one.attributes}
    rows = of_class(found, "row")
    assert len(rows) == len(recorded(story))
    for row in rows:
        assert row["href"].removeprefix("#") in ids
        assert row["aria-label"].startswith("Event ")
    dots = of_class(found, "dot")
    assert len(dots) == len(rows)
    assert all(dot["href"].partition("#")[2] in ids for dot in dots)


@pytest.mark.parametrize("number", [1, 2, 7, 12, 17])
def test_a_view_as_of_an_event_is_what_replay_tells(story: Story, number: int) -> None:
    course = course_of(story.exchange, story.case_id, step=number)
    if number > len(course.moments):
        number = len(course.moments)
    page = story.get(f"/cases/CASE?step={number}")
    assert f"log position {course.end}" in page
    entries = recorded(story, str(course.end))
    assert len(entries) == number
    check_picture(page, entries)
    check_picture(story.get(f"/cases/CASE?as_of={course.end}"), entries)
    later = of_class(elements(page), "dot", "later")
    assert len(later) == len(course.moments) - number


def test_a_view_as_of_a_date_is_what_replay_tells(story: Story) -> None:
    day = course_of(story.exchange, story.case_id).moments[8].at.date().isoformat()
    check_picture(story.get(f"/cases/CASE?as_of={day}"), recorded(story, day))


def test_what_cannot_be_read_as_a_time_says_what_to_type(story: Story) -> None:
    page = story.get("/cases/CASE?as_of=yesterday", status=404)
    assert "bad_as_of" in page
    assert "2026-03-16" in page
    story.get("/cases/CASE?step=abc&page=-3&event=x")


def test_bands_are_the_agreements_as_they_were(story: Story) -> None:
    """Each span of equal scope, from the step that began it to the step that ended it."""
    found = elements(story.get("/cases/CASE"))
    bands = [
        (one["data-consent"], int(one["data-start"]), one["data-to"])
        for one in of_class(found, "band", "agreement")
    ]
    changes: dict[str, list[int]] = {}
    scopes: dict[str, object] = {}
    number = 0
    for one in story.exchange.log.stream(story.case_id):
        event = one.event
        if not isinstance(event, stored.EventAccepted):
            continue
        number += 1
        facts = json.loads(event.facts)
        if event.event_type in ("ConsentGiven", "ConsentAmended"):
            scopes[facts["consent_id"]] = facts["scope"]
            changes.setdefault(facts["consent_id"], []).append(number)
        elif event.event_type in ("ConsentWithdrawn", "ConsentExpired"):
            changes.setdefault(facts["consent_id"], []).append(number)
    assert {name for name, _, _ in bands} == set(scopes)
    for name, at in changes.items():
        spans = sorted((start, to) for one, start, to in bands if one == name)
        assert [start for start, _ in spans] == at[: len(spans)]
        for (_, to), (start, _) in pairwise(spans):
            assert to == str(start)


def test_the_table_tells_what_the_picture_shows(story: Story) -> None:
    page = story.get("/cases/CASE")
    table = page[page.index('<table class="events">') : page.index('aria-labelledby="stands"')]
    for entry in recorded(story):
        part = table[table.index(f'id="e{entry.position}"') :].partition("</tr>")[0]
        for agency, bases in entry.released.items():
            for category in bases:
                assert f"agency={agency}&amp;category={category}" in part
        assert part.count("Recalled from") == len(entry.recalls)
        for reasons in entry.withheld.values():
            assert all(category in part for category in reasons)


def test_standing_is_told_beside_it(story: Story) -> None:
    standing = course_of(story.exchange, story.case_id).standing
    page = story.get("/cases/CASE")
    for agency in (*standing.involved, *standing.left):
        assert f'<th scope="row">{agency}' in page
    assert page.count('<span class="state">') >= len(standing.regions)


def test_one_event_alone_is_marked_and_the_rest_is_faint(story: Story) -> None:
    entry = recorded(story)[3]
    found = elements(story.get(f"/cases/CASE?event={entry.position}"))
    [row] = of_class(found, "row", "chosen")
    assert row["data-position"] == str(entry.position)
    assert of_class(found, "sequence", "alone")
    [line] = [one for one in found if one.tag == "tr" and "chosen" in one.classes]
    assert line["id"] == f"e{entry.position}"


def test_break_glass_is_loud(tmp_path_factory: pytest.TempPathFactory) -> None:
    with played(tmp_path_factory.mktemp("loud"), "S2") as story:
        found = elements(story.get("/cases/CASE"))
        invoked = [one for one in recorded(story) if one.type == "BreakGlassInvoked"]
        windows = of_class(found, "band", "window")
        assert [one["data-window"] for one in windows] == [one.event_id for one in invoked]
        for entry in invoked:
            assert "s-loud" in row_of(found, entry).classes
        through = [one for one in recorded(story) if one.through]
        assert through
        page = story.get("/cases/CASE")
        assert page.count("BREAK-GLASS: through a window") == len(through)


def test_the_erased_are_tombstones_and_nothing_of_them_is_shown(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1") as told:
        told.opened()
        told.consents({"SH-1": ["identity"]})
        told.involves("NGO-1", "SH-1")
        told.says("NGO-1", "IdentityRecorded", family_name="Kanarie")
        told.says("NGO-1", "SubjectRequestReceived", request_id="q1", right="erasure")
        granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
        told.says("NGO-1", "SubjectRequestDecided", request_id="q1", **granted)
        told.attend()
    with told_by(tmp_path) as story:
        entries = recorded(story)
        found = elements(story.get("/cases/CASE"))
        gone = [one for one in entries if one.erased]
        assert gone
        for entry in entries:
            assert ("s-tombstone" in row_of(found, entry).classes) is entry.erased
        assert "content erased" in story.get("/cases/CASE")


def test_a_case_of_five_hundred_events_is_paged(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1") as told:
        told.opened()
        told.consents({"SH-1": ["protection", "case_management"]})
        told.involves("NGO-1", "SH-1")
        events = [told.event("RiskAssessed") for _ in range(500)]
        for start in range(0, 500, 100):
            outcomes = told.road.publish_all("NGO-1", events[start : start + 100])
            assert all(one.accepted for one in outcomes)
        told.road.settle()
    with told_by(tmp_path) as story:
        course = course_of(story.exchange, story.case_id)
        assert course.last > 500
        entries = recorded(story)
        for number in (1, 6, pages_of(course)):
            page = story.get(f"/cases/CASE?page={number}")
            check_picture(page, entries[(number - 1) * PAGE : number * PAGE])
            found = elements(page)
            assert len(of_class(found, "dot")) == course.last
            assert of_class(found, "overview", "dense")
            assert f'page={number}" aria-current="page"' in page
        entry = entries[100]
        assert f'id="e{entry.position}"' in story.get(f"/cases/CASE?event={entry.position}")


def test_lanes_hold_everybody_who_said_or_received_something(story: Story) -> None:
    course = course_of(story.exchange, story.case_id)
    lanes = lanes_of(course)
    assert len(lanes) == len(set(lanes))
    said = {one.entry.agency for one in course.steps}
    received = {agency for one in course.steps for agency in one.entry.released}
    assert said | received <= set(lanes)


def test_a_page_reads_the_case_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    stream = type(story.exchange.log).stream

    def counting(self, stream_id, *args, **kwargs):  # type: ignore[no-untyped-def]
        read.append(stream_id)
        return stream(self, stream_id, *args, **kwargs)

    monkeypatch.setattr(type(story.exchange.log), "stream", counting)
    story.get("/cases/CASE", AUDITOR)
    assert read == [story.case_id]


def test_what_was_stopped_before_it_was_sent_is_crossed_out(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1", "HLT-1") as told:
        told.opened()
        told.consents({"SH-1": ["protection"], "HLT-1": ["protection"]})
        told.involves("NGO-1", "SH-1", "HLT-1")
        risk = told.event("RiskAssessed")
        withdrawn = told.event(
            "ConsentWithdrawn", consent_id="c1", extent="recipients", recipients=["SH-1"]
        )
        # Both recorded before the publisher looks: what rested on the consent is not sent.
        outcomes = told.road.publish_all("NGO-1", [risk, withdrawn])
        assert all(one.accepted for one in outcomes), outcomes
        told.road.settle()
    with told_by(tmp_path) as story:
        found = elements(story.get("/cases/CASE"))
        [held] = of_class(found, "release", "part-held")
        assert held["data-to"] == "SH-1"
        assert "protection" in held["data-categories"].split()
        [stopped] = of_class(found, "chip", "stopped", "k-consent")[1:]  # the first is the legend's
        assert "tip" in stopped.above
        assert "Held back from SH-1" in story.get("/cases/CASE")


def test_the_same_on_postgresql(tmp_path: Path, new_postgres_database: Callable[[], str]) -> None:
    """Pictures, matrix and cells from a store that is a server."""
    store, keys = new_postgres_database(), new_postgres_database()
    where = {"store": store, "keys": f"{keys}?epoch_key={tmp_path / 'epoch.key'}"}
    play(tmp_path, planted(scenario("S1"))[0], **where).close()
    with told_by(tmp_path) as story:
        check_picture(story.get("/cases/CASE"), recorded(story))
        assert story.get("/cases").count('href="/cases/') >= 1
        found = elements(story.get("/cases/CASE/held"))
        case = story.exchange.case(story.case_id)
        assert case is not None
        held = Counter((a, c) for a, items in case.holdings.items() for _, c in items)
        assert {
            (one["data-agency"], one["data-category"]): int(one["data-held"])
            for one in of_class(found, "cell")
            if one["data-held"] != "0"
        } == held
        assert "all the same" in story.get("/cases/CASE/why?agency=POL-1&category=identity")
        assert "data-sequence" in story.get("/deliveries", officer("SH-1"))
        assert "Held now" in story.get("/agencies/POL-1/held")
