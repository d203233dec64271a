"""Q24: a mapping file held against schemas that are to come."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hub.errors import Refused
from schemas.registry import Schemas
from tests.questions.conftest import Played

MAPPING = """\
version = 1

[codes.age]
adult = "A"
child = "C"
unknown = "U"
age_disputed = "D"

[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_ref = "case_ref" }

[map.columns]
channel = "channel"
age_group = { field = "age_status", codes = "age" }
opened_on = { from = "occurred_at", type = "date" }
source = { constant = "NRM" }
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    file = tmp_path / "map.toml"
    file.write_text(MAPPING, "utf-8")
    return file


def upcoming(tmp_path: Path, change: Any) -> Path:
    """A folder in which CaseOpened is to come, changed so."""
    document = copy.deepcopy(dict(Schemas.load().by_type("CaseOpened").document))
    fields = {field["name"]: field for field in document["fields"]}
    change(document, fields)
    folder = tmp_path / "upcoming"
    folder.mkdir()
    (folder / "CaseOpened.avsc").write_text(json.dumps(document), "utf-8")
    return folder


def gone(document: Any, fields: Any) -> None:
    document["fields"].remove(fields["channel"])


def renamed(_: Any, fields: Any) -> None:
    fields["channel"]["name"] = "channels"


def retyped(_: Any, fields: Any) -> None:
    fields["channel"]["type"] = "long"
    fields["channel"].pop("codelist", None)


def recategorised(_: Any, fields: Any) -> None:
    fields["channel"]["category"] = "health"


def recoded(_: Any, fields: Any) -> None:
    kind = fields["age_status"]["type"]
    symbols = (kind if isinstance(kind, dict) else kind[1])["symbols"]
    symbols.append("minor_by_law")


@pytest.mark.parametrize(
    ("change", "column", "what"),
    [
        (gone, "channel", "the field is gone"),
        (renamed, "channel", "channels may take its place"),
        (retyped, "channel", "and will be integer"),
        (recategorised, "channel", "case_management becomes health"),
        (recoded, "age_group", 'no "*": minor_by_law'),
    ],
)
def test_what_breaks_is_told_with_its_column(
    change: Any, column: str, what: str, mapping: Path, tmp_path: Path, read: Played
) -> None:
    told = read("S1")
    folder = upcoming(tmp_path, change)
    rows = told.rows("Q24", mapping=str(mapping), schemas=str(folder))
    told_of = [row for row in rows if row["column"] == column and row["effect"] == "breaks"]
    assert any(what in row["what"] for row in told_of), rows
    assert {row["line"] for row in rows} == {9}


def test_a_new_field_breaks_nothing_and_is_pointed_at(
    mapping: Path, tmp_path: Path, read: Played
) -> None:
    def added(document: Any, _: Any) -> None:
        document["fields"].append(
            {
                "name": "interpreter_needed",
                "doc": "Whether one is.",
                "type": ["null", "boolean"],
                "default": None,
                "category": "case_management",
            }
        )

    folder = upcoming(tmp_path, added)
    found = read("S1").ask("Q24", mapping=str(mapping), schemas=str(folder))
    assert found.findings == 0
    [row] = found.as_dict()["rows"]
    assert (row["effect"], row["field"]) == ("look at it", "interpreter_needed")


def test_nothing_to_come_breaks_nothing(mapping: Path, tmp_path: Path, read: Played) -> None:
    told = read("S1")
    unchanged = upcoming(tmp_path, lambda *_: None)
    for given in ({"mapping": str(mapping)}, {"mapping": str(mapping), "schemas": str(unchanged)}):
        found = told.ask("Q24", **given)
        assert (found.rows, found.findings) == ([], 0)
        assert found.notes == ["No schema that is to come differs from what is in force."]
    assert told.ask("Q24", mapping_text=MAPPING).findings == 0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "needs your connector's mapping"),
        ({"mapping_text": "version = 1"}, "correct it first"),
        ({"mapping": "nowhere.toml"}, "cannot be read"),
        ({"mapping_text": MAPPING, "schemas": "nowhere"}, "a folder of .avsc files"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(given: dict[str, str], why: str, read: Played) -> None:
    with pytest.raises(Refused, match=why):
        read("S1").ask("Q24", **given)


def test_a_file_that_is_no_schema_is_named(mapping: Path, tmp_path: Path, read: Played) -> None:
    folder = tmp_path / "upcoming"
    folder.mkdir()
    (folder / "Wrong.avsc").write_text('{"type": "record"}', "utf-8")
    with pytest.raises(Refused, match=r"Wrong\.avsc is no event schema"):
        read("S1").ask("Q24", mapping=str(mapping), schemas=str(folder))
