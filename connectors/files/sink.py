"""Files: deliveries as files in a folder of the partner's, here or on a server.

    case_opened-0000000001-0000000050.csv            data: of one batch, one event type
    batch-0000000001-0000000050.manifest.json(.sig)  what the batch is; put last
    recall-0000000051.json(.sig)                     what has to be gone, also from what was taken

What is recalled or corrected is rewritten where it lies, from the file itself. The books note which
event is in which file, by which fields; content is in them only as the agencies' signed statements.
A file that is not there any more was taken by the partner: the recall then names it and, as the
settings say, waits for the partner's answer, an empty file `recall-….json.done`, before a receipt
is owed.

How a batch changes what lies there is `kept.py`; this is the sink over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from connectors.errors import ConnectorError, SinkDownError
from connectors.files.books import FileBooks, Journal
from connectors.files.drop import Drop
from connectors.files.formats import Forms
from connectors.files.kept import Answers, Files
from connectors.files.manifest import (
    ANSWER,
    SIGNATURE,
    Signer,
    last_of,
)
from connectors.files.seal import Seal, Seals
from connectors.findings import Finding
from connectors.landed import Landed, flat
from connectors.remote.sink import RemoteSink
from connectors.sink import RecallPolicy


class FilesSink(RemoteSink):
    """Sink into files, with its books in a file of this machine."""

    def __init__(
        self,
        state: Path,
        drop: Drop,
        forms: Forms,
        signer: Signer,
        *,
        seals: Sequence[Seal] = (),
        answers: Answers = "when_taken",
        recalls: RecallPolicy | None = None,
    ) -> None:
        """seals: the first encrypts new files, the others those that lie there already."""
        metadata = sa.MetaData()
        self._books = FileBooks(metadata)
        journal = Journal(state.with_name(state.name + ".journal"))
        self.files = Files(
            drop, forms, signer, journal, self._books, seals=Seals(seals), answers=answers
        )
        super().__init__(state, signer.agency, signer.hub, self.files, metadata, recalls)

    def prepare(self) -> None:
        super().prepare()
        position, noted = self.position().sequence, self.files.noted()
        with self.database.reading() as db:
            ours = self._books.all_names(db)
        there = self.files.drop.names() - ours - noted
        ahead = sorted(name for name in there if last_of(name) > position)
        if ahead:
            raise SinkDownError(
                f"{len(ahead)} files there ({ahead[0]}) are of deliveries after {position}, the "
                "last of these books: were they put back from a copy, or begun anew? Take these "
                "files away, here and where they were read; what they hold is delivered again"
            )
        back = sorted(name for name in there if last_of(name))
        if back:
            raise SinkDownError(
                f"{len(back)} files there ({back[0]}) are not in these books any more: were they "
                "put back from a copy? They may hold what was recalled, and no recall reaches "
                "them any more: take them away, here and where they were read"
            )

    def check(self) -> list[Finding]:
        """What the drop and the certificates say, and what lies there and is not of these books."""
        found = [*self.files.seals.check(), *self.files.drop.check()]
        if any(one.level == "wrong" for one in found) or not self._state.exists():
            return found
        try:
            with self.database.reading() as db:
                ours = self._books.all_names(db)
            ours |= {f"{name}{end}" for name in ours for end in (SIGNATURE, ANSWER)}
            foreign = self.files.drop.names() - ours
        except ConnectorError:
            return found  # nothing was ever put
        if foreign:
            found.append(
                Finding(
                    "warning",
                    "folder",
                    f"{len(foreign)} files there are not in the books of {self._state.name}",
                    "use a folder of its own, and empty it when the books begin anew",
                )
            )
        return found

    def landed(self) -> list[Landed]:
        """What the files say, read back."""
        with self.database.reading() as db:
            return [
                Landed(name, record.event_type, flat(record.fields))
                for name, record in self.files.told(db)
            ]

    def withdraw(self) -> None:
        """Take away every file of these books, also the lists of what was recalled."""
        with self.database.reading() as db:
            names = self._books.all_names(db)
        for name in sorted(names):
            for one in (name, name + SIGNATURE, name + ANSWER):
                self.files.drop.remove(one)
