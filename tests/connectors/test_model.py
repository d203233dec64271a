"""Any history of deliveries, failures and hands on the books ends as the hub meant it.

A hub (a list of deliveries), a real runner, and three kinds of partner: told the state, told
messages, an SQL database. Whatever happens between, when everything is mended and sent again that
was answered "quarantined", the partner shows what the list says; nothing recalled is in storage;
every delivery has its receipt, and no recall was answered while its content was still shown.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Sealed
from connectors.agency.registry_cache import RegistryCache
from connectors.conformance.made import NOW, released
from connectors.conformance.made import recalled as recall_of
from connectors.delivery import Arrived, Opened, Poison
from connectors.errors import FencedError, RetryError, SinkDownError, SinkRefusedError
from connectors.opening.evidence import EVIDENCE
from connectors.pace import Pace
from connectors.redriving import redrive
from connectors.remote.copies import CaseChange, Copies
from connectors.remote.messages import Message, Messages
from connectors.remote.sink import RemoteSink
from connectors.runner import Runner
from connectors.sink import RecallPolicy
from connectors.sql import SqlSink
from schemas import wire
from tests.connectors.builder import MiniHub

REFS = ("e-1", "e-2", "e-3")
FIELD = {"identity": "given_name", "demographics": "gender"}
CORRECTION = "e-9"
POINTS = (
    "before_remote",
    "after_remote",
    "before_sink_commit",
    "after_sink_commit",
    "before_receipts",
    "after_receipts",
)


def canary(ref: str, category: str) -> str:
    return f"CANARY-{ref}-{category}-END"


class _Killed(BaseException):
    """The process is gone: no handler of ours may see it."""


class _Hub:
    """Deliveries by sequence, messages on the topic, and the receipts that came back."""

    def __init__(self) -> None:
        self.log: dict[int, Arrived] = {}
        self.topic: list[tuple[int, int]] = []
        self.unreadable: set[int] = set()
        self.answers: dict[int, list[tuple[str, str | None]]] = {}
        self.down = False

    def send(self, item: Arrived) -> None:
        self.log[item.sequence] = item
        self.topic.append((item.sequence, item.sequence))

    def opened(self, sequence: int) -> Arrived | Poison:
        item = self.log[sequence]
        if sequence in self.unreadable:
            return Poison(sequence, "unknown_agency_key", "", item.raw, item.event_ref)
        return item

    def received(self, receipt: dict[str, Any]) -> list[int]:
        """Sequences this receipt answers, their answers replaced."""
        told: dict[int, list[tuple[str, str | None]]] = {}
        for one in receipt["exceptions"]:
            told.setdefault(one["sequence"], []).append((one["outcome"], one["detail"]))
        answered = list(range(receipt["first_sequence"], receipt["last_sequence"] + 1))
        for sequence in answered:
            self.answers[sequence] = told.get(sequence, [("applied", None)])
        return answered


class _Inbox:
    """The hub's topic; the cursor is the next offset."""

    def __init__(self, machine: Model) -> None:
        self._machine = machine
        self._hub = machine.hub
        self._offset = 0

    def start(self, cursor: str, sequence: int) -> None:
        self._offset = int(cursor or 0)

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        if self._hub.down:
            raise RetryError("away")
        found = self._hub.topic[self._offset : self._offset + limit]
        first, self._offset = self._offset, self._offset + len(found)
        return [
            Sealed(f"{one[0]} {one[1]}".encode(), str(first + at + 1))
            for at, one in enumerate(found)
        ]

    def rewind(self, sequence: int) -> bool:
        self._offset = 0
        return True

    def emptied(self, sequence: int) -> bool:
        return False

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        for raw in receipts:
            body = wire.SIGNED_RECEIPT.unsingle(raw)["receipt"]
            self._machine.answered(self._hub.received(wire.RECEIPT.unsingle(body)))

    def registry(self) -> bytes | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


