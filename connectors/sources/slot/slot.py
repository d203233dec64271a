"""A logical replication slot of the agency's PostgreSQL, looked at and moved by SQL.

The source's user has no right over replication: `nrm-hub source ddl` makes two functions that peek
at this one slot and move it, and lets the user call them (`slot/ddl.py`). Positions of the
log are whole numbers here.

A slot keeps the server's log until it is moved. How much is kept is looked at in every round;
`max_slot_wal_keep_size` bounds it on the server, and a slot that fell behind that is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.errors import SettingsError
from connectors.sources.slot.ddl import anew, create_slot

_STANDS: Final = sa.text("""
    SELECT plugin, database = current_database() AS here, coalesce(wal_status, '') AS wal_status,
           confirmed_flush_lsn - '0/0'::pg_lsn AS confirmed,
           pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS flushed,
           pg_current_wal_lsn() - restart_lsn AS kept, safe_wal_size AS room,
           concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
             (SELECT timeline_id FROM pg_control_checkpoint()),
             (SELECT concat_ws(' ', p.oid, p.xmin, string_agg(r.oid::text, ' ' ORDER BY r.oid))
              FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
              WHERE p.pubname = :slot GROUP BY p.oid, p.xmin)) AS tells,
           pg_current_snapshot()::text AS snapshot
    FROM pg_replication_slots WHERE slot_name = :slot AND NOT pg_is_in_recovery()
""")
_STREAMED: Final = 500  # messages fetched at once
_NO_SUCH_THING: Final = "42704"
_XIDS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Standing:
    """The slot and its server at one moment.

    confirmed: what is behind it never comes again. flushed: end of the log. kept, room: bytes of
    log kept for the slot, and that may still come until it is lost (None: no bound is set).
    tells: changes when the database is put back from a copy, when another server takes over, when
    the publication is changed or loses a table: from then on the log may have told less.
    """

    plugin: str
    here: bool
    wal_status: str
    confirmed: int
    flushed: int
    kept: int
    room: int | None
    tells: str
    snapshot: str

    def sees(self, xid: int) -> bool:
        """Whether what this transaction did is seen by reads of the same view. A commit is in the
        log a moment before it is seen, and much longer where a standby has to confirm it."""
        _, after, running = self.snapshot.split(":")
        if (xid - int(after)) % _XIDS < _XIDS // 2:
            return False
        return xid not in {int(one) % _XIDS for one in running.split(",") if one}


class Slot:
    """One slot by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._peek = sa.text(
            f"SELECT data FROM {name}.peek(CAST(:upto AS pg_lsn), :most)"  # noqa: S608
        )
        self._advance = sa.text(f"SELECT {name}.advance(CAST(:upto AS pg_lsn))")

    def find(self, db: Connection) -> Standing | None:
        """None: there is no such slot, or this server is a standby."""
        row = db.execute(_STANDS, {"slot": self.name}).mappings().one_or_none()
        if row is None:
            return None
        return Standing(
            plugin=row["plugin"] or "",
            here=bool(row["here"]),
            wal_status=row["wal_status"],
            confirmed=int(row["confirmed"] or 0),
            flushed=int(row["flushed"]),
            kept=int(row["kept"] or 0),
            room=int(row["room"]) if row["room"] is not None else None,
            tells=row["tells"],
            snapshot=row["snapshot"],
        )

    def standing(self, db: Connection) -> Standing:
        """SettingsError if the slot is not there, not ours to read, or lost."""
        found = self.find(db)
        wrong = self.wrong(found)
        if wrong is not None:
            raise SettingsError(f"{wrong[0]}: {wrong[1]}")
        assert found is not None
        return found

    def wrong(self, found: Standing | None) -> tuple[str, str] | None:
        """What keeps the slot from being read, and what to do."""
        if found is None:
            return (
                f"there is no slot {self.name} on this server, or it is a standby",
                f"name the primary in database.url; to make the slot: {create_slot(self.name)}; "
                "then run again: all rows are compared once with what was stated of them",
            )
        if found.wal_status == "lost":
            return (
                f"the slot {self.name} is lost: the server had to drop the log it stood at "
                "(max_slot_wal_keep_size)",
                f"make it anew: {anew(self.name)}; then run again: all rows are compared once "
                "with what was stated of them, and only what came and went meanwhile is missed",
            )
        if not found.here or found.plugin != "pgoutput":
            return (
                f"the slot {self.name} is of another database or not of pgoutput",
                f"give database.slot a name of its own, or make it anew: {anew(self.name)};",
            )
        return None

    def peek(self, db: Connection, upto: int, most: int) -> Iterator[bytes]:
        """Messages of what was committed up to there, oldest first, whole transactions; no more
        begin once there were `most`. They stay until advance()."""
        options = {"yield_per": _STREAMED}
        asked = {"upto": lsn(upto), "most": most}
        try:
            found = db.execute(self._peek, asked, execution_options=options)
        except exc.ProgrammingError as wrong:
            if getattr(wrong.orig, "sqlstate", None) != _NO_SUCH_THING:
                raise
            raise SettingsError(
                f"the slot {self.name} stands before its publication was made, and cannot be read: "
                f"make it anew: {anew(self.name)}; then run again: all rows are compared once"
            ) from None
        try:
            for data in found.scalars():
                yield bytes(data)
        finally:
            found.close()

    def advance(self, db: Connection, upto: int) -> None:
        """What was committed up to there never comes again."""
        db.execute(self._advance, {"upto": lsn(upto)})


def lsn(position: int) -> str:
    """As PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
