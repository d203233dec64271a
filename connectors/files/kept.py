"""Files as they lie in the drop, and what a batch makes of them.

Names in the journal (a file beside the books, names and digests alone) are written down before
anything is put. So what a cut-off attempt left is known: what the books do not count is taken away
by the next attempt, and a file that was rewritten before its transaction ended is known for ours.
Any other file that is not as the books say stops the sink until somebody has looked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection

from connectors import crash
from connectors.errors import SinkDownError, SinkRefusedError
from connectors.files.books import DOCUMENT, REMOVED, DataFile, FileBooks, Journal, digest
from connectors.files.drop import Drop
from connectors.files.formats import Forms
from connectors.files.manifest import (
    ANSWER,
    SIGNATURE,
    Signer,
    batch_name,
    recall_name,
    span,
)
from connectors.files.records import Record
from connectors.files.seal import Seals
from connectors.remote.sink import Intent, Recalled
from connectors.sink import Addition, Correction, Removal
from connectors.tables.layout import table_name

Answers = Literal["when_taken", "always", "never"]
_FEW = 5  # names told in a message


class Files:
    """A `Remote` that keeps files in a drop."""

    refuses_whole = False

    def __init__(
        self,
        drop: Drop,
        forms: Forms,
        signer: Signer,
        journal: Journal,
        books: FileBooks,
        *,
        seals: Seals,
        answers: Answers = "when_taken",
    ) -> None:
        self.drop = drop
        self.books = books
        self._forms = forms
        self._signer = signer
        self._journal = journal
        self.seals = seals
        self._answers = answers
        self._new: list[Record] = []
        self._opened: dict[str, DataFile] = {}
        self._recalls: dict[int, list[Recalled]] = {}

    def prepare(self) -> None:
        self.seals.prepare()
        self.drop.prepare()

    def close(self) -> None:
        self.drop.close()

    def noted(self) -> set[str]:
        """Names the journal knows and may lie there: of an attempt that was cut off, perhaps."""
        self._journal.read()
        return self._journal.names() - self._journal.removed()

    # -- the batch, told -------------------------------------------------------------------

    def begin(self) -> None:
        self._new, self._opened, self._recalls = [], {}, {}
        self._journal.read()

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """Columns are made of the schemas when a file is written."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:  # noqa: ARG002
        for addition in additions:
            record = Record.of(addition)
            for values in record.fields.values():
                for name, value in values.items():
                    if not self._forms.new.fits(record.event_type, name, value):
                        raise _unsuitable(record.event_type, name, record.sequence)
            self._new.append(record)

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for record, file in self._of(db, removal.event_ref):
            if file is None or not file.taken:
                values = record.fields.items()
                found.update({c: dict(v) for c, v in values if c in removal.categories})
        return found

    def remove(self, db: Connection, removal: Removal) -> None:
        for record, file in self._of(db, removal.event_ref):
            if record.without(removal.categories) and file is not None:
                file.changed = file.rewritten = True
                file.losing.add(removal.event_ref)

    def correct(self, db: Connection, correction: Correction) -> None:
        for record, file in self._of(db, correction.event_ref):
            form = self._forms.new if file is None else self._forms.of(file.name)
            if not form.fits(correction.event_type, correction.field, correction.value):
                raise _unsuitable(
                    correction.event_type, correction.field, correction.sequence or None
                )
            if record.correct(correction.field, correction.value) and file is not None:
                # Who has taken the file has the correction too, as an event of its own.
                file.changed = file.rewritten = file.rewritten or not file.taken

    def recalled(self, db: Connection, about: Recalled) -> None:  # noqa: ARG002
        self._recalls.setdefault(about.sequence, []).append(about)

    def _of(self, db: Connection, event_ref: str) -> Iterator[tuple[Record, DataFile | None]]:
        """Every record of the event, with the file it is in; None: in the batch to come."""
        for name in self.books.holding(db, event_ref):
            file = self._file(db, name)
            yield from ((one, file) for one in file.records if one.event_ref == event_ref)
        yield from ((one, None) for one in self._new if one.event_ref == event_ref)

    def _file(self, db: Connection, name: str) -> DataFile:
        if name in self._opened:
            return self._opened[name]
        row, noted = self.books.find(db, name), self.books.names(db, name)
        file = DataFile(name, row.event_type, row.batch, int(row.edition), [])
        ours = {row.sha256, *self._journal.digests(name)}
        data = self.drop.get(name)
        if data is not None:
            if digest(data) not in ours:
                raise _foreign(name)
            # Put by an attempt that was cut off: what it began is ended, manifest and books.
            file.there, file.changed = data, digest(data) != row.sha256
            try:
                file.records = self._forms.of(name).decode(
                    row.event_type, self.seals.open(name, data), noted
                )
            except (ValueError, KeyError):
                raise _foreign(name) from None
        elif REMOVED in ours:
            file.changed = file.removed = True  # taken away by such an attempt
        else:
            file.taken = True
            file.records = [_noted_record(*key, names) for key, names in noted.items()]
        self._opened[name] = file
        return file

    def told(self, db: Connection) -> Iterator[tuple[str, Record]]:
        """(file, record) of all that lies there; what was taken is with the partner."""
        self.begin()
        for name in self.books.data_names(db):
            file = self._file(db, name)
            if not file.taken:
                yield from ((name, record) for record in file.records)
        self.begin()

    # -- the folder, changed ---------------------------------------------------------------

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]:  # noqa: ARG002
        for name in self._journal.unsettled(db, self.books):
            self._file(db, name)
        changed = [one for one in self._opened.values() if one.changed]
        new = self._batch(db)
        for one in changed:
            one.records = [record for record in one.records if record.fields]
        there = {one.name: self._sealed(one) for one in [*changed, *new] if not one.taken}
        puts = {name: digest(data) for name, data in there.items() if data is not None}
        documents = [*map(recall_name, self._recalls), *(one.batch for one in new)]
        puts |= dict.fromkeys(documents, DOCUMENT)
        left = self._journal.left(db, self.books, puts)
        if not (puts or changed or left):
            return ()
        self._journal.write(db, self.books, puts)
        for name in left:
            self._withdraw(name)
        self._rewrite(db, changed, there)
        self._tell_recalls(db)
        for one in new:
            data = there[one.name]
            assert data is not None  # it has records
            self.drop.put(one.name, data)
            self.books.count(db, one, data)
        if new:
            self._manifest(db, new[0].batch)
        return ()

    def _batch(self, db: Connection) -> list[DataFile]:
        """The files of what came now. A name is given once."""
        new = [one for one in self._new if one.fields]
        if not new:
            return []
        kinds: dict[str, list[Record]] = {}
        for one in new:
            kinds.setdefault(one.event_type if self._forms.new.per_type else "", []).append(one)
        stem = whole = span(min(o.sequence for o in new), max(o.sequence for o in new))
        again = 1
        while self.books.find(db, batch_name(stem)) is not None:  # redriven, more than once
            again += 1
            stem = f"{whole}-{again}"
        suffix = f"{self._forms.new.suffix}{self.seals.new}"
        return [
            DataFile(
                f"{table_name(kind) or 'deliveries'}-{stem}.{suffix}",
                kind,
                batch_name(stem),
                1,
                records,
            )
            for kind, records in sorted(kinds.items())
        ]

    def _sealed(self, file: DataFile) -> bytes | None:
        """The bytes of a file; None of one that has no records any more."""
        if not file.records:
            return None
        if file.there is not None and not file.rewritten:
            return file.there
        data = self._forms.of(file.name).encode(file.event_type, file.records)
        return self.seals.seal(file.name, data)

    def _rewrite(
        self, db: Connection, changed: Sequence[DataFile], there: Mapping[str, bytes | None]
    ) -> None:
        """Files that lose or change something, each whole at once, then their manifests."""
        for one in changed:
            one.edition += 1
            data = there.get(one.name)
            if data is not None and data is one.there:
                # An attempt that was cut off has put it; what it held may hold what is recalled.
                self.drop.replaced(one.name)
                self.books.count(db, one, data)
                continue
            # Somebody may take it at this very moment: then it is with them, as it was.
            if not one.taken and not one.removed and not self.drop.hold(one.name):
                one.taken, data = True, None
            crash.point("held")
            if data is not None:
                self.drop.put(one.name, data)
            elif not one.taken:
                # Noted when nobody can take it any more: missing, it was us.
                self._journal.removing(one.name)
                crash.point("removing")
                self.drop.remove(one.name)
            self.books.count(db, one, data)
        for batch in sorted({one.batch for one in changed if not one.taken}):
            self._manifest(db, batch)

    def _manifest(self, db: Connection, batch: str) -> None:
        """The batch's manifest as the books are now; it goes with the batch's last file."""
        files = self.books.listed(db, batch)
        if files:
            self._put_signed(db, batch, "batch", self._signer.batch(batch, files))
        else:
            self._withdraw(batch)
            self.books.forget(db, batch)

    def _tell_recalls(self, db: Connection) -> None:
        """Put a list for each recall. SinkDownError while the partner's answer to one is due."""
        unanswered = []
        for sequence, items in sorted(self._recalls.items()):
            name = recall_name(sequence)
            told = [(one, self._taken_with(one.event_ref)) for one in items]
            taken = any(files for _, files in told)
            asked = self._answers == "always" or (self._answers == "when_taken" and taken)
            document = self._signer.recall(told, name + ANSWER if asked else None)
            self._put_signed(db, name, "recall", document)
            if asked and not self.drop.has(name + ANSWER):
                unanswered.append(name)
        if unanswered:
            raise SinkDownError(
                "recalled content was taken from the folder: remove it as "
                f"{', '.join(unanswered[:_FEW])} says, then put an empty file named as its "
                f"answer beside it ({unanswered[0]}{ANSWER})"
            )

    def _taken_with(self, event_ref: str) -> list[str]:
        """Files that were taken with what is recalled of the event now."""
        return [one.name for one in self._opened.values() if one.taken and event_ref in one.losing]

    def _put_signed(self, db: Connection, name: str, kind: str, document: bytes) -> None:
        self.drop.put(name + SIGNATURE, self._signer.signature(document))
        self.drop.put(name, document)
        self.books.count_document(db, name, kind, document)

    def _withdraw(self, name: str) -> None:
        self.drop.remove(name)
        if name.endswith(".json"):
            self.drop.remove(name + SIGNATURE)


def _foreign(name: str) -> SinkDownError:
    return SinkDownError(
        f"{name} is not as it was written here: somebody changed it. Put the original back, or "
        "take the file away, so that what is recalled can leave it"
    )


def _unsuitable(event_type: str, name: str, sequence: int | None) -> SinkRefusedError:
    detail = f"{event_type}.{name} does not fit its column; the format jsonl takes any value"
    return SinkRefusedError("value_unsuitable", detail, sequence)


def _noted_record(event_ref: str, sequence: int, names: Mapping[str, Sequence[str]]) -> Record:
    """A record of a file that was taken, as far as the books have it."""
    fields = {category: dict.fromkeys(of) for category, of in names.items()}
    return Record({"event_ref": event_ref, "sequence": sequence, "event_type": ""}, {}, fields)
