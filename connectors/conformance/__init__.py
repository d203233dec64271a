"""Conformance: what every Sink must do, as tests anyone can run on theirs.

    class TestMySink(SinkConformance):
        @pytest.fixture
        def bench(self, tmp_path): return MyBench(tmp_path)

or, without a file of tests, with a function that makes a bench in a folder:

    pytest -p connectors.conformance.plugin --pyargs connectors.conformance --bench mine.bench:make

A `Bench` opens the sink under test, again and again on the same storage, and says what the partner
sees. Nothing here needs a hub: deliveries are made up from the shipped schemas, as if verified.
The crash tests fork the process and let the child die at a crash point, as kill -9 would. A sink
whose system can be taken away in a test also passes `OutageConformance`; one that can be made to
fail for one event among others, `StumblingConformance`.
"""

from __future__ import annotations

import pytest

# Before they are imported: else a failure says AssertionError, and not what was compared.
pytest.register_assert_rewrite(
    *(
        f"connectors.conformance.{part}"
        for part in (
            "arriving", "contents", "correcting", "crashing", "outages", "recalling",
            "setting_aside", "sources", "telling", "times",
        )
    )
)  # fmt: skip

from connectors.conformance.arriving import Arriving
from connectors.conformance.bench import (
    POINTS,
    Bench,
    OutageBench,
    StumblingBench,
    claimed,
    dies_applying,
    killed,
)
from connectors.conformance.contents import Contents
from connectors.conformance.correcting import Correcting
from connectors.conformance.crashing import Crashing
from connectors.conformance.made import (
    CANARY,
    NOW,
    batch,
    corrected,
    demographics,
    identity,
    opened_case,
    poison,
    recalled,
    released,
)
from connectors.conformance.outages import OutageConformance, StumblingConformance
from connectors.conformance.recalling import Recalling
from connectors.conformance.setting_aside import SettingAside
from connectors.conformance.telling import Telling
from connectors.conformance.times import Times
from connectors.delivery import Arrived

__all__ = [
    "CANARY",
    "NOW",
    "POINTS",
    "Arrived",
    "Bench",
    "OutageBench",
    "OutageConformance",
    "SinkConformance",
    "StumblingBench",
    "StumblingConformance",
    "batch",
    "claimed",
    "corrected",
    "demographics",
    "dies_applying",
    "identity",
    "killed",
    "opened_case",
    "poison",
    "recalled",
    "released",
]


class SinkConformance(
    Arriving, Telling, Correcting, Recalling, SettingAside, Crashing, Contents, Times
):
    """The suite. Subclass it and give a `bench` fixture."""
