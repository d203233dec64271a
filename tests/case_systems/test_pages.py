"""The two pages: every option, every setting of a map and what is not tested stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.case_systems import dhis2, dhis2_program, primero, primero_forms
from connectors.case_systems.dhis2_program import _TAKES as VALUE_TYPES
from connectors.case_systems.mapping import OWNERS, PROVENANCE

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "connect-dhis2.md": (dhis2.Options, dhis2_program.FORM),
    "connect-primero.md": (primero.Options, primero_forms.FORM),
}


@pytest.mark.parametrize("name", PAGES)
def test_everything_that_can_be_set_is_told(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    options, form = PAGES[name]
    for option, field in options.model_fields.items():
        assert f"`{option}`" in text, option
        assert field.description, option
    for group in form.groups:
        assert f"[map.{group}]" in text
    for word in (*form.settings, *PROVENANCE):
        assert f"`{word}`" in text, word
    assert f'owner = "{OWNERS[1]}"' in text


@pytest.mark.parametrize(("name", "system"), [(one, one[8:-3]) for one in PAGES])
def test_what_is_not_tested_is_said(name: str, system: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    assert "**How far this is tested.**" in text
    assert f"No {'DHIS2' if system == 'dhis2' else 'Primero'} runs in our tests" in text


def test_the_limits_are_those_of_the_code() -> None:
    text = (DOCS / "connect-dhis2.md").read_text("utf-8")
    assert f"{dhis2_program.MOST_ATTRIBUTE:,}".replace(",", " ") in text
    assert f"{dhis2_program.MOST_DATA:,}".replace(",", " ") in text
    assert len(VALUE_TYPES) == 19, "the page lists the value types"
