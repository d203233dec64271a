"""A partner's tables with the codes that its lookup tables list.

Rows are read of lookup tables alone: small ones that other tables refer to or whose name says so,
with nothing in them that could tell of a person.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.database.definitions import Code, Column, Found, Table, definition, tell_engines
from connectors.workbench.events_told import OTHERS
from connectors.workbench.naming import concepts, tokens

MOST_ROWS: Final = 500  # a lookup table has no more; ISO 639-2 has 486 languages
MOST_COLUMNS: Final = 6
SMALLEST: Final = 3  # a number, a code and a label
LOOKUP: Final = re.compile(
    r"^(tlk|tlkp|tlu|lk|lkp|lku|lu|lut|ref|cat|kat|code|codes|lov|dim|enum|val|param|tip|tipo)_|"
    r"^(tlk|tlkp|lkp|lut|lu|ref|dim|code|nomenclature)(?=[A-Z])|_(lookup|codes?|lov|ref|types?)$",
)
"""`ref_country`, `tlkGender`, `referral_type`; not `referral_notes`, nor `valoraciones_riesgo`."""
_PERSONAL: Final = frozenset(
    {"given_name", "family_name", "full_name", "birth_date", "birth_year", "alias", "phone"}
    | {"email", "address", "passport", "birth_place", "person", "note", "account"}
)
_LABELS: Final = frozenset(
    {
        "name", "label", "description", "descr", "desc", "code", "text", "title", "value",
        "short", "long", "abbreviation", "abbr", "iso", "iso2", "iso3", "symbol", "alpha",
        "plural", "en", "fr", "es", "de", "nom", "libelle", "intitule", "nombre", "descripcion",
        "etiqueta", "codigo", "abreviatura", "valor", "bezeichnung", "kuerzel", "kurz",
        "beschreibung", "nazwa", "naziv", "nazev", "denumire", "descriere", "denominazione",
        "descrizione", "nome", "descricao", "naam", "omschrijving", "benaming", "navn",
        "betegnelse", "namn", "benamning", "nimi", "ad", "cod"
    }
)  # fmt: skip
"""Words of columns that label a code. Where the table's name does not say that it lists codes, it
is read only if its texts are called so, or as the table itself: in a language that is not known
here, a table of staff looks like one of codes."""


Codes = Mapping[str, Mapping[str, tuple[Code, ...]]]
"""Lookup table → its columns, the key first → codes."""


def read_tables(db: Connection, schema: str | None = None, only: Iterable[str] = ()) -> Found:
    """Every table of a database but the connector's own. only: these, whatever else is there."""
    inspector = sa.inspect(db)
    every = [n for n in inspector.get_table_names(schema) if not n.startswith("nrm_")]
    wanted = set(only)
    names = every
    if wanted:
        names = [*every, *(n for n in inspector.get_view_names(schema) if n in wanted)]
        referred = {
            key["referred_table"] for n in names if n in wanted
            for key in inspector.get_foreign_keys(n, schema)
        }  # fmt: skip
        names = [n for n in names if n in wanted | referred or LOOKUP.search(n)]
    bare = {name: definition(inspector, name, schema) for name in names}
    referred_to = {one.refers[0] for table in bare.values() for one in table.columns if one.refers}
    codes: dict[str, Mapping[str, tuple[Code, ...]]] = {}
    found = Found()
    for name, table in bare.items():
        if _may_be_lookup(table, name in referred_to):
            listed = _codes(db, table, schema)
            if listed:
                codes[name] = listed
                found.looked_into.append(name)
    for name, table in bare.items():
        columns = tuple(_with_codes(one, table, codes) for one in table.columns)
        if not wanted or name in wanted:
            found.tables[name] = replace(table, columns=columns, lookup=name in codes)
    found.others = tuple(name for name in every if name not in found.tables)
    return found


def read_named(db: Connection, names: Iterable[str]) -> Found:
    """These tables or views, by names that may have a schema: "app.client"."""
    by_schema: dict[str, list[str]] = defaultdict(list)
    for name in names:
        schema, _, bare = name.rpartition(".")
        by_schema[schema].append(bare)
    found = Found(others=tuple(sa.inspect(db).get_table_names()))
    for schema, wanted in by_schema.items():
        there = read_tables(db, schema or None, wanted)
        for bare, table in there.tables.items():
            found.tables[f"{schema}.{bare}" if schema else bare] = table
        found.looked_into += there.looked_into
    tell_engines(db, found)
    return found


def _may_be_lookup(table: Table, referred_to: bool) -> bool:
    says_so = LOOKUP.search(table.name) is not None
    if len(table.columns) > MOST_COLUMNS or not (referred_to or says_so):
        return False
    if any(one.kind in ("binary", "json") for one in table.columns):
        return False
    if concepts(tokens(table.name)) & (_PERSONAL | {OTHERS}):
        return False
    names = {name for one in table.columns for name in concepts(tokens(one.name))}
    if says_so and len(table.columns) <= SMALLEST:
        names -= {"given_name", "family_name"}  # "nombre" and "nom" are labels there
    texts = [one for one in table.columns if one.kind in ("text", "any")]
    if not says_so and not all(_label(one, table) for one in texts if not one.key):
        return False
    return not names & _PERSONAL and bool(texts)


def _label(column: Column, table: Table) -> bool:
    words = {word.rstrip("0123456789") for word in tokens(column.name)}
    return bool(words & (_LABELS | set(tokens(table.name))))


def _codes(db: Connection, table: Table, schema: str | None) -> Mapping[str, tuple[Code, ...]]:
    """Its rows as codes, by the column that holds them; none if there are too many, nothing could
    be a label, or they may not be read."""
    keys = [one for one in table.columns if one.key] or list(table.columns[:1])
    texts = [one for one in table.columns if one.kind in ("text", "any") and one not in keys]
    if len(keys) != 1:
        return {}
    columns: list[sa.ColumnClause[Any]] = [sa.column(one.name) for one in (*keys, *texts)]
    there = sa.table(table.name, *columns, schema=schema)
    try:
        with db.begin_nested():
            count = db.execute(sa.select(sa.func.count()).select_from(there)).scalar() or 0
            if not 0 < count <= MOST_ROWS:
                return {}
            rows = db.execute(sa.select(*columns).order_by(columns[0])).all()
    except exc.DBAPIError as refused:
        if refused.connection_invalidated:
            raise
        return {}
    labels = [" | ".join(str(one) for one in row[1:] if one) for row in rows]
    return {
        column.name: tuple(Code(row[at], label) for row, label in zip(rows, labels, strict=True))
        for at, column in enumerate(columns)
    }


def _with_codes(column: Column, table: Table, codes: Codes) -> Column:
    listed = None
    if column.refers is not None:
        name, of = column.refers
        by_column = codes.get(name, {})
        listed = by_column.get(of) if of else next(iter(by_column.values()), None)
    elif column.codes is None and not column.key:
        listed = _by_name(column.name, codes)
    if listed is None or table.name in codes:
        return column
    return replace(column, codes=listed)


def _by_name(column: str, codes: Codes) -> tuple[Code, ...] | None:
    """Where no foreign key tells, as in many an Access database: `tlkGender` for `GenderID`."""
    about = concepts(tokens(column))
    for name, listed in codes.items():
        if LOOKUP.search(name) and about and concepts(tokens(LOOKUP.sub("", name))) == about:
            return next(iter(listed.values()))
    return None
