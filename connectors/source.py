"""A source: rows of an agency's own system, published as events, without loss or doubles.

    source.read → SourceRow → one event → the hub's signed outcome → RowOutcome → source.answered

`connectors/sources/runner.py` drives it. What a source has to promise is little, because the id of
the event follows from the row (`event_id_of`): a row that is read and sent again, after whatever
crash, is the same submission, and the hub gives the same answer again. So a source only must not
lose a row before its answer is written back, and must not change a row's content under the same
key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias
from uuid import UUID

from connectors.submit import Event

State: TypeAlias = Literal["accepted", "refused", "waiting"]

LONGEST_KEY: Final = 200  # characters
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}", re.ASCII)

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "row_unreadable": "the row cannot be read as an event",
        "missing_column": "a value that every event needs is not in the row",
        "code_not_translated": "a code has no translation in the mapping",
        "file_unreadable": "the file cannot be opened, or was taken away while it was read",
        "not_encoded": "the bytes are not text in the encoding the settings name",
        "case_changed": "the row belongs to another case than when its event was stated",
        "duplicate_key": "the file has this key twice; each row needs its own",
        "wrong_header": "the first line does not name the columns as it should",
        "too_large": "the file or row is larger than what is taken",
        "unknown_type": "there is no such event type",
        "invalid_event": "the event does not fit its schema",
        "case_held": "an earlier row of the same case is refused; this one waits for it",
    }
)
"""Why a row is refused or waits before the hub has seen it. Other codes are the schema's (below)
and the hub's (docs/admission.md)."""

SCHEMA_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing_field": "give the field a value",
        "unknown_field": "the event type has no such field: correct its name",
        "unknown_code": "use one of the field's codes: docs/events.md",
        "not_a_text": "give a text",
        "empty": "give a value, or leave the field out",
        "too_long": "shorten it",
        "forbidden_character": "remove control characters and spaces at the ends",
        "not_a_boolean": "give yes or no (true or false)",
        "not_a_whole_number": "give a whole number",
        "not_a_number": "give a number",
        "not_a_date": "give a date such as 2026-11-24",
        "not_an_instant": "give a time such as 2026-11-24T09:30:00+01:00",
        "instant_without_zone": "give the time with its offset, e.g. +01:00",
        "not_an_amount": "give an amount such as 12.50 EUR",
        "not_a_currency": "give a currency's three letters",
        "not_a_list": "give a list",
        "not_a_map": "give an object",
        "not_json": "give JSON",
        "too_deep": "nest it less",
        "does_not_fit": "compare the field with docs/events.md",
        "not_correctable": "this field cannot be corrected; state a new event",
        "copy_differs": "leave the field out: it repeats another",
    }
)
"""What does not fit a schema, and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is no event. field: the column or field at fault, or "". Nothing of its content."""

    reason: str
    field: str
    fix: str


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row, which is one event.

    key: the same for the same row for ever, and never the same for another; at most 200
        characters. It stands in the source's own books and in reports, so it holds no content.
    event: with `occurred_at`; None if the row cannot be read, and then `fault` says why.
    place: where people find the row, e.g. "row 17"; no content either.
    attempt: 0, and one more each time the row is offered again after it was refused: the hub's no
        is final for an event id, so each attempt has an id of its own.
    case: of a row that is no event, the case it is about, where that could be read.
    """

    key: str
    place: str
    event: Event | None = None
    fault: Fault | None = None
    attempt: int = 0
    case: str | None = None

    def __post_init__(self) -> None:
        if (self.event is None) == (self.fault is None):
            raise ValueError("a row has an event or a fault")
        if not 0 < len(self.key) <= LONGEST_KEY:
            raise ValueError(f"a row's key has 1 to {LONGEST_KEY} characters")
        if self.event is not None and self.event.occurred_at is None:
            raise ValueError("a row's event has its time: without one a repeat is another event")


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of a row.

    accepted: the hub recorded it; event_id and position are its references there.
    refused: by the hub at admission `step`, or by us before sending (step 0). `reason` is a stable
        code, `field` the field at fault where one is known, `fix` what to do.
    waiting: not sent, because an earlier row of its case is refused (`case_held`).
    """

    key: str
    place: str
    state: State
    attempt: int = 0
    event_id: UUID | None = None
    position: int | None = None
    recorded_at: datetime | None = None
    step: int | None = None
    reason: str | None = None
    guard: str | None = None
    field: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stands. ready: to be sent; held: behind a refused row of their case."""

    ready: int = 0
    held: int = 0
    accepted: int = 0
    refused: int = 0
    oldest_ready: datetime | None = None
    notes: tuple[str, ...] = field(default=())


class Source(Protocol):
    """Where events come from. One runner uses it, from one thread.

    - read() may return the same rows again until they are answered, and returns every row that is
      ready sooner or later: also one that was committed late under an earlier number.
    - Rows of one case come in the order in which they are to be stated. With `holds_cases`, no row
      is returned while an earlier one of its case stands refused.
    - answered() is durable on return, all or nothing, and harmless when repeated. An accepted row
      never comes again. A refused row comes again only after somebody changed or released it, and
      then with a higher `attempt` or another key.
    - A crash between any two calls loses nothing and doubles nothing.
    - SourceDownError: the agency's system is away, nothing happened, call again. SettingsError: an
      operator has to act; the message says what to do. No error, row place or key holds content.
    """

    @property
    def name(self) -> str:
        """Stable; part of what event ids are derived from. Two sources of an agency differ."""

    @property
    def holds_cases(self) -> bool:
        """Whether later rows of a case wait while an earlier one is refused."""

    def prepare(self) -> None:
        """Make what the source keeps of its own. Harmless when repeated."""

    def read(self, limit: int) -> Sequence[SourceRow]:
        """Up to `limit` rows that are ready, in order; none when there are none now."""

    def answered(self, outcomes: Sequence[RowOutcome]) -> None:
        """Write back what became of rows that read() returned."""

    def status(self) -> SourceStatus:
        """Counts, for people."""

    def report(self, limit: int) -> Sequence[RowOutcome]:
        """Rows that stand refused or held, oldest first."""

    def close(self) -> None: ...


def event_id_of(secret: bytes, source: str, row: SourceRow) -> UUID:
    """The event's id: the same for the same row and attempt, on any machine with the same identity.

    Keyed with the identity's salt secret, since ids travel to partners: without the key nobody can
    try out which case number or row an id belongs to. An id the event itself brings is kept for the
    first attempt.
    """
    if row.event is not None and row.event.event_id is not None and row.attempt == 0:
        return row.event.event_id
    said = b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (source.encode(), row.key.encode(), str(row.attempt).encode())
    )
    return UUID(bytes=hmac.digest(secret, b"nrm.source.v1" + said, "sha256")[:16], version=4)


def one_per_case(rows: Sequence[SourceRow]) -> list[SourceRow]:
    """The first row of every case, and rows that are no event: what may be sent together where a
    refusal holds the rest of its case."""
    seen: set[str] = set()
    chosen = []
    for row in rows:
        case = row.event.case if row.event is not None else row.case
        if case is None or case not in seen:
            chosen.append(row)
        if case is not None:
            seen.add(case)
    return chosen


def tellable(name: object, known: Collection[str] = ()) -> str:
    """A field's name as reports may show it: a proper name, or nothing."""
    text = str(name or "")
    return text if text in known or _FIELD.fullmatch(text) else ""
