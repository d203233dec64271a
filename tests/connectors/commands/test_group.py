"""A group of forty workers: one command, one case and one referral per person."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from connectors.commands.group import Group
from connectors.errors import InvalidEventError, SettingsError
from tests.road import START, Road

DOC = Path(__file__).parents[3] / "docs" / "groups.md"
COLUMNS = ["case", "agreed", "age", "until", "gender", "country", "account"]


def template(folder: Path) -> Path:
    """The template as the documentation shows it."""
    text = DOC.read_text("utf-8").split("<!-- template: a test publishes it -->")[1]
    path = folder / "referral.json"
    path.write_text(text.split("```json")[1].split("```")[0], "utf-8")
    return path


def sheet(folder: Path, rows: list[list[str]]) -> Path:
    path = folder / "workers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def worker(number: int, **other: str) -> list[str]:
    plain = {"agreed": "yes", "age": "adult", "until": "2026-12-31", "gender": "M"}
    plain |= {"country": "YY", "account": "kept from leaving", **other}
    return [f"W-{number:02}", *(plain[name] for name in COLUMNS[1:])]


def publish(road: Road, folder: Path) -> tuple[Group, list[Any]]:
    group = Group(folder / "referral.json", folder / "workers.csv", road.time.at)
    told = group.told(road.publish_all("LI-1", group.events()))
    road.settle()
    return group, told


def test_forty_workers_and_their_union(tmp_path: Path) -> None:
    roles = {"LI-1": "labour_inspectorate", "CA-1": "competent_authority", "UNI-1": "trade_union"}
    road = Road.open(tmp_path / "world", roles)
    road.partner("CA-1")
    try:
        template(tmp_path)
        # Nine do not agree; of two the consent's last day is past, so two referrals are refused.
        rows = [worker(n, agreed="no" if n > 31 else "yes") for n in range(1, 41)]
        rows[3] = worker(4, until="2026-01-01")
        rows[7] = worker(8, until="2026-01-01")
        sheet(tmp_path, rows)
        group, told = publish(road, tmp_path)
        assert len(told) == 40
        refused = [member.case for member, found in told if not all(o.accepted for o in found)]
        assert refused == ["W-04", "W-08"]
        with group.refused_at.open(encoding="utf-8", newline="") as file:
            listed = list(csv.DictReader(file))
        assert {(one["case"], one["event"], one["reason"], one["guard"]) for one in listed} >= {
            (case, "ReferralMade", "consent_required", "G01") for case in refused
        }
        assert {one["case"] for one in listed} == set(refused)
        assert "kept from leaving" not in group.refused_at.read_text("utf-8")
        assert "kept from leaving" not in (tmp_path / "workers.csv.published.json").read_text()

        # Run again as it is: accepted ones are answered as before, refused ones asked anew.
        before = road.hub.exchange.log.counts().by_topic["nrm.Case.EventAccepted"]
        _, again = publish(road, tmp_path)
        assert [
            [(one.event_id, one.position) for one in found if one.accepted] for _, found in again
        ] == [[(one.event_id, one.position) for one in found if one.accepted] for _, found in told]
        assert road.hub.exchange.log.counts().by_topic["nrm.Case.EventAccepted"] == before

        # The two ask again and are referred; a late worker joins.
        rows[3], rows[7] = worker(4), worker(8)
        sheet(tmp_path, [*rows, worker(41)])
        group, told = publish(road, tmp_path)
        assert all(one.accepted for _, found in told for one in found)
        assert not group.refused_at.exists()
        referrals = {
            event.data["referral_id"]
            for member, _ in told
            for event in member.events
            if event.type == "ReferralMade"
        }
        assert len(referrals) == 32, "one referral per person"
        offered = road.hub.exchange.log.counts().by_topic["nrm.Case.EventAccepted"]
        assert offered == before + 2 * 2 + 3  # two consents and referrals, three for the late one
    finally:
        road.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "`case` is missing"),
        ("name\nA\n", "`case` is missing"),
        ("case\n", "holds no person"),
        ("case,agreed\nW-01\n", ":2: more or fewer cells"),
        ("case,agreed\nW-01,yes,more\n", ":2: more or fewer cells"),
        ("case,agreed\n,yes\n", ":2: `case` is empty"),
        ("case,agreed\nW-01,yes\nW-02,yes\nW-01,yes\n", ":4: the case stands in line 2 already"),
        ("case,agreed\nW-01,yes\n", "no column 'age'"),
    ],
)
def test_what_is_wrong_with_a_group_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "workers.csv").write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=told):
        Group(template(tmp_path), tmp_path / "workers.csv", START)
    assert not (tmp_path / "workers.csv.published.json").exists(), "nothing was kept or sent"


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "workers.csv").write_bytes(b"case,agreed\n\xff\xfe,yes\n")
    with pytest.raises(SettingsError, match="is not CSV in UTF-8"):
        Group(template(tmp_path), tmp_path / "workers.csv", START)
    with pytest.raises(SettingsError, match="cannot be read"):
        Group(template(tmp_path), tmp_path / "nowhere.csv", START)


def test_a_template_that_is_no_event_is_named(tmp_path: Path) -> None:
    sheet(tmp_path, [worker(1)])
    path = tmp_path / "referral.json"
    path.write_text(json.dumps([{"type": "CaseOpened", "case": "{case}"}]), "utf-8")
    with pytest.raises(InvalidEventError, match="data"):
        Group(path, tmp_path / "workers.csv", START)
    path.write_text(json.dumps([{"type": "CaseOpened", "case": "x", "when": 7}]), "utf-8")
    with pytest.raises(SettingsError, match="`when` names columns"):
        Group(path, tmp_path / "workers.csv", START)


def test_a_damaged_record_of_what_was_published_is_not_guessed_at(tmp_path: Path) -> None:
    sheet(tmp_path, [worker(1)])
    (tmp_path / "workers.csv.published.json").write_text("{", "utf-8")
    with pytest.raises(SettingsError, match="restore it, or remove it"):
        Group(template(tmp_path), tmp_path / "workers.csv", START)


def test_an_empty_cell_leaves_the_field_out(tmp_path: Path) -> None:
    sheet(tmp_path, [worker(1, agreed="no", country="")])
    group = Group(template(tmp_path), tmp_path / "workers.csv", START)
    opened, notified = group.members[0].events
    assert opened.type == "CaseOpened"
    assert notified.data["citizenship"] == []
    sheet(tmp_path, [worker(1, agreed="no", gender="")])
    again = Group(template(tmp_path), tmp_path / "workers.csv", START).members[0].events[1]
    assert "gender" not in again.data
    assert again.event_id != notified.event_id, "another content is another event"
