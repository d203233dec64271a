"""The DHIS2 sink passes the conformance suite, against a server made from the description."""

from __future__ import annotations

import pytest

from connectors.conformance import OutageConformance, SinkConformance
from tests.case_systems.conftest import Dhis2Bench


class TestDhis2(SinkConformance):
    @pytest.fixture
    def bench(self, dhis2: Dhis2Bench) -> Dhis2Bench:
        dhis2.without(lines="atGivenName")  # an attribute takes no text of 8 KiB
        return dhis2


class TestDhis2Outages(OutageConformance):
    @pytest.fixture
    def bench(self, dhis2: Dhis2Bench) -> Dhis2Bench:
        return dhis2
