"""What is missing for following the log by a slot, each thing with the SQL that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.findings import Finding
from connectors.sources.changes.mapping import ChangesMapping
from connectors.sources.slot.ddl import (
    KEEP,
    WAL_LEVEL,
    create_publication,
    published,
    quoted,
)
from connectors.sources.slot.slot import Slot, Standing

MIB: Final = 2**20

_IDENTITY: Final = sa.text("""
    SELECT c.relreplident AS form, ARRAY(
      SELECT a.attname::text FROM pg_index i JOIN pg_attribute a
      ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) WHERE i.indrelid = c.oid
      AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident)
    ) AS columns FROM pg_class c WHERE c.oid = to_regclass(:table)
""")
_PUBLISHED: Final = sa.text("""
    SELECT EXISTS (SELECT FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
      WHERE t.pubname = :slot AND c.oid = to_regclass(:table))
""")
_WHOLE: Final = sa.text("""
    SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication
    WHERE pubname = :slot
""")
_FUNCTIONS: Final = sa.text("""
    SELECT p.proname AS name, r.rolreplication OR r.rolsuper AS able, p.prosecdef AS as_owner,
           has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AS may
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_roles r ON r.oid = p.proowner
    WHERE n.nspname = :slot AND p.proname IN ('peek', 'advance')
""")


def slot_findings(
    db: Connection, slot: Slot, mapping: ChangesMapping, most_kept: int
) -> Iterator[Finding]:
    """most_kept: bytes of log kept for the slot, beyond which somebody should look."""
    ddl = "nrm-hub source ddl postgresql --slot SETTINGS prints all of it"
    level = db.execute(sa.text("SELECT current_setting('wal_level')")).scalar_one()
    if level != "logical":
        yield Finding("wrong", "log", f"wal_level is {level}, not logical", WAL_LEVEL)
    yield from _publication(db, slot.name, mapping)
    for table in published(mapping):
        yield from _identity(db, table, mapping)
    found = {row["name"]: row for row in db.execute(_FUNCTIONS, {"slot": slot.name}).mappings()}
    missing = [one for one in ("peek", "advance") if one not in found]
    if missing:
        told = f"the functions {slot.name}.peek and {slot.name}.advance are not there"
        yield Finding("wrong", "log", told, ddl)
    elif not all(row["may"] for row in found.values()):
        user = db.execute(sa.text("SELECT quote_ident(current_user)")).scalar_one()
        yield Finding(
            "wrong",
            "log",
            f"this user may not call the functions of {slot.name}",
            f"GRANT USAGE ON SCHEMA {slot.name} TO {user}; "
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {slot.name} TO {user};",
        )
    elif not all(row["able"] and row["as_owner"] for row in found.values()):
        told = f"the owner of the functions of {slot.name} has no right over slots (REPLICATION)"
        yield Finding(
            "wrong", "log", told, f"ALTER ROLE {slot.name}_owner REPLICATION; or anew: {ddl}"
        )
    standing = slot.find(db)
    wrong = slot.wrong(standing)
    if wrong is not None:
        yield Finding("wrong", "log", *wrong)
    else:
        assert standing is not None
        yield from _kept(db, slot.name, standing, most_kept)


def _publication(db: Connection, slot: str, mapping: ChangesMapping) -> Iterator[Finding]:
    tables = published(mapping)
    whole = db.execute(_WHOLE, {"slot": slot}).scalar()
    if whole is None:
        told = f"there is no publication {slot}"
        yield Finding("wrong", "log", told, f"{create_publication(slot, tables)};")
        return
    if not whole:
        told = f"the publication {slot} leaves out some kinds of change"
        fix = f"ALTER PUBLICATION {slot} SET (publish = 'insert, update, delete, truncate');"
        yield Finding("wrong", "log", told, fix)
    for table in tables:
        named = {"slot": slot, "table": quoted(table)}
        if not db.execute(_PUBLISHED, named).scalar_one():
            told = f"the publication {slot} does not hold {table}"
            fix = f"ALTER PUBLICATION {slot} ADD TABLE {quoted(table)};"
            yield Finding("wrong", "log", told, fix)


def _identity(db: Connection, table: str, mapping: ChangesMapping) -> Iterator[Finding]:
    row = db.execute(_IDENTITY, {"table": quoted(table)}).mappings().one_or_none()
    if row is None or row["form"] == "f":
        return  # not there: the look at the tables says so
    full = f"ALTER TABLE {quoted(table)} REPLICA IDENTITY FULL;"
    if not row["columns"]:
        told = f"{table} has no primary key: once it is published it cannot be updated"
        yield Finding("wrong", "log", told, f"give it one, or: {full}")
        return
    keys = {name for one in mapping.maps if one.table == table for name in one.key}
    if keys - set(row["columns"]):
        yield Finding(
            "warning",
            "log",
            f"a deleted row of {table} is told by {', '.join(row['columns'])}, the mapping's key "
            f"is {', '.join(sorted(keys))}: each deletion makes all its rows be compared",
            f"take those columns as key, or: {full}",
        )


def _kept(db: Connection, slot: str, found: Standing, most: int) -> Iterator[Finding]:
    told = kept_text(slot, found)
    if too_much(found, most):
        yield Finding("warning", "log", told, KEPT_FIX)
    else:
        yield Finding("ok", "log", told)
    bound = db.execute(sa.text("SELECT current_setting('max_slot_wal_keep_size')")).scalar_one()
    if bound == "-1":
        told = "max_slot_wal_keep_size is not set: while no source runs the log fills the disk"
        yield Finding("warning", "log", told, KEEP)


KEPT_FIX: Final = (
    "let the source run, and end transactions that stand open for long: "
    "SELECT pid, xact_start, state FROM pg_stat_activity ORDER BY xact_start LIMIT 5;"
)


def too_much(found: Standing, most: int) -> bool:
    """Whether somebody has to look: more than `most` bytes are kept, or the slot is nearly lost."""
    return found.kept > most or found.wal_status == "unreserved"


def kept_text(slot: str, found: Standing) -> str:
    text = f"slot {slot}: {found.kept / MIB:.0f} MiB of the server's log kept"
    return text if found.room is None else f"{text}, lost after {found.room / MIB:.0f} MiB more"
