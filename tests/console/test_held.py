"""Who holds what: cells equal an independent fold, each cell leads to why, counts name no case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from hub.audit.replay import replay_case
from hub.console.pages.held import place_of
from hub.console.render import texts
from hub.release import RULES
from tests.console.stories import Story, elements, of_class, played


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
