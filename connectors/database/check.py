"""What `nrm-hub connector check` looks at in a partner's database.

Encryption, rights, tables and columns, the mapping, and what is left of deleted rows on the
server's disk. Changes nothing.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database import ddl, rights
from connectors.database.engines import is_local
from connectors.errors import SinkDownError
from connectors.findings import Finding

if TYPE_CHECKING:
    from connectors.sql import SqlSink

_VERIFIED: Final = "verify-full"


def checked(sink: SqlSink) -> list[Finding]:
    """Every finding, the good too."""
    try:
        with sink.database.reading() as db:
            found = [*encryption(db, sink.database.url), *_rights(db, sink), *_erasure(db, sink)]
            found += [*_tables(db, sink), *_transactions(db, sink)]
        if sink.mapped is not None:
            told = sink.mapped.findings()
            found += told or [Finding("ok", "mapping", "fits the database, its codes too")]
    except SinkDownError as down:
        return [Finding("wrong", "database", str(down), "then check again")]
    return found


def encryption(db: Connection, url: sa.URL, setting: str = "sink.url") -> Iterator[Finding]:
    """Whether others on the network can read what is sent to a database. setting: that named it."""
    if is_local(url):
        yield Finding("ok", "encryption", "nothing leaves this machine")
        return
    if db.dialect.name == "postgresql":
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        driver = db.connection.driver_connection
        assert driver is not None
        mode = driver.info.get_parameters().get("sslmode", "prefer")
        encrypted, verified = bool(db.execute(sa.text(query)).scalar()), mode == _VERIFIED
        fix = f"write ?sslmode=verify-full in {setting}, or leave sslmode out"
    else:
        cipher = db.execute(sa.text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
        encrypted = verified = bool(cipher)  # without its certificate there is no session
        fix = f"take ssl_disabled out of {setting}"
    if not encrypted:
        yield Finding("wrong", "encryption", "content goes over the network in the clear", fix)
    elif not verified:
        text = "encrypted, but nobody checks that the server is the right one"
        yield Finding("warning", "encryption", text, fix)
    else:
        yield Finding("ok", "encryption", "encrypted, the server's certificate verified")


def _rights(db: Connection, sink: SqlSink) -> Iterator[Finding]:
    mapped = rights.used(sink.mapped.maps) if sink.mapped is not None else []
    own = [sink.tables.whole_layout(kind).table for kind in sink.tables.kinds()]
    many = rights.too_many(db, [*sink.own_tables(), *own], mapped)
    if many:
        text = f"the user may do more than it needs: {'; '.join(many)}"
        fix = "make a user of its own: `nrm-hub connector ddl` prints the rights it needs"
        yield Finding("warning", "rights", text, fix)
    else:
        yield Finding("ok", "rights", "the user may what it needs, and nothing of the whole server")
    for statement in rights.lacking(db, mapped):
        text = "new rows of a mapped table take a number that the user may not draw"
        yield Finding("wrong", "rights", text, f"run: {statement}")


def _tables(db: Connection, sink: SqlSink) -> Iterator[Finding]:
    tables = sink.tables
    kinds = [tables.whole_layout(kind).table for kind in tables.kinds()]
    there = set(sa.inspect(db).get_table_names(schema=tables.timeline.schema))
    if rights.may_create(db, tables.timeline.schema):
        # What is not there yet is made when its first event comes.
        kinds = [table for table in kinds if table.name in there]
    lacking = ddl.missing(db, [*sink.own_tables(), *kinds])
    lost = _lost(db, sink, there)
    if lost:
        text = (
            f"{', '.join(lost)} is gone, and the books hold rows of it: a recall could not reach it"
        )
        fix = "put it back, or have its rows brought again: nrm-hub connector reconcile … --repair"
        yield Finding("wrong", "tables", text, fix)
    elif not lacking:
        yield Finding("ok", "tables", "all there, as far as they can be needed now")
    elif rights.may_create(db, tables.timeline.schema):
        yield Finding("ok", "tables", f"{len(lacking)} statements will be run to make them whole")
    else:
        text = "tables or columns are missing, and this user may not make them: deliveries wait"
        yield Finding("wrong", "tables", text, "run:\n" + ";\n".join([*lacking, ""]).rstrip())


def _transactions(db: Connection, sink: SqlSink) -> Iterator[Finding]:
    outside = sink.outside_transactions(db)
    if outside:
        text = (
            f"{', '.join(sorted(outside))}: kept by an engine without transactions, so a row would "
            "stay although its delivery failed"
        )
        fix = "run:\n" + "\n".join(f"{statement};" for statement in outside.values())
        yield Finding("wrong", "tables", text, fix)


def _lost(db: Connection, sink: SqlSink, there: Collection[str]) -> list[str]:
    """Default tables that are not there and of whose events something is held."""
    tables, holding = sink.tables, sink._ledger.holding
    if holding.name not in there:
        return []
    held = db.execute(sa.select(holding.c.event_type).distinct()).scalars()
    names = {tables.whole_layout(kind).table.name for kind in held if tables.has(kind)}
    return sorted(names - set(there))


def _erasure(db: Connection, sink: SqlSink) -> Iterator[Finding]:
    """What is left of recalled content on the disk."""
    if db.dialect.name == "sqlite":
        path = Path(str(sink.database.url.database))
        if path.exists() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            text = f"{path.name} can be read by others"
            yield Finding("warning", "file", text, f"chmod 600 {path.name}")
        yield Finding("ok", "erasure", "what is recalled is overwritten in the file and its log")
    elif db.dialect.name == "mariadb":
        query = "SELECT @@innodb_immediate_scrub_data_uncompressed, @@log_bin"
        scrubbed, binlog = db.execute(sa.text(query)).one()
        if scrubbed:
            yield Finding("ok", "erasure", "the server overwrites what it deletes")
        else:
            text = "deleted rows stay readable in the table files until their pages are used again"
            fix = "set innodb_immediate_scrub_data_uncompressed = ON on the server"
            yield Finding("warning", "erasure", text, fix)
        if binlog:
            text = "the binary log keeps every row that was written until it expires"
            fix = "keep it encrypted, and let it expire within the time a recall allows"
            yield Finding("warning", "erasure", text, fix)
