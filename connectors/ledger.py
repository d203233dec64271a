"""The ledger: the connector's bookkeeping, written in the partner's transaction.

Position and generation, receipts owed, holdings and evidence, tombstones and corrections,
quarantine; the tables are in `connectors/tables/ledger_tables.py`. Every method takes the open
connection: the caller's transaction decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.dead_letters import HELD_ELSEWHERE, RECALLED_SINCE
from connectors.delivery import BadMessage, Poison
from connectors.errors import FencedError, SettingsError
from connectors.opening.evidence import EVIDENCE as EVIDENCE  # noqa: PLC0414 - also read from here
from connectors.opening.evidence import statement, without
from connectors.sink import (
    Addition,
    Aside,
    Correction,
    OwedReceipt,
    Position,
    Quarantined,
    ReceiptException,
)
from connectors.tables.as_written import as_written
from connectors.tables.bulk import among, insert_all
from connectors.tables.ledger_tables import LedgerTables
from schemas import wire
from schemas.registry import Schemas

LAYOUT: Final = 1
_CHUNK: Final = 400  # parameters of one IN list; SQLite takes 999 in old builds


def instant(when: datetime) -> str:
    """UTC with microseconds, so that text sorts as time does."""
    return when.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def from_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass(slots=True)
class Held:
    """An event as held: what it is, and by category its basis and the sequence it came with."""

    event_type: str = ""
    case_ref: str = ""
    bases: dict[str, str] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CorrectionPart:
    """What one delivery tells of a correction: which field, or which value, or both."""

    event_ref: str
    sequence: int
    category: str
    corrects: tuple[str, str] | None = None  # corrected event, field
    value: tuple[Any] | None = None


def _category(event_type: str, name: str) -> str:
    """The category of a field of an event, by the newest schema that has it; "" if none does."""
    try:
        known = Schemas.load().versions(event_type)
    except KeyError:
        return ""
    fields = (one for schema in reversed(known) for one in schema.fields)
    found = (one.category for one in fields if one.name == name)
    return next(found, "")


class Ledger(LedgerTables):
    """What is written to and read from the ledger's tables."""

    # -- state -----------------------------------------------------------------------------

    @as_written
    def claim(self, db: Connection, at: datetime) -> int:
        """A new generation for this agency's row; makes the row at first."""
        row = self._row(db)
        for other in db.execute(sa.select(self.state.c.hub)).scalars():  # of whatever agency
            if other != self._hub:
                raise SettingsError(
                    f"this database holds deliveries of hub {other!r}, the identity is enrolled "
                    f"with {self._hub!r}: use another database"
                )
        if row is None:
            # One set of books: another agency's receipts would be signed as this one's.
            owner = db.execute(sa.select(self.state.c.agency)).scalars().first()
            if owner is not None:
                raise SettingsError(
                    f"this database holds the books of {owner!r}, the identity is "
                    f"{self._agency!r}'s: use another database, or another sink.db_schema"
                )
            db.execute(
                self.state.insert().values(
                    agency=self._agency,
                    hub=self._hub,
                    layout=LAYOUT,
                    last_sequence=0,
                    cursor="",
                    generation=1,
                    updated_at=instant(at),
                )
            )
            return 1
        if row.layout != LAYOUT:
            raise SettingsError(
                f"the connector tables have layout {row.layout}, this version writes {LAYOUT}: "
                "run the version that made them, or use another database"
            )
        generation = int(row.generation) + 1
        db.execute(self._mine(self.state.update()).values(generation=generation))
        return generation

    @as_written
    def fence(self, db: Connection, generation: int) -> Position:
        """Where we are, the row locked; FencedError if another runner has claimed since."""
        row = self._row(db)
        if row is None or row.generation != generation:
            raise FencedError(
                "another runner has taken over this partner database; this one has stopped. "
                "If that was not meant, stop one of the two and start the other again"
            )
        return Position(int(row.last_sequence), row.cursor)

    def lock(self, db: Connection) -> None:
        """Wait for the runner's transaction, and keep it waiting until this one ends."""
        self._row(db)

    @as_written
    def position(self, db: Connection) -> Position:
        row = db.execute(
            sa.select(self.state.c.last_sequence, self.state.c.cursor).where(
                self.state.c.agency == self._agency
            )
        ).one_or_none()
        return Position() if row is None else Position(int(row.last_sequence), row.cursor)

    @as_written
    def last_success(self, db: Connection) -> datetime | None:
        query = sa.select(self.state.c.updated_at).where(
            self.state.c.agency == self._agency, self.state.c.last_sequence > 0
        )
        told = db.execute(query).scalar()
        return None if told is None else from_instant(told)

    def advance(self, db: Connection, position: Position, at: datetime) -> None:
        db.execute(
            self._mine(self.state.update()).values(
                last_sequence=position.sequence, cursor=position.cursor, updated_at=instant(at)
            )
        )

    def _row(self, db: Connection) -> Any:
        # with_for_update is ignored by SQLite, where the transaction itself is exclusive.
        query = sa.select(self.state).where(self.state.c.agency == self._agency)
        return db.execute(query.with_for_update()).one_or_none()

    def _mine(self, statement: Any) -> Any:
        return statement.where(self.state.c.agency == self._agency)

    # -- receipts --------------------------------------------------------------------------

    def owe(
        self,
        db: Connection,
        first: int,
        last: int,
        exceptions: Sequence[ReceiptException],
        at: datetime,
    ) -> None:
        listed = [[e.sequence, e.outcome, e.recall_ref, e.detail] for e in exceptions]
        db.execute(
            self.outbox.insert().values(
                first_sequence=first,
                last_sequence=last,
                applied_at=instant(at),
                exceptions=json.dumps(listed),
            )
        )

    def owe_again(self, db: Connection, first: int, last: int) -> None:
        """The hub sent these again, so it lacks their receipts.

        A receipt is of a run of deliveries. With it go those that tell what became of any of the
        run since: else the hub would hear once more that one was set aside, and not of the end.
        """
        mine = self.outbox.c
        while True:
            among = (mine.first_sequence <= last, mine.last_sequence >= first)
            runs = sa.func.min(mine.first_sequence), sa.func.max(mine.last_sequence)
            lowest, highest = db.execute(sa.select(*runs).where(*among)).one()
            if lowest is None or (lowest >= first and highest <= last):
                break
            first, last = min(first, lowest), max(last, highest)
        db.execute(self.outbox.update().where(*among).values(sent_at=None))

    @as_written
    def owed(self, db: Connection, limit: int) -> list[OwedReceipt]:
        rows = db.execute(
            sa.select(self.outbox)
            .where(self.outbox.c.sent_at.is_(None))
            .order_by(self.outbox.c.id)
            .limit(limit)
        )
        return [
            OwedReceipt(
                int(row.id),
                int(row.first_sequence),
                int(row.last_sequence),
                from_instant(row.applied_at),
                [ReceiptException(*entry) for entry in json.loads(row.exceptions)],
            )
            for row in rows
        ]

    def sent(self, db: Connection, ids: Sequence[int], at: datetime) -> None:
        for chunk in _chunks(list(ids)):
            db.execute(
                self.outbox.update().where(self.outbox.c.id.in_(chunk)).values(sent_at=instant(at))
            )

    # -- holdings, evidence, corrections ---------------------------------------------------

    def known_events(self, db: Connection) -> list[str]:
        """The refs of all events that are held now or were recalled."""
        held, gone = self.holding.c.event_ref, self.tombstone.c.event_ref
        return sorted(db.execute(sa.union(sa.select(held), sa.select(gone))).scalars())

    @as_written
    def held(self, db: Connection, refs: Iterable[str]) -> dict[str, Held]:
        """What is held of these events."""
        found: dict[str, Held] = {}
        h = self.holding.c
        for these in among(db, h.event_ref, refs):
            query = sa.select(
                h.event_ref, h.category, h.basis, h.event_type, h.case_ref, h.sequence
            )
            for ref, category, basis, event_type, case_ref, sequence in db.execute(
                query.where(these)
            ):
                held = found.setdefault(ref, Held(event_type, case_ref))
                held.bases[category] = basis
                held.since[category] = int(sequence)
        return found

    @as_written
    def tombstones(self, db: Connection, refs: Iterable[str]) -> dict[tuple[str, str], int]:
        """(event_ref, category) → sequence of the recall."""
        found: dict[tuple[str, str], int] = {}
        t = self.tombstone.c
        for these in among(db, t.event_ref, refs):
            query = sa.select(t.event_ref, t.category, t.sequence).where(these)
            found.update({(ref, category): int(s) for ref, category, s in db.execute(query)})
        return found

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        """Holdings and evidence of what was just written."""
        new: list[dict[str, Any]] = []
        again: list[dict[str, Any]] = []
        statements: dict[tuple[str, int], dict[str, Any]] = {}
        for addition in additions:
            event = addition.event
            for category in addition.categories:
                row = {
                    "event_ref": event.event_ref,
                    "category": category,
                    "basis": event.bases[category],
                    "event_type": event.event_type,
                    "case_ref": event.case_ref,
                    "sequence": event.sequence,
                }
                (again if category in addition.before else new).append(row)
            if event.evidence is not None:
                statements[event.event_ref, event.sequence] = {
                    "event_ref": event.event_ref,
                    "sequence": event.sequence,
                    "statement": statement(event.evidence, addition.categories),
                }
        insert_all(db, self.holding, new)
        h = self.holding.c
        for row in again:
            db.execute(
                self.holding.update()
                .where(h.event_ref == row["event_ref"], h.category == row["category"])
                .values(basis=row["basis"], sequence=row["sequence"])
            )
        insert_all(db, self.evidence, list(statements.values()))

    def set_basis(self, db: Connection, event_ref: str, category: str, basis: str) -> None:
        h = self.holding.c
        db.execute(
            self.holding.update()
            .where(h.event_ref == event_ref, h.category == category)
            .values(basis=basis)
        )

    @as_written
    def remove(self, db: Connection, event_ref: str, categories: Sequence[str]) -> None:
        """Holdings and evidence of these categories; the statement goes with the last of them."""
        h, e = self.holding.c, self.evidence.c
        db.execute(
            self.holding.delete().where(h.event_ref == event_ref, h.category.in_(categories))
        )
        query = sa.select(e.sequence, e.statement).where(e.event_ref == event_ref)
        for sequence, kept in db.execute(query).all():
            mine = (e.event_ref == event_ref, e.sequence == sequence)
            less = without(kept, categories)
            if less is None:
                db.execute(self.evidence.delete().where(*mine))
            else:
                db.execute(self.evidence.update().where(*mine).values(statement=less))

    def bury(
        self,
        db: Connection,
        event_ref: str,
        categories: Sequence[str],
        *,
        sequence: int,
        recall_ref: str,
        at: datetime,
    ) -> None:
        """Tombstones: nothing below `sequence` brings these back."""
        t = self.tombstone.c
        db.execute(
            self.tombstone.delete().where(
                t.event_ref == event_ref, t.category.in_(categories), t.sequence <= sequence
            )
        )
        kept = self.tombstones(db, [event_ref])  # of a later recall, when this one is redriven
        rows = [
            {
                "event_ref": event_ref,
                "category": category,
                "sequence": sequence,
                "recall_ref": recall_ref,
                "recalled_at": instant(at),
            }
            for category in categories
            if (event_ref, category) not in kept
        ]
        if rows:
            db.execute(self.tombstone.insert(), rows)

    def restrict(
        self, db: Connection, event_ref: str, content: Mapping[str, Any], sequence: int
    ) -> None:
        r = self.restricted.c
        for category, values in content.items():
            db.execute(
                self.restricted.delete().where(r.event_ref == event_ref, r.category == category)
            )
            db.execute(
                self.restricted.insert().values(
                    event_ref=event_ref,
                    category=category,
                    sequence=sequence,
                    content=json.dumps(values, default=str),
                )
            )

    def forget_restricted(self, db: Connection, event_ref: str, categories: Sequence[str]) -> None:
        r = self.restricted.c
        db.execute(
            self.restricted.delete().where(r.event_ref == event_ref, r.category.in_(categories))
        )

    def uncorrect_restricted(
        self, db: Connection, event_ref: str, category: str, field: str
    ) -> None:
        """The value of a field leaves what is restricted too, whatever columns it had."""
        r = self.restricted.c
        mine = (r.event_ref == event_ref, r.category == category)
        kept = db.execute(sa.select(r.content).where(*mine)).scalar()
        if kept is not None:
            names = {field, *(f"{field}_{end}" for end in ("stated", "amount", "currency"))}
            content = {
                name: None if name in names else value for name, value in json.loads(kept).items()
            }
            db.execute(self.restricted.update().where(*mine).values(content=json.dumps(content)))

    def keep_corrections(
        self, db: Connection, parts: Sequence[CorrectionPart]
    ) -> dict[str, set[str]]:
        """Keep what was told; returns corrected event → categories for what is now complete."""
        c = self.correction.c
        complete: dict[str, set[str]] = {}
        for part in parts:
            mine = c.event_ref == part.event_ref
            known = db.execute(sa.select(c.told_in, c.category).where(mine)).one_or_none()
            values: dict[str, Any] = {}
            # What stands beside the value is told for as long as the value is held.
            beside = bool(known and known.told_in and known.told_in == known.category)
            if part.corrects is not None and (part.value is not None or not beside):
                values["told_in"] = part.category
                values["corrects_event"], values["field"] = part.corrects
            if part.value is not None:
                values["category"] = part.category
                values["value"] = json.dumps(part.value[0])
            if known is None:
                db.execute(
                    self.correction.insert().values(
                        event_ref=part.event_ref, sequence=part.sequence, **values
                    )
                )
            elif values:
                db.execute(self.correction.update().where(mine).values(**values))
            row = db.execute(sa.select(c.corrects_event, c.category, c.told_in).where(mine)).one()
            if row.corrects_event is not None:
                # Without a value it may be one that clears a field: see corrections_for.
                category = row.told_in if row.category is None else row.category
                complete.setdefault(row.corrects_event, set()).add(category)
        return complete

    def corrections_for(
        self, db: Connection, held: Mapping[str, Held], only: Mapping[str, set[str]]
    ) -> list[Correction]:
        """Corrections of these events' categories, in order. `only`: event_ref → categories.

        One that tells no value clears a field, if the field is of the category that would tell it;
        else the value is in another category, which this partner was not given.
        """
        c = self.correction.c
        found: list[Correction] = []
        for these in among(db, c.corrects_event, only):
            query = sa.select(self.correction).where(these, c.told_in.is_not(None))
            for row in db.execute(query):
                about = held.get(row.corrects_event)
                category = row.told_in if row.category is None else row.category
                if about is None or category not in only[row.corrects_event]:
                    continue
                if row.category is None and _category(about.event_type, row.field) != category:
                    continue
                found.append(
                    Correction(
                        row.corrects_event,
                        about.event_type,
                        row.field,
                        None if row.value is None else json.loads(row.value),
                        int(row.sequence),
                    )
                )
        return sorted(found, key=lambda one: one.sequence)

    def drop_correction(
        self, db: Connection, event_ref: str, categories: Sequence[str]
    ) -> tuple[str, str, str] | None:
        """Forget what these categories of a correction told; returns (corrected event, category,
        field) if it was complete before and so may have changed that event."""
        c = self.correction.c
        mine = c.event_ref == event_ref
        row = db.execute(sa.select(self.correction).where(mine)).one_or_none()
        if row is None or not {row.told_in, row.category} & set(categories):
            return None
        values: dict[str, Any] = {}
        if row.told_in in categories:
            values.update(told_in=None, corrects_event=None, field=None)
        if row.category in categories:
            values.update(category=None, value=None)
        if len(values) == 5:
            db.execute(self.correction.delete().where(mine))
        else:
            db.execute(self.correction.update().where(mine).values(**values))
        if row.corrects_event is None or row.category is None:
            return None
        return row.corrects_event, row.category, row.field

    # -- quarantine ------------------------------------------------------------------------

    def park(
        self,
        db: Connection,
        poison: Sequence[Poison],
        at: datetime,
        buried: Mapping[tuple[str, str], int],
    ) -> None:
        """buried: (event_ref, category) → sequence of the recall, as far as there is one."""
        q = self.quarantine.c
        recalled: dict[str, int] = {}
        for (ref, _), sequence in buried.items():
            recalled[ref] = max(recalled.get(ref, -1), sequence)
        for item in poison:
            known = db.execute(
                sa.select(q.id).where(q.sequence == item.sequence, q.state == "waiting")
            ).scalar()
            values: dict[str, Any] = {
                "reason": item.reason,
                "detail": item.detail[:500],
            }
            if item.event_ref:
                values["event_ref"] = item.event_ref[:100]
            if item.raw:  # of what lay in a message that opens now, each keeps its own
                values["raw"] = item.raw
            if recalled.get(item.event_ref, -1) > item.sequence:  # and only now known to be
                values |= {"reason": "recalled", "detail": "", "state": "recalled", "raw": b""}
            if known is not None:
                db.execute(self.quarantine.update().where(q.id == known).values(**values))
                continue
            db.execute(
                self.quarantine.insert().values(
                    **{
                        "sequence": item.sequence,
                        "digest": hashlib.sha256(item.raw).hexdigest(),
                        "event_ref": "",
                        "raw": b"",
                        "arrived_at": instant(at),
                        "state": "waiting",
                        **values,
                    }
                )
            )

    def park_strangers(self, db: Connection, messages: Sequence[BadMessage], at: datetime) -> None:
        """Messages that are not the hub's; the same bytes are kept once, however often read."""
        q = self.quarantine.c
        for message in messages:
            digest = hashlib.sha256(message.raw).hexdigest()
            query = sa.select(q.id).where(q.digest == digest, q.sequence.is_(None))
            if db.execute(query).first() is not None:
                continue
            db.execute(
                self.quarantine.insert().values(
                    sequence=None,
                    digest=digest,
                    reason=message.reason,
                    detail=message.detail,
                    event_ref="",
                    raw=message.raw,
                    arrived_at=instant(at),
                    state="waiting",
                )
            )

    @as_written
    def quarantined(self, db: Connection, *, waiting_only: bool) -> list[Quarantined]:
        query = sa.select(self.quarantine).order_by(self.quarantine.c.id)
        if waiting_only:
            query = query.where(self.quarantine.c.state == "waiting")
        return [
            Quarantined(
                int(row.id),
                None if row.sequence is None else int(row.sequence),
                row.reason,
                row.detail,
                row.event_ref,
                bytes(row.raw),
                from_instant(row.arrived_at),
                row.state,
            )
            for row in db.execute(query)
        ]

    def aside(self, db: Connection, sequences: Collection[int] | None = None) -> list[Aside]:
        """Rows that were not redriven, without what they hold: all, or of these sequences."""
        q = self.quarantine.c
        query = sa.select(q.id, q.sequence, q.state).where(q.state != "redriven").order_by(q.id)
        if sequences is None:
            return [Aside(*row) for row in db.execute(query)]
        return [
            Aside(*row)
            for chunk in _chunks(sorted(sequences))
            for row in db.execute(query.where(q.sequence.in_(chunk)))
        ]

    def unapplied(self, db: Connection) -> frozenset[int]:
        """Sequences in quarantine that wait, or are never to be applied."""
        q = self.quarantine.c
        query = sa.select(q.sequence).where(
            q.state.in_(("waiting", "discarded")), q.sequence.is_not(None)
        )
        return frozenset(int(one) for one in db.execute(query).scalars())

    def released(self, db: Connection, sequences: Sequence[int]) -> None:
        """These sequences set aside are applied: their content leaves the quarantine."""
        q = self.quarantine.c
        for chunk in _chunks(list(sequences)):
            db.execute(
                self.quarantine.update()
                .where(q.sequence.in_(chunk), q.state.in_(("waiting", "discarded", "recalled")))
                .values(state="redriven", raw=b"")
            )

    def discard(self, db: Connection, row: int, reason: str, note: str) -> Quarantined | None:
        """This row is never applied: its content leaves. What waited there, or None if nothing."""
        q = self.quarantine.c
        rows = self.quarantined(db, waiting_only=True)
        waiting = next((one for one in rows if one.id == row), None)
        if waiting is not None:
            heir = next((one for one in rows if _shares(waiting.raw, one)), None)
            if heir is not None:
                db.execute(self.quarantine.update().where(q.id == heir.id).values(raw=waiting.raw))
            detail = f"was {waiting.reason}" + (f"; {note}" if note else "")
            db.execute(
                self.quarantine.update()
                .where(q.id == row)
                .values(state="discarded", reason=reason, detail=detail[:500], raw=b"")
            )
        return waiting

    def purge_quarantine(self, db: Connection, event_ref: str, before: int) -> None:
        """A recall reaches what waits in quarantine too: without its content it stays visible.

        Only what was sent before it: a recall redriven late leaves a later release waiting.
        """
        q = self.quarantine.c
        db.execute(
            self.quarantine.update()
            .where(q.event_ref == event_ref, q.state == "waiting", q.sequence < before)
            .values(state="recalled", reason="recalled", detail="", raw=b"")
        )
        discarded = (q.event_ref == event_ref, q.state == "discarded")
        # What was noted on discarding may be about the person too.
        db.execute(self.quarantine.update().where(*discarded).values(detail=""))
        elsewhere = q.reason.in_([wire.DISCARDED + one for one in HELD_ELSEWHERE])
        db.execute(
            self.quarantine.update().where(*discarded, elsewhere).values(detail=RECALLED_SINCE)
        )


def _shares(raw: bytes, other: Quarantined) -> bool:
    """Whether `other` waits for the message in `raw` too; only one of its sequences keeps it."""
    if other.raw or other.sequence is None or not raw.startswith(wire.SEALED_DELIVERIES.prefix):
        return False
    message = wire.SEALED_DELIVERIES.unsingle(raw)
    return bool(message["first_sequence"] <= other.sequence <= message["last_sequence"])


def _chunks(values: list[Any]) -> Iterable[list[Any]]:
    for at in range(0, len(values), _CHUNK):
        yield values[at : at + _CHUNK]
