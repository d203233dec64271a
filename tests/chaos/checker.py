"""The checker: holds a hub and its partners to what their agencies were told.

Looks at the client's ledger and at final state, nothing else: the hub's log as stored, and the
partners' databases. Each function returns what is wrong, each line beginning with the invariant.

    I1   every acknowledged event stands in the log where the hub signed, byte for byte, under a
         checkpoint whose inclusion proof verifies; nothing stands there that nobody stated
    I4   a partner's tables are the fold of what was decided for it, less what was recalled
    I5   every checkpoint ever seen is a prefix of the log as it is
    I7   every erasure granted is on record
    I9   each thing owed is marked once or held back; sequences are 1..n, each applied once
    I10  stated three times more, every event has the outcome it had, and nothing new is recorded
    I12  signed receipts cover everything, and none is ahead of its commit
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from connectors.submit import Event
from hub.crypto import signing
from hub.domain.settlement import Settlement
from hub.publisher import delivery_stream
from hub.recording.draft import stream_id
from hub.scenario import recorded
from hub.scenario.books import books
from hub.scenario.partners import check
from hub.store import events as stored
from hub.store.log import leaf_entry
from hub.tlog import merkle
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.note import NoteSigner
from hub.tlog.tiles import TileReader
from schemas import wire
from tests.chaos.town import AGENCIES, Town

PAGE = 5_000
MOST = 12  # lines of one kind; what is wrong once is often wrong everywhere


def judge(town: Town, *, without: Collection[UUID] = (), resubmit: bool = True) -> list[str]:
    """Everything that is wrong with a drained town. without: events a partner may lack."""
    town.exchange.catch_up()
    state = _State(town)
    found = [*town.problems, *(town.desks.failures if town.desks else [])]
    for one in (acknowledged, checkpoints, erased, published, receipts):
        found += one(state)[:MOST]
    found += partners(state, without)[:MOST]
    if resubmit:
        found += resubmitted(town)[:MOST]
    return found


class _State:
    """The log as stored, read once."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.log = town.exchange.log
        self.rows: list[Any] = []
        while page := self.log.rows(len(self.rows), PAGE):
            self.rows += page
        self.events = [self.log._event(row) for row in self.rows]
        self.head = len(self.rows)

    def at(self, position: int) -> Any:
        return self.events[position - 1] if 0 < position <= self.head else None

    @cached_property
    def leaves(self) -> list[bytes]:
        """Recomputed from the rows, not as stored."""
        return [merkle.leaf_hash(leaf_entry(row)) for row in self.rows]

    @cached_property
    def latest(self) -> tuple[int, str]:
        return self.log.latest_checkpoint() or (0, "")

    def of(self, kind: type) -> list[tuple[int, Any]]:
        return [(p, one) for p, one in enumerate(self.events, 1) if isinstance(one, kind)]


# -- I1 --------------------------------------------------------------------------------------


def acknowledged(state: _State) -> list[str]:
    found = []
    entries = {entry.id.bytes: entry for entry in state.town.ledger.entries}
    size, _ = state.latest
    tiles = TileReader(state.log.read_tile, size) if size else None
    root = tiles.root() if tiles else b""
    for entry in entries.values():
        if not entry.accepted:
            continue
        where, event = entry.position, state.at(entry.position)
        if not isinstance(event, stored.EventAccepted) or event.event_id != entry.id.bytes:
            found.append(f"I1: {entry.event.type} {entry.id} is not at position {where}")
        elif (event.header, event.digest) != (entry.header, entry.digest):
            found.append(f"I1: {entry.id} at {where} has other bytes than were signed")
        elif where > size or tiles is None:
            found.append(f"I1: position {where} is under no checkpoint ({size})")
        elif not merkle.verify_inclusion(
            state.leaves[where - 1], where - 1, size, tiles.inclusion_path(where - 1), root
        ):
            found.append(f"I1: position {where} is not in the tree of checkpoint {size}")
    seen = Counter((one.emitter, one.event_id) for _, one in state.of(stored.EventAccepted))
    for (agency, event_id), times in seen.items():
        if times > 1:
            found.append(f"I1: {UUID(bytes=event_id)} is recorded {times} times")
        if event_id not in entries or entries[event_id].agency != agency:
            found.append(f"I1: {UUID(bytes=event_id)} is recorded and nobody stated it")
    return found


