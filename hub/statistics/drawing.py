"""Drawing: what was published as CSV with metadata, accessible charts, and pages. Pure.

CSV is tidy (one figure a line, SDMX's `_T` for totals) with a CSVW metadata file beside it. Charts
are SVG with title, description and the figure written at every bar; parts differ by pattern and
not by colour alone; what is hidden is a hatched stub of one width, whatever it hides. Everything
comes from editions, which hold nothing that may not be shown.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from hub.statistics.editions import Edition
from hub.statistics.rows import STATUSES, TOTAL, Row, rows, steps
from hub.statistics.tables import TABLES, Table

PROTECTED: Final = {
    "lt5": "Numbers from 1 to 4 are not shown, nor those they could be worked out from.",
    "k10": "Numbers from 1 to 9 are not shown, nor those they could be worked out from.",
    "dp": "Random noise is added to every number (differential privacy).",
}
LONGEST: Final = 45  # bars in one chart; the table beside it has every line


def files(hub: str, editions: Sequence[Edition]) -> dict[str, str]:
    """Name → content, for every edition given."""
    made: dict[str, str] = {}
    published: dict[str, dict[str, list[Edition]]] = {}
    for one in editions:
        published.setdefault(one.period, {}).setdefault(one.table, []).append(one)
        name = file_name(one)
        made[f"{name}.csv"] = as_csv(one)
        made[f"{name}.csv-metadata.json"] = metadata(hub, one)
        made[f"{name}.svg"] = chart(one)
    for period, tables in published.items():
        ordered = [tables[name] for name in TABLES if name in tables]
        made[f"{period}.html"] = page(hub, period, ordered)
    made["index.html"] = (
        _templates()
        .get_template("index.html.j2")
        .render(
            hub=hub, periods={one: len(published[one]) for one in sorted(published, reverse=True)}
        )
    )
    return made


def file_name(edition: Edition) -> str:
    return f"{edition.table}_{edition.period}_{edition.number}"


# -- CSV -----------------------------------------------------------------------------------------


def _columns(table: Table) -> list[str]:
    return [_slug(level.title) for level in table.levels]


def _slug(title: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _rows(edition: Edition) -> list[Row]:
    table = TABLES[edition.table]
    return list(rows(table, edition.figures, noisy=edition.suppression == "dp"))


def as_csv(edition: Edition) -> str:
    """Codes of every level, the label, the figure as shown, the number if it is one."""
    columns = _columns(TABLES[edition.table])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*columns, "label", "figure", "number", "status", "median", "p90"])
    for row in _rows(edition):
        codes = [*row.path, *[TOTAL] * (len(columns) - row.depth)]
        number = "" if row.number is None else row.number
        writer.writerow([*codes, row.label, row.figure, number, row.status, row.median, row.p90])
    return text.getvalue()


def metadata(hub: str, edition: Edition) -> str:
    """W3C Tabular Metadata of the CSV file."""
    table = TABLES[edition.table]
    columns: list[dict[str, Any]] = [
        {"name": name, "titles": level.title, "datatype": "string", "required": True}
        for name, level in zip(_columns(table), table.levels, strict=True)
    ]
    for name, kind, told in (
        ("label", "string", "What the last code stands for"),
        ("figure", "string", "As published: a number, <n, c (hidden) or n* (as before)"),
        ("number", "integer", "The number, if it is shown exactly"),
        ("status", "string", "; ".join(f"{one}: {told}" for one, told in STATUSES.items())),
        ("median", "string", f"ISO 8601 duration. {table.timing}".strip()),
        ("p90", "string", "ISO 8601 duration within which nine of ten lie (nearest rank)"),
    ):
        columns.append({"name": name, "titles": name, "datatype": kind, "dc:description": told})
    document = {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": f"{file_name(edition)}.csv",
        "dc:title": f"{table.title}, {edition.period}",
        "dc:description": table.counts,
        "dc:publisher": hub,
        "dc:issued": edition.published_at.isoformat(),
        "dc:temporal": edition.period,
        "dc:provenance": f"Log position {edition.position}, as known at"
        f" {edition.as_of.isoformat()}; suppression {edition.suppression}"
        + (f", epsilon {edition.epsilon}" if edition.epsilon else ""),
        "schema:version": str(edition.number),
        "notes": [PROTECTED[edition.suppression]],
        "tableSchema": {"columns": columns},
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


# -- charts and pages ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, what is written at it, and its length from 0 to 1; None is hidden."""

    label: str
    written: str
    share: float | None
    depth: int


