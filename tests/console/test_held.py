"""Who holds what: cells equal an independent fold, each cell leads to why, counts name no case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from hub.audit.replay import replay_case
from hub.console.pages.held import PAGE, place_of
from hub.console.render import texts
from hub.release import RULES
from tests.console.stories import Story, elements, of_class, played, told_by
from tests.privacy.told import Told


@pytest.fixture(scope="module", params=["S1", "S2"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with played(tmp_path_factory.mktemp(request.param), request.param) as found:
        yield found


def by_replay(story: Story, as_of: str | None = None) -> dict[tuple[str, str], tuple[int, int]]:
    """(agency, category) → (held, recalled), from what `audit replay` tells and nothing else."""
    held: dict[tuple[str, str], set[str]] = {}
    gone: dict[tuple[str, str], set[str]] = {}
    for entry in replay_case(story.exchange, story.case, as_of):
        for one in entry.recalls:
            for event, names in one["items"].items():
                for name in names:
                    if event in held.get((one["to"], name), set()):
                        held[one["to"], name].discard(event)
                        gone.setdefault((one["to"], name), set()).add(event)
        given = [(a, entry.event_id, c) for a, cs in entry.released.items() for c in cs]
        given += [
            (a, event, c)
            for a, events in entry.backfill.items()
            for event, cs in events.items()
            for c in cs
        ]
        for agency, event, name in given:
            held.setdefault((agency, name), set()).add(event)
            gone.get((agency, name), set()).discard(event)
    pairs = {*held, *gone}
    counted = {pair: (len(held.get(pair, ())), len(gone.get(pair, ()))) for pair in pairs}
    return {pair: numbers for pair, numbers in counted.items() if numbers != (0, 0)}


@pytest.mark.parametrize("step", [None, 9, 20])
def test_cells_equal_an_independent_fold(story: Story, step: int | None) -> None:
    entries = replay_case(story.exchange, story.case)
    as_of = None if step is None else str(entries[step - 1].position + 1)
    page = story.get("/cases/CASE/held" + (f"?as_of={as_of}" if as_of else ""))
    cells = of_class(elements(page), "cell")
    shown = {
        (one["data-agency"], one["data-category"]): (
            int(one["data-held"]),
            int(one["data-recalled"]),
        )
        for one in cells
    }
    expected = by_replay(story, as_of)
    assert {pair: n for pair, n in shown.items() if n != (0, 0)} == expected
    for one in cells:
        held, recalled = int(one["data-held"]), int(one["data-recalled"])
        state = "holds" if held else "recalled" if recalled else "never"
        assert one["data-state"] == state
        assert state.removesuffix("s")[:4] in one.text or "recalled" in one.text


def test_each_cell_leads_to_why(story: Story) -> None:
    page = story.get("/cases/CASE/held")
    links = [
        one["href"]
        for one in elements(page)
        if one.tag == "a" and "/why?" in one.attributes.get("href", "")
    ]
    assert len(links) == len(of_class(elements(page), "cell"))
    states: Counter[str] = Counter()
    for link in links:
        answer = story.get(link)
        found = elements(answer)
        lines = [one for one in found if "data-rule" in one.attributes]
        assert all(one["data-same"] == "true" for one in lines)
        states.update(one["data-phase"] for one in lines)
        for one in lines:
            rule = int(one["data-rule"])
            assert place_of(rule) in one.text
            assert texts("en")[f"release.rule_{rule}"] in one.text
    assert states["first"] > 20
    assert states["backfill"] > 3


def test_what_is_no_agency_or_category_is_refused(story: Story) -> None:
    assert "unknown_agency" in story.get("/cases/CASE/why?agency=X&category=identity", status=404)
    page = story.get("/cases/CASE/why?agency=CA-1&category=<b>", status=404)
    assert "unknown_category" in page
    assert "<b>" not in page
    assert "unknown_agency" in story.get("/agencies/X/held", status=404)


def test_over_all_cases_only_numbers_are_told(story: Story) -> None:
    page = story.get("/agencies/CA-1/held")
    counted = by_replay(story)
    total = sum(held for (agency, _), (held, _) in counted.items() if agency == "CA-1")
    numbers = [one.text for one in of_class(elements(page), "number") if one.tag == "td"]
    assert sum(map(int, numbers[1::2])) == total
    assert story.case_id.hex not in page
    assert str(UUID(hex=story.case_id.hex)) not in page


def test_every_rule_has_its_short_title() -> None:
    said = texts("en")
    for number in range(len(RULES) + 2):
        assert said[f"release.rule_{number}"]
        assert place_of(number)


def test_why_comes_in_pages_and_an_event_leads_to_its_own(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1") as told:
        told.opened()
        told.consents({"SH-1": ["protection"]})
        told.involves("NGO-1", "SH-1")
        events = [told.event("RiskAssessed") for _ in range(PAGE + 3)]
        assert all(one.accepted for one in told.road.publish_all("NGO-1", events))
        told.road.settle()
    with told_by(tmp_path) as story:
        way = "/cases/CASE/why?agency=SH-1&category=protection"
        first, rest = positions(story.get(way)), positions(story.get(way + "&page=2"))
        assert len(first) == PAGE
        assert len(rest) >= 3
        assert not {*first} & {*rest}
        assert positions(story.get(f"{way}&event={rest[-1]}")) == rest
        for asked in ("0", "-1", "x", ""):
            assert positions(story.get(f"{way}&page={asked}")) == first
        assert positions(story.get(way + "&page=99")) == rest
        assert f'<div class="figure">{len(first) + len(rest)}</div>' in story.get(way)
        timeline = story.get("/cases/CASE?page=2")
        assert f"&amp;event={rest[0]}#e{rest[0]}" in timeline


def positions(page: str) -> list[str]:
    return [one["data-position"] for one in elements(page) if "data-rule" in one.attributes]


def test_a_case_leads_to_its_questions_and_they_know_it(story: Story) -> None:
    case = story.case_id.hex
    assert f'href="/questions?case={case}"' in story.get("/cases/CASE")
    assert f'href="/questions/Q01?case={case}"' in story.get("/questions?case=CASE")
    assert f'value="{case}"' in story.get("/questions/Q01?case=CASE")
    assert 'value="typed-by-somebody"' not in story.get("/questions/Q01?case=typed-by-somebody")
    assert f"nrm-hub audit bundle --case {case}" in story.get("/cases/CASE")
