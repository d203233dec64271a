"""Whatever an event may say arrives as it was said: every type, every field, any admitted text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import batch, identity, recalled, released
from connectors.delivery import Arrived
from connectors.tables.columns import kind_of
from schemas.event import EventSchema
from schemas.registry import Schemas

LONGEST = 8 * 1024  # bytes of a text, as admission lets in (schemas/texts.py)

# What admission lets through and systems get wrong. Nothing that admission refuses.
TEXTS = {
    "scripts": "Ἀγνή Áрина 田中 ไทย नेपाल فاطمة שָׂרָה",
    "combining": "e\u0301 and \u00e9 are not the same text",
    "beyond the first plane": "𝒜 👩‍👩‍👧‍👦 🇺🇦",
    "no width": "a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g",
    "lines": "one\ntwo\r\nthree\tfour\u2028five\u2029six",
    "spaces": "  two before, two after  ",
    "quotes": 'O\'Brien "Bob" `x` \\n %s %(a)s {0} ${A} $1',
    "another language": "'); DROP TABLE nrm_holding; -- <script>&amp;</script> ]]>",
    "a null that is text": "null",
    "looks like a number": "007",
    "looks like a formula": "=1+1",
    "empty": "",
    "longest": "ü" * (LONGEST // 2),
}


def value_of(avro: Any, letter: str) -> Any:
    """A JSON value of this Avro type, as the opener hands it over."""
    if isinstance(avro, list):
        known = [branch for branch in avro if branch != "null"]
        return value_of("string" if "string" in known else known[0], letter)
    if isinstance(avro, str):
        return {"string": f"text {letter}", "boolean": True, "long": 2**53 + 1, "int": 7}.get(
            avro, 0.5
        )
    if avro.get("logicalType") == "date":
        return "2024-02-29"
    if avro.get("logicalType") == "timestamp-micros":
        return "2026-03-29T01:30:00.000001Z"
    if avro["type"] == "enum":
        return avro["symbols"][-1]
    if avro["type"] == "array":
        return [value_of(avro["items"], letter), value_of(avro["items"], letter)]
    if avro["type"] == "map":
        return {"SH-1": value_of(avro["values"], letter)}
    if avro["type"] == "record":
        return {"amount": "1234567890123456.7891", "currency": "EUR"}
    return value_of(avro["type"], letter)


def whole(schema: EventSchema, sequence: int, schemas: Schemas, *, empty: bool) -> Arrived:
    """An event of this type with every field of every category set, or every one absent."""
    said: dict[str, dict[str, Any]] = {}
    for field in schema.fields:
        if field.copies:
            continue
        category = "identity" if field.category == "inherit" else field.category
        values = said.setdefault(category, {})
        if not empty:
            values[field.name] = (
                {"rows": [[1, "lt5"]]} if field.form == "json" else value_of(field.avro, field.name)
            )
    return released(
        sequence, f"e-{schema.type}-{'empty' if empty else 'full'}", schema.type, said,
        schemas=schemas,
    )  # fmt: skip


class Contents:
    def test_every_event_type_with_every_field_and_with_none(self, bench: Bench) -> None:
        types = [bench.schemas.by_type(name) for name in sorted(bench.schemas.types())]
        made = [
            whole(schema, 2 * at + 1 + empty, bench.schemas, empty=bool(empty))
            for at, schema in enumerate(types)
            for empty in (0, 1)
        ]
        sink = claimed(bench)
        sink.apply(batch(*made))
        assert sink.quarantine() == []
        for event in made:
            shown = bench.shown(event.event_ref)
            assert shown is not None, f"{event.event_ref} is not there"
            schema = bench.schemas.by_type(event.event_type)
            for name, value in event.values.items():
                if isinstance(value, str) and kind_of(schema[name].avro) == "text":
                    seen = shown.get(f"{name}_stated", shown.get(name))
                    assert seen == value, f"{event.event_type}.{name}"

    def test_any_admitted_text_comes_back_as_it_was(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(
            batch(*[identity(n, f"e-{n}", given_name=t) for n, t in enumerate(TEXTS.values(), 1)])
        )
        assert sink.quarantine() == []
        for n, (what, text) in enumerate(TEXTS.items(), 1):
            assert (bench.shown(f"e-{n}") or {}).get("given_name") == text, what

    def test_refs_that_look_alike_are_different_events(self, bench: Bench) -> None:
        long = "ne-" + "0" * 96
        refs = ["e-1", "e-10", "e-1_", "e-1%", "e-1.x", "e-1'", long + "a", long + "b"]
        sink = claimed(bench)
        made = [identity(n, ref, given_name=f"name {n}") for n, ref in enumerate(refs, 1)]
        sink.apply(batch(*made))
        assert [(bench.shown(ref) or {}).get("given_name") for ref in refs] == [
            f"name {n}" for n in range(1, len(refs) + 1)
        ]
        sink.apply(batch(recalled(len(refs) + 1, ("e-1", ["identity"]), (refs[-1], ["identity"]))))
        left = [ref for ref in refs if bench.shown(ref) is not None]
        assert left == refs[1:-1]

    def test_amounts_are_not_rounded_and_moments_not_moved(self, bench: Bench) -> None:
        """An amount stays exact, an instant the same instant, a date the same day."""
        types = [bench.schemas.by_type(name) for name in sorted(bench.schemas.types())]
        kinds = {"money", "timestamp", "date"}
        exact = [s for s in types if kinds & {kind_of(one.avro) for one in s.fields}]
        made = [whole(one, n, bench.schemas, empty=False) for n, one in enumerate(exact, 1)]
        claimed(bench).apply(batch(*made))
        compared = set()
        for event, schema in zip(made, exact, strict=True):
            shown = bench.shown(event.event_ref) or {}
            for name, value in event.values.items():
                kind = kind_of(schema[name].avro)
                if kind in kinds and value is not None:
                    assert _exactly(kind, shown, name) == _exactly(kind, {name: value}, name), (
                        f"{event.event_type}.{name}"
                    )
                    compared.add(kind)
        assert compared == kinds


def _exactly(kind: str, shown: dict[str, Any], name: str) -> Any:
    """The value in a form in which equal values are equal, however they are shown."""
    seen = shown.get(f"{name}_stated", shown.get(name))
    if kind == "money":
        whole = seen if isinstance(seen, dict) else {}
        amount = whole.get("amount", shown.get(f"{name}_amount"))
        return Decimal(str(amount)), whole.get("currency", shown.get(f"{name}_currency"))
    moment = seen if isinstance(seen, date) else datetime.fromisoformat(str(seen))
    if kind == "timestamp":
        return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
    return moment.date() if isinstance(moment, datetime) else moment
