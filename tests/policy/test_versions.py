"""A new version of the policy profile decides from its position on, and nothing before it."""

from __future__ import annotations

from pathlib import Path

from hub.audit import why
from hub.domain.policy import default_document
from tests.policy.officers import changed, in_force
from tests.road import CONSENT, Road

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


def test_earlier_decisions_stand_and_are_made_again_on_their_own_version(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    try:
        scope = {"SH-1": ["protection", "health"]}
        road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
        road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT)
        referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
        when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
        road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
        road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")
        needs = {"domains": ["medical"], "health_needs": "x"}
        before = road.publish("NGO-1", "NeedsAssessed", "C1", **needs)

        in_force(road.hub, changed(default_document(), "strict-1", shelter__health="N"))
        after = road.publish("NGO-1", "NeedsAssessed", "C1", **needs)

        first = why(road.hub.exchange, "SH-1", str(before.position))
        second = why(road.hub.exchange, "SH-1", str(after.position))
        assert first.categories["health"].recorded == "released: consent:c1"
        assert second.categories["health"].recorded.startswith("withheld: never_rule")
        assert not first.divergent
        assert not second.divergent
        assert (first.policy, second.policy) == ("coe-1", "strict-1")
    finally:
        road.close()
