"""What is missing for an outbox: table, columns, rights, and an engine that can roll back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from connectors.database.transactional import to_innodb, without_transactions
from connectors.findings import Finding
from connectors.sources.usable import SUBJECT, reading_findings, writing_findings


def outbox_findings(
    db: Connection, table: str, columns: Sequence[str], *, deletes: bool
) -> Iterator[Finding]:
    """Everything that is missing, each with its fix. deletes: whether accepted rows are deleted."""
    dialect = db.dialect.name
    made = f"nrm-hub source ddl {dialect} prints the table; or correct database.table"
    missing = reading_findings(db, table, columns, made)
    yield from missing
    if any(" has no table " in one.text for one in missing):
        return
    yield from writing_findings(db, table, "status", deletes=deletes)
    for name, engine in without_transactions(db, [table]).items():
        told = (
            f"{name} is kept by {engine}, which has no transactions: what your application takes "
            "back would be sent all the same"
        )
        yield Finding("wrong", SUBJECT, told, f"{to_innodb(db, name)};")
