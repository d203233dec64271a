"""The books of a changes source: what was stated of each row, without what it says.

Of every row: its key and case (the agency's own references), digests of what was last stated, and
the hub's event. Digests are keyed with the identity's salt secret, so whoever finds the file cannot
try out what stands in a row.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

_META: Final = sa.MetaData()

_ROWS: Final = sa.Table(
    "nrm_captured",
    _META,
    sa.Column("map", sa.Text, primary_key=True),
    sa.Column("pk", sa.Text, primary_key=True),
    sa.Column("case_ref", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("row_key", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("hub_event", sa.Text),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("seen", sa.Integer, nullable=False),
    sa.Column("again", sa.Boolean, nullable=False),
    sa.Index("nrm_captured_again", "map", "again"),
    sa.Index("nrm_captured_seen", "map", "seen"),
)
_MARKS: Final = sa.Table(
    "nrm_mark",
    _META,
    sa.Column("map", sa.Text, primary_key=True),
    sa.Column("changed", sa.Text),
    sa.Column("sweep", sa.Integer, nullable=False),
    sa.Column("swept_at", sa.Float, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One row as last stated.

    state: pending (captured, not answered), published, refused, present (only watched), gone.
    """

    pk: str
    case: str
    state: str
    digest: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    row_key: str = ""
    hub_event: str | None = None
    version: int = 0
    seen: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a map has been read. changed: JSON of the highest value seen; sweep: number of the
    last look at all rows, swept_at: when it ended, seconds since 1970."""

    changed: Any = None
    sweep: int = 0
    swept_at: float = 0.0


class Books:
    """The books; every call is inside a transaction of the state file."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @staticmethod
    def prepare(db: Connection) -> None:
        _META.create_all(db)

    def digest(self, *said: Any) -> str:
        text = json.dumps(said, sort_keys=True, default=str).encode()
        return hmac.digest(self._secret, b"nrm.changes.v1\n" + text, "sha256").hex()

    @staticmethod
    def row(db: Connection, label: str, pk: str) -> Kept | None:
        this = (_ROWS.c.map == label) & (_ROWS.c.pk == pk)
        found = db.execute(sa.select(_ROWS).where(this)).mappings().one_or_none()
        return _kept(dict(found)) if found is not None else None

    @staticmethod
    def again(db: Connection, label: str, limit: int) -> list[Kept]:
        """Rows to look at again, whose last event is answered."""
        wanted = (_ROWS.c.map == label) & _ROWS.c.again & (_ROWS.c.state != "pending")
        found = db.execute(sa.select(_ROWS).where(wanted).limit(limit)).mappings()
        return [_kept(dict(row)) for row in found]

    @staticmethod
    def unseen(db: Connection, label: str, sweep: int, limit: int) -> list[Kept]:
        """Rows that the last look at all rows did not meet."""
        wanted = (_ROWS.c.map == label) & (_ROWS.c.seen < sweep)
        wanted &= _ROWS.c.state.not_in(("gone", "pending"))
        found = db.execute(sa.select(_ROWS).where(wanted).limit(limit)).mappings()
        return [_kept(dict(row)) for row in found]

    @staticmethod
    def keep(db: Connection, label: str, kept: Kept) -> None:
        this = (_ROWS.c.map == label) & (_ROWS.c.pk == kept.pk)
        db.execute(sa.delete(_ROWS).where(this))
        db.execute(
            sa.insert(_ROWS).values(
                map=label,
                pk=kept.pk,
                case_ref=kept.case,
                digest=kept.digest,
                fields=json.dumps(kept.fields),
                row_key=kept.row_key,
                state=kept.state,
                hub_event=kept.hub_event,
                version=kept.version,
                seen=kept.seen,
                again=kept.again,
            )
        )

    @staticmethod
    def met(db: Connection, label: str, pk: str, sweep: int) -> None:
        this = (_ROWS.c.map == label) & (_ROWS.c.pk == pk)
        db.execute(sa.update(_ROWS).where(this).values(seen=sweep))

    @staticmethod
    def answered(db: Connection, key: str, state: str, hub_event: str | None) -> None:
        this = (_ROWS.c.row_key == key) & (_ROWS.c.state == "pending")
        db.execute(sa.update(_ROWS).where(this).values(state=state, hub_event=hub_event))

    @staticmethod
    def under_way(db: Connection, keys: sa.Select[Any]) -> None:
        """What was refused and is offered again is pending: a change of its row waits for it."""
        this = _ROWS.c.row_key.in_(keys) & (_ROWS.c.state == "refused")
        db.execute(sa.update(_ROWS).where(this).values(state="pending"))

    def look_again(self, db: Connection, label: str, pk: str, corrected: str) -> None:
        """Forget what was refused of this row, so that it is read anew. corrected: the field whose
        correction it was, or ""."""
        kept = self.row(db, label, pk)
        if kept is not None:
            fields = {name: said for name, said in kept.fields.items() if name != corrected}
            self.keep(db, label, replace(kept, again=True, digest="", fields=fields))

    @staticmethod
    def mark(db: Connection, label: str) -> Mark:
        found = db.execute(sa.select(_MARKS).where(_MARKS.c.map == label)).mappings().one_or_none()
        if found is None:
            return Mark()
        changed = json.loads(found["changed"]) if found["changed"] is not None else None
        return Mark(changed, found["sweep"], found["swept_at"])

    @staticmethod
    def set_mark(db: Connection, label: str, mark: Mark) -> None:
        db.execute(sa.delete(_MARKS).where(_MARKS.c.map == label))
        changed = None if mark.changed is None else json.dumps(mark.changed)
        db.execute(
            sa.insert(_MARKS).values(
                map=label, changed=changed, sweep=mark.sweep, swept_at=mark.swept_at
            )
        )


def _kept(row: Mapping[str, Any]) -> Kept:
    return Kept(
        pk=row["pk"],
        case=row["case_ref"],
        state=row["state"],
        digest=row["digest"],
        fields=json.loads(row["fields"]),
        row_key=row["row_key"],
        hub_event=row["hub_event"],
        version=row["version"],
        seen=row["seen"],
        again=bool(row["again"]),
    )
