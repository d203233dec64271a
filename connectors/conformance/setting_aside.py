"""Poison is set aside and told, later applied or discarded; receipts wait until they are sent."""

from __future__ import annotations

from dataclasses import replace

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    CANARY,
    NOW,
    batch,
    demographics,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.sink import Aside, Batch


class SettingAside:
    def test_poison_is_parked_and_the_next_goes_on(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), poison(2), identity(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        [row] = sink.quarantine()
        assert (row.sequence, row.reason, row.raw) == (2, "bad_agency_signature", b"raw")
        assert sink.aside() == sink.aside([2]) == [Aside(row.id, 2, "waiting")]
        assert sink.aside([1, 3]) == []
        [owed] = sink.owed(10)
        assert [(e.sequence, e.outcome, e.detail) for e in owed.exceptions] == [
            (2, "quarantined", "bad_agency_signature")
        ]

    def test_redriving_applies_and_tells_the_hub(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1), opened_case(2)))
        sink.sent([one.id for one in sink.owed(10)])
        [row] = sink.quarantine()
        sink.redrive(row.id, [identity(1)], NOW)
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert sink.quarantine() == []
        assert sink.aside() == sink.aside([1]) == []
        [owed] = sink.owed(10)
        assert [(e.sequence, e.outcome) for e in owed.exceptions] == [(1, "applied")]
        assert sink.position().sequence == 2
        sink.redrive(row.id, [identity(1, given_name="Again")], NOW)
        assert (bench.shown("e-1") or {})["given_name"] == CANARY, "once is enough"

    def test_redriving_what_is_still_poison_keeps_it(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1)))
        [row] = sink.quarantine()
        sink.redrive(row.id, [replace(poison(1), reason="unknown_schema")], NOW)
        [still] = sink.quarantine()
        assert (still.id, still.reason, still.raw) == (row.id, "unknown_schema", b"raw")

    def test_discarding_removes_it_and_tells_the_hub_why(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1, "e-1", CANARY.encode()), opened_case(2)))
        sink.sent([one.id for one in sink.owed(10)])
        [row] = sink.quarantine()
        assert sink.discard(row.id, "entered_by_hand", "by Ann", NOW)
        assert sink.quarantine() == []
        [kept] = sink.quarantine(waiting_only=False)
        assert (kept.state, kept.raw) == ("discarded", b"")
        [owed] = sink.owed(10)
        assert [(e.sequence, e.outcome, e.detail) for e in owed.exceptions] == [
            (1, "quarantined", "discarded_entered_by_hand")
        ]
        assert CANARY.encode() not in bench.stored()
        assert not sink.discard(row.id, "not_needed", "", NOW), "once is enough"
        sink.redrive(row.id, [identity(1)], NOW)
        assert bench.shown("e-1") is None, "a discard is final"

    def test_a_recall_is_answered_although_it_was_discarded(self, bench: Bench) -> None:
        """It could not be read then; what it takes away has to go all the same."""
        sink = claimed(bench)
        sink.apply(batch(identity(1), poison(2)))
        [row] = sink.quarantine()
        sink.discard(row.id, "unreadable", "", NOW)
        sink.redrive(row.id, [recalled(2, ("e-1", ["identity"]))], NOW)
        assert bench.shown("e-1") is None
        [answer] = sink.owed(10)[-1].exceptions
        assert (answer.sequence, answer.recall_ref) == (2, "r2")
        assert answer.outcome in ("deleted", "restricted"), "as this sink answers any recall"

    def test_one_receipt_per_batch_until_it_is_sent(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), identity(2)))
        sink.apply(batch(demographics(3)))
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 2), (3, 3)]
        assert len(sink.owed(1)) == 1
        sink.sent([sink.owed(1)[0].id])
        assert [(one.first, one.last) for one in bench.open().owed(10)] == [(3, 3)]

    def test_what_is_sent_again_is_answered_again(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), identity(2)))
        sink.apply(batch(demographics(3)))
        before = sink.owed(10)
        sink.sent([one.id for one in before])
        sink.apply(Batch((), NOW, repeated=[(1, 2)]))
        assert sink.owed(10) == before[:1]
