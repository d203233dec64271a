"""Avro, bounded and strict: what is decoded is exactly what some writer could have meant.

The library reads leniently (trailing bytes, over-long numbers, duplicate map keys, wrong union
indexes pass silently), so untrusted bytes are decoded, encoded again and compared: any difference
is an error. Size and number of items are bounded before anything is decoded (`schemas/scan.py`).
Schemas that could crash or hang a reader are refused when a Codec is made (`schemas/safe.py`).

One error, `AvroError`, for anything wrong; its text never holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

from schemas.reading import Read, reader
from schemas.safe import UnsafeSchema, check
from schemas.scan import ScanError, scanner
from schemas.writing import UnsupportedSchema, writer

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

    _parsed: Any
    _read: Read
    _strictly: Callable[..., Any]
    _scan: Callable[[bytes, int], None]
    _write: Callable[[Any], bytes]
    fingerprint: bytes
    prefix: bytes

    __slots__ = (
        "_document",
        "_max_bytes",
        "_max_items",
        "_parsed",
        "_read",
        "_scan",
        "_strictly",
        "_write",
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
        known_good: bool = False,
    ) -> None:
        """AvroError if the schema cannot be used; of one known to be good that is not tried now,
        but when something is first asked of it."""
        try:
            document = json.loads(schema if isinstance(schema, str) else json.dumps(schema))
        except Exception as wrong:
            raise AvroError(f"not a usable schema: {type(wrong).__name__}") from None
        self.name = str(document.get("name", "")) if isinstance(document, dict) else ""
        self._document = document
        self._max_bytes = max_bytes
        self._max_items = max_items
        if not known_good:
            self._make()

    def _make(self) -> None:
        import fastavro
        from fastavro.schema import to_parsing_canonical_form

        document = self._document
        try:
            check(document)
            self._parsed = fastavro.parse_schema(document)
            self._strictly = fastavro.schemaless_reader
            canonical = to_parsing_canonical_form(document)
            self._write = writer(document)
            self._read = reader(document)
            self._scan = scanner(document)
        except (UnsafeSchema, UnsupportedSchema) as unsafe:
            raise AvroError(f"not a usable schema: {unsafe}") from None
        except Exception as wrong:
            raise AvroError(f"not a usable schema: {type(wrong).__name__}") from None
        self.fingerprint = _fingerprint(canonical.encode())
        self.prefix = MAGIC + self.fingerprint

    def __getattr__(self, name: str) -> Any:
        """What is not there yet: made once, all of it."""
        if name not in Codec.__slots__:
            raise AttributeError(name)
        self._make()
        return object.__getattribute__(self, name)

    def encode(self, value: Any) -> bytes:
        """Binary Avro. Extra or missing fields, wrong types and naive times are errors."""
        try:
            data = self._write(value)
        except Exception as wrong:
            raise AvroError(f"{self.name}: the value does not fit ({_kind(wrong)})") from None
        if len(data) > self._max_bytes:
            raise AvroError(f"{self.name}: over the limit of {self._max_bytes} bytes")
        return data

    def decode(self, data: bytes, *, trusted: bool = False) -> Any:
        """The value. Unless `trusted` (we wrote it), it must encode to exactly these bytes."""
        if len(data) > self._max_bytes:
            raise AvroError(f"{self.name}: over the limit of {self._max_bytes} bytes")
        if trusted:
            return self._read_whole(data, 0, self._read)
        if len(data) > self._max_items:  # an item takes a byte or more
            try:
                self._scan(data, self._max_items)
            except ScanError as wrong:
                raise AvroError(f"{self.name}: {wrong}") from None
        buffer = BytesIO(data)
        try:
            value = self._strictly(buffer, self._parsed, None)
        except Exception as wrong:
            raise AvroError(f"{self.name}: the bytes do not decode ({_kind(wrong)})") from None
        if buffer.tell() != len(data):
            raise AvroError(f"{self.name}: bytes are left over")
        try:
            again = self._write(value)
        except Exception as wrong:
            raise AvroError(f"{self.name}: not a proper encoding ({_kind(wrong)})") from None
        if again != data:
            raise AvroError(f"{self.name}: not the one proper encoding of its value")
        return value

    def converting(self, converted: Mapping[str, Callable[[Any], Any]]) -> Callable[[bytes], Any]:
        """As `decode` of what is trusted; of the record's fields named here, unless they are null,
        what these make of their values."""
        read: list[Read] = []  # made when it is first needed: most types never are

        def told(data: bytes) -> Any:
            if not read:
                read.append(reader(self._document, converted))
            return self._read_whole(data, 0, read[0])

        return told

    def _read_whole(self, data: bytes, start: int, read: Read) -> Any:
        if len(data) - start > self._max_bytes:
            raise AvroError(f"{self.name}: over the limit of {self._max_bytes} bytes")
        try:
            value, end = read(data, start)
        except Exception as wrong:
            raise AvroError(f"{self.name}: the bytes do not decode ({_kind(wrong)})") from None
        if end != len(data):
            raise AvroError(f"{self.name}: truncated, or bytes are left over")
        return value

    def single(self, value: Any) -> bytes:
        """Single-object encoding: magic, fingerprint, body."""
        return self.prefix + self.encode(value)

    def unsingle(self, data: bytes, *, trusted: bool = False) -> Any:
        """The value of a single-object encoding of this very schema."""
        if not data.startswith(self.prefix):
            raise AvroError(f"{self.name}: another format or version")
        if trusted:
            return self._read_whole(data, len(self.prefix), self._read)
        return self.decode(data[len(self.prefix) :])


def _fingerprint(canonical: bytes) -> bytes:
    """CRC-64-AVRO of a schema in canonical form, in the byte order of the wire.

    The library makes its table anew for every schema, which is most of what a schema costs.
    """
    crc = _EMPTY
    for byte in canonical:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(8, "little")


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_EMPTY & -(value & 1))
    return value


_EMPTY: Final = 0xC15D213AA4D7A795  # Avro specification, "Schema Fingerprints"
_TABLE: Final = tuple(map(_row, range(256)))


def _kind(wrong: Exception) -> str:
    return type(wrong).__name__
