"""The suite on the bench that --bench names."""

from __future__ import annotations

import pytest

from connectors.conformance import OutageConformance, SinkConformance, StumblingConformance


class TestSink(SinkConformance):
    """Everything a sink promises."""


class TestOutages(OutageConformance):
    """What it promises while its system is away; the bench has outage()."""


class TestStumbling(StumblingConformance):
    """What it promises where its system fails for one event; the bench has broken()."""

    @pytest.fixture(autouse=True)
    def _can_be_broken(self, bench: object) -> None:
        if not hasattr(bench, "broken"):
            pytest.skip("the bench has no broken(): docs/connector-kit.md, The bench")
