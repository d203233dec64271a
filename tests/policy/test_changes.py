"""A diff says who gains before all else, and says what the rules would really do."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.domain.age import AgeView
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import Party
from hub.domain.policy import PolicyProfile, default_document, shipped_document
from hub.domain.profile_changes import (
    ADULT,
    AGREED,
    CHILD,
    OUTSIDE,
    Change,
    changes,
    length,
    situations,
    words,
)
from hub.domain.settlement import Released
from hub.release import Ask, decide
from tests.policy.officers import changed

DEFAULT = PolicyProfile.from_document(default_document())
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def profile(**parts: Any) -> PolicyProfile:
    return PolicyProfile.from_document({**copy.deepcopy(default_document()), **parts})


def brief(found: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    return [(one.part, one.role, one.what) for one in found]


# -- the modes, as the rules read them -------------------------------------------------------


def released(mode: str, situation: str, category: str = "identity") -> bool:
    """Whether the real rules release in this situation, the role being a public body."""
    document = changed(default_document(), "x", **{f"police__{category}": mode})
    case = Case()
    opened = CaseEvent(1, "e1", "CaseOpened", "NGO-1", "ngo_support", NOW, (), {})
    case.enter(opened)
    if situation != OUTSIDE:
        linked = CaseEvent(2, "e2", "ProceedingLinked", "POL-1", "police", NOW, (), {})
        case.enter(linked)
    if situation == AGREED:
        given = {"consent_id": "c1", "scope": {"POL-1": [category]}, "valid_until": "2027-01-01"}
        case.enter(CaseEvent(3, "e3", "ConsentGiven", "NGO-1", "ngo_support", NOW, (), given))
    event = CaseEvent(4, "e4", "IdentityRecorded", "NGO-1", "ngo_support", NOW, (category,), {})
    case.enter(event)
    ask = Ask(
        case,
        event,
        Party("POL-1", "police"),
        PolicyProfile.from_document(document),
        NOW,
        age=AgeView(situation == CHILD, False),
        category=category,
    )
    return isinstance(decide(ask), Released)


@pytest.mark.parametrize("mode", "ADCKXN")
@pytest.mark.parametrize("situation", [OUTSIDE, ADULT, CHILD, AGREED])
def test_a_mode_stands_for_the_situations_in_which_the_rules_release(
    mode: str, situation: str
) -> None:
    """ADULT: no consent. AGREED: an adult's consent. OUTSIDE: no part in the case."""
    assert released(mode, situation) == (situation in situations("identity", mode))


def test_the_deidentified_account_is_the_exception_the_rules_make() -> None:
    assert not released("A", OUTSIDE, "deidentified_account")
    assert released("A", AGREED, "deidentified_account")
    assert situations("deidentified_account", "A") == situations("identity", "C")


@pytest.mark.parametrize(("was", "now"), list(itertools.permutations("ADCKXN", 2)))
def test_every_pair_of_modes_is_told_by_what_it_opens_and_shuts(was: str, now: str) -> None:
    old = PolicyProfile.from_document(changed(default_document(), "a", police__identity=was))
    new = PolicyProfile.from_document(changed(default_document(), "b", police__identity=now))
    found = changes(old, new)
    opens = situations("identity", now) - situations("identity", was)
    shuts = situations("identity", was) - situations("identity", now)
    assert bool(found.gains) == bool(opens)
    assert bool(found.loses) == bool(shuts)
    for one in (*found.gains, *found.loses):
        assert (one.before, one.after) == (was, now)
        assert one.words
    back = changes(new, old)
    assert (len(back.gains), len(back.loses)) == (len(found.loses), len(found.gains))


def test_in_words() -> None:
    told = {
        (was, now): [
            one.words
            for one in (
                *changes(
                    PolicyProfile.from_document(
                        changed(default_document(), "a", police__identity=was)
                    ),
                    PolicyProfile.from_document(
                        changed(default_document(), "b", police__identity=now)
                    ),
                ).gains,
            )
        ]
        for was, now in [("N", "C"), ("C", "D"), ("K", "D"), ("D", "A"), ("X", "C"), ("N", "D")]
    }
    assert told == {
        ("N", "C"): ["receives it with the person's consent"],
        ("C", "D"): ["receives it of everybody it works with, without consent"],
        ("K", "D"): ["receives it of an adult it works with, without consent"],
        ("D", "A"): ["receives it always, also without any part in the case"],
        ("X", "C"): ["receives it with the person's consent"],
        ("N", "D"): ["receives it of everybody it works with, without consent"],
    }
    assert words({CHILD, AGREED}) == (
        "of a child it works with, without consent, or with the person's consent"
    )


