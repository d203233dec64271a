"""The partners' databases, read back: does each hold what it should, to the value, and no more?

Reads the tables themselves with a plain database connection, not through the connector: every row
of every table, its provenance, every column of every field; and the connector's books, evidence
and quarantine beside them. What should be there comes from `hub/scenario/books.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from connectors.opening.evidence import EVIDENCE
from connectors.tables.columns import targets
from connectors.tables.layout import PROVENANCE, table_name
from hub.exchange import Exchange
from hub.publisher import delivery_stream, told_basis
from hub.scenario.books import Book, Stated
from hub.scenario.compare import Difference
from schemas.registry import Schemas

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Names:
    """How one partner knows events, cases and persons, and what it is told of the sender."""

    exchange: Exchange
    agency: str
    attested: bool

    @classmethod
    def of(cls, exchange: Exchange, agency: str) -> Names:
        known = exchange.agencies.get(agency)
        assert known is not None
        return cls(exchange, agency, exchange.policy().evidence_for(known.role) == "hub")

    def event(self, one: Stated) -> str:
        return self.ref(one.event.uuid)

    def ref(self, event_id: UUID) -> str:
        if not self.attested:
            return str(event_id)
        return self.exchange.pseudonyms.pseudonym(self.agency, "event", event_id)

    def case(self, one: Stated) -> str:
        names = self.exchange.pseudonyms
        canonical = names.canonical("case", one.event.case)
        return names.pseudonym(self.agency, "case", canonical)

    def basis(self, one: Stated, basis: str) -> str:
        """A basis as this partner is told it."""
        if not self.attested:
            return basis
        names = self.exchange.pseudonyms
        return told_basis(names, self.agency, names.canonical("case", one.event.case), basis)

    def provenance(self, one: Stated) -> dict[str, Any]:
        names, event = self.exchange.pseudonyms, one.event
        at = event.at
        if self.attested:
            at = at.replace(hour=0, minute=0, second=0, microsecond=0)
        subject = names.canonical("subject", event.subject)
        return {
            "case_ref": self.case(one),
            "subject_ref": names.pseudonym(self.agency, "subject", subject),
            "agency": None if self.attested else event.agency,
            "occurred_at": at,
        }


def reader(url: str) -> sa.Engine:
    """A plain connection to a partner's database, as any other program would have: no locks."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return sa.create_engine(parsed, isolation_level="AUTOCOMMIT")
    return sa.create_engine(parsed)


def check(exchange: Exchange, book: Book, url: str) -> list[Difference]:
    """Everything in which this partner's database is not what it should be."""
    reader = _Reader(book, Names.of(exchange, book.agency), url)
    try:
        return list(reader.differences(exchange.last_version(delivery_stream(book.agency))))
    finally:
        reader.close()


