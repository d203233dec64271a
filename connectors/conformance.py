"""Conformance: what every Sink must do, as tests anyone can run on theirs.

    class TestMySink(SinkConformance):
        @pytest.fixture
        def bench(self, tmp_path): return MyBench(tmp_path)

A `Bench` opens the sink under test, again and again on the same storage, and says what the partner
sees. Nothing here needs a hub: deliveries are made up from the shipped schemas, as if verified.
The crash tests fork the process and let the child die at a crash point, as kill -9 would.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from connectors import crash
from connectors.delivery import Arrived, Disclosed, Evidence, Poison, Recall
from connectors.errors import FencedError
from connectors.sink import Batch, RecallPolicy, Sink
from schemas.registry import Schemas

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CANARY = "CANARY-7f3a"


class Bench(Protocol):
    """The sink under test and its storage."""

    schemas: Schemas

    def open(self, recalls: RecallPolicy | None = None) -> Sink:
        """A sink on the same storage, prepared, not yet claimed; as a new process would."""

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        """The event's fields as the partner sees them; None if the event is not there."""

    def stored(self) -> bytes:
        """Every byte of the storage, to look for what must be gone; b"" if it cannot be had."""


def released(
    sequence: int,
    event_ref: str,
    event_type: str,
    fields: Mapping[str, Mapping[str, Any]],
    *,
    case_ref: str = "nc-1",
    basis: str = "public_task",
    schemas: Schemas | None = None,
    minutes: int | None = None,
) -> Arrived:
    """A release as the opener hands it over; absent fields of a category are None."""
    schema = (schemas or Schemas.load()).by_type(event_type)
    complete = {
        category: {
            **{field.name: None for field in schema.fields if field.category == category},
            **given,
        }
        for category, given in fields.items()
    }
    text = repr(sorted(fields.items())).encode()
    disclosed = tuple(
        Disclosed(category, bytes(16), text if category in fields else b"", 0, ())
        for category in fields
    )
    return Arrived(
        sequence=sequence,
        kind="release",
        case_ref=case_ref,
        subject_ref=case_ref.replace("nc", "ns"),
        decision=sequence,
        event_ref=event_ref,
        event_type=event_type,
        schema_id=schema.schema_id,
        agency="SH-1",
        occurred_at=NOW + timedelta(minutes=sequence if minutes is None else minutes),
        categories=tuple(sorted(fields)),
        fields=complete,
        bases=dict.fromkeys(fields, basis),
        evidence=Evidence(b"header", b"head", bytes(64), 0, (), disclosed),
        raw=b"delivery %d" % sequence,
    )


def identity(sequence: int, event_ref: str = "e-1", **data: Any) -> Arrived:
    """IdentityRecorded, category identity, with the canary in it."""
    values = {"given_name": CANARY, "date_of_birth": "2001-02-03", **data}
    return released(sequence, event_ref, "IdentityRecorded", {"identity": values})


def demographics(sequence: int, event_ref: str = "e-1") -> Arrived:
    return released(sequence, event_ref, "IdentityRecorded", {"demographics": {"gender": "f"}})


def opened_case(sequence: int, event_ref: str = "e-0", **data: Any) -> Arrived:
    values = {"jurisdiction": "XX", "channel": "self", "age_status": "adult", **data}
    return released(sequence, event_ref, "CaseOpened", {"case_management": values})


def corrected(sequence: int, of: str, field: str, value: Any, event_ref: str = "e-9") -> Arrived:
    return released(
        sequence,
        event_ref,
        "RecordCorrected",
        {
            "case_management": {"corrects_event": of, "field": field},
            "identity": {"new_value": value},
        },
    )


def recalled(sequence: int, *items: tuple[str, Sequence[str]], action: str = "delete") -> Arrived:
    return Arrived(
        sequence=sequence,
        kind="recall",
        case_ref="nc-1",
        subject_ref="ns-1",
        decision=sequence,
        recall=Recall(
            f"r{sequence}",
            action,
            NOW,
            tuple((ref, tuple(categories)) for ref, categories in items),
        ),
        raw=b"recall",
    )


def batch(*items: Arrived | Poison, cursor: str = "") -> Batch:
    return Batch(items, NOW, cursor)


def poison(sequence: int, event_ref: str = "", raw: bytes = b"raw") -> Poison:
    return Poison(sequence, "bad_agency_signature", "", raw, event_ref)


def claimed(bench: Bench, recalls: RecallPolicy | None = None) -> Sink:
    sink = bench.open(recalls)
    sink.claim()
    return sink


