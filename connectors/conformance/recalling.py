"""Recalls take away what they name, for good, and nothing else; each is answered."""

from __future__ import annotations

import copy

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    CANARY,
    NOW,
    batch,
    corrected,
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
        unread = poison(1, raw=CANARY.encode())
        sink.apply(batch(unread, recalled(2, ("e-1", ["identity"])), demographics(3)))
        [row] = sink.quarantine()
        sink.redrive(row.id, [identity(1)], NOW)
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (None, "f")
        assert CANARY.encode() not in bench.stored()

    def test_a_newer_release_does(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), recalled(2, ("e-1", ["identity"])), identity(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_a_recall_redriven_late_leaves_what_was_released_since(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), corrected(2, "e-1", "family_name", "Right"), poison(3)))
        sink.apply(batch(identity(4), corrected(5, "e-1", "family_name", "Right")))
        [row] = sink.quarantine()
        told = ("e-1", ["identity"]), ("e-9", ["case_management", "identity"])
        sink.redrive(row.id, [recalled(3, *told)], NOW)
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["family_name"]) == (CANARY, "Right")

    def test_a_recall_reaches_the_quarantine(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(poison(1, "e-1", CANARY.encode()), recalled(2, ("e-1", ["identity"]))))
        assert sink.quarantine() == []
        [row] = sink.quarantine(waiting_only=False)
        assert (row.state, row.raw) == ("recalled", b"")
        assert CANARY.encode() not in bench.stored()

    def test_what_is_known_to_be_recalled_only_later_leaves_the_quarantine(
        self, bench: Bench
    ) -> None:
        """It could not be told what was in it when the recall came."""
        sink = claimed(bench)
        sink.apply(batch(poison(1, raw=CANARY.encode()), recalled(2, ("e-1", ["identity"]))))
        [row] = sink.quarantine()
        sink.redrive(row.id, [poison(1, "e-1", CANARY.encode())], NOW)
        assert sink.quarantine() == []
        [row] = sink.quarantine(waiting_only=False)
        assert (row.state, row.raw) == ("recalled", b"")
        assert CANARY.encode() not in bench.stored()

    def test_after_an_upgrade_a_recall_reaches_what_came_before(self, bench: Bench) -> None:
        """The newer schema has a field more and one less, and nothing of it has come yet."""
        sink = claimed(bench)
        sink.apply(batch(identity(1, birth_place=CANARY), demographics(2)))
        document = copy.deepcopy(bench.schemas.by_type("IdentityRecorded").document)
        fields = [one for one in document["fields"] if one["name"] != "birth_place"]
        added = {
            "name": "told_to", "type": ["null", "string"], "default": None, "category": "identity"
        }  # fmt: skip
        bench.schemas.register({**document, "fields": [*fields, added]})
        sink = claimed(bench)
        sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (None, "f")
        assert CANARY.encode() not in bench.stored()

    def test_kept_on_an_own_basis(self, bench: Bench) -> None:
        sink = claimed(bench, RecallPolicy(own_basis={"identity": "Archive Act s. 3"}))
        sink.apply(batch(identity(1), demographics(2), poison(3, "e-1", b"not held before")))
        sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
        assert sink.quarantine() == []
        assert b"not held before" not in bench.stored()
        sink.apply(batch(recalled(5, ("e-1", ["identity", "demographics"]))))
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

    def test_a_recalled_correction_leaves_what_is_restricted(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1, given_name="x"), corrected(2, "e-1", "given_name", CANARY)))
        sink.apply(batch(recalled(3, ("e-1", ["identity"]), action="restrict")))
        sink.apply(batch(recalled(4, ("e-9", ["case_management", "identity"]))))
        assert CANARY.encode() not in bench.stored()
