"""Releases arrive once, in order, however often they come and whatever schema they are of."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    CANARY,
    batch,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)


class Arriving:
    def test_a_release_is_shown(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), identity(2)))
        shown = bench.shown("e-1")
        assert shown is not None, "apply() has returned: by then what it took is there, durable"
        assert shown["given_name"] == CANARY
        assert shown["date_of_birth"] == "2001-02-03"
        assert shown["gender"] is None
        assert (bench.shown("e-0") or {})["channel"] == "self"
        assert sink.position().sequence == 2

    def test_a_batch_is_taken_in_its_order(self, bench: Bench) -> None:
        taken_back = recalled(2, ("e-1", ["identity"]))
        again = identity(3, given_name="Second")
        claimed(bench).apply(batch(identity(1), taken_back, again))
        shown = bench.shown("e-1") or {}
        assert shown.get("given_name") == "Second", "the last of a batch counts: released again"

    def test_every_delivery_of_a_batch_is_taken(self, bench: Bench) -> None:
        claimed(bench).apply(batch(*[identity(n, f"e-{n}") for n in range(1, 13)]))
        missing = [n for n in range(1, 13) if bench.shown(f"e-{n}") is None]
        assert missing == [], "sequences of one batch that apply() took, and are not there"

    def test_the_cursor_is_kept_with_the_sequence(self, bench: Bench) -> None:
        claimed(bench).apply(batch(opened_case(1), cursor="life:7"))
        position = bench.open().position()
        assert (position.sequence, position.cursor) == (1, "life:7")

    def test_what_was_applied_stays_after_reopening(self, bench: Bench) -> None:
        claimed(bench).apply(batch(identity(1)))
        again = claimed(bench)
        assert again.position().sequence == 1
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_a_duplicate_changes_nothing(self, bench: Bench) -> None:
        sink = claimed(bench)
        once = batch(opened_case(1), identity(2))
        sink.apply(once)
        sink.apply(once)
        sink.apply(batch(identity(2, given_name="Other"), demographics(3)))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, "f")
        assert sink.position().sequence == 3

    def test_a_gap_is_not_applied(self, bench: Bench) -> None:
        sink = claimed(bench)
        with pytest.raises(ValueError, match="gap"):
            sink.apply(batch(identity(2)))
        assert bench.shown("e-1") is None
        assert sink.position().sequence == 0

    def test_a_gap_is_filled_when_what_was_missing_is_found(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), cursor="life:1"))
        for what in (batch(identity(3)), batch(opened_case(1), identity(3)), batch(identity(9))):
            with pytest.raises(ValueError, match="gap"):
                sink.apply(what)
        position = claimed(bench).position()
        assert (position.sequence, position.cursor) == (1, "life:1")
        assert sink.quarantine() == []
        sink = claimed(bench)
        sink.apply(batch(demographics(2), identity(3), cursor="life:4"))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, "f")

    def test_an_old_cursor_stays_until_all_of_a_message_is_applied(self, bench: Bench) -> None:
        """A batch may be applied in parts; the cursor moves with the last."""
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), cursor="a"))
        sink.apply(batch(identity(2), cursor="a"))
        sink.apply(batch(cursor="b"))
        position = bench.open().position()
        assert (position.sequence, position.cursor) == (2, "b")

    def test_an_older_schema_after_a_newer_one(self, bench: Bench) -> None:
        document = copy.deepcopy(bench.schemas.by_type("CaseOpened").document)
        document["fields"].append(
            {"name": "urgency_note", "type": ["null", "string"], "default": None,
             "category": "protection"}
        )  # fmt: skip
        old = opened_case(2, "e-2")
        bench.schemas.register(document)
        values = {
            "case_management": {"jurisdiction": "XX", "channel": "self", "age_status": "adult"},
            "protection": {"urgency_note": "soon"},
        }
        sink = claimed(bench)
        new = released(1, "e-1", "CaseOpened", values, schemas=bench.schemas)
        sink.apply(batch(new, old, replace(new, sequence=3, event_ref="e-3")))
        assert (bench.shown("e-1") or {})["urgency_note"] == "soon"
        assert (bench.shown("e-2") or {})["channel"] == "self"
        assert (bench.shown("e-2") or {}).get("urgency_note") is None

    def test_a_later_category_fills_only_its_own_fields(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1)))
        sink.apply(batch(demographics(2)))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, "f")

    def test_both_categories_in_one_batch(self, bench: Bench) -> None:
        claimed(bench).apply(batch(demographics(1), identity(2)))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, "f")

    def test_an_erased_event_leaves_nothing(self, bench: Bench) -> None:
        sink = claimed(bench)
        empty = replace(identity(1), categories=(), fields={}, bases={}, evidence=None)
        sink.apply(batch(empty, opened_case(2)))
        assert bench.shown("e-1") is None
        assert sink.position().sequence == 2

    def test_a_newer_schema_adds_its_field(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1)))
        document = copy.deepcopy(bench.schemas.by_type("CaseOpened").document)
        document["fields"].append(
            {
                "name": "urgency_note",
                "type": ["null", "string"],
                "default": None,
                "category": "protection",
            }
        )
        bench.schemas.register(document)
        values = {
            "case_management": {"jurisdiction": "XX", "channel": "self", "age_status": "adult"},
            "protection": {"urgency_note": "soon"},
        }
        newer = released(2, "e-5", "CaseOpened", values, schemas=bench.schemas)
        sink.apply(batch(newer))
        assert (bench.shown("e-5") or {})["urgency_note"] == "soon"
        assert (bench.shown("e-0") or {}).get("urgency_note") is None
        claimed(bench).apply(batch(replace(newer, sequence=3, event_ref="e-6")))
        assert (bench.shown("e-6") or {})["urgency_note"] == "soon"
