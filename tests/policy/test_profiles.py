"""What is shipped is complete and says where it comes from; what is wrong is named precisely."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest

from hub.authority import profiles
from hub.domain import profile_check, timers
from hub.domain.policy import SHIPPED, PolicyError, PolicyProfile, shipped_document
from hub.domain.profile_check import ERRORS, WARNINGS, errors, warnings
from tests.release.story import Story

NAMES = ("coe", "uk")


def document(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(shipped_document("coe")), **parts}


def codes(found: list[profile_check.Finding]) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in found]


@pytest.mark.parametrize("name", NAMES)
def test_shipped_profiles_are_complete_and_sourced(name: str) -> None:
    shipped = shipped_document(name)
    assert errors(shipped) == []
    assert set(shipped["matrix"]) == set(profile_check.roles())
    for row in shipped["matrix"].values():
        assert set(row) == set(profile_check.categories())

    assert "lawyer must own" in shipped["title"]
    sources = {one["name"] for one in shipped["sources"]}
    assert sources
    for note in shipped["notes"]:
        assert all(note[part].strip() for part in ("about", "note", "source")), note


def test_default_is_a_name_for_the_first_of_them() -> None:
    assert shipped_document("default") == shipped_document("coe")
    assert set(SHIPPED) == {"default", *NAMES}
    assert {shipped_document(name)["version"] for name in NAMES} == {"coe-1", "uk-1"}


def test_the_default_surprises_nobody_and_the_uk_names_its_authority_in_enforcement() -> None:
    assert warnings(shipped_document("coe")) == []
    [warning] = warnings(shipped_document("uk"))
    assert warning.code == "authority_inside_enforcement"
    assert "IECA" in warning.where


def test_uk_the_firewall_is_whole_and_enforcements_side_gains_nothing() -> None:
    coe, uk = (PolicyProfile.from_document(shipped_document(name)) for name in NAMES)
    assert uk.matrix["immigration_enforcement"] == coe.matrix["immigration_enforcement"]
    assert {c for c, m in uk.matrix["immigration_enforcement"].items() if m != "N"} == {
        "removal_hold"
    }
    assert {"competent_authority", "immigration_status"} <= uk.enforcement_roles
    assert uk.evidence_for("immigration_status") == "hub"
    [inside] = uk.inside
    assert (inside.role, inside.inside) == ("competent_authority", "immigration_enforcement")


@pytest.mark.parametrize(
    ("jurisdiction", "starts", "days"),
    [
        ("GB", date(2022, 12, 12), 45),
        ("GB", date(2022, 12, 13), 30),
        ("GB-ENG", date(2022, 12, 12), 45),
        ("GB-NIR", date(2026, 3, 2), 30),
        ("GB-SCT", date(2018, 3, 31), 45),
        ("GB-SCT", date(2018, 4, 1), 90),
        ("GB-SCT", date(2026, 3, 2), 90),
    ],
)
def test_uk_recovery_minimum_by_nation_and_start_date(
    jurisdiction: str, starts: date, days: int
) -> None:
    uk = PolicyProfile.from_document(shipped_document("uk"))
    assert timers.recovery_minimum(uk.timers, jurisdiction, starts) == days


RECOVERY = "T02_recovery_minimum_days"

WRONG: list[tuple[str, Any, str, str]] = [
    ("version", "", "bad_version", "version"),
    ("version", 3, "bad_version", "version"),
    ("version", "two\nlines", "bad_version", "version"),
    ("matrix", [], "wrong_form", "matrix"),
    ("matrix", {"police": "D"}, "wrong_form", "matrix/police"),
    ("matrix", {"sheriff": {}}, "unknown_role", "matrix"),
    ("matrix", {"police": {"identity": "Z"}}, "unknown_mode", "matrix/police/identity"),
    ("matrix", {"police": {"identity": ["D"]}}, "unknown_mode", "matrix/police/identity"),
    ("matrix", {"police": {"gossip": "D"}}, "unknown_category", "matrix/police/gossip"),
    ("event_group_gate", {"police": ["parties"]}, "unknown_group", "event_group_gate/police"),
    ("event_group_gate", {"police": "closure"}, "wrong_form", "event_group_gate/police"),
    ("event_group_gate", {"sheriff": ["closure"]}, "unknown_role", "event_group_gate"),
    ("break_glass", {"police": ["gossip"]}, "unknown_category", "break_glass/police"),
    ("break_glass", {"sheriff": ["identity"]}, "unknown_role", "break_glass"),
    ("break_glass", "police", "wrong_form", "break_glass"),
    ("private_bodies", {"shelter": True}, "wrong_form", "private_bodies"),
    ("private_bodies", ["sheriff"], "unknown_role", "private_bodies"),
    ("enforcement_roles", [7], "wrong_form", "enforcement_roles"),
    ("enforcement_dispute_serves", ["sheriff"], "unknown_role", "enforcement_dispute_serves"),
    ("evidence", {"police": "nobody"}, "unknown_evidence", "evidence/police"),
    ("evidence", ["police"], "wrong_form", "evidence"),
    ("timers", 30, "wrong_form", "timers"),
    ("timers", {RECOVERY: -1}, "bad_timer", f"timers/{RECOVERY}"),
    ("timers", {RECOVERY: "30 days"}, "bad_timer", f"timers/{RECOVERY}"),
    ("timers", {RECOVERY: [{"value": 3, "from": "soon"}]}, "bad_timer", f"timers/{RECOVERY}"),
    ("timers", {RECOVERY: [{"value": 3, "until": "x"}]}, "bad_timer", f"timers/{RECOVERY}"),
    ("work", [], "wrong_form", "work"),
    ("work", {"gossip": "police"}, "bad_work", "work/gossip"),
    ("work", {"withheld": "nobody"}, "bad_work", "work/withheld"),
    ("work", {"withheld": ["auditor"]}, "bad_work", "work/withheld"),
    ("inside_enforcement", {}, "wrong_form", "inside_enforcement"),
    ("inside_enforcement", [{"body": "X"}], "wrong_form", "inside_enforcement/1"),
    (
        "inside_enforcement",
        [{"body": "X", "role": "sheriff", "inside": "police", "decides": "a", "why": "b"}],
        "unknown_role",
        "inside_enforcement/1",
    ),
]


@pytest.mark.parametrize(("part", "value", "code", "where"), WRONG)
def test_every_error_is_named_with_its_place_and_code(
    part: str, value: Any, code: str, where: str
) -> None:
    assert codes(errors(document(**{part: value}))) == [(code, where)]
    with pytest.raises(PolicyError, match=code) as raised:
        PolicyProfile.from_document(document(**{part: value}))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", profile_check.PARTS)
def test_a_missing_part_is_named(part: str) -> None:
    whole = document()
    del whole[part]
    assert codes(errors(whole)) == [("missing_part", part)]


def test_all_errors_are_found_at_once_and_told_in_one_line() -> None:
    broken = document(private_bodies=["sheriff"], version="", evidence={"police": "x"})
    assert len(errors(broken)) == 3
    with pytest.raises(PolicyError, match=", and 2 more"):
        PolicyProfile.from_document(broken)


@pytest.mark.parametrize("value", [None, 3, "text", [1]])
def test_what_is_no_object_is_no_profile(value: object) -> None:
    assert codes(errors(value)) == [("not_json", "")]


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"police": {"identity": "D"}}, "identity_by_default", "matrix/police/identity"),
        (
            {"immigration_enforcement": {"contact": "C"}},
            "enforcement_receives",
            "matrix/immigration_enforcement/contact",
        ),
        ({"shelter": {"location_safe": "A"}}, "always", "matrix/shelter/location_safe"),
    ],
)
def test_surprises_are_warned_of(change: dict[str, Any], code: str, where: str) -> None:
    wide = document()
    for role, cells in change.items():
        wide["matrix"][role].update(cells)
    assert errors(wide) == []
    assert (code, where) in codes(warnings(wide))


def test_what_is_closed_or_not_read_is_warned_of() -> None:
    narrow = document(break_glas={"police": ["identity"]})
    del narrow["matrix"]["police"]["health"]
    del narrow["matrix"]["embassy"]
    narrow["break_glass"]["immigration_enforcement"] = ["identity"]
    assert codes(warnings(narrow)) == [
        ("unread_part", "break_glas"),
        ("category_closed", "matrix/police"),
        ("role_closed", "matrix/embassy"),
        ("enforcement_receives", "break_glass/immigration_enforcement"),
    ]


@pytest.mark.parametrize("hours", [48, 6, [{"value": 24}, {"jurisdiction": "GB", "value": 12}]])
def test_a_window_of_another_length_is_warned_of_for_decisions_do_not_read_it(hours: Any) -> None:
    other = document()
    other["timers"]["T09_break_glass_window_hours"] = hours
    assert errors(other) == []
    where = "timers/T09_break_glass_window_hours"
    assert codes(warnings(other)) == [("window_fixed", where)]


@pytest.mark.parametrize("hours", [24, [{"value": 24}]])
def test_the_usual_window_is_no_surprise(hours: Any) -> None:
    usual = document()
    usual["timers"]["T09_break_glass_window_hours"] = hours
    assert warnings(usual) == []
    del usual["timers"]["T09_break_glass_window_hours"]
    assert warnings(usual) == []


def test_every_code_can_be_met() -> None:
    assert {code for _, _, code, _ in WRONG} | {"not_json", "missing_part"} == set(ERRORS)
    tested = {"identity_by_default", "enforcement_receives", "authority_inside_enforcement"}
    tested |= {"always", "category_closed", "role_closed", "unread_part", "window_fixed"}
    assert tested == set(WARNINGS)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"version": NaN}',
        b'{"matrix": {"police": {}, "police": {}}}',
        b"[" * 100_000,
        b" " * (profiles.MOST_BYTES + 1),
    ],
    ids=["empty", "half", "list", "bytes", "nan", "twice", "deep", "huge"],
)
def test_files_that_are_no_profile(text: bytes) -> None:
    with pytest.raises(PolicyError, match=r"x\.json: .*\(not_json\)"):
        profiles.parse(text, "x.json")


def test_a_recorded_document_is_read_by_whatever_comes_later() -> None:
    """Checks may grow stricter; what decided once must still be read, and releases no more."""
    old = document()
    old["matrix"]["abolished_role"] = {"identity": "D"}
    assert errors(old)
    frozen = PolicyProfile.as_recorded(json.loads(profiles.written(old)))
    assert frozen.mode("police", "identity") == "K"


def heard_of_a_child(name: str) -> str | None:
    """What the competent authority hears of a child's contact data."""
    story = Story(profile=PolicyProfile.from_document(shipped_document(name)))
    story.opened("NGO-1", "child")
    story.involves("NGO-1", "CA-1")
    heard = story.says("NGO-1", "ContactPreferenceRecorded", "contact")
    return heard.basis("CA-1", "contact") or heard.reason("CA-1", "contact")


