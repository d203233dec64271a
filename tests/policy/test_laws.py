"""Laws of the diff, over random profiles and random cases: nothing is gained unannounced."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.domain.policy import PolicyProfile, default_document
from hub.domain.profile_changes import Changes, changes
from hub.domain.profile_check import categories, groups, roles
from tests.release.generator import AGENCIES, Generator
from tests.scenarios.rules_alone import play

LAWS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROLES, CATEGORIES = st.sampled_from(roles()), st.sampled_from(categories())


@st.composite
def profiles(draw: st.DrawFn) -> PolicyProfile:
    """The default profile with anything that decides changed."""
    document: dict[str, Any] = copy.deepcopy(default_document())
    cells = st.tuples(ROLES, CATEGORIES, st.sampled_from("ADCKXN"))
    for role, category, mode in draw(st.lists(cells, max_size=12)):
        document["matrix"][role][category] = mode
    for part, names in (("event_group_gate", groups()), ("break_glass", categories())):
        for role in draw(st.lists(ROLES, max_size=3)):
            document[part][role] = draw(st.lists(st.sampled_from(names), max_size=6, unique=True))
    for part in ("private_bodies", "enforcement_roles", "enforcement_dispute_serves"):
        if draw(st.booleans()):
            document[part] = draw(st.lists(ROLES, max_size=6, unique=True))
    return PolicyProfile.from_document(document)


def ever_released(scenario: dict[str, Any], profile: PolicyProfile) -> set[tuple[str, str, str]]:
    """(agency, event, category), at once or by backfill."""
    found = set()
    for step in play(scenario, profile, guarded=False):
        assert step.settlement is not None
        for owed in step.settlement.owed():
            found |= {(owed.agency, owed.event_id, category) for category in owed.bases}
    return found


def announced(found: Changes, role: str, category: str) -> bool:
    """Whether some gain says that this role may receive more of this category."""
    for one in found.gains:
        if one.part in ("enforcement_roles", "enforcement_dispute_serves"):
            return True  # a dispute opens the child's defaults, whoever has them
        if one.role != role:
            continue
        if one.part == "private_bodies":
            return True
        if one.part == "event_group_gate" and category == "case_management":
            return True
        # A link's own consent is decided as linkage (docs/release.md 4.9).
        if one.what == category or (one.what == "linkage" and category == "consent"):
            return True
    return False


@LAWS
@given(profiles(), profiles(), st.integers(0, 10_000))
def test_whatever_is_released_anew_was_announced_as_a_gain(
    old: PolicyProfile, new: PolicyProfile, seed: int
) -> None:
    scenario = Generator(seed, 30).scenario()
    found = changes(old, new)
    for agency, _event, category in ever_released(scenario, new) - ever_released(scenario, old):
        assert announced(found, AGENCIES[agency], category), (agency, category)


@LAWS
@given(profiles(), profiles())
def test_there_and_back_gains_and_losses_change_places(
    old: PolicyProfile, new: PolicyProfile
) -> None:
    there, back = changes(old, new), changes(new, old)
    for one, other in ((there.gains, back.loses), (there.loses, back.gains)):
        assert {(c.part, c.role, c.before, c.after) for c in one} == {
            (c.part, c.role, c.after, c.before) for c in other
        }
    assert not changes(old, old)
