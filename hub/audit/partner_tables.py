"""A partner's tables, rebuilt from the log: every row its database should hold, without content.

What the partner's receipts say it applied, up to a position, less what it answered a recall for.
The hub opens content in memory only, of what was released to this partner, to put one keyed digest
in its place (`connectors/tables/row_digest.py`); the partner makes the same lines of its own
tables. Case by case, so that memory is flat; rows wait in a file of metadata and digests until all
are there.

Where a person was erased, the row says `erased` in place of a digest. Not known to the log: what
was recalled or erased between marking and sealing was never readable at the partner; until the
recall is answered such a row is told as held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final
from uuid import UUID

from connectors.corrections import CorrectionPart, correction_parts
from connectors.delivery import Arrived
from connectors.opening.disclosed import content
from connectors.sink import Addition
from connectors.tables import row_digest
from connectors.tables.layout import Layout, extended
from connectors.tables.timeline import state_after
from hub.audit.delivered import Delivered, Sent
from hub.audit.erased import destroyed
from hub.audit.partner_case import Holding, PartnerCase
from hub.crypto.pseudonyms import Pseudonyms
from hub.errors import Refused
from hub.exchange import Exchange
from hub.publisher import told_basis
from hub.sending.parts import Parts, released
from hub.store import events as stored
from schemas.registry import Schemas

CORRECTION: Final = "RecordCorrected"
Row = tuple[str, str, bytes]  # table, place, line
Fields = dict[str, dict[str, Any]]  # category → field → value


@lru_cache(maxsize=1)
def layouts() -> Mapping[str, Layout]:
    """The default table of every event type, with the fields of all its versions."""
    schemas, found = Schemas.load(), {}
    for kind in schemas.types():
        layout: Layout | None = None
        for schema in schemas.versions(kind):
            layout = extended(layout, schema)
        assert layout is not None
        found[kind] = layout
    return found


@lru_cache(maxsize=1)
def categories() -> Mapping[str, Mapping[str, str]]:
    """Event type → field → category, by the newest schema that has the field."""
    schemas = Schemas.load()
    return {
        kind: {f.name: f.category for schema in schemas.versions(kind) for f in schema.fields}
        for kind in schemas.types()
    }


@dataclass
class _Event:
    """One event as this partner gets it: its name for it, and its content as far as it opens."""

    ref: str
    parts: Parts
    attested: bool
    fields: Fields | None  # None: erased

    @property
    def row(self) -> stored.EventAccepted:
        return self.parts.event


class PartnerTables:
    """The rebuild of one partner's tables."""

    def __init__(self, exchange: Exchange, hub: str, agency: str, delivered: Delivered) -> None:
        if agency not in exchange.agencies:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled here; see the registry")
        self._exchange, self._hub, self.agency = exchange, hub, agency
        self._delivered = delivered
        self._destroyed = destroyed(exchange.log, delivered.end)
        self._names: Pseudonyms = exchange.pseudonyms

    @property
    def sequence(self) -> int:
        """The last delivery up to which the partner has answered for all."""
        return self._delivered.last_applied(self.agency)

    @property
    def key(self) -> bytes:
        return self._names.comparison_key(self.agency, self.sequence)

    def make(self) -> Iterator[int]:
        """Make the rows of every case not made yet; yields how many cases are done."""
        done, key = self._delivered.stands("cases"), self.key
        cases = self._delivered.cases(self.agency, b"")
        for number, case_id in enumerate(cases, start=1):
            if number > done:
                self._delivered.keep(self._case(case_id, key), ("cases", number))
                yield number

    def lines(self, tables: frozenset[str] = frozenset()) -> Iterator[bytes]:
        """The heading and every row, or those of some tables."""
        yield row_digest.heading(self.agency, self._hub, self.sequence, self.key)
        yield from self._delivered.rows(tables)

    # -- one case ------------------------------------------------------------------------------

    def _case(self, case_id: bytes, key: bytes) -> list[Row]:
        case, events = PartnerCase(categories()), dict[str, _Event]()
        known: dict[int, _Event] = {}
        for sent in self._delivered.applied(self.agency, case_id):
            if sent.kind == "recall":
                items = [(self._ref(sent, event), names) for event, names in sent.items["items"]]
                case.recall(sent.sequence, items, _kept(sent))
                continue
            event = known.get(sent.about) or self._event(sent)
            known[sent.about] = events[event.ref] = event
            if self._destroyed.get(UUID(bytes=event.row.secret_id), sent.position) < sent.position:
                continue  # erased before: sealed with nothing inside
            bases = self._bases(sent, event)
            corrections = self._corrections(sent, event, bases)
            case.release(event.ref, event.row.event_type, bases, sent.sequence, corrections)
        return list(self._rows(UUID(bytes=case_id), case, events, key))

    def _ref(self, sent: Sent, event_id: str) -> str:
        if not sent.attested:
            return event_id
        return self._names.pseudonym(self.agency, "event", UUID(event_id))

    def _event(self, sent: Sent) -> _Event:
        [recorded] = self._exchange.log.read(sent.about - 1, 1)
        row = recorded.event
        assert isinstance(row, stored.EventAccepted)
        secret_id = UUID(bytes=row.secret_id)
        secret = self._exchange.secrets.secrets({secret_id}).get(secret_id)
        parts = Parts(row, secret)
        return _Event(self._ref(sent, str(UUID(bytes=row.event_id))), parts, sent.attested, None)

    def _bases(self, sent: Sent, event: _Event) -> dict[str, str]:
        """Of what was released, the categories of which the event holds something for it."""
        case_id, stated = UUID(bytes=sent.case_id), sent.items["bases"]
        names = {one.name for one in event.row.compartments}
        found = {name.partition("/")[0] for name in names if released(name, stated, self.agency)}
        return {
            category: told_basis(self._names, self.agency, case_id, basis)
            if sent.attested
            else basis
            for category, basis in stated.items()
            if category in found
        }

    def _opened(self, event: _Event, wanted: Mapping[str, str]) -> Fields | None:
        """Content of these categories; None once it was erased."""
        if event.parts.secret is None:
            return None
        rename: Callable[[str], str] | None = None
        if event.attested:
            rename = partial(self._renamed, event.row.emitter)
        schema = Schemas.load().by_id(event.row.schema_id)
        assert schema is not None
        bodies = {
            one.name: event.parts.body(one, rename)
            for one in event.row.compartments
            if released(one.name, wanted, self.agency)
        }
        return content(schema, bodies, trusted=True)

    def _renamed(self, emitter: str, stated: str) -> str:
        return self._names.event_for(self.agency, emitter, stated)

    def _corrections(
        self, sent: Sent, event: _Event, bases: Mapping[str, str]
    ) -> list[CorrectionPart]:
        if event.row.event_type != CORRECTION:
            return []
        fields = self._opened(event, bases)
        if fields is None:
            return []
        arrived = Arrived(
            sequence=sent.sequence,
            kind="release",
            case_ref="",
            subject_ref="",
            decision=0,
            event_ref=event.ref,
            event_type=CORRECTION,
            categories=tuple(fields),
            fields=fields,
            bases=bases,
        )
        return correction_parts(Addition(arrived, tuple(fields), {}, event.row.timestamp))

    # -- rows ----------------------------------------------------------------------------------

    def _rows(
        self, case_id: UUID, case: PartnerCase, events: Mapping[str, _Event], key: bytes
    ) -> Iterator[Row]:
        state: dict[str, Any] | None = None
        for ref, held in sorted(case.held.items(), key=lambda item: item[1].first):
            event = events[ref]
            about = self._about(case_id, event, held)
            entry = {**about, "sequence": held.first}
            state = state_after(state, entry)
            yield _row("nrm_timeline", ref, row_digest.TIMELINE, entry)
            table = layouts()[held.event_type].table.name
            told = row_digest.told(table, {**about, "sequence": held.last}, row_digest.ROW)
            digest = self._digest(table, event, held, events, key)
            yield table, ref, row_digest.line({**told, "content": digest})
            for category, basis in held.bases.items():
                holding = {
                    "event_ref": ref,
                    "category": category,
                    "basis": basis,
                    "event_type": held.event_type,
                    "case_ref": about["case_ref"],
                    "sequence": held.since[category],
                }
                place = f"{ref}\0{category}"
                yield _row("nrm_holding", place, row_digest.HOLDING, holding)
        if state is not None:
            yield _row("nrm_case", state["case_ref"], row_digest.CASE, state)

    def _about(self, case_id: UUID, event: _Event, held: Holding) -> dict[str, Any]:
        row, occurred = event.row, event.row.occurred_at
        if event.attested:
            occurred = occurred.replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "event_ref": event.ref,
            "case_ref": self._names.pseudonym(self.agency, "case", case_id),
            "subject_ref": self._names.pseudonym(
                self.agency, "subject", UUID(bytes=row.subject_id)
            ),
            "event_type": held.event_type,
            "agency": None if event.attested else row.emitter,
            "occurred_at": occurred,
            "categories": sorted(held.shown),
            "bases": held.shown,
        }

    def _digest(
        self,
        table: str,
        event: _Event,
        held: Holding,
        events: Mapping[str, _Event],
        key: bytes,
    ) -> str:
        fields = self._opened(event, held.bases)
        if fields is None:
            return row_digest.ERASED
        layout = layouts()[held.event_type]
        values: dict[str, Any] = {}
        for category in held.bases:
            for name, own in fields.get(category, {}).items():
                value = own
                if name in held.told_by:
                    value = self._corrected(held.told_by[name], events)
                for target in layout.columns.get(name, ()):
                    values[target.column] = None if value is None else target.take(value)
        columns = row_digest.content_columns(layout, values)
        return row_digest.digest(key, table, event.ref, columns)

    def _corrected(self, told_by: str | None, events: Mapping[str, _Event]) -> Any:
        """The value a correction tells; nothing if it clears the field, or is recalled."""
        if told_by is None:
            return None
        event = events[told_by]
        every = {one.name.partition("/")[0]: "" for one in event.row.compartments}
        fields = self._opened(event, every) or {}
        told = [part["new_value"] for part in fields.values() if "new_value" in part]
        return next((value for value in told if value is not None), None)


def _row(table: str, place: str, columns: tuple[str, ...], values: Mapping[str, Any]) -> Row:
    return table, place, row_digest.line(row_digest.told(table, values, columns))


def _kept(sent: Sent) -> dict[str, str]:
    """Of a recall's answer: `<event> <category>` → the partner's own basis for keeping it."""
    found = {}
    for outcome, detail in sent.outcomes:
        about, separator, basis = detail.partition(": ")
        if outcome == "kept_own_basis" and separator:
            found[about] = basis
    return found