class _Opener:
    def __init__(self, hub: _Hub) -> None:
        self._hub = hub

    def open(self, raw: bytes, expected: int | None = None) -> Opened:
        first, last = map(int, raw.split())
        return Opened(first, last, tuple(map(self._hub.opened, range(first, last + 1))))

    def reopen(self, raw: bytes, sequence: int) -> list[Arrived | Poison]:
        return [self._hub.opened(sequence)]


@dataclass
class _Partner:
    """What every kind of partner can do to a connector."""

    shown: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)
    left: int | None = None  # writes until it is away

    def prepare(self) -> None:
        """It is there."""

    def close(self) -> None:
        """And stays."""

    def _reached(self) -> None:
        if self.left is not None:
            if self.left <= 0:
                raise SinkDownError("the partner is away")
            self.left -= 1

    def put(self, changes: Sequence[CaseChange]) -> None:
        for change in changes:
            for event in change.changed:
                self._reached()
                if event.event_ref in self.refuses:
                    raise SinkRefusedError("sink_refused", "", event.sequence)
                self.shown[event.event_ref] = {c: dict(v) for c, v in event.fields.items()}
            for gone in change.gone:
                self._reached()
                self.shown.pop(gone.event_ref, None)

    def send(self, messages: Sequence[Message]) -> None:
        for one in messages:
            self._reached()
            if one.kind == "event" and one.event_ref in self.refuses:
                raise SinkRefusedError("sink_refused", "", one.sequence)
            if one.id in self.seen:
                continue
            self.seen.add(one.id)
            held = self.shown.setdefault(one.event_ref, {})
            if one.kind == "event":
                held.update({c: dict(v) for c, v in one.fields.items()})
            elif one.kind == "corrected":
                [(name, value)] = one.fields[""].items()
                for part in held.values():
                    if name in part:
                        part[name] = value
            else:
                for category in one.categories:
                    held.pop(category, None)
            if not held:
                del self.shown[one.event_ref]


@cache
def _identity() -> AgencyIdentity:
    folder = Path(tempfile.mkdtemp())
    identity = MiniHub().enrol(folder, "POL-1", "police")
    shutil.rmtree(folder / "elsewhere", ignore_errors=True)
    return identity


