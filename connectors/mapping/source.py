"""Where a column's value comes from, by one line of a mapping file; and how the value is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import SinkRefusedError
from connectors.tables.columns import (
    kind_of,
    to_boolean,
    to_date,
    to_integer,
    to_text,
    to_timestamp,
)

KEYS: Final = ("case_ref", "subject_ref", "event_ref", "agency")
FROM: Final = (*KEYS, "occurred_at", "received_at", "sequence")
TYPES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "text": to_text,
    "integer": to_integer,
    "number": float,
    "boolean": to_boolean,
    "date": to_date,
    "timestamp": to_timestamp,
    "json": lambda value: value,
}


class CodeMissing(ValueError):
    """A code has no translation and there is no "*"."""


@dataclass(frozen=True)
class Source:
    """Where a column's value comes from. `category` is that of the field, "" for all others.

    pick: takes the first of a list. gives: what the column gets, a key of TYPES; "" if only each
    value tells. line: in the file.
    """

    kind: str  # field, from, constant
    name: str = ""
    value: Any = None
    category: str = ""
    codes: Mapping[str, Any] | None = None
    convert: Callable[[Any], Any] | None = None
    pick: bool = False
    gives: str = ""
    line: int = 0

    def take(self, value: Any) -> Any:
        """The column's value for a field's value. CodeMissing or ValueError if it does not fit."""
        if self.pick and isinstance(value, list):
            value = value[0] if value else None
        if value is None:
            return None
        if self.codes is not None:
            value = (
                [self._code(one) for one in value] if isinstance(value, list) else self._code(value)
            )
        return value if self.convert is None else self.convert(value)

    def fill(self, value: Any, what: str, sequence: int | None) -> Any:
        """The same of a delivery: SinkRefusedError that names `what` if it does not fit."""
        try:
            return self.take(value)
        except CodeMissing:
            reason, wrong = "code_not_translated", "has a code without translation"
        except (ValueError, TypeError, KeyError):
            reason, wrong = "value_unsuitable", "does not fit the type asked for"
        raise SinkRefusedError(reason, f"{what} {wrong}", sequence)

    def _code(self, value: Any) -> Any:
        assert self.codes is not None
        text = to_text(value)
        if text in self.codes:
            return self.codes[text]
        if "*" in self.codes:
            return self.codes["*"]
        raise CodeMissing(text)


def given(avro: Any, *, pick: bool, part: Any) -> str:
    """What a field gives as it is: a key of TYPES. avro: its type. part: of money."""
    kind = kind_of(avro)
    if kind == "money":
        return "text" if part == "currency" else "number"
    return kind_of(_items(avro)) if pick and kind == "json" else kind


def _items(avro: Any) -> Any:
    """The type of what a list holds; "null" of anything else."""
    for branch in avro if isinstance(avro, list) else [avro]:
        if isinstance(branch, dict) and "items" in branch:
            return branch["items"]
    return "null"


GIVEN: Final = {"occurred_at": "timestamp", "received_at": "timestamp", "sequence": "integer"}
"""What else than text a `from` gives."""
