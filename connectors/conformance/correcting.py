"""Corrections change what they correct, whichever comes first, and are recalled like all else."""

from __future__ import annotations

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    batch,
    corrected,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)


class Correcting:
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
