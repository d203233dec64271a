"""The policy profile: a checked document, default deny, shown in docs/release.md as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.domain import policy
from hub.domain.policy import PolicyError, PolicyProfile, default_document, default_profile
from schemas.registry import Schemas
from tests.release.story import Story

DOCUMENT = Path(policy.__file__).parents[2] / "docs" / "release.md"


def test_the_default_profile_is_complete_for_every_role_and_category() -> None:
    document, profile = default_document(), default_profile()
    assert profile.version == "coe-1"
    assert len(profile.matrix) == 19
    for role in profile.matrix:
        assert set(profile.matrix[role]) == set(document["categories"])
    assert set(document["roles"]) - {"hub"} == set(profile.matrix)


def test_every_category_of_every_schema_is_in_the_matrix() -> None:
    known = set(default_document()["categories"]) | {"inherit"}
    schemas = Schemas.load()
    for event_type in schemas.types():
        for field in schemas.by_type(event_type).fields:
            assert field.category in known, (event_type, field.name)


def test_the_document_shows_the_matrix_gates_and_windows_as_they_are() -> None:
    text = DOCUMENT.read_text("utf-8")
    document = default_document()
    roles = list(document["matrix"])
    for category in document["categories"]:
        cells = " | ".join(document["matrix"][role][category] for role in roles)
        assert f"| `{category}` | {cells} |" in text
    for role, groups in document["event_group_gate"].items():
        assert f"| `{role}` | {', '.join(groups)} |" in text
    for role, categories in document["break_glass"].items():
        assert f"| `{role}` | {', '.join(categories)} |" in text


def test_evidence_is_the_agencys_except_where_linkage_is_the_greater_risk() -> None:
    profile = default_profile()
    by_hub = {role for role in profile.matrix if profile.evidence_for(role) == "hub"}
    assert by_hub == {"immigration_enforcement", "national_rapporteur", "embassy"}
    assert profile.evidence_for("unheard_of") == "agency"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("matrix", {"police": {"identity": "Z"}}),
        ("evidence", {"police": "nobody"}),
        ("private_bodies", ["unheard_of"]),
        ("break_glass", {"unheard_of": ["identity"]}),
        ("event_group_gate", {"unheard_of": ["closure"]}),
    ],
)
def test_a_wrong_profile_is_refused_when_loaded(part: str, value: Any) -> None:
    with pytest.raises(PolicyError, match=part):
        PolicyProfile.from_document({**default_document(), part: value})


def test_an_incomplete_profile_is_refused() -> None:
    document = default_document()
    del document["private_bodies"]
    with pytest.raises(PolicyError, match="private_bodies"):
        PolicyProfile.from_document(document)


def test_a_hole_in_the_matrix_or_gate_withholds() -> None:
    document = default_document()
    del document["matrix"]["competent_authority"]["decision"]
    del document["event_group_gate"]["competent_authority"]
    story = Story(profile=PolicyProfile.from_document(document))
    story.opened("NGO-1")
    story.consents({"CA-1": ["decision"]})
    story.involves("NGO-1", "CA-1")
    heard = story.says("NGO-1", "SupportPlanAgreed", "decision", "case_management")
    assert heard.reason("CA-1", "decision") == "never_rule"
    assert heard.reason("CA-1", "case_management") == "not_relevant"
