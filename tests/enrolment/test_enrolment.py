"""Agencies come in, renew their keys and are shut out; validity is by log position."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.agency.enrolment import EnrolmentRequest, sign_request, verify_approval
from connectors.agency.identity import AgencyIdentity
from connectors.errors import UntrustedError
from connectors.submit import Publisher
from hub.crypto.sealing import SealingKey
from hub.crypto.signing import SMALL_ORDER, SigningKey
from hub.errors import Refused
from tests.road import CONSENT, Road

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    yield road
    road.close()


def test_a_request_must_prove_possession_of_its_key(road: Road, tmp_path: Path) -> None:
    identity = AgencyIdentity.create(tmp_path / "SH-1", "SH-1", "Shelter", "shelter")
    envelope = json.loads(identity.enrolment_request())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["sealing_key"] = base64.b64encode(SealingKey.generate().public).decode()
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    with pytest.raises(UntrustedError):
        road.hub.enrolment.approve(json.dumps(envelope).encode(), by="operator")
    assert "SH-1" not in road.hub.exchange.agencies


@pytest.mark.parametrize("public", sorted(SMALL_ORDER), ids=lambda public: public.hex()[:8])
def test_small_order_keys_are_refused(road: Road, public: bytes) -> None:
    request = EnrolmentRequest("EVE", "Eve", "police", public, SealingKey.generate().public)
    with pytest.raises(UntrustedError, match="not usable"):
        road.hub.enrolment.approve(sign_request(request, SigningKey.generate()), by="operator")


def test_the_operator_decides_the_role(road: Road, tmp_path: Path) -> None:
    identity = AgencyIdentity.create(tmp_path / "X", "X-1", "X", "competent_authority")
    request = identity.enrolment_request()
    with pytest.raises(Refused, match="unknown_role"):
        road.hub.enrolment.approve(request, by="operator", role="king")
    road.hub.enrolment.approve(request, by="operator", role="shelter")
    agency = road.hub.exchange.agencies.get("X-1")
    assert agency is not None
    assert agency.role == "shelter"


def test_asking_again_is_answered_again(road: Road) -> None:
    request = road.identities["NGO-1"].enrolment_request()
    before = road.hub.exchange.position
    road.hub.enrolment.approve(request, by="operator")
    assert road.hub.exchange.position == before, "nothing new is recorded"


def test_a_stranger_cannot_take_an_agencys_place(road: Road, tmp_path: Path) -> None:
    imposter = AgencyIdentity.create(tmp_path / "imposter", "NGO-1", "NGO", "ngo_support")
    with pytest.raises(Refused, match="agency_exists"):
        road.hub.enrolment.approve(imposter.enrolment_request(), by="operator")


def test_rotation_by_log_position(road: Road, tmp_path: Path) -> None:
    identity = road.identities["NGO-1"]
    old = Publisher(AgencyIdentity.load(identity.home))
    assert road.publish("NGO-1", "CaseOpened", "C1", **OPENED).accepted
    early = old.prepare([road.event("CaseOpened", "C2", **OPENED)])

    approval = road.hub.enrolment.approve(identity.rotate(), by="operator")
    identity.install_approval(approval)
    road.settle()

    # What the old key signed before it was replaced stands; what arrives now is refused.
    [[late]] = road.hub.exchange.record([road.hub.ingest.admit(early)])
    assert late.refusal is not None
    assert (late.refusal.step, late.refusal.reason) == (3, "revoked_key")
    assert road.publish("NGO-1", "CaseOpened", "C3", **OPENED).accepted


def test_revocation_by_log_position(road: Road) -> None:
    first = road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    position = road.hub.enrolment.revoke("NGO-1", None, reason="stolen laptop", by="operator")
    assert first.position is not None
    assert first.position < position
    sealed = Publisher(road.identities["NGO-1"]).prepare([road.event("CaseOpened", "C2", **OPENED)])
    [[late]] = road.hub.exchange.record([road.hub.ingest.admit(sealed)])
    assert late.refusal is not None
    assert late.refusal.reason == "revoked_key"
    with pytest.raises(Refused, match="unknown_key"):
        road.hub.enrolment.revoke("NGO-1", None, reason="again", by="operator")


CONSENTED = {"consent_id": "c1", "scope": {"SH-1": ["protection"]}, **CONSENT}


def refer(road: Road, number: int) -> None:
    told = {"referral_id": f"r{number}", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "1_day", "respond_by": "2026-03-03T15:00:00Z", "basis": "c1"}
    assert road.publish("NGO-1", "ReferralMade", "C1", **told, **when).accepted


def referred(road: Road, agency: str = "SH-1") -> list[str]:
    with sqlite3.connect(road.urls[agency].removeprefix("sqlite:///")) as db:
        return [row[0] for row in db.execute("SELECT referral_id FROM referral_made ORDER BY 1")]


@pytest.mark.parametrize("restarted", [False, True])
def test_after_a_theft_nothing_is_sealed_to_the_stolen_key_and_nothing_is_lost(
    tmp_path: Path, restarted: bool
) -> None:
    roles = {"NGO-1": "ngo_support", "SH-1": "shelter"}
    road = Road.open(tmp_path, roles)
    connector = road.partner("SH-1")
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    road.publish("NGO-1", "ConsentGiven", "C1", **CONSENTED)
    refer(road, 1)
    road.settle()
    road.partners.clear()  # the laptop is stolen; its connector runs no more
    refer(road, 2)
    road.settle()
    topic = road.identities["SH-1"].hub.topics["deliveries"]
    assert len(road.hub.topics.read(topic, None, 10, 0)) == 1, "sealed to the stolen key"

    road.hub.enrolment.revoke("SH-1", None, reason="stolen laptop", by="operator")
    refer(road, 3)
    if not restarted:  # else the hub was down when the key was revoked, until it was replaced
        road.settle()
        assert road.hub.topics.read(topic, None, 10, 0) == []
        assert road.hub.exchange.log.tracking("sent/SH-1") == 2
        assert road.hub.publisher.idle
    anew = AgencyIdentity.create(tmp_path / "anew", "SH-1", "SH-1 office", "shelter")
    anew.install_approval(road.hub.enrolment.approve(anew.enrolment_request(), by="operator"))
    if restarted:
        road.close()
        road = Road.open(tmp_path, roles)
        road.urls["SH-1"] = f"sqlite:///{tmp_path / 'SH-1.db'}"
    road.identities["SH-1"] = anew
    connector = road.partner("SH-1")
    road.settle()
    try:
        assert referred(road) == ["r1", "r2", "r3"]
        assert connector.alarms == {}
        assert road.hub.receipts.acknowledged("SH-1") == 3
    finally:
        road.close()


def test_a_revoked_agency_cannot_come_back_by_a_key_that_was_revoked(
    road: Road, tmp_path: Path
) -> None:
    identity = road.identities["NGO-1"]
    road.hub.enrolment.revoke("NGO-1", None, reason="stolen laptop", by="operator")
    before = road.hub.exchange.position
    same_box = EnrolmentRequest(
        "NGO-1", "NGO", "ngo_support", (key := SigningKey.generate()).public,
        identity.sealing.public,
    )  # fmt: skip
    for request in (
        identity.enrolment_request(),
        identity.rotate(),  # whoever has the laptop can sign this
        sign_request(same_box, key),
    ):
        with pytest.raises(Refused, match="revoked_key"):
            road.hub.enrolment.approve(request, by="operator")
    assert road.hub.exchange.position == before
    anew = AgencyIdentity.create(tmp_path / "anew", "NGO-1", "NGO", "ngo_support")
    anew.install_approval(road.hub.enrolment.approve(anew.enrolment_request(), by="operator"))
    road.identities["NGO-1"] = anew
    assert road.publish("NGO-1", "CaseOpened", "C1", **OPENED).accepted
    with pytest.raises(Refused, match="agency_exists"):
        road.hub.enrolment.approve(
            AgencyIdentity.create(tmp_path / "x", "NGO-1", "N", "ngo_support").enrolment_request(),
            by="operator",
        )


def test_without_an_agreement_nothing_is_received_and_signing_catches_up_on_nothing(
    tmp_path: Path,
) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "CA-1": "competent_authority"})
    try:
        road.partner("CA-1")
        road.hub.enrolment.end_agreement("CA-1", by="operator")
        opened = {**OPENED, "age_status": "child"}
        road.publish("NGO-1", "CaseOpened", "C1", **opened)
        referral = {"referral_id": "r1", "to_agency": "CA-1", "services": ["identification"]}
        when = {"urgency": "1_day", "respond_by": "2026-03-03T15:00:00Z", "basis": "safeguarding"}
        road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
        road.settle()
        sent = road.hub.exchange.log.counts().by_topic.get("nrm.DeliveryLog.Sending", 0)
        assert sent == 0
        road.hub.enrolment.sign_agreement("CA-1", by="operator", agreement="order 12")
        road.settle()
        numbers = road.hub.exchange.log.counts
        assert numbers().by_topic.get("nrm.DeliveryLog.Sending", 0) == 0, "2.12: not by signing"
        road.publish("CA-1", "ReferralAccepted", "C1", referral_id="r1")
        road.settle()
        assert numbers().by_topic["nrm.DeliveryLog.Sending"] > 0, "by the next backfill"
        with pytest.raises(Refused, match="agreement_in_force"):
            road.hub.enrolment.sign_agreement("CA-1", by="operator")
    finally:
        road.close()


def test_agencies_are_told_the_addresses_at_which_they_reach_the_hub(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    request = road.identities["NGO-1"].enrolment_request()
    here = verify_approval(road.hub.enrolment.approve(request, by="operator"))
    assert here.http_url == "http://127.0.0.1:8441"
    assert here.topics_url == road.hub.settings.topics_url
    road.close()
    with (tmp_path / "hub" / "hub.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            '[agencies]\nhttp = "https://hub.example.org"\n'
            'topics = "kafka://broker.example.org:9093?security=ssl"\n'
        )
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    try:
        told = verify_approval(road.hub.enrolment.approve(request, by="operator"))
    finally:
        road.close()
    assert told.http_url == "https://hub.example.org"
    assert told.topics_url == "kafka://broker.example.org:9093?security=ssl"
