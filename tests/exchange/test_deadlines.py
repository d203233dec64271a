"""A deadline that was over before its event happened is refused, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.domain.deadlines import DEADLINES, over_before_it_began
from hub.domain.facts import PLAIN
from tests.road import CONSENT, START, Road

YESTERDAY, TODAY = "2026-03-01", "2026-03-02"  # START is 2026-03-02T09:00Z

# What each type needs besides the deadline, and the deadline as it is wrong and as it is right.
CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "ReferralMade": (
        "NGO-1",
        {
            "referral_id": "r1",
            "to_agency": "SH-1",
            "services": ["accommodation"],
            "urgency": "3_hours",
            "basis": "c1",
        },
        "2026-03-02T08:59:59Z",
        "2026-03-02T09:00:00Z",
    ),
    "CaseClosed": ("NGO-1", {"reason": "inclusion"}, YESTERDAY, TODAY),
    "ConsentAmended": (
        "NGO-1",
        {"consent_id": "c1", "scope": {"SH-1": ["identity"]}, "reason": "renewal"},
        YESTERDAY,
        TODAY,
    ),
}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    assert road.publish("NGO-1", "CaseOpened", "C1", **opened).accepted
    given = {**CONSENT, "consent_id": "c1", "scope": {"SH-1": ["identity", "protection"]}}
    assert road.publish("NGO-1", "ConsentGiven", "C1", **given).accepted
    yield road
    road.close()


@pytest.mark.parametrize("type_", CASES)
def test_over_before_it_began_is_refused_and_put_right_is_taken(road: Road, type_: str) -> None:
    agency, data, wrong, right = CASES[type_]
    name = DEADLINES[type_][0]
    partner = road.partner("SH-1")
    no = road.publish(agency, type_, "C1", **{**data, name: wrong})
    assert (no.accepted, no.step, no.reason) == (False, 7, "deadline_past")
    assert no.detail is not None
    assert "correct the deadline" in no.detail
    assert wrong not in no.detail
    road.settle()
    assert partner.run_once().idle, "nothing of it reached anybody"
    assert road.publish(agency, type_, "C1", **{**data, name: right}).accepted


def test_a_late_report_of_what_was_right_on_its_day_is_taken(road: Road) -> None:
    _, data, _, right = CASES["ReferralMade"]
    event = road.event("ReferralMade", "C1", **{**data, "respond_by": right})
    road.time.at = START + timedelta(days=2)
    [outcome] = road.publish_all("NGO-1", [event])
    assert outcome.accepted


def test_an_amendment_may_end_a_consent_at_once_by_narrowing_it(road: Road) -> None:
    _, data, wrong, _ = CASES["ConsentAmended"]
    narrowed = {**data, "reason": "narrowed", "valid_until": wrong}
    assert road.publish("NGO-1", "ConsentAmended", "C1", **narrowed).accepted


def test_every_deadline_is_a_fact_that_is_kept() -> None:
    for type_, (name, fact, _) in DEADLINES.items():
        assert name in PLAIN[type_]
        assert not fact or fact in PLAIN[type_]


@pytest.mark.parametrize("value", ["", "soon", 7, None, "2026-13-40"])
def test_what_is_no_date_is_for_others_to_refuse(value: object) -> None:
    assert over_before_it_began("CaseClosed", {"retention_until": value}, START) is None


def test_a_permit_and_a_follow_up() -> None:
    over = {"outcome": "granted", "valid_until": YESTERDAY}
    no = over_before_it_began("ResidencePermitDecided", over, START)
    assert no is not None
    assert no.reason == "deadline_past"
    revoked = {**over, "outcome": "revoked"}
    assert over_before_it_began("ResidencePermitDecided", revoked, START) is None
    assert over_before_it_began("ReturnCompleted", {"follow_up_due": TODAY}, START) is None
    assert over_before_it_began("ReturnCompleted", {"follow_up_due": YESTERDAY}, START) is not None
