"""The Primero sink passes the conformance suite, against a server made from the description.

One thing differs, and is tested: what is recalled stays in Primero's record history, so that the
receipt says restricted and never deleted.
"""

from __future__ import annotations

import pytest

from connectors.conformance import (
    CANARY,
    OutageConformance,
    SinkConformance,
    batch,
    claimed,
    demographics,
    identity,
    recalled,
)
from connectors.sink import RecallPolicy
from tests.case_systems.conftest import PrimeroBench


class TestPrimero(SinkConformance):
    @pytest.fixture
    def bench(self, primero: PrimeroBench) -> PrimeroBench:
        # Events of these types show only what the map names: here all go with every other.
        primero.without("ServiceEpisodeStarted", "ReferralMade", "CaseClosed")
        return primero

    def test_recalled_content_is_nowhere_in_the_storage(self, bench: PrimeroBench) -> None:
        """Nowhere but in the history, which is why the receipt does not say deleted."""
        sink = claimed(bench)
        sink.apply(batch(*[identity(n, f"e-{n}") for n in range(1, 9)]))
        assert CANARY.encode() in bench.stored()
        sink.apply(batch(recalled(9, *[(f"e-{n}", ["identity"]) for n in range(1, 9)])))
        assert CANARY.encode() not in bench.stored()
        assert CANARY.encode() in bench.server.history_path.read_bytes()
        assert {e.outcome for e in sink.owed(10)[-1].exceptions} == {"restricted"}

    def test_kept_on_an_own_basis(self, bench: PrimeroBench) -> None:
        sink = claimed(bench, RecallPolicy(own_basis={"identity": "Archive Act s. 3"}))
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity", "demographics"]))))
        shown = bench.shown("e-1") or {}
        assert (shown["given_name"], shown["gender"]) == (CANARY, None)
        assert {(e.outcome, e.detail) for e in sink.owed(10)[-1].exceptions} == {
            ("kept_own_basis", "e-1 identity: Archive Act s. 3"),
            ("restricted", "e-1 demographics"),
        }


class TestPrimeroOutages(OutageConformance):
    @pytest.fixture
    def bench(self, primero: PrimeroBench) -> PrimeroBench:
        primero.without("ServiceEpisodeStarted", "ReferralMade", "CaseClosed")
        return primero
