"""Sinks over systems that cannot hold our books: a web service, a file server, another broker.

    intents committed → [ books' transaction: the batch → the partner's system changed → commit ]

The books (`connectors/ledger.py`) are an SQLite file at the partner's site. Their transaction
commits only after the partner's system has taken everything, so a receipt is owed only for what
is there. The system's changes are idempotent: cut off between its commit and that of the books,
the same batch comes again and says the same.

Before anything, an intent is committed for each event of the batch (refs, no content). What a
cut-off attempt left behind is therefore known: an event with an intent that is not held in the
end, because its delivery was quarantined or recalled meanwhile, is removed there.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors import crash
from connectors.bulk import among, insert_all
from connectors.delivery import Arrived, Poison
from connectors.errors import SinkDownError
from connectors.landing import LandingSink, Projection, Work
from connectors.ledger import Ledger
from connectors.sink import RecallPolicy
from connectors.sql import SqlDatabase


@dataclass(frozen=True, slots=True)
class Intent:
    """An event about to be brought to the partner's system, or perhaps there already."""

    event_ref: str
    event_type: str
    case_ref: str
    subject_ref: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """One item of a recall: these categories have to be gone, held or not."""

    sequence: int
    recall_ref: str
    event_ref: str
    case_ref: str
    subject_ref: str
    categories: tuple[str, ...]


class Remote(Projection, Protocol):
    """The partner's system as a projection that is told the batch and acts once, at its end.

    begin() starts a transaction and forgets what one before it did not settle. settle() changes
    the partner's system, idempotently, and is durable there when it returns; SinkDownError and
    SinkRefusedError as in `connectors/sink.py`, and then nothing of it is counted. It returns the
    events of intents that could not be put right; they are among the intents of the next batch.
    """

    def prepare(self) -> None:
        """Reach the partner's system; check it against the settings."""

    def begin(self) -> None: ...

    def recalled(self, db: Connection, about: Recalled) -> None: ...

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]: ...

    def close(self) -> None: ...


class RemoteSink(LandingSink):
    """Sink over one remote system and its books in a file."""

    def __init__(
        self,
        state: Path,
        agency: str,
        hub: str,
        remote: Remote,
        metadata: sa.MetaData,
        recalls: RecallPolicy | None = None,
    ) -> None:
        """state: the books' file. metadata: holds the remote's own tables, if it has some."""
        self._state = state.expanduser().resolve()
        self.database = SqlDatabase(f"sqlite:///{self._state}")
        self._metadata = metadata
        self.remote = remote
        ref = sa.String(100)
        self._intents = sa.Table(
            "nrm_intent",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("event_type", sa.String(64), nullable=False),
            sa.Column("case_ref", ref, nullable=False),
            sa.Column("subject_ref", ref, nullable=False),
        )
        super().__init__(self.database, Ledger(agency, hub, metadata), [remote], recalls)

    def prepare(self) -> None:
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._state, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as wrong:
            raise SinkDownError(
                f"the state file {self._state} cannot be written ({wrong.strerror})"
            ) from None
        with self.database.writing() as db:
            self._metadata.create_all(db)
        self.database.wipe(True)  # a process may have died between a recall's commit and this
        self.remote.prepare()

    def close(self) -> None:
        self.remote.close()
        self.database.close()

    @contextmanager
    def _transaction(self, items: Sequence[Arrived | Poison]) -> Iterator[Connection]:
        self._intend(items)
        with self.database.writing() as db:
            self.remote.begin()  # locked: what another process noted meanwhile is seen
            yield db
            intents = self._open_intents(db, items)
            crash.point("before_remote")
            left = self.remote.settle(db, intents)
            crash.point("after_remote")
            done = {one.event_ref for one in intents}.difference(left)
            for these in among(db, self._intents.c.event_ref, done):
                db.execute(self._intents.delete().where(these))

    def _open_intents(self, db: Connection, items: Sequence[Arrived | Poison]) -> list[Intent]:
        """All of them; for a redrive by hand, beside a runner that may have its own, those of its
        items."""
        rows = db.execute(sa.select(self._intents)).all()
        intents = [Intent(*row) for row in rows]
        if self._generation is not None:
            return intents
        mine = {one.event_ref for one in items}
        return [one for one in intents if one.event_ref in mine]

    def _intend(self, items: Sequence[Arrived | Poison]) -> None:
        intents = {
            item.event_ref: {
                "event_ref": item.event_ref,
                "event_type": item.event_type,
                "case_ref": item.case_ref,
                "subject_ref": item.subject_ref,
            }
            for item in items
            if isinstance(item, Arrived) and item.kind == "release" and item.categories
        }
        if not intents:
            return
        with self.database.writing() as db:
            if self._generation is not None:  # a redrive by hand has claimed nothing
                self._ledger.fence(db, self._generation)
            known = set(db.execute(sa.select(self._intents.c.event_ref)).scalars())
            insert_all(db, self._intents, [row for ref, row in intents.items() if ref not in known])

    def _remove(
        self, db: Connection, work: Work, item: Arrived, about: tuple[str, tuple[str, ...]]
    ) -> str:
        outcome = super()._remove(db, work, item, about)
        assert item.recall is not None
        event_ref, gone = about
        # A recall quarantined and redriven late has less to take: what is held now stays.
        held = work.held.get(event_ref)
        gone = tuple(one for one in gone if held is None or one not in held.bases)
        if not gone:
            return outcome
        recalled = Recalled(
            item.sequence, item.recall.recall_ref, event_ref, item.case_ref, item.subject_ref, gone
        )
        self.remote.recalled(db, recalled)
        return outcome

    def _committed(self, recalled: bool) -> None:
        self.database.wipe(recalled)
