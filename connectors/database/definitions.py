"""A partner's tables as their definitions tell: columns, keys, what may be NULL, codes they list.

No row is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.database.transactional import without_transactions

REF_LENGTH: Final = 36  # letters of our longest reference, a UUID; a pseudonym has 35
_IN: Final = re.compile(
    r"""["`\[]?(\w+)["`\]]?\)?(?:::\w+(?:\s+varying)?)?\)?\s*
        (?:IN\s*\(|=\s*ANY\s*\(+\s*ARRAY\s*\[)\s*([^)\]]+)[)\]]""",
    re.IGNORECASE | re.VERBOSE,
)
_AUTO: Final[Mapping[str, Mapping[str, bool]]] = {"sqlite": {"include_auto_indexes": True}}
"""SQLite keeps UNIQUE in indexes of its own, which it hides."""
# Of a column or of the table; one a line, as SHOW CREATE TABLE writes them.
_MARIADB_CHECK: Final = re.compile(r" CHECK \((.*)\)(?: COMMENT '.*')?,?$", re.MULTILINE)
_JSON: Final = "json_valid(`{}`)"  # MariaDB's JSON is text with this check
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True)
class Code:
    """One code of the partner: what a column holds, and what it is called."""

    value: Any
    label: str


@dataclass(frozen=True)
class Column:
    """One column. kind: as in docs/mapping.md, `any` where the type says nothing.

    computed: by the database, which takes no other value for it. codes: what it may hold, None if
    that is not known. refers: table it refers to, by which column of it. filled: whether the
    database fills it when a row does not. padded: CHAR, whose values come back with spaces.
    """

    name: str
    kind: str
    length: int | None = None
    nullable: bool = True
    key: bool = False
    filled: bool = False
    refers: tuple[str, str] | None = None
    codes: tuple[Code, ...] | None = None
    shown: str = ""
    padded: bool = False
    computed: bool = False


@dataclass(frozen=True)
class Table:
    """One table. unique: sets of columns the database holds unique. engine: of one outside
    transactions (`connectors/database/transactional.py`)."""

    name: str
    columns: tuple[Column, ...]
    unique: tuple[frozenset[str], ...] = ()
    lookup: bool = False
    schema: str = ""  # where the usual one was not looked into
    engine: str = ""

    @property
    def place(self) -> str:
        """Its name in a mapping file."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> Column | None:
        return next((one for one in self.columns if one.name == name), None)


@dataclass
class Found:
    """What was read of a database. looked_into: lookup tables whose rows were read.

    others: names of tables that were not read.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    looked_into: list[str] = field(default_factory=list)


def named(db: Connection, names: Iterable[str], *, flat: bool = False) -> Found:
    """These tables or views, by names that may have a schema: "app.client".

    flat: the name is whole.
    """
    inspector = sa.inspect(db)
    found = Found(others=tuple(inspector.get_table_names()))
    for name in dict.fromkeys(names):
        schema, _, bare = ("", "", name) if flat else name.rpartition(".")
        try:
            found.tables[name] = definition(inspector, bare, schema or None)
        except exc.NoSuchTableError:
            continue
    tell_engines(db, found)
    return found


def tell_engines(db: Connection, found: Found) -> None:
    """Of every table found the engine, where that has no transactions."""
    for name, engine in without_transactions(db, found.tables).items():
        found.tables[name] = replace(found.tables[name], engine=engine)


def definition(inspector: Any, name: str, schema: str | None) -> Table:
    """One table or view. NoSuchTableError."""
    described = inspector.get_columns(name, schema)
    keys = set(inspector.get_pk_constraint(name, schema).get("constrained_columns") or ())
    refers = {
        key["constrained_columns"][0]: (
            key["referred_table"],
            next(iter(key["referred_columns"]), ""),
        )
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
    checks = _checks(inspector, name, schema)
    listed = _listed(checks)
    columns = []
    for one in described:
        of, named_so = one["type"], one["name"].lower()
        kind = "json" if _JSON.format(named_so) in map(str.lower, checks) else kind_of(of)
        enum = getattr(of, "enums", None)
        values = tuple(enum) if enum else listed.get(named_so)
        columns.append(
            Column(
                one["name"],
                kind,
                None if enum else getattr(of, "length", None),
                bool(one["nullable"]),
                one["name"] in keys,
                (one["name"] in keys and kind == "integer")
                or one.get("autoincrement") is True
                or any(one.get(how) is not None for how in ("default", "identity", "computed")),
                refers.get(one["name"]),
                tuple(Code(value, str(value)) for value in values) if values else None,
                _shown(of),
                isinstance(of, sa.CHAR),
                one.get("computed") is not None or bool((one.get("identity") or {}).get("always")),
            )
        )
    return Table(name, tuple(columns), tuple(unique), schema=schema or "")


def _shown(kind: Any) -> str:
    try:
        return str(kind)
    except (exc.CompileError, NotImplementedError):
        return type(kind).__name__


def kind_of(kind: Any) -> str:
    """One word for a column's type."""
    kinds: tuple[tuple[Any, str], ...] = (
        (sa.Boolean, "boolean"), (sa.Integer, "integer"), (sa.Numeric, "number"),
        (sa.DateTime, "timestamp"), (sa.Date, "date"), (sa.JSON, "json"), (sa.String, "text"),
        (sa.LargeBinary, "binary"), (sa.Uuid, "uuid"), (sa.Time, "time"),
    )  # fmt: skip
    return next((word for type_, word in kinds if isinstance(kind, type_)), "any")


def _checks(inspector: Any, name: str, schema: str | None) -> list[str]:
    """CHECK constraints as text."""
    if inspector.dialect.name == "mariadb":
        # information_schema shows them to those alone who may more than read and write rows.
        table = inspector.dialect.identifier_preparer.format_table(sa.table(name, schema=schema))
        shown = inspector.bind.execute(sa.text(f"SHOW CREATE TABLE {table}".replace(":", r"\:")))
        return _MARIADB_CHECK.findall(str(shown.one()[1]))
    try:
        constraints = inspector.get_check_constraints(name, schema)
    except NotImplementedError:
        return []
    return [str(one.get("sqltext") or "") for one in constraints]


def _listed(checks: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Columns whose CHECK constraint lists their values, lower case."""
    found = {}
    for text in checks:
        for column, inside in _IN.findall(text):
            values = tuple(value.replace("''", "'") for value in _LITERAL.findall(inside))
            if values:
                found[column.lower()] = values
    return found