def _bars(edition: Edition) -> list[Bar]:
    table = TABLES[edition.table]
    if table.name == "funnel" and edition.suppression != "dp":
        reached = [one for one in steps(edition.figures) if one.number is not None]
        if len(reached) > 2:
            most = max(one.number or 0 for one in reached) or 1
            return [Bar(o.label, str(o.number), (o.number or 0) / most, 1) for o in reached]
    lines = [row for row in _rows(edition) if row.figure != "0" or row.depth < 2]
    while len(lines) > LONGEST and max(row.depth for row in lines) > 1:
        deepest = max(row.depth for row in lines)
        lines = [row for row in lines if row.depth < deepest]
    most = max((_length(row) or 0 for row in lines), default=0) or 1
    return [
        Bar(
            row.label,
            row.figure,
            None if (length := _length(row)) is None else length / most,
            row.depth,
        )
        for row in lines[:LONGEST]
    ]


def _length(row: Row) -> int | None:
    if row.status == "kept":
        return int(row.figure[:-1])
    return row.number


def chart(edition: Edition, *, alone: bool = True) -> str:
    """One edition as an SVG document of its own, or to stand under a heading in a page."""
    return _templates().get_template("bars.svg.j2").render(alone=alone, **_chart(edition))


def _chart(edition: Edition) -> dict[str, Any]:
    table, bars = TABLES[edition.table], _bars(edition)
    told = "; ".join(f"{bar.label}: {_spoken(bar)}" for bar in bars)
    reached = bars and table.name == "funnel" and all(bar.depth == 1 for bar in bars)
    return {
        "id": file_name(edition),
        "title": f"{table.title}, {edition.period}",
        "told": told,
        "bars": bars,
        "note": "Reached at least this step" if reached else "",
    }


def _spoken(bar: Bar) -> str:
    return "not shown" if bar.written == "c" else bar.written


def page(hub: str, period: str, tables: Sequence[Sequence[Edition]]) -> str:
    """Everything published of a period on one page, charts inside, to be read and printed.

    Of each table the newest edition, with links to the earlier ones.
    """
    ordered = [sorted(one, key=lambda edition: edition.number) for one in tables]
    noisy = any(one.suppression == "dp" for *_, one in ordered)  # of a period all are, or none
    sections = [
        {
            "edition": one,
            "table": TABLES[one.table],
            "rows": [row for row in _rows(one) if row.figure != "0" or row.depth < 2],
            "chart": chart(one, alone=False),
            "file": file_name(one),
            "timed": any(row.median for row in _rows(one)),
            "protected": protection(one),
            "earlier": [(each, file_name(each)) for each in earlier],
        }
        for *earlier, one in ordered
    ]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(hub=hub, period=period, sections=sections, statuses=STATUSES, noisy=noisy)
    )


def protection(edition: Edition) -> str:
    """How the figures are protected; of noise, how far off they may be.

    Bounds of the discrete Laplace distribution: a part is off by more than 3/epsilon in at most one
    of twenty cases; the whole is the sum of all its parts' noise.
    """
    told = PROTECTED[edition.suppression]
    spent = float(edition.epsilon or 0)
    if not spent:  # no noise, or a year added up from its parts
        return told
    leaves = _leaves(edition.figures)
    part, whole = 3 / spent, 1.96 * math.sqrt(2 * leaves) / spent
    return (
        f"{told} In 19 of 20 cases the smallest parts are off by at most {math.ceil(part)}, the"
        f" figure for all by at most {math.ceil(whole)} (epsilon {edition.epsilon})."
    )


def _leaves(shown: Any) -> int:
    parts = shown.get("by", {}) if isinstance(shown, dict) else {}
    return sum(map(_leaves, parts.values())) or 1


def _days(duration: str) -> str:
    """P12D → 12 days."""
    if not duration.startswith("P"):
        return duration
    count = duration[1:-1]
    return f"{count} day" if count == "1" else f"{count} days"


def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("hub.statistics"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["days"] = _days
    made.globals["chart_style"] = _STYLE
    return made


# Deep to light with depth; together with a pattern, so that colour alone says nothing.
_STYLE: Final = ("#14395b", "#2a6f97", "#61a5c2", "#a9d6e5", "#cfe8f1")
