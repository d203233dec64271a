"""Avro, bounded and strict: what is decoded is exactly what some writer could have meant.

The library reads leniently (trailing bytes, over-long numbers, duplicate map keys, wrong union
indexes pass silently), so untrusted bytes are decoded, encoded again and compared: any difference
is an error. Schemas that could crash or hang a reader are refused when a Codec is made: recursion,
arrays of items that take no bytes, decimals of unbounded bytes.

One error, `AvroError`, for anything wrong; its text never holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

MAGIC: Final = b"\xc3\x01"
DEFAULT_LIMIT: Final = 256 * 1024
_PRIMITIVES: Final = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
)


class AvroError(Exception):
    """The bytes or values do not fit the schema: refuse them. Holds no values."""


class Codec:
    """One schema's encoder and decoder. Safe to share between threads."""

    __slots__ = ("_instants", "_limit", "_parsed", "fingerprint", "name", "prefix")

    def __init__(self, schema: Mapping[str, Any] | str, *, max_bytes: int = DEFAULT_LIMIT) -> None:
        document = json.loads(schema) if isinstance(schema, str) else json.loads(json.dumps(schema))
        _check_safe(document, {}, ())
        try:
            self._parsed = fastavro.parse_schema(document)
        except Exception as wrong:
            raise AvroError(f"not a usable schema: {type(wrong).__name__}") from None
        self.name = str(document.get("name", "")) if isinstance(document, dict) else ""
        self._instants = _instant_fields(document)
        canonical = to_parsing_canonical_form(document)
        # The library gives the fingerprint's hexadecimal in the byte order of the wire already.
        self.fingerprint = bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
        self.prefix = MAGIC + self.fingerprint
        self._limit = max_bytes

    def encode(self, value: Any, *, trusted: bool = False) -> bytes:
        """Binary Avro. Extra or missing fields and naive times are errors.

        `trusted`: the caller made every field itself; skips the check for extra fields.
        """
        for name in self._instants:
            moment = value[name]
            if moment is not None and moment.tzinfo is None:
                raise AvroError(f"{self.name}: a time without its zone")
        buffer = BytesIO()
        try:
            fastavro.schemaless_writer(
                buffer, self._parsed, value, strict=not trusted, disable_tuple_notation=True
            )
        except Exception as wrong:
            raise AvroError(f"{self.name}: the value does not fit ({_kind(wrong)})") from None
        return buffer.getvalue()

    def decode(self, data: bytes, *, trusted: bool = False) -> Any:
        """The value. Unless `trusted` (we wrote it), it must encode to exactly these bytes."""
        if len(data) > self._limit:
            raise AvroError(f"{self.name}: {len(data)} bytes are over the limit of {self._limit}")
        buffer = BytesIO(data)
        try:
            value = fastavro.schemaless_reader(buffer, self._parsed, None)
        except Exception as wrong:
            raise AvroError(f"{self.name}: the bytes do not decode ({_kind(wrong)})") from None
        if buffer.tell() != len(data):
            raise AvroError(f"{self.name}: bytes are left over")
        if trusted:
            return value
        again = BytesIO()
        try:
            fastavro.schemaless_writer(
                again, self._parsed, value, strict=True, disable_tuple_notation=True
            )
        except Exception as wrong:
            raise AvroError(f"{self.name}: not a proper encoding ({_kind(wrong)})") from None
        if again.getvalue() != data:
            raise AvroError(f"{self.name}: not the one proper encoding of its value")
        return value

    def single(self, value: Any, *, trusted: bool = False) -> bytes:
        """Single-object encoding: magic, fingerprint, body."""
        return self.prefix + self.encode(value, trusted=trusted)

    def unsingle(self, data: bytes, *, trusted: bool = False) -> Any:
        """The value of a single-object encoding of this very schema."""
        if data[:10] != self.prefix:
            raise AvroError(f"{self.name}: another format or version")
        return self.decode(data[10:], trusted=trusted)


def _kind(wrong: Exception) -> str:
    return type(wrong).__name__


def _instant_fields(document: Any) -> tuple[str, ...]:
    """Names of a record's own fields that hold an instant (the library would guess a zone)."""
    if not isinstance(document, dict) or document.get("type") != "record":
        return ()
    names = []
    for field in document["fields"]:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(isinstance(b, dict) and "timestamp" in b.get("logicalType", "") for b in branches):
            names.append(field["name"])
    return tuple(names)


def _check_safe(schema: Any, named: dict[str, bool], inside: tuple[str, ...]) -> bool:
    """Refuse dangerous schemas. Returns whether a value of it takes at least one byte."""
    if isinstance(schema, list):
        for branch in schema:
            _check_safe(branch, named, inside)
        return True
    if isinstance(schema, str):
        if schema in _PRIMITIVES:
            return schema != "null"
        if schema in inside:
            raise AvroError("recursive schemas are refused")
        return named.get(schema, True)
    kind = schema["type"]
    if isinstance(kind, dict | list):
        return _check_safe(kind, named, inside)
    if kind == "array":
        if not _check_safe(schema["items"], named, inside):
            raise AvroError("arrays of items without bytes are refused")
        return True
    if kind == "map":
        _check_safe(schema["values"], named, inside)
        return True
    if kind == "bytes" and schema.get("logicalType") == "decimal":
        raise AvroError("decimals of unbounded bytes are refused; use fixed")
    if kind in {"record", "error"}:
        name = schema["name"]
        full = f"{schema['namespace']}.{name}" if "namespace" in schema else name
        names = [field["name"] for field in schema["fields"]]
        if len(set(names)) != len(names):
            raise AvroError("a record with two fields of one name")
        sizes = [
            _check_safe(field["type"], named, (*inside, name, full)) for field in schema["fields"]
        ]
        named[name] = named[full] = any(sizes)
        return any(sizes)
    if kind in {"enum", "fixed"}:
        named[schema["name"]] = True
        return True
    return bool(kind != "null")