def test_uk_a_childs_address_needs_consent_at_the_authority() -> None:
    assert heard_of_a_child("coe") == "safeguarding"
    assert heard_of_a_child("uk") == "no_consent"


def heard_after_its_own_dispute(name: str) -> tuple[str | None, str | None]:
    """What the authority, and child protection, hear of an adult's account after it disputes."""
    story = Story(profile=PolicyProfile.from_document(shipped_document(name)))
    story.opened("NGO-1", "adult")
    story.consents({"CA-1": ["decision"], "CPS-1": ["decision"]})
    story.involves("NGO-1", "CA-1")
    story.involves("NGO-1", "CPS-1")
    story.says("CA-1", "AgeDisputed", "child_welfare", raised_by_role="competent_authority")
    heard = story.says("NGO-1", "RiskAssessed", "protection")
    return (
        heard.basis("CA-1", "protection") or heard.reason("CA-1", "protection"),
        heard.basis("CPS-1", "protection") or heard.reason("CPS-1", "protection"),
    )


def test_uk_the_authorities_dispute_of_an_age_opens_nothing_to_themselves() -> None:
    assert heard_after_its_own_dispute("coe") == ("safeguarding", "safeguarding")
    assert heard_after_its_own_dispute("uk") == ("no_consent", "safeguarding")
