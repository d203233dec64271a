"""Stated: every field of an event as extensions of its resource, and back. Nothing is dropped.

    {"id": "nrm-category-0", "url": "urn:nrm:category", "extension": [
        {"url": "code", "valueCode": "identity"},
        {"url": "basis", "valueString": "consent"},
        {"url": "urn:nrm:field:given_name", "valueString": "…"},
        {"url": "urn:nrm:field:aliases", "extension": [{"url": "item", "valueString": "…"}, …]}]}

One extension per category held, so that a recall of a category takes exactly its own away. What a
FHIR type would change (a blank or padded text, a number of more than 32 bits) stands as JSON text.
Codes of a code list are Codings with the list's system.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from connectors.fhir.names import CATEGORY, FIELD, OURS, Resource, code_system
from connectors.tables.columns import kind_of
from schemas.compartments import Field
from schemas.registry import Schemas

Extension = dict[str, Any]
CODE: Final = re.compile(r"[^\s]+(\s[^\s]+)*")
_INT32: Final = range(-(2**31), 2**31)


def field_of(event_type: str, name: str) -> Field | None:
    """The field's description in the newest schema that has it."""
    return _fields(event_type).get(name)


@cache
def _fields(event_type: str) -> dict[str, Field]:
    try:
        versions = Schemas.load().versions(event_type)
    except KeyError:
        return {}
    return {one.name: one for schema in versions for one in schema.fields}


def extensions(
    event_type: str, fields: Mapping[str, Mapping[str, Any]], bases: Mapping[str, str]
) -> list[Extension]:
    """One extension per category held; fields that say nothing are left out."""
    found = []
    for number, category in enumerate(sorted(fields)):
        inner: list[Extension] = [{"url": "code", "valueCode": category}]
        if bases.get(category):
            inner.append({"url": "basis", "valueString": bases[category]})
        inner += [
            {"url": f"{FIELD}{name}", **_value(field_of(event_type, name), value)}
            for name, value in fields[category].items()
            if value is not None
        ]
        found.append({"id": f"{OURS}category-{number}", "url": CATEGORY, "extension": inner})
    return found


def fields(resource: Resource) -> dict[str, dict[str, Any]]:
    """Category → field → value, as extensions() was given them, without those that say nothing."""
    found: dict[str, dict[str, Any]] = {}
    for one in resource.get("extension", []):
        if one.get("url") != CATEGORY:
            continue
        inner = one["extension"]
        category = next(part["valueCode"] for part in inner if part["url"] == "code")
        found[category] = {
            part["url"].removeprefix(FIELD): _plain(part)
            for part in inner
            if part["url"].startswith(FIELD)
        }
    return found


# -- one value ---------------------------------------------------------------------------------


def _value(about: Field | None, value: Any) -> Extension:
    if about is not None and about.form == "json":
        return _as_json(value)
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value} if value in _INT32 else _as_json(value)
    if isinstance(value, str):
        return _text(about, value)
    if isinstance(value, Sequence) and value:
        return {"extension": [{"url": "item", **_value(about, one)} for one in value]}
    if isinstance(value, Mapping) and value:
        entries = [
            {"url": "entry", "extension": [
                {"url": "key", **_string(str(name))}, {"url": "value", **_value(about, one)}]}
            for name, one in value.items()
        ]  # fmt: skip
        return {"extension": entries}
    return _as_json(value)


def _text(about: Field | None, value: str) -> Extension:
    kind = "text" if about is None else kind_of(about.avro)
    if kind == "date":
        return {"valueDate": value}
    if about is not None and about.codelist and not about.ref and CODE.fullmatch(value):
        return {"valueCoding": {"system": code_system(about.codelist), "code": value}}
    return _string(value)


def _string(value: str) -> Extension:
    """Servers may trim a text and refuse a blank one."""
    if value == value.strip() and value:
        return {"valueString": value}
    return _as_json(value)


def blank(value: Any) -> bool:
    """Whether it is a text with nothing to see, which no element of FHIR takes."""
    return isinstance(value, str) and not value.strip()


def _as_json(value: Any) -> Extension:
    return {"extension": [{"url": "json", "valueString": json.dumps(value, ensure_ascii=False)}]}


def _plain(told: Extension) -> Any:
    for name, value in told.items():
        if name == "valueCoding":
            return value["code"]
        if name.startswith("value"):
            return value
    inner = told["extension"]
    if inner[0]["url"] == "json":
        return json.loads(inner[0]["valueString"])
    if inner[0]["url"] == "entry":
        pairs = ([_plain(part) for part in one["extension"]] for one in inner)
        return dict(pairs)
    return [_plain(one) for one in inner]
