"""Row digests: what a partner's tables hold, told without its content, to compare with the hub.

One JSON line a row. Columns that say where a row comes from stand as they are, but for the
partner's own clock; columns with content stand as one keyed digest. The key is the hub's, for this
partner and this state only, sealed to the partner: who sees both sides' lines can compare them and
cannot try out values. The hub writes the same lines from its log (`hub/audit/partner_tables.py`),
so that equal tables give equal bytes.

    {"nrm":"rows","agency":"SH-1","hub":"nrm-hub","sequence":41,"key":"<key id>"}
    {"table":"needs_assessed","event_ref":"…","sequence":12,…,"content":"<HMAC-SHA-256>"}
    {"table":"nrm_case",…}  {"table":"nrm_holding",…}  {"table":"nrm_timeline",…}

Rows stand by table, then by their key. Tables that a mapping file fills are the partner's own: they
are not told; the timeline, the cases and the holdings are there with any mapping.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson
import sqlalchemy as sa

from connectors.sql import SqlSink
from connectors.tables.columns import AMOUNT
from connectors.tables.layout import PROVENANCE, Layout
from connectors.tables.ledger_tables import instant
from schemas.registry import Schemas

ERASED: Final = "erased"
"""In place of a digest: the person's secret is destroyed, and the hub can no longer tell."""
OWN_CLOCK: Final = "received_at"
ROW: Final = tuple(name for name in PROVENANCE if name != OWN_CLOCK)
TIMELINE: Final = (
    "event_ref",
    "case_ref",
    "subject_ref",
    "sequence",
    "event_type",
    "agency",
    "occurred_at",
    "categories",
)
CASE: Final = (
    "case_ref",
    "subject_ref",
    "status",
    "status_at",
    "events",
    "last_event_ref",
    "last_event_type",
    "last_occurred_at",
    "last_sequence",
)
HOLDING: Final = ("event_ref", "category", "basis", "event_type", "case_ref", "sequence")
_PAGE: Final = 1_000


def line(told: Mapping[str, Any]) -> bytes:
    """One line: the same row gives the same bytes."""
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS) + b"\n"


def heading(agency: str, hub: str, sequence: int, key: bytes) -> bytes:
    """The first line: whose tables, and after which delivery."""
    shown = hashlib.sha256(key).hexdigest()[:16]
    return line({"nrm": "rows", "agency": agency, "hub": hub, "sequence": sequence, "key": shown})


def told(table: str, row: Mapping[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """A row's columns that say where it comes from."""
    return {"table": table, **{name: plain(row[name]) for name in columns}}


def digest(key: bytes, table: str, ref: str, content: Mapping[str, Any]) -> str:
    """The keyed digest of a row's content; empty columns count as absent."""
    values = {name: plain(value) for name, value in content.items() if value is not None}
    text = orjson.dumps([table, ref, values], option=orjson.OPT_SORT_KEYS)
    return hmac.digest(key, text, "sha256").hex()


def plain(value: Any) -> Any:
    """A column's value as both databases and the hub write it: JSON, times in UTC, exact amounts
    without needless zeros."""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def content_columns(layout: Layout, row: Mapping[str, Any]) -> dict[str, Any]:
    """Column → value of all that is content; amounts as decimals whichever way they are kept."""
    found = {}
    for targets in layout.columns.values():
        for target in targets:
            value = row.get(target.column)
            if value is not None and target.type is AMOUNT:
                value = Decimal(str(value))
            found[target.column] = value
    return found


def partner_lines(sink: SqlSink, agency: str, hub: str, key: bytes) -> Iterator[bytes]:
    """The partner's side: every row of its default tables, timeline, cases and holdings, as of one
    moment. SinkDownError if the database cannot be read."""
    tables, schemas = sink.tables, Schemas.load()
    with sink.database.reading() as db:
        if db.dialect.name in ("postgresql", "mariadb"):
            db.execution_options(stream_results=True, isolation_level="REPEATABLE READ")
        sequence = sink.ledger.position(db).sequence
        yield heading(agency, hub, sequence, key)
        there = sa.inspect(db)
        layouts = {
            layout.table.name: layout
            for layout in (tables.whole_layout(kind) for kind in schemas.types())
            if there.has_table(layout.table.name, schema=layout.table.schema)
        }
        for name in sorted([*layouts, "nrm_case", "nrm_holding", "nrm_timeline"]):
            if name == "nrm_case":
                yield from _told(db, tables.case, CASE, ("case_ref",))
            elif name == "nrm_holding":
                yield from _told(db, sink.ledger.holding, HOLDING, ("event_ref", "category"))
            elif name == "nrm_timeline":
                yield from _told(db, tables.timeline, TIMELINE, ("event_ref",))
            else:
                yield from _rows(db, there, layouts[name], key)


def _told(
    db: sa.Connection, table: sa.Table, columns: tuple[str, ...], order: tuple[str, ...]
) -> Iterator[bytes]:
    query = sa.select(table).order_by(*(_bytewise(table.c[name], db) for name in order))
    for row in db.execute(query).yield_per(_PAGE).mappings():
        yield line(told(table.name, dict(row), columns))


def _rows(db: sa.Connection, there: sa.Inspector, layout: Layout, key: bytes) -> Iterator[bytes]:
    table = layout.table
    known = {c["name"] for c in there.get_columns(table.name, schema=table.schema)}
    columns = [column for column in table.columns if column.name in known]
    query = sa.select(*columns).order_by(_bytewise(table.c.event_ref, db))
    for found in db.execute(query).yield_per(_PAGE).mappings():
        row = dict(found)
        content = digest(key, table.name, row["event_ref"], content_columns(layout, row))
        yield line({**told(table.name, row, ROW), "content": content})


def _bytewise(column: sa.ColumnElement[Any], db: sa.Connection) -> sa.ColumnElement[Any]:
    """Order by bytes, whatever the database's own collation is."""
    return column.collate("C") if db.dialect.name == "postgresql" else column
