"""Recalls take away what they name, for good, and nothing else; each is answered."""

from __future__ import annotations

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    CANARY,
    NOW,
    batch,
    demographics,
    identity,
    poison,
    recalled,
)
from connectors.sink import RecallPolicy


class Recalling:
    def test_a_recall_takes_its_category_and_no_other(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2), recalled(3, ("e-1", ["identity"]))))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (None, "f")
        [owed] = sink.owed(10)
        assert [(e.sequence, e.outcome, e.recall_ref) for e in owed.exceptions] == [
            (3, "deleted", "r3")
        ]

    def test_the_last_category_takes_the_event_with_it(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity", "demographics"]))))
        assert bench.shown("e-1") is None

    def test_recalled_content_is_nowhere_in_the_storage(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(*[identity(n, f"e-{n}") for n in range(1, 9)]))
        assert CANARY.encode() in (bench.stored() or CANARY.encode())
        sink.apply(batch(recalled(9, *[(f"e-{n}", ["identity"]) for n in range(1, 9)])))
        assert CANARY.encode() not in bench.stored()

    def test_a_recall_of_what_is_not_held_is_answered(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(recalled(1, ("e-1", ["identity"]))))
        [owed] = sink.owed(10)
        assert [e.outcome for e in owed.exceptions] == ["deleted"]

    def test_an_older_delivery_does_not_bring_it_back(self, bench: Bench) -> None:
        """Quarantined at 1, recalled at 2, redriven afterwards."""
        sink = claimed(bench)
        sink.apply(batch(poison(1), recalled(2, ("e-1", ["identity"])), demographics(3)))
        [row] = sink.quarantine()
        sink.redrive(row.id, [identity(1)], NOW)
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (None, "f")

    def test_a_newer_release_does(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), recalled(2, ("e-1", ["identity"])), identity(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_a_recall_redriven_late_leaves_what_was_released_since(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1), identity(2)))
        [row] = sink.quarantine()
        sink.redrive(row.id, [recalled(1, ("e-1", ["identity"]))], NOW)
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_a_recall_reaches_the_quarantine(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1, "e-1", CANARY.encode()), recalled(2, ("e-1", ["identity"]))))
        assert sink.quarantine() == []
        [row] = sink.quarantine(waiting_only=False)
        assert (row.state, row.raw) == ("recalled", b"")
        assert CANARY.encode() not in bench.stored()

    def test_kept_on_an_own_basis(self, bench: Bench) -> None:
        sink = claimed(bench, RecallPolicy(own_basis={"identity": "Archive Act s. 3"}))
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity", "demographics"]))))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, None)
        exceptions = sink.owed(10)[-1].exceptions
        assert {(e.outcome, e.detail) for e in exceptions} == {
            ("kept_own_basis", "e-1 identity: Archive Act s. 3"),
            ("deleted", "e-1 demographics"),
        }

    def test_restricted_content_leaves_the_tables(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity"]), action="restrict")))
        assert (bench.shown("e-1") or {})["given_name"] is None
        [outcome] = [e.outcome for e in sink.owed(10)[-1].exceptions]
        # A sink that keeps nothing has nothing to restrict: then it is deleted, and says so.
        assert outcome in ("restricted", "deleted")
        assert outcome == "restricted" or CANARY.encode() not in bench.stored()
        sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
        assert CANARY.encode() not in bench.stored()
