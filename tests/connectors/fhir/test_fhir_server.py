"""The FHIR sink against HAPI FHIR's JPA server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.conformance import SinkConformance
from fhir_server import FhirServer
from tests.connectors.fhir.bench import Bench


@pytest.fixture
def bench(tmp_path: Path, fhir_server: FhirServer) -> Iterator[Bench]:
    bench = Bench(tmp_path, fhir_server)
    yield bench
    bench.close()


class TestConformance(SinkConformance):
    pass
