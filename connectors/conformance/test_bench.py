"""The suite on the bench that --bench names."""

from __future__ import annotations

from connectors.conformance import OutageConformance, SinkConformance


class TestSink(SinkConformance):
    """Everything a sink promises."""


class TestOutages(OutageConformance):
    """What it promises while its system is away; the bench has outage()."""