# -- I5 --------------------------------------------------------------------------------------


def checkpoints(state: _State) -> list[str]:
    """Those seen by the test and those stored, against the rows as they are."""
    found = []
    town = state.town
    key = NoteSigner(town.settings.hub_id, town.home.keys().log).verifier
    notes = [*town.checkpoints.items(), *state.log.checkpoints()]
    opened = {}
    for size, note in notes:
        one = open_checkpoint(note.encode(), origin=town.settings.hub_id, log_keys=[key])
        opened.setdefault(size, set()).add(one.checkpoint.root)
        if one.checkpoint.size != size or size > state.head:
            found.append(f"I5: a checkpoint of {size} leaves, the log has {state.head}")
    frontier = merkle.Frontier()
    for position, leaf in enumerate(state.leaves, 1):
        frontier.append(leaf)
        if position in opened and opened[position] != {frontier.root()}:
            found.append(f"I5: the checkpoint of {position} leaves is not of this log")
    sizes = sorted(size for size in opened if size <= state.latest[0])
    tiles = TileReader(state.log.read_tile, state.latest[0]) if sizes else None
    for first, second in pairwise(sizes):
        assert tiles is not None
        [one], [two] = list(opened[first])[:1], list(opened[second])[:1]
        proof = tiles.consistency_proof(first, second)
        if not merkle.verify_consistency(first, second, one, two, proof):
            found.append(f"I5: checkpoints {first} and {second} are not consistent")
    return found


# -- I7 --------------------------------------------------------------------------------------


def erased(state: _State) -> list[str]:
    """Every erasure that was granted is on record, once."""
    names = state.town.exchange.pseudonyms
    granted = Counter(
        names.canonical("subject", entry.event.case).bytes
        for entry in state.town.ledger.entries
        if entry.accepted and entry.event.data.get("action") == "key_destroyed"
    )
    recorded = Counter(one.subject_id for _, one in state.of(stored.SubjectShredded))
    return [
        f"I7: {granted[one]} erasures of {UUID(bytes=one)} were granted, {recorded[one]} recorded"
        for one in granted | recorded
        if granted[one] != recorded[one]
    ]


# -- I9 --------------------------------------------------------------------------------------


def published(state: _State) -> list[str]:
    """Everything the decisions owe is in exactly one delivery, or was held back on record."""
    found: list[str] = []
    owed: Counter[tuple[Any, ...]] = Counter()
    settled_of: Counter[int] = Counter()
    for position, decided in state.of(stored.Settled):
        settled_of[decided.position] += 1
        settlement = Settlement.from_record(orjson.loads(decided.settlement))
        for item in settlement.owed():
            if item.recall is not None:
                owed[position, item.agency, "recall", ""] += 1
            else:
                for category in item.bases:
                    owed[position, item.agency, item.event_id, category] += 1
    for position, _ in state.of(stored.EventAccepted):
        if settled_of[position] != 1:
            found.append(f"I9: position {position} was decided {settled_of[position]} times")
    marked: Counter[tuple[Any, ...]] = Counter()
    sequences: dict[str, list[int]] = {}
    for _, sending in state.of(stored.Sending):
        sequences.setdefault(sending.agency, []).append(sending.originator_version)
        if sending.kind == "recall":
            marked[sending.decision, sending.agency, "recall", ""] += 1
            continue
        about = state.at(sending.event_position)
        event_id = str(UUID(bytes=about.event_id))
        for category in orjson.loads(sending.items)["bases"]:
            marked[sending.decision, sending.agency, event_id, category] += 1
    held = {
        (one.agency, event_id, category)
        for _, one in state.of(stored.HeldBack)
        for event_id, categories in orjson.loads(one.items).items()
        for category in categories
    }
    for what, times in (marked - owed).items():
        found.append(f"I9: {what} was marked {times} times more than it was owed")
    for what in owed - marked:
        if what[1:] not in held:
            found.append(f"I9: {what} is owed and was never marked")
    for agency, numbers in sequences.items():
        if numbers != list(range(1, len(numbers) + 1)):
            found.append(f"I9: the sequences of {agency} are not 1..{len(numbers)}")
    return found


