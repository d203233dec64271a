"""Rights: the GRANTs a connector needs, no more, and what a session has.

Of its own tables (books and default tables) it reads, inserts, updates and deletes rows; of the
partner's it does so in the tables that the mapping file names. It needs no right to create, alter
or drop anything, if `nrm-hub connector ddl` was run by somebody who has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import Dialect

NEEDED: Final = "SELECT, INSERT, UPDATE, DELETE"
_ALL: Final = "ALL PRIVILEGES"
# Attribute of a PostgreSQL role → what it may do that no connector needs.
_TOO_MUCH: Final = {
    "rolsuper": "everything (superuser)",
    "rolcreaterole": "make and change roles",
    "rolcreatedb": "make databases",
    "rolbypassrls": "pass over row security",
    "rolreplication": "copy the whole server",
}


def grants(
    dialect: Dialect, own: Sequence[sa.Table], mapped: Iterable[str], user: str, database: str
) -> list[str]:
    """The statements for one user. mapped: tables of the mapping file, perhaps with schema."""
    quote = dialect.identifier_preparer
    named = [quote.format_table(table) for table in own]
    named += [".".join(quote.quote(step) for step in name.split(".")) for name in mapped]
    if dialect.name == "postgresql":
        return _postgresql(dialect, own, mapped, named, user)
    if dialect.name == "mariadb":
        where = quote.quote(database)
        full = [name if "." in name else f"{where}.{name}" for name in named]
        return [f"GRANT {NEEDED} ON {name} TO {_account(user)}" for name in full]
    return []


def _postgresql(
    dialect: Dialect,
    own: Sequence[sa.Table],
    mapped: Iterable[str],
    named: Sequence[str],
    user: str,
) -> list[str]:
    quote = dialect.identifier_preparer
    to = quote.quote(user)
    schemas = {table.schema or "public" for table in own}
    schemas |= {name.rpartition(".")[0] or "public" for name in mapped}
    sequences = [
        quote.format_table(sa.Table(f"{table.name}_id_seq", sa.MetaData(), schema=table.schema))
        for table in own
        if "id" in table.c
    ]
    return [
        *(f"GRANT USAGE ON SCHEMA {quote.quote(one)} TO {to}" for one in sorted(schemas)),
        *(f"GRANT {NEEDED} ON {name} TO {to}" for name in named),
        *(f"GRANT USAGE ON SEQUENCE {name} TO {to}" for name in sequences),
    ]


def _account(user: str) -> str:
    name, _, host = user.partition("@")
    return f"'{name}'@'{host or '%'}'"


def may_create(db: Connection, schema: str | None) -> bool:
    """Whether this session may make tables, and so add columns to those it made."""
    if db.dialect.name == "postgresql":
        query = sa.text(
            "SELECT has_schema_privilege(coalesce(:schema, current_schema()), 'CREATE')"
        )
        return bool(db.execute(query, {"schema": schema}).scalar())
    if db.dialect.name == "mariadb":
        database = db.execute(sa.text("SELECT DATABASE()")).scalar()
        for line in _shown(db):
            rights, _, where = line.partition(" ON ")
            place = where.partition(" TO ")[0].replace("`", "").replace("\\", "")
            if place in ("*.*", f"{database}.*") and (_ALL in rights or "CREATE," in rights + ","):
                return True
        return False
    return True


def too_many(db: Connection) -> str:
    """What of this session's rights a connector should not have; "" if nothing."""
    if db.dialect.name == "postgresql":
        query = f"SELECT {', '.join(_TOO_MUCH)} FROM pg_roles WHERE rolname = current_user"  # noqa: S608
        row = db.execute(sa.text(query)).mappings().one()
        more = [what for name, what in _TOO_MUCH.items() if row[name]]
        return f"the user may do more than it needs: {', '.join(more)}" if more else ""
    if db.dialect.name == "mariadb":
        everywhere = any(f"{_ALL} ON *.*" in line for line in _shown(db))
        return "the user has all rights on all databases" if everywhere else ""
    return ""


def _shown(db: Connection) -> list[str]:
    return [str(line) for line in db.execute(sa.text("SHOW GRANTS")).scalars()]
