"""The documents say what the schemas say, and every code list stands where fields point."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from schemas import codelists
from schemas.avro import Codec
from schemas.compatibility import shipped_wire
from schemas.describe import GROUPS, describe
from schemas.registry import INHERIT, Schemas
from tests.schemas import outsider

ROOT = Path(__file__).parents[2]
SCHEMAS = Schemas.load()
ALL = [SCHEMAS.by_type(name) for name in SCHEMAS.types()]


def test_the_event_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "events.md").read_text("utf-8")
    assert written == describe(SCHEMAS), "run: python -m schemas.describe > docs/events.md"


def test_every_type_and_field_is_described() -> None:
    assert len(ALL) == 66
    text = describe(SCHEMAS)
    for schema in ALL:
        assert f"### {schema.type}\n" in text
        assert schema.doc
        assert schema.group in GROUPS
        for field in schema.fields:
            assert field.doc, f"{schema.type}.{field.name}"


def test_files_are_named_after_their_type_and_written_alike() -> None:
    for path in sorted((ROOT / "schemas" / "case").glob("*.avsc")):
        text = path.read_text("utf-8")
        document = json.loads(text)
        assert document["name"] == path.stem
        assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def test_categories_are_those_the_release_matrix_knows() -> None:
    profile = resources.files("hub.domain").joinpath("profiles", "coe.json")
    document = json.loads(profile.read_text("utf-8"))
    categories = {category for row in _matrix(document).values() for category in row}
    assert set(codelists.load("nrm.category").labels) == categories
    used = {field.category for schema in ALL for field in schema.fields} - {INHERIT}
    assert used <= categories


def _matrix(document: dict[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = document["matrix"]
    return found


def test_roles_are_listed() -> None:
    roles = set(codelists.load("nrm.role").labels)
    for schema in ALL:
        assert schema.emitters <= roles | {"any_authorised"}
        for field in schema.fields:
            if isinstance(field.avro, dict) and field.avro.get("name") == "Role":
                assert set(field.avro["symbols"]) == roles


def test_every_code_list_a_field_names_is_shipped_and_every_list_is_used() -> None:
    named = {
        one
        for schema in ALL
        for field in schema.fields
        for one in codelists.alternatives(field.codelist or "")
        if one
    }
    assert named | {"nrm.role"} == set(codelists.ids())


@pytest.mark.parametrize("list_id", codelists.ids())
def test_code_lists_are_complete(list_id: str) -> None:
    found = codelists.load(list_id)
    assert found.id == list_id
    assert all((found.title, found.source, found.licence))
    assert bool(found.labels) != found.by_reference
    assert all(0 < len(code) <= 64 and code.isprintable() for code in found.labels)
    path = ROOT / "schemas" / "codelists" / f"{list_id}.json"
    assert len(json.loads(path.read_text("utf-8"))["codes"]) == len(found.labels)


def test_closed_lists_are_closed_in_the_schema_too() -> None:
    for schema in ALL:
        for document, field in zip(schema.document["fields"], schema.fields, strict=True):
            if field.codelist and "|" not in field.codelist:
                known = codelists.load(field.codelist)
                assert known.closed == ("codes" in document)
                if known.closed:
                    assert document["codes"] == list(known.labels)


def test_unknown_lists_say_so() -> None:
    with pytest.raises(codelists.UnknownCodeListError):
        codelists.load("no.such")


def test_others_work_is_credited() -> None:
    text = (ROOT / "docs" / "attribution.md").read_text("utf-8")
    for list_id in codelists.ids():
        if codelists.load(list_id).licence not in {"Apache-2.0", "national"}:
            assert f"`{list_id}`" in text
    for words in ("CC BY 4.0", "Open Government Licence v3.0", "not endorsed"):
        assert words in text


def test_the_fingerprints_in_the_formats_are_those_of_the_schemas() -> None:
    written = (ROOT / "docs" / "formats.md").read_text("utf-8")
    table = written.partition("<!-- fingerprints: a test compares -->\n")[2].partition("<!--")[0]
    assert table == fingerprints()


def fingerprints() -> str:
    """The table of docs/formats.md §1. Both implementations must agree."""
    lines = ["| message | fingerprint |", "|---|---|"]
    for name, document in sorted(shipped_wire().items()):
        found = Codec(document).fingerprint
        assert found == outsider.fingerprint(document)
        lines.append(f"| `{name}` | `{found.hex(' ')}` |")
    return "\n".join(lines) + "\n"
