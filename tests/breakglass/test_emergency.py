"""Emergency mode extends protection by events of its own; it widens no release."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.facts import facts_of
from tests.release.story import EVERYBODY, Story

MEASURES = [
    "extend_recovery",
    "suspend_exits",
    "oral_consent",
    "remote_assessment",
    "extend_consent_validity",
]
CATEGORIES = ("identity", "contact", "health", "protection", "location_safe", "case_management")


def told(story: Story) -> Any:
    """What an ordinary case led to, told step by step; a declaration may stand between."""
    yield story.opened("NGO-1")
    yield story.identity("NGO-1")
    yield story.consents({"SH-1": ["identity", "health"]}, until="2026-03-20")
    yield story.refers("NGO-1", "SH-1")
    yield story.accepts("SH-1")
    yield story.says("NGO-1", "RiskAssessed", *CATEGORIES)
    story.on("2026-03-25T09:00")
    yield story.says("NGO-1", "NeedsAssessed", *CATEGORIES)
    yield story.withdraws()
    yield story.says("NGO-1", "NeedsAssessed", *CATEGORIES)


def decisions(declared_before: int | None, measures: list[str]) -> list[Any]:
    story = Story()
    found = []
    for step, heard in enumerate(told(story), start=1):
        found.append(
            (
                {
                    (agency, category): str(heard.outcome(agency, category))
                    for agency in EVERYBODY
                    for category in heard.settlement.categories
                },
                sorted(
                    (agency, about.type, sorted(bases.items()))
                    for agency, items in heard.settlement.backfill.items()
                    for event_id, bases in items.items()
                    if (about := story.case.find(event_id)) is not None
                    and about.type != "EmergencyModeDeclared"
                ),
                sorted(heard.recalls),
            )
        )
        if step == declared_before:
            plain, _ = facts_of("EmergencyModeDeclared", {"measures": measures})
            assert plain
            declared = story.raw(
                "CA-1", "EmergencyModeDeclared", "case_management",
                measures=measures, ends_on="2026-12-31",
            )  # fmt: skip
            assert declared.settlement.backfill == {}
            assert declared.recalls == {}
    return found


ORDINARY = decisions(None, [])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 8), st.lists(st.sampled_from(MEASURES), min_size=1, unique=True))
def test_every_decision_is_the_same_with_and_without_it(when: int, measures: list[str]) -> None:
    assert decisions(when, measures) == ORDINARY


def test_a_lapsed_consent_stays_lapsed_until_an_amendment_says_otherwise() -> None:
    story = Story()
    story.opened("NGO-1")
    story.consents({"SH-1": ["identity"]}, until="2026-03-20")
    story.involves("NGO-1", "SH-1")
    story.raw(
        "CA-1", "EmergencyModeDeclared", "case_management",
        measures=["extend_consent_validity"], ends_on="2026-12-31",
    )  # fmt: skip
    story.on("2026-03-25T09:00")
    assert story.identity("NGO-1").reason("SH-1", "identity") == "expired"
    story.amends({"SH-1": ["identity"]}, until="2026-06-30")
    assert story.identity("NGO-1").basis("SH-1", "identity") == "consent:c1"


@pytest.mark.parametrize("role", ["NGO-1", "POL-1", "SH-1"])
def test_only_the_authority_may_declare_it(role: str) -> None:
    story = Story()
    story.opened("NGO-1")
    refusal = story.refused(role, "EmergencyModeDeclared", "case_management", measures=MEASURES)
    assert refusal.reason == "role_may_not_emit"