class _Reader:
    def __init__(self, book: Book, names: Names, url: str) -> None:
        self._book = book
        self._names = names
        self._engine = reader(url)
        self._tables = sa.MetaData()
        self._tables.reflect(self._engine)
        self._types = {table_name(kind): kind for kind in Schemas.load().types()}
        self._refs = {names.event(one): event_id for event_id, one in book.events.items()}

    def close(self) -> None:
        self._engine.dispose()

    def differences(self, marked: int) -> Iterator[Difference]:
        yield from self._events()
        yield from self._holdings()
        yield from self._timeline()
        yield from self._cases()
        yield from self._evidence()
        yield from self._corrections()
        yield from self._leftovers(marked)

    def _rows(self, name: str) -> list[Row]:
        table = self._tables.tables.get(name)
        if table is None:
            return []
        with self._engine.connect() as db:
            return [dict(row) for row in db.execute(sa.select(table)).mappings()]

    def _tell(self, what: str, event_id: str = "", category: str = "") -> Difference:
        return Difference("partner", what, event_id, self._book.agency, category)

    def _known(self, ref: str) -> str:
        """An event's id in the file, or the reference itself where the file has no such event."""
        return self._refs.get(ref, ref)

    # -- content ---------------------------------------------------------------------------

    def _events(self) -> Iterator[Difference]:
        """One row per held event in the table of its type, with its values and nothing else."""
        found: set[str] = set()
        for name in sorted(self._tables.tables):
            if name.startswith("nrm_"):
                continue
            kind = self._types.get(name)
            if kind is None:
                yield self._tell(f"holds a table {name}, which is of no event type")
                continue
            for row in self._rows(name):
                event_id = self._known(row["event_ref"])
                if event_id in found or event_id not in self._book.held:
                    yield self._tell(f"holds a row of {name} it was not given", event_id)
                    continue
                if kind != self._book.events[event_id].event.type:
                    yield self._tell(f"stands in {name}, the table of another type", event_id)
                    continue
                found.add(event_id)
                yield from self._row(event_id, row)
        for event_id in sorted(set(self._book.held) - found):
            for category in sorted(self._book.held[event_id]):
                yield self._tell("lacks what it was released", event_id, category)

    def _row(self, event_id: str, row: Row) -> Iterator[Difference]:
        one, bases = self._book.events[event_id], self._book.held[event_id]
        expected: dict[str, Any] = {
            **self._names.provenance(one),
            "categories": sorted(bases),
            "bases": {name: self._names.basis(one, basis) for name, basis in bases.items()},
        }
        for name, value in expected.items():
            if _plain(row[name]) != _plain(value):
                yield self._tell(f"{name} is not what was sent", event_id)
        for field in one.schema.fields:
            if field.copies:
                continue  # has no column: it repeats another field
            category = one.category(field.name)
            value = self._book.value(event_id, field.name)
            column = f"{field.name}_stated" if field.name in PROVENANCE else field.name
            for target in targets(column, field.avro):
                amount = target.column.endswith("_amount")
                try:
                    wanted = _plain(None if value is None else target.take(value), amount)
                except (ValueError, TypeError, KeyError):  # corrected to what it cannot hold
                    yield self._tell(f"{target.column} cannot hold what was sent", event_id)
                    expected[target.column] = None
                    continue
                got = _plain(row.get(target.column), amount)
                expected[target.column] = wanted
                if got == wanted:
                    continue
                if category not in bases and got is not None:
                    yield self._tell(f"{target.column} holds a value", event_id, category)
                else:
                    yield self._tell(f"{target.column} is not what was sent", event_id, category)
        for name in sorted(set(row) - set(expected) - set(PROVENANCE)):
            if row[name] is not None:
                yield self._tell(f"{name} is no column of this event", event_id)

    # -- the connector's books -------------------------------------------------------------

    def _holdings(self) -> Iterator[Difference]:
        wanted = {
            (event_id, category): self._names.basis(self._book.events[event_id], basis)
            for event_id, bases in self._book.held.items()
            for category, basis in bases.items()
        }
        got = {
            (self._known(row["event_ref"]), row["category"]): row["basis"]
            for row in self._rows("nrm_holding")
        }
        for event_id, category in sorted(wanted.keys() - got.keys()):
            yield self._tell("is not in nrm_holding", event_id, category)
        for event_id, category in sorted(got.keys() - wanted.keys()):
            yield self._tell("stands in nrm_holding; not released or recalled", event_id, category)
        for place in sorted(wanted.keys() & got.keys()):
            if wanted[place] != got[place]:
                told = f"held on {got[place]}; released on {wanted[place]}"
                yield self._tell(told, *place)

    def _timeline(self) -> Iterator[Difference]:
        got = {self._known(row["event_ref"]): row for row in self._rows("nrm_timeline")}
        for event_id in sorted(self._book.held.keys() ^ got.keys()):
            yield self._tell("nrm_timeline and what was released differ", event_id)
        for event_id in sorted(self._book.held.keys() & got.keys()):
            row, one = got[event_id], self._book.events[event_id]
            wanted = {
                **self._names.provenance(one),
                "event_type": one.event.type,
                "categories": sorted(self._book.held[event_id]),
            }
            for name, value in wanted.items():
                if _plain(row[name]) != _plain(value):
                    yield self._tell(f"nrm_timeline: {name} is not what was sent", event_id)

    def _cases(self) -> Iterator[Difference]:
        wanted: dict[str, int] = {}
        for event_id in self._book.held:
            case = self._names.case(self._book.events[event_id])
            wanted[case] = wanted.get(case, 0) + 1
        got = {row["case_ref"]: int(row["events"]) for row in self._rows("nrm_case")}
        if wanted != got:
            yield self._tell("nrm_case does not list the cases and numbers of events it holds")

    def _evidence(self) -> Iterator[Difference]:
        """Signed statements of what is held, and of nothing else."""
        proven: set[tuple[str, str]] = set()
        for row in self._rows("nrm_evidence"):
            event_id = self._known(row["event_ref"])
            for part in EVIDENCE.decode(bytes(row["statement"]))["disclosed"]:
                proven.add((event_id, part["name"].partition("/")[0]))
        held = {(event_id, name) for event_id, names in self._book.held.items() for name in names}
        for event_id, category in sorted(proven - held):
            yield self._tell("evidence of it was kept", event_id, category)
        if not self._names.attested:
            for event_id, category in sorted(held - proven):
                yield self._tell("lacks the agency's evidence", event_id, category)

    def _corrections(self) -> Iterator[Difference]:
        """Nothing is remembered of a correction beyond what of it is held."""
        for row in self._rows("nrm_correction"):
            event_id = self._known(row["event_ref"])
            kept = {row["told_in"], row["category"]} - {None}
            for category in sorted(kept - set(self._book.held.get(event_id, ()))):
                yield self._tell("a correction was kept", event_id, category)

    def _leftovers(self, marked: int) -> Iterator[Difference]:
        for row in self._rows("nrm_quarantine"):
            if row["state"] == "waiting":
                told = f"sequence {row['sequence']} is in quarantine: {row['reason']}"
                yield self._tell(told, self._known(row["event_ref"]))
        for row in self._rows("nrm_restricted"):
            event_id = self._known(row["event_ref"])
            yield self._tell("was kept restricted, not deleted", event_id, row["category"])
        applied = [int(row["last_sequence"]) for row in self._rows("nrm_connector_state")]
        if applied != [marked]:
            yield self._tell(f"has applied {applied or 'nothing'}, the hub has numbered {marked}")


def _plain(value: Any, amount: bool = False) -> Any:
    """A value so that the same one compares equal, whichever database it came from."""
    if value is None:
        return None
    if amount:
        try:
            return Decimal(str(value)).normalize()
        except InvalidOperation:
            return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.endswith("Z") and "T" in value:
        try:
            return datetime.fromisoformat(value).astimezone(UTC).isoformat()
        except ValueError:
            return value
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, sort_keys=True, default=str)
    return value
