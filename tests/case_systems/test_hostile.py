"""Whatever JSON comes back, it is an answer, an outage, or a refusal: never a crash."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.case_systems.dhis2_api import _BROKEN
from connectors.case_systems.dhis2_objects import Found, read_entity, troubles
from connectors.case_systems.dhis2_program import read_program
from connectors.case_systems.primero_case import unkept
from connectors.case_systems.primero_forms import read_forms

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
HERE = Path(__file__).parent


def names_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in names_in(one)}
    if isinstance(value, list):
        return {name for one in value for name in names_in(one)}
    return set()


NAMES = st.sampled_from(
    sorted(
        name
        for file in ("dhis2_metadata.json", "primero_forms.json", "dhis2.openapi.json")
        for name in names_in(json.loads((HERE / file).read_text("utf-8")))
        if name.isalnum() or "_" in name
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)

READERS: dict[str, Callable[[Any], Any]] = {
    "entity": lambda said: read_entity(said, "enrollment1"),
    "program": read_program,
    "report": lambda said: troubles(said, {"a": ("a",)}),
    "forms": lambda said: read_forms(said, said),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150)
@given(JSON)
def test_only_what_is_told_is_raised(name: str, said: Any) -> None:
    with contextlib.suppress(*_BROKEN):
        READERS[name](said)


@settings(max_examples=100)
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_a_case_that_is_none_is_read_as_empty(there: dict[str, Any]) -> None:
    sent = {"name": "x", "values": [{"unique_id": "u", "a": "x"}]}
    assert set(unkept(sent, there)) <= {"name", "values", "a"}


def test_nothing_found_is_nothing_there() -> None:
    assert read_entity({}, "enrollment1") == Found()
