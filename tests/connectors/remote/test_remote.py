"""Sinks over systems that cannot hold our books: both families against a partner's own database.

The partner's system here is a second SQLite file, changed and committed apart from the books.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.conformance import (
    CANARY,
    NOW,
    OutageConformance,
    SinkConformance,
    StumblingConformance,
    batch,
    claimed,
    demographics,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.errors import SinkDownError, SinkRefusedError
from connectors.remote.copies import CaseChange, Copies, Kept
from connectors.remote.messages import Message, Messages
from connectors.remote.sink import RemoteSink
from connectors.sink import RecallPolicy
from schemas.registry import Schemas


class Partner:
    """A database somewhere else: one document per event, committed one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.down_after: int | None = None
        self.refuses: str | None = None
        self.fails_at: str | None = None
        self.writes = 0

    def prepare(self) -> None:
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS doc (ref TEXT PRIMARY KEY, type TEXT, doc TEXT)")
            db.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")

    def close(self) -> None:
        """Every write closes its own connection."""

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path)
        db.execute("PRAGMA secure_delete=ON")
        return db

    def write(self, ref: str, event_type: str, document: Any, seen: str = "") -> None:
        self.writes += 1
        out = self.down_after is not None and self.writes > self.down_after
        if out or ref == self.fails_at:
            raise SinkDownError("the partner is away")
        db = self._open()
        with db:
            if document is None:
                db.execute("DELETE FROM doc WHERE ref = ?", (ref,))
            else:
                row = (ref, event_type, json.dumps(document))
                db.execute("INSERT OR REPLACE INTO doc VALUES (?, ?, ?)", row)
            if seen:
                db.execute("INSERT INTO seen VALUES (?)", (seen,))
        db.close()

    def document(self, ref: str) -> tuple[str, Any] | None:
        db = self._open()
        row = db.execute("SELECT type, doc FROM doc WHERE ref = ?", (ref,)).fetchone()
        db.close()
        return None if row is None else (row[0], json.loads(row[1]))

    def knows(self, message_id: str) -> bool:
        db = self._open()
        row = db.execute("SELECT 1 FROM seen WHERE id = ?", (message_id,)).fetchone()
        db.close()
        return row is not None


class Documents(Partner):
    """Told the state."""

    def put(self, changes: Sequence[CaseChange]) -> None:
        for change in changes:
            for event in change.changed:
                if event.event_ref == self.refuses:
                    raise SinkRefusedError("sink_refused", "not this one", event.sequence)
                self.write(event.event_ref, event.event_type, event.fields)
            for gone in change.gone:
                self.write(gone.event_ref, gone.event_type, None)


class Reader(Partner):
    """Told what happened; keeps each message's effect once, by its id."""

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self.knows(message.id):
                continue
            event_type, held = self.document(message.event_ref) or (message.event_type, {})
            if message.kind == "event":
                held.update(message.fields)
            elif message.kind == "corrected":
                [(name, value)] = message.fields[""].items()
                for part in held.values():
                    if name in part:
                        part[name] = value
            else:
                held = {c: part for c, part in held.items() if c not in message.categories}
            self.write(message.event_ref, event_type, held or None, message.id)


def refusing(sent: list[Message]) -> Callable[[Sequence[Message]], None]:
    """A send() that takes no event."""

    def send(messages: Sequence[Message]) -> None:
        sent.extend(messages)
        if any(one.kind == "event" for one in messages):
            raise SinkRefusedError("sink_refused", "not this one", messages[0].sequence)

    return send