def test_a_private_bodys_default_is_told_with_its_condition() -> None:
    [gain] = changes(
        DEFAULT, PolicyProfile.from_document(changed(default_document(), "b", shelter__health="D"))
    ).gains
    assert gain.words.endswith("; an adult's while an active consent names it")


# -- part by part ----------------------------------------------------------------------------


def test_the_same_but_for_texts_and_version_is_no_change() -> None:
    assert not changes(DEFAULT, profile(version="coe-2", title="Other", notes=[]))


@pytest.mark.parametrize(
    ("part", "value", "effect", "expected"),
    [
        ("private_bodies", ["shelter"], "gains", "ngo_support"),
        ("enforcement_roles", ["police"], "gains", "immigration_enforcement"),
        ("enforcement_dispute_serves", [], "loses", "guardian"),
        ("evidence", {}, "gains", "immigration_enforcement"),
        ("evidence", {"police": "hub"}, "loses", "police"),
        ("break_glass", {"guardian": ["identity"]}, "gains", "guardian"),
        ("break_glass", {"guardian": ["identity"]}, "loses", "police"),
        ("event_group_gate", {"embassy": ["return", "closure"]}, "gains", "embassy"),
        ("event_group_gate", {"embassy": ["return"]}, "loses", "police"),
    ],
)
def test_each_part_is_compared_both_ways(part: str, value: Any, effect: str, expected: str) -> None:
    other = profile(**{part: value})
    forth, back = changes(DEFAULT, other), changes(other, DEFAULT)
    assert (part, expected) in {(one.part, one.role) for one in getattr(forth, effect)}
    opposite = "loses" if effect == "gains" else "gains"
    assert (part, expected) in {(one.part, one.role) for one in getattr(back, opposite)}


def test_a_role_without_a_row_has_lost_all_of_it() -> None:
    document = copy.deepcopy(default_document())
    del document["matrix"]["embassy"]
    found = changes(DEFAULT, PolicyProfile.from_document({**document, "version": "b"}))
    assert {one.what for one in found.loses if one.part == "matrix"} == {
        "case_management",
        "identity",
        "immigration",
        "family",
    }


def test_the_two_shipped_profiles() -> None:
    uk = PolicyProfile.from_document(shipped_document("uk"))
    found = changes(DEFAULT, uk)
    assert brief(found.gains) == [
        ("inside_enforcement", "immigration_enforcement", "all of competent_authority")
    ]
    assert brief(found.loses) == [
        ("matrix", "competent_authority", "contact"),
        ("enforcement_roles", "competent_authority", "age dispute"),
        ("enforcement_roles", "immigration_status", "age dispute"),
        ("evidence", "immigration_status", "-"),
    ]
    assert brief(found.other) == [("timers", "-", "T02_recovery_minimum_days")]
    assert len(changes(uk, DEFAULT).gains) == len(found.loses)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "none"),
        (30, "30"),
        (True, "yes"),
        ([30, 90], "30 / 90"),
        (["2026-12-25"], "2026-12-25"),
        ({"1_day": 24}, "1_day 24"),
        ([{"value": 30}], "30"),
        (
            [{"jurisdiction": "GB", "from": "2022-12-13", "value": [1, 2]}],
            "GB 1 / 2 from 2022-12-13",
        ),
    ],
)
def test_lengths_in_words(value: Any, told: str) -> None:
    assert length(value) == told


def test_timers_added_changed_and_gone() -> None:
    timers = {**default_document()["timers"], "T17_statistics_days": 45}
    del timers["T11_recall_answer_days"]
    timers["T01_reasonable_grounds_working_days"] = 10
    found = {one.what: one.words for one in changes(DEFAULT, profile(timers=timers)).other}
    assert found == {
        "T01_reasonable_grounds_working_days": "is another",
        "T17_statistics_days": "is new",
        "T11_recall_answer_days": "is gone",
    }
