"""Sections: what a statement is made of, before it is a page or a document. Values only; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

Cell = tuple[str, ...]  # lines


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first cell of a row is its heading."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass
class Section:
    """One heading with what stands under it, in this order."""

    heading: str
    paragraphs: list[str] = field(default_factory=list)
    points: list[tuple[str, str]] = field(default_factory=list)  # (label, text)
    tables: list[Table] = field(default_factory=list)
    parts: list[Section] = field(default_factory=list)
    important: bool = False
