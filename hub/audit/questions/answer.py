"""An answer: a plain table, what each column means, and the place in the log it was given at.

Metadata only: codes, ids, dates, counts, names of agencies and laws. No compartment is opened for
one, so nothing an agency said of a person can stand in it.

    {"question": "Q06", "position": 812, "as_of": "…", "verdict": "empty as it must be",
     "findings": 0, "summary": {"deliveries looked at": 12}, "columns": [{"name": …, "means": …}],
     "rows": [{"position": 7, …}], "rests_on": "…", "cannot_tell": "…", "notes": [],
     "proof": "…"}
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

Cell = str | int | float | bool | None
Row = tuple[Cell, ...]

EMPTY = "empty as it must be"
NOTHING_WRONG = "nothing that must not be there"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class Column:
    """One column. hub_only: tells of others or of the log as a whole, so no agency is shown it."""

    name: str
    means: str
    hub_only: bool = False


@dataclass(slots=True)
class Found:
    """What a question found. findings: how many rows should not be there; None if none is wrong.

    summary: what was looked at, counted. notes: what this answer in particular cannot tell.
    """

    rows: list[Row] = field(default_factory=list)
    findings: int | None = None
    summary: dict[str, Cell] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is handed out. position: of the log, None where that is not for the reader."""

    question: str
    asked: str
    parameters: Mapping[str, str]
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    verdict: str
    findings: int | None
    summary: Mapping[str, Cell]
    notes: Sequence[str]
    rests_on: str
    cannot_tell: str
    position: int | None
    as_of: datetime
    must_be_empty: bool
    proof: str = ""

    @property
    def alarming(self) -> bool:
        """Whether something was found that must not be there."""
        return self.must_be_empty and bool(self.findings)

    def without_the_log(self) -> Answer:
        """Without what tells how much was recorded about everybody: for agencies, and for whoever
        may know published figures only."""
        kept = [index for index, one in enumerate(self.columns) if not one.hub_only]
        return replace(
            self,
            columns=tuple(self.columns[index] for index in kept),
            rows=[tuple(row[index] for index in kept) for row in self.rows],
            position=None,
            proof="",  # its commands are run at the hub
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        names = [one.name for one in self.columns]
        return {
            "question": self.question,
            "asked": self.asked,
            "parameters": dict(self.parameters),
            "position": self.position,
            "as_of": self.as_of.isoformat(),
            "verdict": self.verdict,
            "findings": self.findings,
            "must_be_empty": self.must_be_empty,
            "summary": dict(self.summary),
            "columns": [{"name": one.name, "means": one.means} for one in self.columns],
            "rows": [dict(zip(names, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
            "rests_on": self.rests_on,
            "cannot_tell": self.cannot_tell,
            "proof": self.proof,
        }

    def as_csv(self) -> str:
        """The rows with a heading (RFC 4180). A text a spreadsheet would run starts with '."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([one.name for one in self.columns])
        writer.writerows([_safe(cell) for cell in row] for row in self.rows)
        return out.getvalue()


def verdict_of(findings: int | None, must_be_empty: bool, rows: int) -> str:
    """In words; an empty text where a question has no verdict."""
    if findings is None:
        return ""
    if findings:
        return f"{findings} finding{'s' if findings > 1 else ''}"
    if not must_be_empty:
        return "nothing found"
    return NOTHING_WRONG if rows else EMPTY


def shown(cell: Cell) -> str:
    """A cell as people read it: an instant without its zone, which is always UTC."""
    text = told(cell)
    return f"{text[:10]} {text[11:19]}" if _INSTANT.fullmatch(text) else text


def told(cell: Cell) -> str:
    """A cell as text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell)


def listed(names: Iterable[str]) -> str:
    """Several codes in one cell."""
    return ", ".join(names)


def moment(at: datetime | None) -> str | None:
    """An instant in one cell: ISO 8601, UTC, whole seconds."""
    return None if at is None else at.replace(microsecond=0).isoformat()


def days_between(first: datetime, last: datetime) -> float:
    """Days with one decimal."""
    return round((last - first).total_seconds() / 86_400, 1)


def _safe(cell: Cell) -> str:
    text = told(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA) else text
