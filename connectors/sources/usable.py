"""Usable: is a table of the agency's there, with these columns, and may this user use it?

Nothing is read of a row and nothing changed: each right is tried with a statement that is about no
row. What is missing is a finding with its fix; an outage is raised as it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.database.engines import error_code, forbidden
from connectors.errors import SettingsError
from connectors.findings import Finding
from connectors.mapping.reader import close

SUBJECT: Final = "tables"
_ABSENT: Final = ("42P01", "42703", "3F000", "1146", "1054", "1049", "SQLITE_ERROR")
_READ_ONLY: Final = ("SQLITE_READONLY",)


def table_of(name: str, columns: Sequence[str]) -> sa.TableClause:
    """A table by its name in a settings or mapping file, perhaps with its schema."""
    schema, _, bare = name.rpartition(".")
    return sa.table(bare, *(sa.column(one) for one in columns), schema=schema or None)


def refuse(found: Iterable[Finding]) -> None:
    """SettingsError with everything that is wrong, each with its fix."""
    told = [f"{one.text}: {one.fix}" for one in found if one.level == "wrong"]
    if told:
        raise SettingsError("\n".join(told))


def reading_findings(
    db: Connection, name: str, columns: Sequence[str], fix: str = ""
) -> list[Finding]:
    """What keeps these columns of a table from being read; nothing if nothing does.

    fix: what to do where the table or a column is missing, if not to correct the mapping.
    """
    table = table_of(name, columns)
    wrong = _tried(db, sa.select(*table.c).where(sa.false()))
    if wrong is None:
        return []
    if forbidden(wrong) and error_code(wrong) not in _READ_ONLY:
        return [_denied(db, name, "read", f"SELECT ({_named(db, columns)})")]
    told = f"{name} cannot be read ({error_code(wrong)})"
    return [*_absent(db, name, columns, fix)] or [Finding("wrong", SUBJECT, told, "look at it")]


def writing_findings(db: Connection, name: str, column: str, *, deletes: bool) -> Iterator[Finding]:
    """What keeps rows of a table from being written back."""
    table = table_of(name, [column])
    nothing = sa.update(table).where(sa.false()).values({column: sa.null()})
    told: list[tuple[str, str, sa.Executable]] = [("change", "UPDATE", nothing)]
    if deletes:
        told.append(("delete", "DELETE", sa.delete(table).where(sa.false())))
    for may, right, statement in told:
        wrong = _tried(db, statement)
        if wrong is not None and error_code(wrong) in _READ_ONLY:
            fix = "give this user the right to write the file, and its folder"
            yield Finding("wrong", SUBJECT, "the SQLite file cannot be written", fix)
            return
        if wrong is not None and forbidden(wrong):
            yield _denied(db, name, f"{may} rows of", right)


def _tried(db: Connection, statement: sa.Executable) -> exc.DBAPIError | None:
    """What the database says to a statement about no row, if that can be named."""
    undone = db.begin_nested() if db.dialect.name == "postgresql" else nullcontext()
    try:
        with undone:  # which Aria does not know, and which only PostgreSQL needs
            db.execute(statement)
    except exc.DBAPIError as wrong:
        if forbidden(wrong) or error_code(wrong) in (*_ABSENT, *_READ_ONLY):
            return wrong
        raise
    return None


def _absent(db: Connection, name: str, columns: Sequence[str], fix: str) -> Iterator[Finding]:
    table = table_of(name, ())
    inspector = sa.inspect(db)
    try:
        there = [one["name"] for one in inspector.get_columns(table.name, schema=table.schema)]
    except exc.NoSuchTableError:
        others: Sequence[str] = ()
        with suppress(exc.DBAPIError, exc.NoSuchTableError):
            others = inspector.get_table_names(schema=table.schema)
        told = f"the database has no table {name}{close(table.name, others)}"
        yield Finding("wrong", SUBJECT, told, fix or "correct the mapping, or make the table")
        return
    known = {one.lower() for one in there}
    for column in columns:
        if column.lower() not in known:
            told = f"{name} has no column {column}{close(column, there)}"
            yield Finding("wrong", SUBJECT, told, fix or f"it has {', '.join(there)}")


def _denied(db: Connection, name: str, may: str, right: str) -> Finding:
    place = db.dialect.identifier_preparer.format_table(table_of(name, ()))
    grant = f"GRANT {right} ON {place} TO {_user(db)};"
    return Finding("wrong", SUBJECT, f"this user may not {may} {name}", grant)


def _named(db: Connection, columns: Sequence[str]) -> str:
    return ", ".join(map(db.dialect.identifier_preparer.quote, columns))


def _user(db: Connection) -> str:
    """This session's user as GRANT takes it."""
    if db.dialect.name == "postgresql":
        return str(db.execute(sa.text("SELECT quote_ident(current_user)")).scalar_one())
    name, _, host = str(db.execute(sa.text("SELECT CURRENT_USER()")).scalar_one()).rpartition("@")
    return f"'{name}'@'{host}'"
