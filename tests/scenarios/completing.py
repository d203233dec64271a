"""Random stories made whole: every required field filled, and one of each category carried.

The rules' generator (tests/release/generator.py) writes only what decisions read; the pipeline
needs events that fit their schemas. What must follow is then taken from the rules alone.
"""

from __future__ import annotations

import copy
from typing import Any

from hub.domain.policy import default_profile
from schemas.registry import INHERIT, Field, Schemas
from tests.release.generator import Generator
from tests.scenarios.rules_alone import holdings, play, shape


def completed(seed: int, length: int = 40) -> dict[str, Any]:
    """A random scenario that the pipeline can run, with everything expected of it.

    Odd seeds give a case as it is lived, even ones whatever may come.
    """
    scenario = copy.deepcopy(Generator(seed, length, lawful=seed % 2 == 1).scenario())
    scenario["id"] = f"G{seed}"
    for event in scenario["events"]:
        _complete(event)
    return expecting(scenario)


def expecting(scenario: dict[str, Any]) -> dict[str, Any]:
    """The scenario with what the rules alone make of it as its expectations."""
    steps = list(play(scenario, default_profile()))
    cases = {}
    for event, step in zip(scenario["events"], steps, strict=True):
        if step.settlement is None:
            assert step.refusal is not None
            event["expected"] = {"refused": True}
        else:
            event["expected"] = shape(step.settlement)
            cases[event["case"]] = step.case
    scenario["final_holdings"] = holdings(cases.items())
    return scenario


def complete(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event's data with every required field filled that was not given."""
    schema = Schemas.load().by_type(kind)
    codes = {one["name"]: one.get("codes", []) for one in schema.document["fields"]}
    missing = [f for f in schema.fields if f.required and f.name not in data]
    return {**data, **{f.name: _value(f, codes.get(f.name, [])) for f in missing}}


def _complete(event: dict[str, Any]) -> None:
    schema = Schemas.load().by_type(event["type"])
    codes = {one["name"]: one.get("codes", []) for one in schema.document["fields"]}
    data = event["data"]
    for name in [name for name, value in data.items() if value is None]:
        del data[name]
    wanted = set(event["categories"])
    for field in schema.fields:
        if field.category == INHERIT:
            continue
        carried = any(schema[name].category == field.category for name in data)
        if field.name not in data and (
            field.required or (field.category in wanted and not carried)
        ):
            data[field.name] = _value(field, codes.get(field.name, []))
    carried = {schema[name].category for name in data} - {INHERIT}
    inherited = wanted if event["type"] == "RecordCorrected" else set()
    event["categories"] = sorted(carried | inherited)


def _value(field: Field, codes: list[str]) -> Any:
    if field.per_party:
        return {} if field.is_map else []
    if codes:
        return [codes[0]] if _is_list(field.avro) else codes[0]
    return _of_type(field.avro, field.name)


def _is_list(avro: Any) -> bool:
    branches = avro if isinstance(avro, list) else [avro]
    return any(isinstance(one, dict) and one["type"] == "array" for one in branches)


def _of_type(avro: Any, name: str) -> Any:
    if isinstance(avro, list):
        return _of_type(next(one for one in avro if one != "null"), name)
    if isinstance(avro, dict):
        logical = avro.get("logicalType")
        if logical == "date":
            return "2026-03-04"
        if logical == "timestamp-micros":
            return "2026-03-04T05:06:07+01:00"
        match avro["type"]:
            case "enum":
                return avro["symbols"][0]
            case "array":
                return [_of_type(avro["items"], name)]
            case "map":
                return {}
            case "record":
                return {"amount": "12.50", "currency": "EUR"}
            case inner:
                return _of_type(inner, name)
    return {"boolean": True, "int": 3, "long": 3, "double": 2.5, "float": 2.5}.get(
        avro, f"synthetic {name}"
    )