class Model(RuleBasedStateMachine):
    """One partner, one hub, and everything that may go wrong between them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="nrm-model-"))
        self.hub = _Hub()
        self.partner = _Partner()
        self.discarded: set[int] = set()
        self.restored = False
        self.copy: Path | None = None
        self.sinks: list[Any] = []
        self.armed: str | None = None
        self._point = crash.point
        crash.point = self._at

    def teardown(self) -> None:
        try:
            if self.sinks:
                self._settle()
        finally:
            crash.point = self._point
            for sink in self.sinks:
                sink.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _at(self, name: str) -> None:
        if name == self.armed:
            self.armed = None
            raise _Killed(name)

    @initialize(family=st.sampled_from(("state", "messages", "sql")), keeps=st.booleans())
    def begin(self, family: str, keeps: bool) -> None:
        self.family = family
        self.recalls = RecallPolicy(own_basis={"demographics": "Some Act"} if keeps else {})
        self.runner = self._runner()

    def _sink(self) -> Any:
        state = self.folder / "state.db"
        metadata = sa.MetaData()
        sink: Any
        if self.family == "sql":
            sink = SqlSink(f"sqlite:///{state}", "POL-1", "test-hub", recalls=self.recalls)
            self._refusing(sink)
        else:
            remote: Any = (
                Copies(self.partner, metadata)
                if self.family == "state"
                else Messages(self.partner, metadata)
            )
            sink = RemoteSink(state, "POL-1", "test-hub", remote, metadata, self.recalls)
        self.sinks.append(sink)
        return sink

    def _refusing(self, sink: SqlSink) -> None:
        add = sink.tables.add

        def wary(db: Any, additions: Any) -> None:
            for one in additions:
                if one.event.event_ref in self.partner.refuses:
                    raise SinkRefusedError("sink_refused", "", one.event.sequence)
            add(db, additions)

        sink.tables.add = wary  # type: ignore[method-assign]

    def _runner(self) -> Runner:
        identity = _identity()
        runner = Runner(
            _Inbox(self), self._sink(), identity, RegistryCache(identity), pace=Pace(messages=3)
        )
        runner.reader.opener = _Opener(self.hub)
        return runner

    # -- the hub ---------------------------------------------------------------------------

    def _next(self) -> int:
        return len(self.hub.log) + 1

    @rule(ref=st.sampled_from(REFS), categories=st.sets(st.sampled_from(sorted(FIELD)), min_size=1))
    def release(self, ref: str, categories: set[str]) -> None:
        told = {c: {FIELD[c]: canary(ref, c)} for c in sorted(categories)}
        item = released(self._next(), ref, "IdentityRecorded", told, minutes=1)
        assert item.evidence is not None
        kept = EVIDENCE.decode(item.evidence)
        for part in kept["disclosed"]:
            part["body"] = canary(ref, part["name"]).encode()
        item = replace(item, evidence=EVIDENCE.encode(kept))
        raw = " ".join(canary(ref, c) for c in sorted(categories)).encode()
        self.hub.send(replace(item, raw=raw))

    @rule(
        ref=st.sampled_from(REFS),
        categories=st.sets(st.sampled_from(sorted(FIELD)), min_size=1),
        action=st.sampled_from(("delete", "delete_or_restrict")),
    )
    def recall(self, ref: str, categories: set[str], action: str) -> None:
        self.hub.send(recall_of(self._next(), (ref, sorted(categories)), action=action))

    @rule(ref=st.sampled_from(REFS))
    def correction(self, ref: str) -> None:
        about = {"corrects_event": ref, "field": "given_name"}
        given = {
            "case_management": about,
            "identity": {"new_value": canary("right", ref)},
        }
        number = sum(one.event_ref.startswith(CORRECTION) for one in self.hub.log.values())
        ref = f"{CORRECTION}{number}"
        self.hub.send(released(self._next(), ref, "RecordCorrected", given, minutes=1))

    @precondition(lambda self: any(self._corrections()))
    @rule(data=st.data())
    def recall_correction(self, data: Any) -> None:
        ref = data.draw(st.sampled_from(sorted(self._corrections())))
        self.hub.send(recall_of(self._next(), (ref, ["case_management", "identity"])))

    def _corrections(self) -> dict[str, str]:
        """Correction → the event it corrects."""
        return {
            one.event_ref: str(one.fields["case_management"]["corrects_event"])
            for one in self.hub.log.values()
            if one.event_type == "RecordCorrected"
        }

    @precondition(lambda self: self.hub.log)
    @rule(data=st.data())
    def spoil(self, data: Any) -> None:
        """This one cannot be read, until it is mended."""
        self.hub.unreadable.add(data.draw(st.sampled_from(sorted(self.hub.log))))

    @rule()
    def mend(self) -> None:
        self.hub.unreadable.clear()

    @precondition(lambda self: self.hub.log)
    @rule(data=st.data())
    def send_again(self, data: Any) -> None:
        one = data.draw(st.sampled_from(sorted(self.hub.log)))
        last = data.draw(st.integers(one, min(one + 2, len(self.hub.log))))
        self.hub.topic.append((one, last))

    # -- the partner and its people --------------------------------------------------------

    @rule(ref=st.sampled_from(REFS), refuses=st.booleans())
    def taste(self, ref: str, refuses: bool) -> None:
        (self.partner.refuses.add if refuses else self.partner.refuses.discard)(ref)

    @rule(left=st.integers(0, 3))
    def away(self, left: int) -> None:
        self.partner.left = left

    @rule()
    def back(self) -> None:
        self.partner.left = None

    @rule()
    def second_runner(self) -> None:
        old, self.runner = self.runner, self._runner()
        with suppress(RetryError):
            self.runner.run_once()
        if old._claimed and self.runner._claimed:
            self._fenced(old)

    def _fenced(self, old: Runner) -> None:
        position = self.sinks[-1].position()
        with suppress(FencedError, RetryError):
            old.run_once()
        assert self.sinks[-1].position() == position, "one that was overtaken has written"

    @rule()
    def by_hand(self) -> None:
        self._by_hand()

    def _by_hand(self) -> None:
        sink = self._sink()
        with suppress(SinkDownError):
            sink.prepare()
            redrive(sink, _Opener(self.hub), at=NOW)  # type: ignore[arg-type]

    @rule(data=st.data())
    def discard(self, data: Any) -> None:
        sink = self._sink()
        sink.prepare()
        rows = [row for row in sink.quarantine() if row.sequence is not None]
        rows = [row for row in rows if self.hub.log[row.sequence or 0].recall is None]
        if rows:
            row = data.draw(st.sampled_from(rows))
            assert row.sequence is not None
            if sink.discard(row.id, "not_needed", "", NOW):
                self.discarded.add(row.sequence)

    # -- running ---------------------------------------------------------------------------

    @rule()
    def run(self) -> None:
        with suppress(RetryError):
            self.runner.run_once()

    @rule(point=st.sampled_from(POINTS), hand=st.booleans())
    def dies(self, point: str, hand: bool) -> None:
        self.armed = point
        try:
            if hand:
                self._by_hand()
            else:
                self.runner.run_once()
        except (_Killed, RetryError):
            pass
        self.armed = None
        for sink in self.sinks:
            sink.close()
        self.sinks = []
        self.runner = self._runner()

    @rule()
    def keep_a_copy(self) -> None:
        if not (self.folder / "state.db").exists():
            return
        self.copy = self.folder / "copy.db"
        self.copy.unlink(missing_ok=True)
        with sqlite3.connect(self.folder / "state.db") as source:
            target = sqlite3.connect(self.copy)
            source.backup(target)
            target.close()

    @precondition(lambda self: self.copy is not None)
    @rule()
    def put_back(self) -> None:
        assert self.copy is not None
        for sink in self.sinks:
            sink.close()
        self.sinks = []
        for path in self.folder.glob("state.db*"):
            path.unlink()
        os.replace(self.copy, self.folder / "state.db")
        self.copy, self.restored = None, True
        if self.family == "sql":
            self.restored = True
        self.discarded.clear()
        self.runner = self._runner()

    # -- what has to hold ------------------------------------------------------------------

    def _meant(self) -> dict[str, dict[str, Any]]:
        """Event → category → acceptable values of its field, by the hub's list alone."""
        held: dict[str, dict[str, set[str | None]]] = {}
        for sequence, item in sorted(self.hub.log.items()):
            if item.recall is not None:
                for ref, categories in item.recall.items:
                    for category in categories:
                        if category not in self.recalls.own_basis:
                            held.get(ref, {}).pop(category, None)
            elif item.event_type == "IdentityRecorded" and sequence not in self.discarded:
                mine = held.setdefault(item.event_ref, {})
                mine.update({c: {canary(item.event_ref, c)} for c in item.categories})
        for ref, corrects in self._corrections().items():
            sequences = [s for s, one in self.hub.log.items() if one.event_ref == ref]
            if "identity" in held.get(corrects, {}):
                taken_back = any(
                    one.recall is not None and one.recall.items[0][0] == ref
                    for one in self.hub.log.values()
                )
                values = held[corrects]["identity"]
                if taken_back:
                    values |= {None}
                elif not self.discarded & set(sequences):
                    values.discard(canary(corrects, "identity"))
                    values.add(canary("right", corrects))
        return {ref: mine for ref, mine in held.items() if mine}

    def _shown(self) -> dict[str, dict[str, Any]]:
        if self.family != "sql":
            found = self.partner.shown
            return {
                ref: {c: values[FIELD[c]] for c, values in parts.items()}
                for ref, parts in found.items()
                if not ref.startswith(CORRECTION)
            }
        with self.sinks[-1].database.reading() as db:
            if not sa.inspect(db).has_table("identity_recorded"):
                return {}
            rows = db.execute(
                sa.text("SELECT event_ref, categories, given_name, gender FROM identity_recorded")
            ).all()
        found = {}
        for ref, categories, name, gender in rows:
            told = {"identity": name, "demographics": gender}
            found[ref] = {c: told[c] for c in told if c in categories}
        return found

    def answered(self, sequences: Sequence[int]) -> None:
        """A receipt has come: a recall it answers is done, at this moment."""
        for sequence in sequences:
            item = self.hub.log[sequence]
            outcomes = {outcome for outcome, _ in self.hub.answers[sequence]}
            if item.recall is None or self.restored or "quarantined" in outcomes:
                continue
            later = [one for s, one in self.hub.log.items() if s > sequence and one.recall is None]
            for ref, categories in item.recall.items:
                for category in set(categories) - set(self.recalls.own_basis):
                    again = any(
                        one.event_ref == ref and category in one.categories for one in later
                    )
                    if not again and not ref.startswith(CORRECTION):
                        assert category not in self._shown().get(ref, {}), "answered too soon"

    def _settle(self) -> None:
        """Everything is mended; what was not applied is sent again. Then all is as meant."""
        self.hub.unreadable.clear()
        self.partner.refuses.clear()
        self.partner.left = None
        self._until_idle()
        self._by_hand()
        self._until_idle()
        for sequence, told in sorted(self.hub.answers.items()):
            if any(outcome == "quarantined" for outcome, _ in told):
                self.hub.topic.append((sequence, sequence))
        self._until_idle()
        assert set(self.hub.answers) == set(self.hub.log), "a delivery was never answered"
        self._as_meant()
        self._nothing_left()

    def _until_idle(self) -> None:
        for _ in range(40):
            if self.runner.run_once().idle and not self.runner.reader.missing:
                return
        raise AssertionError("it does not come to rest")

    def _as_meant(self) -> None:
        shown, meant = self._shown(), self._meant()
        keeps = self.recalls.own_basis
        for ref in {*shown, *meant}:
            for category in FIELD:
                value = shown.get(ref, {}).get(category, "absent")
                wanted = meant.get(ref, {}).get(category, {"absent"})
                if category in keeps and self._ever_recalled(ref, category):
                    continue  # what was held at the recall stays; what was not does not come
                if self._discards(ref):
                    continue  # somebody said that it is never to be applied
                assert value in wanted, (ref, category, value, wanted)

    def _ever_recalled(self, ref: str, category: str) -> bool:
        return any(
            (ref, category) == (one, c)
            for item in self.hub.log.values()
            if item.recall is not None
            for one, categories in item.recall.items
            for c in categories
        )

    def _discards(self, ref: str) -> bool:
        return any(self.hub.log[one].event_ref == ref for one in self.discarded)

    def _nothing_left(self) -> None:
        meant = self._meant()
        for sink in self.sinks:
            sink.close()
        stored = b"".join(path.read_bytes() for path in self.folder.glob("state.db*"))
        if self.family != "sql":
            stored += repr(self.partner.shown).encode()
        for ref in REFS:
            for category in FIELD:
                if category in meant.get(ref, {}) or category in self.recalls.own_basis:
                    continue
                assert canary(ref, category).encode() not in stored, (ref, category)


def test_the_runner_waits_where_nothing_it_brings_is_at_fault() -> None:
    model = Model()
    model.begin(family="state", keeps=False)
    model.release(ref="e-1", categories={"identity"})
    model.hub.unreadable.add(1)

    def refused(*_: object) -> None:
        raise SinkRefusedError("sink_refused", "")

    model.sinks[-1].remote.settle = refused
    with pytest.raises(SinkDownError):
        model.runner.run_once()
    assert "partner_down" in model.runner.alarms
    del model.sinks[-1].remote.settle
    model.teardown()


Model.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestModel = Model.TestCase
