"""One small case played through a whole hub, and the bundles the tests take apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.road import CONSENT, Road

REFERRAL = {
    "referral_id": "r1",
    "to_agency": "SH-1",
    "services": ["accommodation"],
    "urgency": "routine",
    "respond_by": "2026-03-20T09:00:00Z",
    "basis": "c1",
}
IDENTITY = {"family_name": "Synthetic", "gender": "F"}


def small(folder: Path) -> Road:
    """NGO-1 opens C1 and refers to SH-1, which signs for all it gets; POL-1 has no part in it."""
    road = Road.open(
        folder, {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police", "EMB-1": "embassy"}
    )
    for agency in ("SH-1", "POL-1"):
        road.partner(agency)
    said = [
        road.publish(
            "NGO-1", "CaseOpened", "C1", jurisdiction="XX", channel="outreach", age_status="adult"
        ),
        road.publish(
            "NGO-1",
            "ConsentGiven",
            "C1",
            consent_id="c1",
            scope={"SH-1": ["identity", "protection", "contact"]},
            **CONSENT,
        ),
        road.publish("NGO-1", "ReferralMade", "C1", **REFERRAL),
        road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1"),
        road.publish("NGO-1", "IdentityRecorded", "C1", **IDENTITY),
    ]
    assert all(one.accepted for one in said), said
    road.settle()
    return road


@pytest.fixture(scope="session")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Not to be published to: other tests' bundles rest on what it holds."""
    road = small(tmp_path_factory.mktemp("verify"))
    yield road
    road.close()
