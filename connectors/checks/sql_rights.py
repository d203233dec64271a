"""Rights on a partner's database: what the connector needs, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.findings import Finding
from connectors.sql import SqlSink

# Attribute of a PostgreSQL role → what it may do that no connector needs.
_TOO_MUCH: Final = {
    "rolsuper": "everything (superuser)",
    "rolcreaterole": "make and change roles",
    "rolcreatedb": "make databases",
    "rolbypassrls": "pass over row security",
    "rolreplication": "copy the whole server",
}


def sql_findings(sink: SqlSink) -> list[Finding]:
    """Rights and encryption, as far as this kind of database tells."""
    engine = sink.database.engine
    if engine.dialect.name == "sqlite":
        return _file(Path(str(engine.url.database)))
    if engine.dialect.name != "postgresql":
        return []
    try:
        with engine.connect() as db:
            return [*_postgres_rights(db), *_postgres_tls(db, engine.url.host)]
    except exc.DBAPIError as wrong:
        name = type(wrong.orig).__name__
        return [Finding("warning", "rights", f"they cannot be looked at ({name})")]


def _file(path: Path) -> list[Finding]:
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return [Finding("ok", "rights", f"{path.name} is for its owner alone")]
    return [
        Finding(
            "warning", "rights", f"{path} can be read by others (mode {mode:04o})",
            f"chmod 600 {path}, unless those who read it are meant to",
        )
    ]  # fmt: skip


def _postgres_rights(db: Connection) -> list[Finding]:
    row = db.execute(
        sa.text(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication "
            "FROM pg_roles WHERE rolname = current_user"
        )
    ).mappings().one()  # fmt: skip
    found = []
    more = [what for name, what in _TOO_MUCH.items() if row[name]]
    if more:
        found.append(
            Finding(
                "warning",
                "rights",
                f"user {row['rolname']} may do more than it needs: {', '.join(more)}",
                "give the connector a user of its own that owns nothing but its schema",
            )
        )
    may_create = db.execute(
        sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
    ).scalar()
    if not may_create:
        found.append(
            Finding(
                "warning",
                "rights",
                "it may make no tables: those there serve, a new event type will not",
                "GRANT CREATE on its schema, or set sink.db_schema to one it may write",
            )
        )
    return found or [Finding("ok", "rights", f"user {row['rolname']} may what it needs, no more")]


def _postgres_tls(db: Connection, host: str | None) -> list[Finding]:
    encrypted = db.execute(
        sa.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    ).scalar()
    if encrypted:
        return [Finding("ok", "tls", "the database connection is encrypted")]
    if host is None or host.startswith("/") or host in ("localhost", "127.0.0.1", "::1"):
        return [Finding("ok", "tls", "the database is on this machine")]
    return [
        Finding(
            "warning", "tls", f"the connection to {host} is not encrypted",
            "add ?sslmode=verify-full to sink.url",
        )
    ]  # fmt: skip