# -- I12, and each once at the partner -------------------------------------------------------


def receipts(state: _State) -> list[str]:
    found = []
    for agency in AGENCIES:
        marked = state.log.last_version(delivery_stream(agency))
        key = state.town.identities[agency].signing.public
        covered: set[int] = set()
        for one in state.log.stream(stream_id("receipts", agency)):
            receipt: Any = one.event
            signing.verify(key, signing.RECEIPT, receipt.receipt, receipt.signature)
            body = wire.RECEIPT.unsingle(receipt.receipt)
            covered.update(range(body["first_sequence"], body["last_sequence"] + 1))
        if covered != set(range(1, marked + 1)):
            lacking = sorted(set(range(1, marked + 1)) ^ covered)[:5]
            found.append(f"I12: the receipts of {agency} do not cover 1..{marked}: {lacking}")
        rows = _rows(state.town, agency, "nrm_receipt_outbox")
        applied: list[int] = []
        for row in sorted(rows, key=lambda row: row["id"]):
            applied += range(row["first_sequence"], row["last_sequence"] + 1)
        if applied != list(range(1, marked + 1)):
            found.append(f"I9: {agency} did not apply each of 1..{marked} once, in order")
        if any(row["sent_at"] is None for row in rows):
            found.append(f"I12: {agency} still owes receipts")
    return found


def _rows(town: Town, agency: str, table: str) -> list[Mapping[str, Any]]:
    engine = town._engines[agency]
    if not sa.inspect(engine).has_table(table):
        return []
    with engine.connect().execution_options(nrm_reading=True) as db:
        return [dict(row) for row in db.execute(sa.text(f"SELECT * FROM {table}")).mappings()]


# -- I4 --------------------------------------------------------------------------------------


def partners(state: _State, without: Collection[UUID] = ()) -> list[str]:
    """Every value of every row of every partner, against the ledger and the decisions."""
    town = state.town
    scenario = town.ledger.scenario(dict(AGENCIES))
    try:
        record = recorded.read(state.log, scenario)
    except KeyError as unknown:
        return [f"I4: the log holds an event that was never acknowledged: {unknown}"]
    about = {str(e.id): f"{e.event.type} of {e.event.case}, " for e in town.ledger.entries}
    found = []
    for agency, book in books(scenario, record).items():
        for difference in check(town.exchange, book, town.databases[agency]):
            if difference.event not in {str(one) for one in without}:
                found.append(f"I4: {about.get(difference.event, '')}{difference}")
    return found


# -- I10 -------------------------------------------------------------------------------------


def resubmitted(town: Town, times: int = 3) -> list[str]:
    """Needs a hub that runs. Everything again: the same outcomes, and no new row but receipts."""
    found: list[str] = []
    before = town.exchange.log.counts().by_topic
    by_agency: dict[str, list[Any]] = {}
    for entry in town.ledger.entries:
        if entry.outcomes:
            by_agency.setdefault(entry.agency, []).append(entry)
    for agency, entries in by_agency.items():
        publisher = town._publisher(-1, agency)
        events: list[Event] = [entry.event for entry in entries]
        for _ in range(times):
            for entry, again in zip(entries, publisher.publish(events), strict=True):
                if any(
                    replace(one, signed=b"") != replace(again, signed=b"") for one in entry.outcomes
                ):
                    was = entry.outcomes[0].position
                    found.append(f"I10: {entry.id} was at {was}, is at {again.position} now")
    after = town.exchange.log.counts().by_topic
    for topic in (stored.EventAccepted.TOPIC, stored.Settled.TOPIC, stored.Sending.TOPIC):
        if before.get(topic) != after.get(topic):
            found.append(f"I10: {topic} grew from {before.get(topic)} to {after.get(topic)}")
    return found
