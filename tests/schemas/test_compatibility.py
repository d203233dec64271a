"""What may be published after a schema, and what must never change."""

from __future__ import annotations

import copy
import json
import warnings
from typing import Any

import pytest

from schemas import compatibility as rules
from schemas.registry import Routing, Schemas, UnreleasableFieldWarning

VERSIONS = rules.shipped_versions()
WIRE = rules.shipped_wire()
LOCK = rules.read_lock()

Document = dict[str, Any]


def test_what_is_shipped_is_what_was_published() -> None:
    assert rules.problems(VERSIONS, WIRE, LOCK) == []
    assert rules.unpublished(VERSIONS, WIRE, LOCK) == []
    assert rules.lock_path().read_text("utf-8") == rules.lock_of(VERSIONS, WIRE)


def test_every_shipped_field_reaches_somebody() -> None:
    assert rules.unreleasable(one for texts in VERSIONS.values() for one in texts) == []


def test_identities_are_of_the_published_text() -> None:
    loaded = Schemas.load()
    for event_type, ids in LOCK["events"].items():
        assert [one.schema_id.hex() for one in loaded.versions(event_type)] == ids
        for schema in loaded.versions(event_type):
            assert loaded.by_id(schema.schema_id) is schema
        assert loaded.by_type(event_type) is loaded.versions(event_type)[-1]


def test_an_earlier_version_is_still_read() -> None:
    older, newer = Schemas.load().versions("RiskAssessed")
    data = {"risk_id": "k", "level": "high", "reviewed_by": "2026-04-01", "scope": "court"}
    bodies = older.split(data, routing=Routing("C", "P"))
    assert older.schema_id != newer.schema_id
    assert older.join(bodies, whole=True) == data


def base() -> Document:
    return {
        "type": "record",
        "name": "Thing",
        "namespace": "nrm.case",
        "group": "test",
        "emitters": ["police"],
        "fields": [
            {"name": "a", "type": "string", "category": "identity", "required": True},
            {"name": "b", "type": ["null", "long"], "default": None, "category": "health"},
            {
                "name": "c",
                "type": {"type": "enum", "name": "C", "symbols": ["x", "y"]},
                "category": "identity",
                "required": True,
            },
            {"name": "d", "type": "string", "category": "contact", "codes": ["1", "2"]},
        ],
    }


def changed(change: Any) -> Document:
    document = copy.deepcopy(base())
    change(document, {field["name"]: field for field in document["fields"]})
    return document


def add(field: Document) -> Any:
    return lambda document, _fields: document["fields"].append(field)


def drop(name: str) -> Any:
    def change(document: Document, _fields: Any) -> None:
        document["fields"] = [f for f in document["fields"] if f["name"] != name]

    return change


OPTIONAL = {"name": "n", "type": ["null", "string"], "default": None, "category": "health"}

GOOD = {
    "nothing": lambda document, fields: None,
    "an optional field": add(OPTIONAL),
    "a field less": drop("a"),
    "a wider type": lambda document, fields: fields["b"].update(type=["null", "long", "string"]),
    "another code of an enum": lambda document, fields: fields["c"]["type"]["symbols"].append("z"),
    "another code of a closed list": lambda document, fields: fields["d"]["codes"].append("3"),
    "a closed list opened": lambda document, fields: fields["d"].pop("codes"),
    "another emitter": lambda document, fields: document["emitters"].append("health"),
    "better words": lambda document, fields: document.update(doc="What it says."),
}
BAD = {
    "a required field": (add({"name": "n", "type": "string", "category": "health"}), "Avro"),
    "another type": (lambda document, fields: fields["a"].update(type="long"), "Avro"),
    "null no more": (lambda document, fields: fields["b"].update(type="long"), "Avro"),
    "a code less in an enum": (
        lambda document, fields: fields["c"]["type"].update(symbols=["x"]),
        "Avro",
    ),
    "another name": (lambda document, fields: document.update(name="Other"), "Avro"),
    "another category": (
        lambda document, fields: fields["b"].update(category="case_management"),
        "category",
    ),
    "no category": (lambda document, fields: fields["b"].pop("category"), "category"),
    "per party no more": (lambda document, fields: fields["a"].update(per_party=True), "party"),
    "text as JSON": (lambda document, fields: fields["a"].update(json=True), "JSON"),
    "a code less in a closed list": (
        lambda document, fields: fields["d"].update(codes=["1", "3"]),
        "closed list",
    ),
    "an open list closed": (lambda document, fields: fields["a"].update(codes=["1"]), "closed"),
}  # fmt: skip