class Bench:
    def __init__(self, folder: Path, family: str) -> None:
        self.folder = folder
        self.family = family
        self.partner = (Documents if family == "state" else Reader)(folder / "partner.db")
        self.schemas = Schemas(
            s.document for s in map(Schemas.load().by_type, Schemas.load().types())
        )
        self._sinks: list[RemoteSink] = []

    def open(self, recalls: RecallPolicy | None = None) -> RemoteSink:
        metadata = sa.MetaData()
        partner: Any = self.partner
        remote = (
            Copies(partner, metadata) if self.family == "state" else Messages(partner, metadata)
        )
        state = self.folder / "state.db"
        sink = RemoteSink(state, "POL-1", "test-hub", remote, metadata, recalls)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.partner.down_after = 0
        yield
        self.partner.down_after = None

    @contextmanager
    def broken(self, event_ref: str) -> Iterator[None]:
        self.partner.fails_at = event_ref
        yield
        self.partner.fails_at = None

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        found = self.partner.document(event_ref)
        if found is None:
            return None
        event_type, held = found
        shown: dict[str, Any] = {f.name: None for f in self.schemas.by_type(event_type).fields}
        for part in held.values():
            shown.update(part)
        return shown

    def stored(self) -> bytes:
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.db*")))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, "state")
    yield bench
    bench.close()


@pytest.mark.deep  # as every sink that is told states, files among them
class TestState(SinkConformance):
    pass


class TestStateOutages(OutageConformance):
    pass


class TestStateStumbling(StumblingConformance):
    pass


class TestMessagesOutages(OutageConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(tmp_path, "messages")
        yield bench
        bench.close()


@pytest.mark.deep  # as the webhook
class TestMessages(SinkConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        bench = Bench(tmp_path, "messages")
        yield bench
        bench.close()

    def test_restricted_content_leaves_the_tables(self, bench: Bench) -> None:  # type: ignore[override]
        """Nothing is kept here that could be restricted: it is deleted, and the receipt says so."""
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity"]), action="restrict")))
        assert (bench.shown("e-1") or {})["given_name"] is None
        assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"]
        assert CANARY.encode() not in bench.stored()

    def test_what_a_cut_off_attempt_brought_of_a_delivery_set_aside_is_taken_back(
        self, bench: Bench
    ) -> None:
        """And redriven later, it comes anew: its message is no repeat of what was taken back."""
        sink = claimed(bench)
        bench.partner.down_after = 1
        with pytest.raises(SinkDownError):
            sink.apply(batch(identity(1, "e-1"), identity(2, "e-2")))
        assert bench.shown("e-1") is not None, "half of the batch is there"
        bench.partner.down_after = None
        sink.apply(batch(poison(1, "e-1")))
        assert bench.shown("e-1") is None
        assert CANARY.encode() not in bench.stored()
        sink.apply(batch(identity(2, "e-2")))
        [row] = sink.quarantine()
        sink.redrive(row.id, [identity(1, "e-1")], NOW)
        assert bench.shown("e-1") is not None
        assert bench.shown("e-2") is not None, "it was not passed when e-1 was taken back"

    def test_what_is_held_of_the_event_stays(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1)))
        dies_applying(bench, batch(demographics(2)), "after_remote")
        claimed(bench).apply(batch(poison(2)))
        _, held = bench.partner.document("e-1") or ("", {})
        assert list(held) == ["identity"]

    def test_what_was_refused_at_its_first_coming_is_not_taken_back(self, bench: Bench) -> None:
        sink = claimed(bench)
        sent: list[Message] = []
        bench.partner.send = refusing(sent)  # type: ignore[union-attr]
        with pytest.raises(SinkRefusedError):
            sink.apply(batch(identity(1)))
        sink.apply(batch(poison(1)))
        assert [one.kind for one in sent] == ["event"]


POINTS = ("before_sink_commit", "before_remote", "after_remote", "after_sink_commit")


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_any_two_steps(bench: Bench, point: str) -> None:
    what = batch(opened_case(1), identity(2), poison(3))
    dies_applying(bench, what, point)
    sink = claimed(bench)
    done = point == "after_sink_commit"
    assert sink.position().sequence == (3 if done else 0)
    assert (sink.owed(10) != []) == done
    sink.apply(what)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    assert len(sink.quarantine()) == 1


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_a_recall_no_receipt_comes_before_the_removal(bench: Bench, point: str) -> None:
    claimed(bench).apply(batch(identity(1)))
    recall = batch(recalled(2, ("e-1", ["identity"])))
    dies_applying(bench, recall, point)
    sink = claimed(bench)
    if len(sink.owed(10)) > 1:
        assert bench.shown("e-1") is None
    sink.apply(recall)
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()


