"""Sinks over systems that cannot hold our books: a web service, a file server, another broker.

    intents committed → [ books' transaction: the batch → the partner's system changed → commit ]

The books (`connectors/ledger.py`) are an SQLite file at the partner's site. Their transaction
commits only after the partner's system has taken everything, so a receipt is owed only for what
is there. The system's changes are idempotent: cut off between its commit and that of the books,
the same batch comes again and says the same.

Before anything, an intent is committed for each event of the batch (refs, no content). What a
cut-off attempt left behind is therefore known: an event with an intent that is not held in the
end, because its delivery was quarantined or recalled meanwhile, is removed there. An intent ends
when its delivery is passed.
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
from connectors.agency.identity import for_its_owner
from connectors.delivery import Arrived, Poison
from connectors.effects import Projection, Work
from connectors.errors import SinkDownError, SinkRefusedError
from connectors.landing import LandingSink
from connectors.ledger import Ledger
from connectors.sink import RecallPolicy
from connectors.sql import SqlDatabase
from connectors.tables.bulk import insert_all


@dataclass(frozen=True, slots=True)
class Intent:
    """An event about to be brought to the partner's system, or perhaps there already.

    sequence: of the delivery that brings it. left: categories that an attempt before this one may
    have brought there, and that are not held now.
    """

    event_ref: str
    event_type: str
    case_ref: str
    subject_ref: str
    sequence: int = 0
    left: tuple[str, ...] = ()


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

    refuses_whole: bool
    """Whether nothing of an event it refused can be there."""

    def prepare(self) -> None:
        """Reach the partner's system; check it against the settings."""

    def begin(self) -> None: ...

    def recalled(self, db: Connection, about: Recalled) -> None: ...

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]: ...

    def close(self) -> None: ...


def make_state_file(path: Path) -> None:
    """Its folder and a file, if they are not there, for its owner alone: also one that came back
    from a backup with another mode. SinkDownError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        for_its_owner(path)
    except OSError as wrong:
        raise SinkDownError(f"the state file {path} cannot be written ({wrong.strerror})") from None


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
            sa.Column("sequence", sa.Integer, primary_key=True),
            sa.Column("event_ref", ref, nullable=False),
            sa.Column("event_type", sa.String(64), nullable=False),
            sa.Column("case_ref", ref, nullable=False),
            sa.Column("subject_ref", ref, nullable=False),
            sa.Column("categories", sa.Text, nullable=False),
        )
        super().__init__(self.database, Ledger(agency, hub, metadata), [remote], recalls)

    def prepare(self) -> None:
        make_state_file(self._state)
        with self.database.writing() as db:
            self._metadata.create_all(db)
        self.database.wipe(True)  # a process may have died between a recall's commit and this
        self.remote.prepare()

    def close(self) -> None:
        self.remote.close()
        self.database.close()

    def known_events(self) -> list[str]:
        """The refs of all events that are held now or were recalled."""
        with self.database.reading() as db:
            return self._ledger.holdings.known_events(db)

    @contextmanager
    def _transaction(self, items: Sequence[Arrived | Poison]) -> Iterator[Connection]:
        new = self._intend(items)
        try:
            with self.database.writing() as db:
                self.remote.begin()  # locked: what another process noted meanwhile is seen
                yield db
                intents = self._passed(db, items, new)
                crash.point("before_remote")
                left = self.remote.settle(db, intents)
                crash.point("after_remote")
                mine = self._intents.c
                done = [one.sequence for one in intents if one.event_ref not in left]
                db.execute(self._intents.delete().where(mine.sequence.in_(done)))
        except SinkRefusedError as refused:
            at_fault = items[0].sequence if len(items) == 1 else refused.sequence
            if at_fault in new and self.remote.refuses_whole:  # at its first coming: not there
                self._forget(at_fault)
            raise

    def _intend(self, items: Sequence[Arrived | Poison]) -> set[int]:
        """Write down what is about to be brought; sequences that nothing was known of before."""
        intents = {
            item.sequence: {
                "event_ref": item.event_ref,
                "event_type": item.event_type,
                "case_ref": item.case_ref,
                "subject_ref": item.subject_ref,
                "sequence": item.sequence,
                "categories": "\n".join(sorted(item.categories)),
            }
            for item in items
            if isinstance(item, Arrived) and item.kind == "release" and item.categories
        }
        if not intents:
            return set()
        with self.database.writing() as db:
            if self._generation is not None:  # a redrive by hand has claimed nothing
                self._ledger.fence(db, self._generation)
            new = set(intents) - set(db.execute(sa.select(self._intents.c.sequence)).scalars())
            insert_all(db, self._intents, [intents[sequence] for sequence in sorted(new)])
        return new

    def _passed(
        self, db: Connection, items: Sequence[Arrived | Poison], new: set[int]
    ) -> list[Intent]:
        """Intents whose delivery is passed, applied or not. Others come again with theirs.

        For a redrive by hand, beside a runner that may have its own, those of its items' events.
        """
        last = self._ledger.position(db).sequence
        query = sa.select(self._intents).where(self._intents.c.sequence <= last)
        rows = db.execute(query.order_by(self._intents.c.sequence)).all()
        if self._generation is None:
            mine = {one.event_ref for one in items}
            rows = [row for row in rows if row.event_ref in mine]
        old = {row.event_ref for row in rows if row.sequence not in new}
        held = self._ledger.holdings.held(db, old)
        found = []
        for row in rows:
            left: tuple[str, ...] = ()
            if row.sequence not in new:
                now = held[row.event_ref].bases if row.event_ref in held else {}
                left = tuple(one for one in row.categories.split("\n") if one not in now)
            found.append(
                Intent(
                    row.event_ref, row.event_type, row.case_ref, row.subject_ref,
                    int(row.sequence), left,
                )
            )  # fmt: skip
        return found

    def _forget(self, sequence: int) -> None:
        with self.database.writing() as db:
            db.execute(self._intents.delete().where(self._intents.c.sequence == sequence))

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