def dies_applying(bench: Bench, what: Batch, point: str) -> None:
    """Apply in a child process that is killed at a crash point."""
    child = os.fork()
    if child == 0:
        try:
            sink = claimed(bench)
            crash.arm(point)
            sink.apply(what)
        finally:
            os._exit(1)  # not killed: the parent sees the wrong status
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == crash.STATUS


class SinkConformance:
    """The suite. Subclass it and give a `bench` fixture."""

    # -- arriving --------------------------------------------------------------------------

    def test_a_release_is_shown(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), identity(2)))
        shown = bench.shown("e-1")
        assert shown is not None
        assert shown["given_name"] == CANARY
        assert shown["date_of_birth"] == "2001-02-03"
        assert shown["gender"] is None
        assert (bench.shown("e-0") or {})["channel"] == "self"
        assert sink.position().sequence == 2

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

    # -- corrections -----------------------------------------------------------------------

    def test_a_correction_is_applied_and_kept(self, bench: Bench) -> None:
        claimed(bench).apply(
            batch(identity(1), corrected(2, "e-1", "family_name", "Right"), opened_case(3))
        )
        assert (bench.shown("e-1") or {})["family_name"] == "Right"
        assert (bench.shown("e-9") or {})["new_value"] == "Right"

    def test_a_correction_in_the_category_that_tells_of_it(self, bench: Bench) -> None:
        told = {"corrects_event": "e-0", "field": "channel", "new_value": "police"}
        fixed = released(2, "e-9", "RecordCorrected", {"case_management": told})
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), fixed))
        assert (bench.shown("e-0") or {})["channel"] == "police"
        sink.apply(batch(recalled(3, ("e-9", ["case_management"]))))
        assert bench.shown("e-9") is None
        assert (bench.shown("e-0") or {})["channel"] is None

    def test_a_correction_waits_for_what_it_corrects(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(corrected(1, "e-1", "family_name", "Right"), demographics(2)))
        assert (bench.shown("e-1") or {})["family_name"] is None, "identity is not held"
        sink.apply(batch(identity(3, family_name="Wrong")))
        assert (bench.shown("e-1") or {})["family_name"] == "Right"

    def test_a_recalled_correction_takes_its_value_back(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(identity(1), corrected(2, "e-1", "given_name", "Right")))
        sink.apply(batch(recalled(3, ("e-9", ["identity"]))))
        assert (bench.shown("e-1") or {})["given_name"] is None
        assert (bench.shown("e-9") or {})["new_value"] is None
        assert (bench.shown("e-9") or {})["field"] == "given_name"

    # -- recalls ---------------------------------------------------------------------------

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
        assert outcome == "restricted"
        sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
        assert CANARY.encode() not in bench.stored()

    # -- poison and quarantine -------------------------------------------------------------

    def test_poison_is_parked_and_the_next_goes_on(self, bench: Bench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1), poison(2), identity(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        [row] = sink.quarantine()
        assert (row.sequence, row.reason, row.raw) == (2, "bad_agency_signature", b"raw")
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

    # -- receipts --------------------------------------------------------------------------

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

    # -- crashes and rivals ----------------------------------------------------------------

    def test_killed_before_the_commit_nothing_is_there(self, bench: Bench) -> None:
        claimed(bench).apply(batch(opened_case(1)))
        dies_applying(bench, batch(identity(2), poison(3)), "before_sink_commit")
        sink = claimed(bench)
        assert sink.position().sequence == 1
        assert bench.shown("e-1") is None
        assert sink.quarantine() == []
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 1)]
        sink.apply(batch(identity(2), poison(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_killed_after_the_commit_everything_is_there(self, bench: Bench) -> None:
        dies_applying(bench, batch(identity(1), poison(2)), "after_sink_commit")
        sink = claimed(bench)
        assert sink.position().sequence == 2
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert len(sink.quarantine()) == 1
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 2)]

    @pytest.mark.parametrize("point", ["before_sink_commit", "after_sink_commit"])
    def test_killed_during_a_recall(self, bench: Bench, point: str) -> None:
        recall = batch(recalled(3, ("e-1", ["identity"])))
        claimed(bench).apply(batch(identity(1), demographics(2)))
        dies_applying(bench, recall, point)
        claimed(bench).apply(recall)
        assert (bench.shown("e-1") or {})["given_name"] is None
        assert CANARY.encode() not in bench.stored()

    def test_a_second_runner_fences_the_first(self, bench: Bench) -> None:
        first = claimed(bench)
        first.apply(batch(opened_case(1)))
        second = claimed(bench)
        with pytest.raises(FencedError):
            first.apply(batch(identity(2)))
        assert bench.shown("e-1") is None
        second.apply(batch(identity(2)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_an_unclaimed_sink_does_not_write(self, bench: Bench) -> None:
        with pytest.raises(FencedError):
            bench.open().apply(batch(identity(1)))
