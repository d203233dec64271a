"""Records: what a file holds of a delivery; and JSON Lines, which write it as it is.

{"sequence": 1, "event_ref": …, "event_type": …, "case_ref": …, "subject_ref": …, "agency": …,
 "occurred_at": …, "received_at": …, "categories": […], "bases": {…},
 "fields": {category: {field: value}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from connectors.sink import Addition
from connectors.tables.ledger_tables import instant

ENVELOPE: Final = {
    "sequence": "integer",
    "event_ref": "text",
    "event_type": "text",
    "case_ref": "text",
    "subject_ref": "text",
    "agency": "text",
    "occurred_at": "timestamp",
    "received_at": "timestamp",
    "categories": "json",
    "bases": "json",
}
"""The first columns of every file, with their kinds."""

Names = Mapping[tuple[str, int], Mapping[str, Sequence[str]]]
"""(event_ref, sequence) → category → its fields: what a row was written with."""


def envelope(addition: Addition) -> dict[str, Any]:
    """What a line or row says of its delivery, beside categories, bases and fields."""
    event = addition.event
    return {
        "sequence": event.sequence,
        "event_ref": event.event_ref,
        "event_type": event.event_type,
        "case_ref": event.case_ref,
        "subject_ref": event.subject_ref,
        "agency": event.agency,
        "occurred_at": instant(event.occurred_at) if event.occurred_at else None,
        "received_at": instant(addition.received_at),
    }


@dataclass(slots=True)
class Record:
    """One delivery of an event. fields: category → field → value, JSON-ready."""

    envelope: dict[str, Any]
    bases: dict[str, str]
    fields: dict[str, dict[str, Any]] = field(repr=False)

    @classmethod
    def of(cls, addition: Addition) -> Record:
        event = addition.event
        return cls(
            envelope(addition),
            {one: event.bases[one] for one in sorted(addition.categories)},
            {one: dict(event.fields[one]) for one in sorted(addition.categories)},
        )

    @property
    def event_ref(self) -> str:
        return str(self.envelope["event_ref"])

    @property
    def event_type(self) -> str:
        return str(self.envelope["event_type"])

    @property
    def sequence(self) -> int:
        return int(self.envelope["sequence"])

    @property
    def names(self) -> dict[str, list[str]]:
        """What of the record a note may keep: category → names of its fields."""
        return {category: sorted(values) for category, values in self.fields.items()}

    def without(self, categories: Iterable[str]) -> bool:
        """Take these categories away; whether something was taken."""
        gone = [one for one in categories if one in self.fields]
        for category in gone:
            del self.fields[category]
            self.bases.pop(category, None)
        return bool(gone)

    def correct(self, name: str, value: Any) -> bool:
        """Set a field wherever the record has it; whether it has."""
        having = [values for values in self.fields.values() if name in values]
        for values in having:
            values[name] = value
        return bool(having)


class Format(Protocol):
    """How records become a file's bytes. encode() gives the same bytes for the same records.

    per_type: a file holds events of one type. fits() says whether a value can be written.
    """

    suffix: str
    per_type: bool

    def fits(self, event_type: str, name: str, value: Any) -> bool: ...

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes: ...

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:
        """ValueError if the bytes are not such a file."""


def _line(text: str) -> str:
    """Line ends of other alphabets are escaped: many a reader takes them for a line's end."""
    for end in ("\x85", "\u2028", "\u2029"):
        text = text.replace(end, f"\\u{ord(end):04x}")
    return text + "\n"


class JsonLinesFormat:
    """One line per record, of any event type."""

    suffix = "jsonl"
    per_type = False

    def fits(self, event_type: str, name: str, value: Any) -> bool:  # noqa: ARG002
        return True

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes:  # noqa: ARG002
        lines = (
            {
                **one.envelope,
                "categories": sorted(one.fields),
                "bases": one.bases,
                "fields": one.fields,
            }
            for one in records
        )
        return "".join(_line(json.dumps(line, ensure_ascii=False)) for line in lines).encode()

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:  # noqa: ARG002
        found = []
        *lines, rest = data.decode().split("\n")
        if rest:
            raise ValueError("the last line is cut short")
        for text in lines:
            line = json.loads(text)
            bases, fields = line.pop("bases"), line.pop("fields")
            del line["categories"]
            found.append(Record(line, bases, fields))
        return found
