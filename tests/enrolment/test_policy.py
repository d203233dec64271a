"""A new version of the policy profile decides from its position on, and nothing before it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from hub.audit import why
from hub.domain.policy import PolicyError, default_document
from hub.errors import Refused
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

        strict = copy.deepcopy(default_document())
        strict["version"] = "strict-1"
        strict["matrix"]["shelter"]["health"] = "N"
        road.hub.enrolment.publish_policy(strict, by="ministry")
        after = road.publish("NGO-1", "NeedsAssessed", "C1", **needs)

        first = why(road.hub.exchange, "SH-1", str(before.position))
        second = why(road.hub.exchange, "SH-1", str(after.position))
        assert first.categories["health"].recorded == "released: consent:c1"
        assert second.categories["health"].recorded.startswith("withheld: never_rule")
        assert not first.divergent
        assert not second.divergent
        assert (first.policy, second.policy) == ("default-1", "strict-1")
    finally:
        road.close()


def test_a_wrong_or_unchanged_profile_is_refused(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    try:
        with pytest.raises(Refused, match="same_version"):
            road.hub.enrolment.publish_policy(default_document(), by="ministry")
        broken = {**default_document(), "version": "2"}
        del broken["matrix"]
        with pytest.raises(PolicyError, match="matrix"):
            road.hub.enrolment.publish_policy(broken, by="ministry")
    finally:
        road.close()
