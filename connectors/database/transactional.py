"""Transactional: which tables of a MariaDB take no part in transactions.

MyISAM, Aria (its TRANSACTIONAL=1 is about crashes), MEMORY and CSV keep what was written when the
rest is rolled back. Then a row, the position and the receipt are not written together any more: a
delivery that failed would leave its row, and a recall that failed would have emptied it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

_ENGINES: Final = sa.text(
    "SELECT t.table_schema, t.table_name, t.engine FROM information_schema.tables t "
    "JOIN information_schema.engines e ON e.engine = t.engine "
    "WHERE t.table_schema = :schema AND t.table_type = 'BASE TABLE' "
    "AND coalesce(e.transactions, 'NO') <> 'YES'"
)


def without_transactions(db: Connection, names: Iterable[str]) -> dict[str, str]:
    """Of tables by these names, perhaps with their schema, those outside transactions: name →
    engine. Of no other database than MariaDB is there any; what a view shows is not looked into."""
    if db.dialect.name != "mariadb":
        return {}
    one_case = bool(db.execute(sa.text("SELECT @@lower_case_table_names")).scalar())
    here = str(db.execute(sa.text("SELECT DATABASE()")).scalar())
    places = {name: (name.rpartition(".")[0] or here, name.rpartition(".")[2]) for name in names}
    found = {
        _folded((row[0], row[1]), one_case): str(row[2])
        for schema in sorted({schema for schema, _ in places.values()})
        for row in db.execute(_ENGINES, {"schema": schema})
    }
    return {
        name: found[folded]
        for name, place in places.items()
        if (folded := _folded(place, one_case)) in found
    }


def _folded(place: tuple[str, str], one_case: bool) -> tuple[str, str]:
    return (place[0].lower(), place[1].lower()) if one_case else place


def to_innodb(db: Connection, name: str) -> str:
    """The statement that gives a table transactions."""
    schema, _, table = name.rpartition(".")
    place = db.dialect.identifier_preparer.format_table(sa.table(table, schema=schema or None))
    return f"ALTER TABLE {place} ENGINE=InnoDB"