def check(*versions: Document, published: int = 0) -> list[str]:
    lock = {"events": {"Thing": [rules.identity(one) for one in versions[:published]]}, "wire": {}}
    return rules.problems({"Thing": versions}, {}, lock)


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD.keys())
def test_a_compatible_version_may_follow(change: Any) -> None:
    assert check(base(), changed(change), published=1) == []


@pytest.mark.parametrize(("change", "word"), BAD.values(), ids=BAD.keys())
def test_an_incompatible_version_may_not(change: Any, word: str) -> None:
    found = check(base(), changed(change), published=1)
    assert found
    assert all(word in line for line in found)


def test_all_earlier_versions_count_and_not_only_the_last() -> None:
    first = changed(add({**OPTIONAL, "name": "z", "category": "health"}))
    second = base()  # drops z
    third = changed(add({**OPTIONAL, "name": "z", "category": "contact"}))  # and takes it up again
    assert check(first, second) == []
    assert check(second, third) == []
    assert [line for line in check(first, second, third) if "version 3 against version 1" in line]


@pytest.mark.parametrize("change", [*GOOD.values(), *(change for change, _ in BAD.values())])
def test_a_published_schema_never_changes_in_place(change: Any) -> None:
    now = changed(change)
    lock = {"events": {"Thing": [rules.identity(base())]}, "wire": {}}
    found = rules.problems({"Thing": [now]}, {}, lock)
    assert bool(found) == (rules.identity(now) != rules.identity(base()))
    assert all("changed in place" in line for line in found)


def test_a_published_version_does_not_go_away() -> None:
    lock = {"events": {"Thing": [rules.identity(base()), "00"]}, "wire": {"Header": "00"}}
    found = rules.problems({"Thing": [base()]}, {}, lock)
    assert [line.partition(":")[0] for line in found] == ["Thing", "Header"]
    assert all("gone" in line for line in found)


def test_a_wire_schema_keeps_its_format() -> None:
    header = copy.deepcopy(WIRE["Header"])
    lock = {"events": {}, "wire": {"Header": rules.wire_identity(header)}}
    assert rules.problems({}, {"Header": {**header, "doc": "better words"}}, lock) == []
    header["fields"] = header["fields"][1:]
    assert rules.problems({}, {"Header": header}, lock)


def test_new_schemas_wait_for_publication() -> None:
    lock: Document = {"events": {}, "wire": {}}
    assert rules.unpublished({"Thing": [base()]}, {"Header": WIRE["Header"]}, lock) == [
        "Thing: version 1 is new",
        "Header: is new",
    ]


def test_the_command(monkeypatch: Any, tmp_path: Any, capsys: Any) -> None:
    assert rules.main([]) == 0
    monkeypatch.setattr(rules, "lock_path", lambda: tmp_path / "published.json")
    assert rules.main([]) == 1  # nothing is published
    assert rules.main(["--publish"]) == 0
    assert rules.main([]) == 0
    lock = json.loads((tmp_path / "published.json").read_text())
    lock["events"]["CaseOpened"] = ["00"]
    (tmp_path / "published.json").write_text(json.dumps(lock))
    capsys.readouterr()
    assert rules.main(["--publish"]) == 1
    assert "CaseOpened: version 1 was changed in place" in capsys.readouterr().out


# -- a field that no rule releases ------------------------------------------------------------


@pytest.mark.parametrize("category", [None, "", "no_such_category"])
def test_a_field_no_rule_knows_warns_and_stands_apart(category: str | None) -> None:
    field = {**OPTIONAL, "category": category}
    if category is None:
        del field["category"]
    document = changed(add(field))
    with pytest.warns(UnreleasableFieldWarning, match=r"Thing\.n"):
        schema = Schemas([]).register(document)
    data = {"a": "1", "c": "x", "d": "2", "n": "secret"}
    bodies = schema.split(data, routing=Routing("C", "P"))
    apart = category or "unreleasable"
    assert [name for name, body in bodies.items() if b"secret" in body] == [apart]
    assert schema.join(bodies, whole=True) == data
    assert rules.unreleasable([document])


def test_a_complete_schema_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Schemas([base()])
