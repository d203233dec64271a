"""Avro, bounded and strict: what is decoded is exactly what some writer could have meant.

The library reads leniently (trailing bytes, over-long numbers, duplicate map keys, wrong union
indexes pass silently), so untrusted bytes are decoded, encoded again and compared: any difference
is an error. Size and number of items are bounded before anything is decoded (`schemas/scan.py`).
Schemas that could crash or hang a reader are refused when a Codec is made (`schemas/safe.py`).

One error, `AvroError`, for anything wrong; its text never holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form
from fastavro.validation import validate

from schemas.safe import UnsafeSchema, check
from schemas.scan import ScanError, scanner

MAGIC: Final = b"\xc3\x01"
DEFAULT_LIMIT: Final = 256 * 1024
DEFAULT_ITEMS: Final = 64 * 1024


class AvroError(Exception):
    """The bytes or values do not fit the schema: refuse them. Holds no values."""


class Codec:
    """One schema's encoder and decoder. Safe to share between threads.

    max_bytes: longest body, both ways. max_items: most items of all arrays and maps of one
    untrusted body together; bodies too short to hold more are not scanned.
    """

    __slots__ = (
        "_instants",
        "_max_bytes",
        "_max_items",
        "_nested_instants",
        "_parsed",
        "_scan",
        "fingerprint",
        "name",
        "prefix",
    )

    def __init__(
        self,
        schema: Mapping[str, Any] | str,
        *,
        max_bytes: int = DEFAULT_LIMIT,
        max_items: int = DEFAULT_ITEMS,
    ) -> None:
        try:
            document = json.loads(schema if isinstance(schema, str) else json.dumps(schema))
            check(document)
            self._parsed = fastavro.parse_schema(document)
            canonical = to_parsing_canonical_form(document)
        except UnsafeSchema as unsafe:
            raise AvroError(f"not a usable schema: {unsafe}") from None
        except Exception as wrong:
            raise AvroError(f"not a usable schema: {type(wrong).__name__}") from None
        self.name = str(document.get("name", "")) if isinstance(document, dict) else ""
        # The library gives the fingerprint's hexadecimal in the byte order of the wire already.
        self.fingerprint = bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))
        self.prefix = MAGIC + self.fingerprint
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._scan = scanner(document)
        self._instants, self._nested_instants = _instants(document)

    def encode(self, value: Any, *, trusted: bool = False) -> bytes:
        """Binary Avro. Extra or missing fields, wrong types and naive times are errors.

        `trusted`: the caller made every field itself, of its type; skips the checks of these.
        """
        buffer = BytesIO()
        try:
            if not trusted:
                self._refuse_naive(value)
                # The writer alone would cut 1.9 to 1 and take None for False.
                if not validate(value, self._parsed, raise_errors=False):
                    raise AvroError(f"{self.name}: the value does not fit")
            fastavro.schemaless_writer(
                buffer, self._parsed, value, strict=not trusted, disable_tuple_notation=True
            )
        except AvroError:
            raise
        except Exception as wrong:
            raise AvroError(f"{self.name}: the value does not fit ({_kind(wrong)})") from None
        if buffer.tell() > self._max_bytes:
            raise AvroError(f"{self.name}: over the limit of {self._max_bytes} bytes")
        return buffer.getvalue()

    def decode(self, data: bytes, *, trusted: bool = False) -> Any:
        """The value. Unless `trusted` (we wrote it), it must encode to exactly these bytes."""
        if len(data) > self._max_bytes:
            raise AvroError(f"{self.name}: over the limit of {self._max_bytes} bytes")
        if not trusted and len(data) > self._max_items:  # an item takes a byte or more
            try:
                self._scan(data, self._max_items)
            except ScanError as wrong:
                raise AvroError(f"{self.name}: {wrong}") from None
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

    def _refuse_naive(self, value: Any) -> None:
        """The library would guess a zone for a time without one."""
        for name in self._instants:
            moment = value[name]
            if isinstance(moment, datetime) and moment.tzinfo is None:
                raise AvroError(f"{self.name}: a time without its zone")
        if self._nested_instants:
            _refuse_naive(value)

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


def _instants(document: Any) -> tuple[tuple[str, ...], bool]:
    """A record's own fields that hold an instant, and whether there are others further in."""
    if not isinstance(document, dict) or document.get("type") != "record":
        return (), _mentions_instant(document)
    own, nested = [], False
    for field in document["fields"]:
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(isinstance(b, dict) and _is_instant(b) for b in branches):
            own.append(field["name"])
        else:
            nested = nested or _mentions_instant(field["type"])
    return tuple(own), nested


def _is_instant(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("logicalType", "")).startswith("timestamp-")


def _mentions_instant(schema: Any) -> bool:
    if isinstance(schema, Mapping):
        return _is_instant(schema) or any(_mentions_instant(one) for one in schema.values())
    return isinstance(schema, list) and any(_mentions_instant(one) for one in schema)


def _refuse_naive(value: Any) -> None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise AvroError("a time without its zone")
    elif isinstance(value, Mapping):
        for one in value.values():
            _refuse_naive(one)
    elif isinstance(value, list | tuple):
        for one in value:
            _refuse_naive(one)
