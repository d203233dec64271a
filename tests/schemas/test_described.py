"""Every event and every field is described in every language that has descriptions."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from schemas.described import described
from schemas.registry import Schemas

FILES = sorted((resources.files("schemas") / "descriptions").iterdir(), key=lambda file: file.name)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_description_has_a_translation_and_no_translation_is_left_over(file) -> None:
    schemas = [Schemas.load().by_type(name) for name in Schemas.load().types()]
    docs = {schema.doc for schema in schemas} | {one.doc for s in schemas for one in s.fields}
    told = json.loads(file.read_text("utf-8"))
    assert docs - told.keys() == set()
    assert told.keys() - docs == set()
    for english, other in told.items():
        assert other.strip() == other != english, english
        assert other.endswith(".") == english.endswith("."), english
        assert other.endswith("?") == english.endswith("?"), english


def test_what_has_no_translation_stays_english() -> None:
    assert described("Why.", "fr") == "Pourquoi."
    assert described("Why.", "uk") == "Why."
    assert described("Nothing of the kind.", "fr") == "Nothing of the kind."
