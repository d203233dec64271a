"""An officer sees what was delivered to the own agency, by its own names, and nothing of others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.console.stories import AUDITOR, RAPPORTEUR, Story, elements, officer, told_by
from tests.played import play, scenario
from tests.privacy.canaries import planted


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("S5")
    play(place, planted(scenario("S5"))[0]).close()
    return place


@pytest.fixture(scope="module")
def story(folder: Path) -> Iterator[Story]:
    with told_by(folder, "C5") as found:
        yield found


def partner(folder: Path, agency: str, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(folder / f"{agency}.db")) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize("agency", ["RET-1", "FNRM-Y", "EMB-Y", "NGO-1"])
def test_deliveries_are_those_the_partner_has(story: Story, folder: Path, agency: str) -> None:
    page = story.get("/deliveries", officer(agency))
    rows = [one for one in elements(page) if "data-sequence" in one.attributes]
    [(applied,)] = partner(folder, agency, "SELECT last_sequence FROM nrm_connector_state")
    assert [int(one["data-sequence"]) for one in rows] == list(range(int(applied), 0, -1))
    for case, event in partner(folder, agency, "SELECT case_ref, event_ref FROM nrm_holding"):
        assert case in page
        assert event in page
    assert "none yet" not in page


def test_nothing_of_others_is_shown(story: Story) -> None:
    """The embassy: on the hub's word, so no other agency, no consent's own id, no event id."""
    page = story.get("/deliveries", officer("EMB-Y"))
    exchange = story.exchange
    for agency in ("NGO-1", "RET-1", "FNRM-Y", "RAP-1"):
        assert agency not in page
        assert exchange.pseudonyms.pseudonym(agency, "case", story.case_id) not in page
    assert story.case_id.hex not in page
    case = exchange.case(story.case_id)
    assert case is not None
    for event in case.events:
        assert event.event_id not in page
        assert f"position {event.position}" not in page
    for consent in case.consents:
        assert f"consent {consent.consent_id}<" not in page


def test_pages_go_back_without_a_gap(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.console.pages.deliveries.SHOWN", 2)
    monkeypatch.setattr("hub.console.pages.deliveries.RECEIPTS", 2)
    who, path, seen = officer("RET-1"), "/deliveries", []
    while path:
        found = elements(story.get(path, who))
        seen += [int(one["data-sequence"]) for one in found if "data-sequence" in one.attributes]
        earlier = [
            one["href"] for one in found if one.tag == "a" and one.text.startswith("Earlier")
        ]
        path = earlier[0] if earlier else ""
    assert seen == list(range(len(seen), 0, -1))
    assert len(seen) > 3


def test_only_officers_have_deliveries(story: Story) -> None:
    for viewer in (AUDITOR, RAPPORTEUR):
        assert "not_for_this_role" in story.get("/deliveries", viewer, status=403)
    story.get("/deliveries?upto=abc", officer("RET-1"))
    story.get("/deliveries?upto=999999", officer("RET-1"))
