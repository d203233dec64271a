"""A partner's tables as found: columns, keys, and the codes that lookup tables and enums list.

Read from the database's own definitions. Rows are read of lookup tables alone: small ones that
other tables refer to or whose name says so, with nothing in them that could tell of a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.workbench.naming import concepts, tokens

MOST_ROWS: Final = 500  # a lookup table has no more; ISO 639-2 has 486 languages
MOST_COLUMNS: Final = 6
SMALLEST: Final = 3  # a number, a code and a label
LOOKUP: Final = re.compile(
    r"^(tlk|tlu|lk|lkp|lku|lu|lut|ref|cat|code|codes|list|lov|dim|enum|val|param)[_a-z]*_|"
    r"^(tlk|tlkp|lkp|lut|lu|ref|dim|code|nomenclature)(?=[A-Z])|_(lookup|codes?|lov|ref|types?|list)$",
)
_PERSONAL: Final = frozenset(
    {"given_name", "family_name", "full_name", "birth_date", "birth_year", "alias", "phone"}
    | {"email", "address", "passport", "birth_place", "person", "note", "account"}
)
_IN: Final = re.compile(
    r"""["`\[]?(\w+)["`\]]?\)?(?:::\w+(?:\s+varying)?)?\)?\s*
        (?:IN\s*\(|=\s*ANY\s*\(+\s*ARRAY\s*\[)\s*([^)\]]+)[)\]]""",
    re.IGNORECASE | re.VERBOSE,
)
_AUTO: Final[Mapping[str, Mapping[str, bool]]] = {"sqlite": {"include_auto_indexes": True}}
"""SQLite keeps UNIQUE in indexes of its own, which it hides."""
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True)
class Code:
    """One code of the partner: what a column holds, and what it is called."""

    value: Any
    label: str


@dataclass(frozen=True)
class Column:
    """One column. kind: as in docs/mapping.md, `any` where the type says nothing.

    codes: what it may hold, None if that is not known. refers: table it refers to.
    filled: whether the database fills it when a row does not.
    """

    name: str
    kind: str
    length: int | None = None
    nullable: bool = True
    key: bool = False
    filled: bool = False
    refers: str | None = None
    codes: tuple[Code, ...] | None = None
    shown: str = ""


@dataclass(frozen=True)
class Table:
    """One table. unique: sets of columns the database holds unique."""

    name: str
    columns: tuple[Column, ...]
    unique: tuple[frozenset[str], ...] = ()
    lookup: bool = False

    def column(self, name: str) -> Column | None:
        return next((one for one in self.columns if one.name == name), None)


@dataclass
class Found:
    """Everything read of a database. looked_into: lookup tables whose rows were read."""

    tables: dict[str, Table] = field(default_factory=dict)
    looked_into: list[str] = field(default_factory=list)


def read_tables(db: Connection, schema: str | None = None, only: Iterable[str] = ()) -> Found:
    """Every table of a database but the connector's own. only: these, whatever else is there."""
    inspector = sa.inspect(db)
    names = [n for n in inspector.get_table_names(schema) if not n.startswith("nrm_")]
    wanted = set(only)
    if wanted:
        referred = {
            key["referred_table"] for n in names if n in wanted
            for key in inspector.get_foreign_keys(n, schema)
        }  # fmt: skip
        names = [n for n in names if n in wanted | referred or LOOKUP.search(n)]
    bare = {name: _table(inspector, name, schema) for name in names}
    referred_to = {one.refers for table in bare.values() for one in table.columns if one.refers}
    codes: dict[str, tuple[Code, ...]] = {}
    found = Found()
    for name, table in bare.items():
        if _may_be_lookup(table, name in referred_to):
            listed = _codes(db, table, schema)
            if listed is not None:
                codes[name] = listed
                found.looked_into.append(name)
    for name, table in bare.items():
        columns = tuple(_with_codes(one, table, codes) for one in table.columns)
        if not wanted or name in wanted:
            found.tables[name] = Table(name, columns, table.unique, name in codes)
    return found


def _table(inspector: Any, name: str, schema: str | None) -> Table:
    keys = set(inspector.get_pk_constraint(name, schema).get("constrained_columns") or ())
    refers = {
        key["constrained_columns"][0]: key["referred_table"]
        for key in inspector.get_foreign_keys(name, schema)
        if len(key["constrained_columns"]) == 1
    }
    unique = {frozenset(keys)} if keys else set()
    unique |= {
        frozenset(one["column_names"]) for one in inspector.get_unique_constraints(name, schema)
    }
    unique |= {
        frozenset(c for c in one["column_names"] if c)
        for one in inspector.get_indexes(name, schema, **_AUTO.get(inspector.dialect.name, {}))
        if one.get("unique")
    }
    listed = _check_lists(inspector, name, schema)
    columns = []
    for one in inspector.get_columns(name, schema):
        kind = kind_of(one["type"])
        serial = one["name"] in keys and kind == "integer"
        enum = getattr(one["type"], "enums", None)
        values = tuple(enum) if enum else listed.get(one["name"].lower())
        columns.append(
            Column(
                one["name"],
                kind,
                getattr(one["type"], "length", None),
                bool(one["nullable"]),
                one["name"] in keys,
                serial or one.get("default") is not None or bool(one.get("autoincrement") is True),
                refers.get(one["name"]),
                tuple(Code(value, str(value)) for value in values) if values else None,
                str(one["type"]),
            )
        )
    return Table(name, tuple(columns), tuple(unique))


def kind_of(kind: Any) -> str:
    """One word for a column's type."""
    kinds: tuple[tuple[Any, str], ...] = (
        (sa.Boolean, "boolean"), (sa.Integer, "integer"), (sa.Numeric, "number"),
        (sa.DateTime, "timestamp"), (sa.Date, "date"), (sa.JSON, "json"), (sa.String, "text"),
        (sa.LargeBinary, "binary"), (sa.Uuid, "uuid"), (sa.Time, "time"),
    )  # fmt: skip
    return next((word for type_, word in kinds if isinstance(kind, type_)), "any")


def _check_lists(inspector: Any, name: str, schema: str | None) -> Mapping[str, tuple[str, ...]]:
    """Columns whose CHECK constraint lists their values, lower case."""
    try:
        constraints = inspector.get_check_constraints(name, schema)
    except NotImplementedError:
        return {}
    found = {}
    for one in constraints:
        for column, inside in _IN.findall(one.get("sqltext") or ""):
            values = tuple(value.replace("''", "'") for value in _LITERAL.findall(inside))
            if values:
                found[column.lower()] = values
    return found


def _may_be_lookup(table: Table, referred_to: bool) -> bool:
    if len(table.columns) > MOST_COLUMNS or not (referred_to or LOOKUP.search(table.name)):
        return False
    if any(one.kind in ("binary", "json") for one in table.columns):
        return False
    if concepts(tokens(table.name)) & _PERSONAL:
        return False
    names = {name for one in table.columns for name in concepts(tokens(one.name))}
    if LOOKUP.search(table.name) and len(table.columns) <= SMALLEST:
        names -= {"given_name", "family_name"}  # "nombre" and "nom" are labels there
    return not names & _PERSONAL and any(one.kind in ("text", "any") for one in table.columns)


def _codes(db: Connection, table: Table, schema: str | None) -> tuple[Code, ...] | None:
    """Its rows as codes; None if there are too many, or nothing that could be a label."""
    keys = [one for one in table.columns if one.key] or list(table.columns[:1])
    texts = [one for one in table.columns if one.kind in ("text", "any") and one not in keys]
    if len(keys) != 1:
        return None
    columns: list[sa.ColumnClause[Any]] = [sa.column(one.name) for one in (*keys, *texts)]
    there = sa.table(table.name, *columns, schema=schema)
    count = db.execute(sa.select(sa.func.count()).select_from(there)).scalar() or 0
    if not 0 < count <= MOST_ROWS:
        return None
    rows = db.execute(sa.select(*columns).order_by(columns[0])).all()
    return tuple(Code(row[0], " | ".join(str(one) for one in row[1:] if one)) for row in rows)


def _with_codes(column: Column, table: Table, codes: Mapping[str, tuple[Code, ...]]) -> Column:
    listed = codes.get(column.refers) if column.refers else None
    if listed is None and column.codes is None and column.refers is None and not column.key:
        listed = _by_name(column.name, codes)
    if listed is None or table.name in codes:
        return column
    return Column(
        column.name, column.kind, column.length, column.nullable, column.key, column.filled,
        column.refers, listed, column.shown,
    )  # fmt: skip


def _by_name(column: str, codes: Mapping[str, tuple[Code, ...]]) -> tuple[Code, ...] | None:
    """Where no foreign key tells, as in many an Access database: `tlkGender` for `GenderID`."""
    about = concepts(tokens(column))
    for name, listed in codes.items():
        if LOOKUP.search(name) and about and concepts(tokens(LOOKUP.sub("", name))) == about:
            return listed
    return None
