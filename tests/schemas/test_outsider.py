"""What a real hub sent, read by somebody who has only docs/formats.md and stock libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from avro.errors import AvroException
from cryptography.exceptions import InvalidSignature, InvalidTag

from connectors.agency.identity import AgencyIdentity
from hub.membership.registry import signed_registry
from tests.road import CONSENT, Road
from tests.schemas import outsider

NOTICED = (AssertionError, InvalidSignature, AvroException, UnicodeDecodeError)
ROLES = {
    "NGO-1": "ngo_support",
    "CA-1": "competent_authority",
    "SH-1": "shelter",
    "POL-1": "police",
    "IMM-1": "immigration_enforcement",
}


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """A case with a consent, two accepted referrals, a batch, a removal hold, a withdrawal."""
    road = Road.open(tmp_path_factory.mktemp("outsider"), ROLES)

    def publish(agency: str, event_type: str, **data: Any) -> None:
        outcome = road.publish(agency, event_type, "C1", **data)
        assert outcome.accepted, outcome.reason

    publish("NGO-1", "CaseOpened", jurisdiction="XX", channel="outreach", age_status="adult")
    scope = {"SH-1": ["identity", "protection"], "CA-1": ["identity"]}
    publish("NGO-1", "ConsentGiven", consent_id="c1", scope=scope, **CONSENT)
    when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
    for referral, agency in (("r1", "SH-1"), ("r2", "CA-1")):
        what = {"referral_id": referral, "to_agency": agency, "services": ["assistance"]}
        publish("NGO-1", "ReferralMade", **what, **when, summary="a bed")
        publish(agency, "ReferralAccepted", referral_id=referral)
    person = {"given_name": "Synthetic", "family_name": "Person", "gender": "F"}
    needs = {"domains": ["medical"], "health_needs": "for the file only"}
    together = [
        road.event("IdentityRecorded", "C1", **person),
        road.event("NeedsAssessed", "C1", **needs),
        road.event("NeedsAssessed", "C1", **needs),
    ]
    assert all(outcome.accepted for outcome in road.publish_all("NGO-1", together))
    publish("CA-1", "RemovalHoldPlaced", hold_ref="h1", until="2026-05-01")
    road.settle()  # sent before it is withdrawn
    withdrawn = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    publish("NGO-1", "ConsentWithdrawn", **withdrawn)
    road.settle()
    yield road
    road.close()


def told(road: Road, agency: str) -> dict[str, Any]:
    """All an outsider in that agency's place knows."""
    identity: AgencyIdentity = road.identities[agency]
    [hub_key] = identity.hub.keys.values()
    hub_public = hub_key.public
    [sealing] = identity.sealing_keys.values()
    published = signed_registry(road.hub.exchange, identity.hub.hub, road.hub.keys.signing)
    return {
        "hub": identity.hub.hub,
        "recipient": identity.hub.recipient,
        "hub_public": hub_public,
        "sealing_private": sealing.private,
        "known": outsider.registry(published, hub_public),
    }


def messages(road: Road, agency: str) -> list[bytes]:
    """As they were sealed at the time; over HTTP, what was recalled since is left out."""
    topic = road.identities[agency].hub.topics["deliveries"]
    return [one.value for one in road.hub.topics.read(topic, None, 500, 0)]


def read(road: Road, agency: str) -> list[dict[str, Any]]:
    known = told(road, agency)
    return [one for raw in messages(road, agency) for one in outsider.read(raw, **known)]


def test_a_recipient_reads_and_verifies_what_it_was_sent(road: Road) -> None:
    deliveries = read(road, "SH-1")
    assert [one["sequence"] for one in deliveries] == list(range(1, len(deliveries) + 1))
    released: dict[str, dict[str, Any]] = {}
    for one in deliveries:
        if one["kind"] == "release":
            released.setdefault(one["event_type"], {}).update(one["content"])
    identity = released["IdentityRecorded"]
    assert set(identity) == {"identity"}  # and not demographics
    assert identity["identity"]["family_name"] == "Person"
    assert released["ReferralMade"]["protection"] == {"summary": "a bed"}
    consent = released["ConsentGiven"]
    assert set(consent) == {"consent", "consent/SH-1"}  # and not that of the police
    assert consent["consent/SH-1"] == {"scope": ["identity", "protection"]}
    assert "for the file only" not in str(deliveries)
    recalls = [one["recall"] for one in deliveries if one["kind"] == "recall"]
    assert {c for recall in recalls for item in recall["items"] for c in item["categories"]} == {
        "identity",
        "protection",
    }


def test_events_signed_together_have_a_path_each(road: Road) -> None:
    [identity] = [one for one in read(road, "SH-1") if one["event_type"] == "IdentityRecorded"]
    evidence = outsider.message("AgencyEvidence", identity["evidence"])
    assert outsider.message("BatchHead", evidence["head"])["size"] == 3
    assert len(outsider.hashes(evidence["path"])) == 2


def test_a_hub_attested_delivery_says_the_same_and_carries_no_signature(road: Road) -> None:
    holds = [one for one in read(road, "IMM-1") if one["event_type"] == "RemovalHoldPlaced"]
    assert holds
    for one in holds:
        assert (one["evidence"], one["agency"]) == (None, None)
        assert one["event_ref"].startswith("ne-")
        assert one["content"]["removal_hold"]["hold_ref"] == "h1"
        assert one["occurred_at"] % 86_400_000_000 == 0


def test_nobody_else_can_read_it(road: Road) -> None:
    [raw, *_] = messages(road, "SH-1")
    theirs = {**told(road, "SH-1"), "sealing_private": told(road, "POL-1")["sealing_private"]}
    with pytest.raises(InvalidTag):
        outsider.read(raw, **theirs)


def test_every_changed_byte_is_noticed(road: Road) -> None:
    [raw, *_] = messages(road, "SH-1")
    known = told(road, "SH-1")
    outsider.read(raw, **known)
    for at in range(0, len(raw), 97):
        changed = bytearray(raw)
        changed[at] ^= 1
        with pytest.raises(NOTICED):
            outsider.read(bytes(changed), **known)