def test_what_a_cut_off_attempt_left_goes_when_its_delivery_is_quarantined(bench: Bench) -> None:
    sink = claimed(bench)
    bench.partner.down_after = 1
    with pytest.raises(SinkDownError):
        sink.apply(batch(identity(1, "e-1"), identity(2, "e-2")))
    assert bench.shown("e-1") is not None, "half of the batch is there"
    assert sink.position().sequence == 0
    bench.partner.down_after = None
    sink.apply(batch(poison(1, "e-1"), identity(2, "e-2")))
    assert bench.shown("e-1") is None
    assert bench.shown("e-2") is not None


def test_what_a_cut_off_attempt_left_goes_when_it_is_recalled(bench: Bench) -> None:
    dies_applying(bench, batch(identity(1)), "after_remote")
    sink = claimed(bench)
    sink.apply(batch(poison(1, "e-1"), recalled(2, ("e-1", ["identity"]))))
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()


def test_a_refused_event_is_named(bench: Bench) -> None:
    sink = claimed(bench)
    bench.partner.refuses = "e-2"
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(identity(1, "e-1"), identity(2, "e-2")))
    assert refused.value.sequence == 2
    assert sink.position().sequence == 0


def test_an_event_that_is_held_and_refused_from_now_on_stops_nothing(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1, "e-1")))
    bench.partner.refuses = "e-1"
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(demographics(2, "e-1"), identity(3, "e-2")))
    assert refused.value.sequence == 2
    sink.apply(batch(poison(2, "e-1"), identity(3, "e-2")))
    assert sink.position().sequence == 3
    assert bench.shown("e-2") is not None
    bench.partner.write("e-1", "IdentityRecorded", {"demographics": {"gender": "of a cut-off try"}})
    bench.partner.refuses = None
    sink.apply(batch(opened_case(4)))
    assert (bench.shown("e-1") or {})["given_name"] == CANARY, "put right when it can be"


def test_a_recall_that_has_nothing_to_take_tells_the_partner_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "messages")
    sink = claimed(bench)
    sink.apply(batch(poison(1), identity(2)))
    [row] = sink.quarantine()
    writes = bench.partner.writes
    sink.redrive(row.id, [recalled(1, ("e-1", ["identity"]))], NOW)
    assert bench.partner.writes == writes
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    bench.close()


def test_a_redrive_by_hand_leaves_the_runners_intents(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(poison(1, "e-1")))
    [row] = sink.quarantine()
    dies_applying(bench, batch(identity(2, "e-2")), "after_remote")
    bench.open().redrive(row.id, [identity(1, "e-1")], NOW)
    assert bench.shown("e-1") is not None
    claimed(bench).apply(batch(poison(2, "e-2")))
    assert bench.shown("e-2") is None, "what the runner left is still known"


def test_a_case_is_shown_whole(tmp_path: Path) -> None:
    seen: list[list[Kept]] = []

    class Whole(Documents):
        def put(self, changes: Sequence[CaseChange]) -> None:
            seen.extend(change.events() for change in changes)

    bench = Bench(tmp_path, "state")
    bench.partner = Whole(tmp_path / "partner.db")
    sink = claimed(bench)
    sink.apply(batch(opened_case(1), identity(2)))
    sink.apply(batch(demographics(3)))
    assert [[e.event_ref for e in events] for events in seen] == [["e-0", "e-1"]] * 2
    assert sorted(seen[1][1].fields) == ["demographics", "identity"]
    assert seen[1][1].received_at == NOW
    bench.close()


def test_the_state_file_is_for_its_owner_alone(bench: Bench) -> None:
    claimed(bench).apply(batch(identity(1)))
    for path in bench.folder.glob("state.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
