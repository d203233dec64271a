"""The invented row that the workbench shows is made of codes the file can translate."""

from __future__ import annotations

from pathlib import Path

from connectors.mapping import parse_mapping
from connectors.workbench.sample import row
from schemas.registry import Schemas


def test_a_code_that_has_a_translation_is_shown() -> None:
    """The first code of a list has often none: what has none is quarantined, not shown."""
    text = (
        'version = 1\n[codes.urgency]\n3_days = 7\n[[map]]\nevent = "ReferralMade"\n'
        'table = "referral"\nkey = { nrm_ref = "event_ref" }\n[map.columns]\n'
        'urgency = { field = "urgency", codes = "urgency" }\n'
    )
    [one] = parse_mapping(text, Path("mapping.toml")).maps
    assert row(one, Schemas.load())["urgency"] == ("3_days", 7)
