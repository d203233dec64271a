"""The mapping file of a case system: what it may say, and what is said of its mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.case_systems.dhis2_program import FORM
from connectors.case_systems.filling import written
from connectors.case_systems.mapping import Filling, parse_case_mapping
from connectors.conformance import NOW
from connectors.errors import SettingsError, SinkRefusedError
from connectors.remote.copies import Kept

PATH = Path("mapping.toml")


def kept(event_type: str = "IdentityRecorded", **fields: object) -> Kept:
    return Kept("e-1", event_type, "nc-1", "ns-1", "SH-1", NOW, NOW, 1, {}, {"identity": fields})


def mistakes(text: str) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        parse_case_mapping(text, PATH, FORM)
    return [line.strip() for line in str(wrong.value).splitlines()[1:]]


def test_every_mistake_has_its_line() -> None:
    assert mistakes(
        """
[[map]]
event = "CaseOpend"
[map.attributes]
a = "channel"
[[map]]
event = "IdentityRecorded"
stage = 7
table = "x"
[map.attributes]
a = "given"
b = { field = "given_name", owner = "nobody" }
c = 7
d = { from = "nowhere" }
e = { field = "given_name", codes = "x" }
f = { from = "fields", type = "text" }
[[map]]
event = "*"
data = 1
[map.attributes]
a = "channel"
[[map]]
event = "CaseClosed"
[[map]]
event = "*"
[map.attributes]
a = { from = "fields" }
"""
    ) == [
        "mapping.toml:1: version = 1 is missing: put it in the first line",
        "mapping.toml:3: no event type 'CaseOpend' (did you mean 'CaseOpened'?)",
        "mapping.toml:9: unknown setting 'table' (did you mean 'stage'?); known are event, "
        "stage, attributes, data",
        "mapping.toml:8: stage is a text: the uid of a program stage",
        "mapping.toml:11: IdentityRecorded has no field 'given' (did you mean 'given_name'?); "
        "it has given_name, family_name, aliases, date_of_birth, dob_precision, gender, "
        "citizenships, birth_place, document_refs, official_refs",
        "mapping.toml:12: b: owner is one of hub, partner",
        "mapping.toml:13: c: write a field's name or { field = … }",
        "mapping.toml:14: d: from is one of case_ref, subject_ref, event_ref, agency, "
        "occurred_at, received_at, sequence, event_type, fields",
        "mapping.toml:15: column 'e': there is no [codes.x]",
        "mapping.toml:16: unknown setting 'type'; known are from, codes",
        'mapping.toml:21: a: event "*" has no fields of its own: write { from = "fields" }',
        "mapping.toml:19: write data elements of the stage in a [map.data] section",
        "mapping.toml:22: it fills nothing: write [map.attributes] (tracked entity attributes) "
        "or [map.data] (data elements of the stage)",
        "mapping.toml:24: * is mapped twice: merge the two",
    ]


@pytest.mark.parametrize("text", ["[[", "version = 1\n", "version = 1\nmap = 7\n"])
def test_what_is_no_mapping(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_case_mapping(text, PATH, FORM)


def test_what_has_no_map_of_its_own_goes_with_the_rest() -> None:
    mapping = parse_case_mapping(
        'version = 1\n[[map]]\nevent = "CaseOpened"\n[map.attributes]\na = "channel"\n'
        '[[map]]\nevent = "*"\n[map.attributes]\nb = { from = "event_type" }\n',
        PATH,
        FORM,
    )
    assert [
        getattr(mapping.of(one), "event", None) for one in ("CaseOpened", "CaseClosed", "")
    ] == [
        "CaseOpened",
        "*",
        None,
    ]


def parsed(spec: str) -> dict[str, Filling]:
    text = 'version = 1\n[codes.c]\na = "A"\n[[map]]\nevent = "IdentityRecorded"\n'
    mapping = parse_case_mapping(f"{text}[map.attributes]\nx = {spec}\n", PATH, FORM)
    event = kept(given_name="a", family_name=None, date_of_birth="2001-02-03")
    return dict(mapping.filled([event], "attributes"))


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ('"given_name"', "a"),
        ('{ field = "given_name", codes = "c" }', "A"),
        ('{ constant = "k" }', "k"),
        ('{ from = "event_ref" }', "e-1"),
        ('{ from = "event_type" }', "IdentityRecorded"),
        ('{ from = "fields" }', '{"given_name":"a","date_of_birth":"2001-02-03"}'),
        ('"occurred_at"', NOW),
    ],
)
def test_where_a_value_comes_from(spec: str, value: object) -> None:
    assert parsed(spec)["x"].value == value


def test_what_is_not_stated_fills_nothing() -> None:
    assert parsed('"family_name"') == {}
    assert parsed('"gender"') == {}, "of a category that is not held"


def test_what_cannot_be_taken_is_refused_without_its_value() -> None:
    with pytest.raises(SinkRefusedError, match="given_name does not fit") as refused:
        parsed('{ field = "given_name", type = "integer" }')
    assert refused.value.reason == "value_unsuitable"


@pytest.mark.parametrize(
    ("ours", "there", "stated", "fills"),
    [
        ({}, {}, set(), True),  # empty there
        ({}, {"x": "theirs"}, set(), False),  # the partner was first
        ({"x": "e-0"}, {"x": "?"}, {("e-0", "x")}, False),  # ours, and still said
        ({"x": "e-0"}, {"x": "?"}, set(), True),  # ours, and recalled
        ({"x": ""}, {"x": "?"}, {("e-0", "x")}, True),  # cut off: not certain
    ],
)
def test_who_may_fill_a_field_of_the_partner(
    ours: dict[str, str], there: dict[str, str], stated: set[tuple[str, str]], fills: bool
) -> None:
    wanted = parsed('{ field = "given_name", owner = "partner" }')
    assert bool(written(wanted, ours, there, stated).fill) == fills
    of_the_hub = parsed('{ field = "given_name" }')
    assert written(of_the_hub, ours, there, stated).fill


def test_only_what_is_ours_is_emptied() -> None:
    done = written({}, {"x": "e-0", "y": "e-0"}, {"x": "v", "z": "theirs"}, set())
    assert done.empty == {"x"}
