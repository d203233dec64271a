"""Formats: what is written is read back, by us and by others; a spreadsheet runs none of it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.conformance import NOW, released
from connectors.files.formats import FORMATS
from connectors.files.records import Format, Names, Record
from connectors.sink import Addition
from schemas.registry import Schemas
from tests.connectors.files.file_bench import read

FORM = {name: made(Schemas.load()) for name, made in FORMATS.items()}
ANY = pytest.mark.parametrize("form", FORM.values(), ids=FORM.keys())


def record(sequence: int, event_type: str, fields: dict[str, dict[str, Any]]) -> Record:
    event = released(sequence, f"e-{sequence}", event_type, fields)
    return Record.of(Addition(event, event.categories, {}, NOW))


def names(records: list[Record]) -> Names:
    return {(one.event_ref, one.sequence): one.names for one in records}


def person(sequence: int, **values: Any) -> Record:
    return record(sequence, "IdentityRecorded", {"identity": values})


def back(form: Format, event_type: str, records: list[Record]) -> list[Record]:
    return form.decode(event_type, form.encode(event_type, records), names(records))


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@ANY
@given(values=st.lists(st.one_of(st.none(), texts), min_size=1, max_size=4))
def test_any_text_is_read_back(form: Format, values: list[str | None]) -> None:
    records = [person(n, given_name=value, family_name="'") for n, value in enumerate(values, 1)]
    assert back(form, "IdentityRecorded", records) == records
    encoded = form.encode("IdentityRecorded", records)
    assert form.encode("IdentityRecorded", back(form, "IdentityRecorded", records)) == encoded


@ANY
def test_every_kind_of_value_is_read_back(form: Format) -> None:
    told = record(
        1,
        "RecordCorrected",
        {
            "case_management": {"corrects_event": "e", "field": "languages"},
            "identity": {"new_value": ["fr", "=x"]},
        },
    )
    assert back(form, "RecordCorrected", [told]) == [told]
    for value in (True, 7, -2.5, "text", None):
        told.fields["identity"]["new_value"] = value
        assert back(form, "RecordCorrected", [told]) == [told]


@ANY
def test_what_a_file_of_ours_is_not(form: Format) -> None:
    for data in (b"\xff\xfe", b'"a', b"{", b"PAR1 and so on PAR1"):
        with pytest.raises((ValueError, KeyError)):
            assert form.decode("IdentityRecorded", data, {}) == [object()]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x", "'x"],
)
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    data = FORM["csv"].encode("IdentityRecorded", [person(1, given_name=text)])
    [row] = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert row["given_name"] == f"'{text}"
    assert not any(cell.startswith(tuple("=+-@\t\r\n")) for cell in row.values())


def test_csv_is_rfc_4180_to_others() -> None:
    hard = 'a "quoted", b\r\nand c'
    records = [person(1, given_name=hard, family_name=""), person(2, given_name=None)]
    data = FORM["csv"].encode("IdentityRecorded", records)
    assert data.endswith(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
    assert [row["given_name"] for row in rows] == [hard, ""]
    line = data.split(b"\r\n", 1)[0].decode()
    assert line.startswith('"sequence","event_ref","event_type"')
    first, second = data.decode().removeprefix(line).strip().split(']",', 1)[0], data.decode()
    assert '""' in first or '"",' in second, "an empty text is not an absent one"


def test_a_number_below_zero_is_a_number() -> None:
    told = record(1, "RecordCorrected", {"identity": {"new_value": -2}})
    [row] = csv.DictReader(io.StringIO(FORM["csv"].encode("RecordCorrected", [told]).decode()))
    assert row["new_value"] == "'-2", "JSON of any kind is text there"
    assert row["sequence"] == "1"


def test_parquet_has_types_others_read() -> None:
    data = FORM["parquet"].encode("IdentityRecorded", [person(1, date_of_birth="2001-02-03")])
    [row] = read("x.parquet", data)
    assert row["date_of_birth"] == "2001-02-03"
    assert datetime.fromisoformat(row["received_at"]).astimezone(UTC) == NOW
    assert row["categories"] == ["identity"]
    assert duckdb.__version__


def test_what_fits_a_column() -> None:
    for form in (FORM["csv"], FORM["parquet"]):
        assert form.fits("IdentityRecorded", "date_of_birth", "2001-02-03")
        assert form.fits("IdentityRecorded", "date_of_birth", None)
        assert not form.fits("IdentityRecorded", "date_of_birth", "yesterday")
        assert form.fits("IdentityRecorded", "no_such_field", "anything")
    assert FORM["jsonl"].fits("IdentityRecorded", "date_of_birth", "yesterday")


def test_a_line_is_one_line_to_every_reader() -> None:
    data = FORM["jsonl"].encode("", [person(1, given_name="a\u2028b\u2029c\u0085d")])
    [line] = data.decode().splitlines()
    assert json.loads(line)["fields"]["identity"]["given_name"] == "a\u2028b\u2029c\u0085d"
