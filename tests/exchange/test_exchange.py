"""The exchange: idempotent, one writer at a time, and never a send on a withdrawn consent."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived, BadMessage
from connectors.opening.opener import Opener
from connectors.submit import Publisher
from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.recording.cases import fold
from hub.recording.draft import stream_id
from hub.store import events as stored
from tests.depth import depth
from tests.road import CONSENT, Road

ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"}
OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    road.close()


def join_shelter(road: Road, case: str) -> None:
    """A case with an active consent for the shelter, which has accepted a referral."""
    scope = {"SH-1": ["protection", "health"]}
    road.publish("NGO-1", "CaseOpened", case, **OPENED)
    road.publish("NGO-1", "ConsentGiven", case, consent_id="c1", scope=scope, **CONSENT)
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
    road.publish("NGO-1", "ReferralMade", case, **referral, **when)
    assert road.publish("SH-1", "ReferralAccepted", case, referral_id="r1").accepted


def test_the_same_event_three_times_has_one_outcome(road: Road) -> None:
    event = road.event("CaseOpened", "C1", event_id=uuid4(), **OPENED)
    first, second, third = (road.publish_all("NGO-1", [event])[0] for _ in range(3))
    assert first.accepted
    assert (first.position, first.digest) == (second.position, second.digest)
    assert second == third
    topics = road.hub.exchange.log.counts().by_topic
    assert topics["nrm.Case.EventAccepted"] == 1


def test_twice_in_one_batch_is_still_once(road: Road) -> None:
    event = road.event("CaseOpened", "C1", event_id=uuid4(), **OPENED)
    sealed = Publisher(road.identities["NGO-1"]).prepare([event])
    admission = road.hub.ingest.admit(sealed)
    [one], [two] = road.hub.exchange.record([admission, admission])
    assert one.accepted
    assert one == two
    assert road.hub.exchange.log.counts().by_topic["nrm.Case.EventAccepted"] == 1


def test_the_same_id_with_other_bytes_is_a_conflict(road: Road) -> None:
    event_id = uuid4()
    first = road.event("CaseOpened", "C1", event_id=event_id, **OPENED)
    other = road.event("CaseOpened", "C1", event_id=event_id, **{**OPENED, "channel": "border"})
    assert road.publish_all("NGO-1", [first])[0].accepted
    [conflict] = road.publish_all("NGO-1", [other])
    assert (conflict.accepted, conflict.reason) == (False, "conflict")
    assert road.publish_all("NGO-1", [first])[0].accepted, "the first answer stands"
    assert road.hub.exchange.log.counts().by_topic["nrm.Case.EventAccepted"] == 1


def test_a_refusal_by_law_is_the_same_refusal_again(road: Road) -> None:
    event = road.event("ReferralAccepted", "nowhere", event_id=uuid4(), referral_id="r1")
    first, second = (road.publish_all("SH-1", [event])[0] for _ in range(2))
    assert not first.accepted
    assert first.step == 7
    assert first == second
    assert road.hub.exchange.log.counts().by_topic["nrm.Submission.Refused"] == 1


def test_an_unknown_case_and_a_foreign_case_look_alike(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    risk = {"risk_id": "k", "level": "low", "reviewed_by": "2026-04-01", "scope": "current"}
    foreign = road.publish("SH-1", "RiskAssessed", "C1", **risk)
    unknown = road.publish("SH-1", "RiskAssessed", "C2", **risk)
    assert not foreign.accepted
    assert (foreign.step, foreign.reason, foreign.guard, foreign.detail) == (
        unknown.step,
        unknown.reason,
        unknown.guard,
        unknown.detail,
    )


def test_one_case_is_one_persons(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    event = road.event("CaseOpened", "C1", **OPENED)
    [outcome] = road.publish_all("NGO-1", [replace(event, subject="somebody-else")])
    assert (outcome.reason, outcome.guard) == ("group_case_refused", "G19")


def test_a_rebuilt_case_decides_like_the_live_one(road: Road) -> None:
    join_shelter(road, "C1")
    exchange = road.hub.exchange
    case_id = exchange.pseudonyms.canonical("case", "C1")
    live = exchange.case(case_id)
    folded = fold([one.event for one in exchange.log.stream(case_id)], exchange.secrets)
    assert live is not None
    assert folded.holdings == live.holdings
    assert folded.involvement.agencies() == live.involvement.agencies()
    assert [e.event_id for e in folded.events] == [e.event_id for e in live.events]
    assert [e.position for e in folded.events] == [e.position for e in live.events]


def test_two_hubs_on_one_store_take_turns(road: Road, tmp_path: Path) -> None:
    """The second process fences the first: neither decides on a state the other has changed."""
    join_shelter(road, "C1")
    other = Hub.open(Home(tmp_path / "hub"), road.hub.exchange.clock)
    try:
        identity = road.identities["NGO-1"]
        needs = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="x")
        gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
        withdrawal = road.event("ConsentWithdrawn", "C1", **gone)
        publisher = Publisher(identity)
        first = road.hub.ingest.admit(publisher.prepare([needs]))
        [[answer]] = other.exchange.record([other.ingest.admit(publisher.prepare([withdrawal]))])
        assert answer.accepted
        [[late]] = road.hub.exchange.record([first])
        assert late.accepted
        [settled] = [
            one.event
            for one in road.hub.exchange.log.read(late.position or 0, 1)
            if isinstance(one.event, stored.Settled)
        ]
        decided = json.loads(settled.settlement).get("decided", {}).get("SH-1", {})
        assert decided["health"] == ["withdrawn"]
    finally:
        other.stop()


@pytest.mark.parametrize("seed", range(depth(16, 40)))
def test_no_send_starts_on_a_withdrawn_consent(road: Road, seed: int) -> None:
    """I3: a withdrawal racing decisions, marks and sends, under a seeded schedule."""
    chance = random.Random(seed)
    exchange, hub = road.hub.exchange, road.hub
    publisher = Publisher(road.identities["NGO-1"])
    for round_ in range(5):
        case = f"race-{seed}-{round_}"
        join_shelter(road, case)
        road.settle()
        work = ["event"] * 6 + ["withdraw"] + ["mark", "send", "mark"] * 3
        chance.shuffle(work)
        withdrawn_at = None
        for step in work:
            if step == "mark":
                hub.publisher.mark()
            elif step == "send":
                hub.publisher.send()
            else:
                if step == "event":
                    event = road.event("NeedsAssessed", case, domains=["medical"], health_needs="x")
                else:
                    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
                    event = road.event("ConsentWithdrawn", case, **gone)
                admission = hub.ingest.admit(publisher.prepare([event]))
                [[answer]] = exchange.record([admission])
                assert answer.accepted
                if step == "withdraw":
                    withdrawn_at = answer.position
        road.settle()
        assert withdrawn_at is not None
        _nothing_marked_after(road, case, withdrawn_at)


def _nothing_marked_after(road: Road, case: str, withdrawn_at: int) -> None:
    case_id = road.hub.exchange.pseudonyms.canonical("case", case)
    seen: set[str] = set()
    recalled: set[str] = set()
    for one in road.hub.exchange.log.stream(delivery_stream("SH-1")):
        sending = one.event
        assert isinstance(sending, stored.Sending)
        if UUID(bytes=sending.case_id) != case_id:
            continue
        items = json.loads(sending.items)
        if sending.kind == "recall":
            recalled |= {event for event, _ in items["items"]}
        elif any(basis.startswith("consent:") for basis in items["bases"].values()):
            assert one.position < withdrawn_at, "marked as sending after the withdrawal"
            about = road.hub.exchange.log.read(sending.event_position - 1, 1)[0].event
            assert isinstance(about, stored.EventAccepted)
            seen.add(str(UUID(bytes=about.event_id)))
    assert seen <= recalled, "everything sent on the consent is recalled"


def test_refusals_are_recorded_without_content(road: Road) -> None:
    secret = "Kanarie in a refused event"
    data = {"domains": ["medical"], "health_needs": secret}
    outcome = road.publish("SH-1", "NeedsAssessed", "nowhere", **data)
    assert not outcome.accepted
    [refused] = road.hub.exchange.log.stream(stream_id("refusals", "SH-1"))
    assert isinstance(refused.event, stored.Refused)
    assert secret not in repr(refused.event)
    assert refused.event.reason == outcome.reason


def test_an_untrusted_clock_withholds_what_can_expire(road: Road) -> None:
    join_shelter(road, "C1")
    clock = road.hub.exchange.clock
    clock._steady = lambda: 0.0
    clock._distrusted_until = 1.0
    outcome = road.publish("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    [settled] = [
        one.event
        for one in road.hub.exchange.log.read(outcome.position or 0, 1)
        if isinstance(one.event, stored.Settled)
    ]
    decided = json.loads(settled.settlement)
    assert decided["decided"]["SH-1"]["health"] == ["expired"]


def test_a_new_basis_at_sending_is_recorded_and_recalled_by(road: Road) -> None:
    """Released on c1, which is withdrawn before sending while c2 covers the same: sent on c2."""
    scope = {"SH-1": ["protection", "health"]}
    join_shelter(road, "C1")
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c2", scope=scope, **CONSENT)
    road.settle()
    exchange, publisher = road.hub.exchange, Publisher(road.identities["NGO-1"])
    needs = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    for event in (needs, road.event("ConsentWithdrawn", "C1", **gone)):
        [[answer]] = exchange.record([road.hub.ingest.admit(publisher.prepare([event]))])
        assert answer.accepted
    road.settle()
    case_id = exchange.pseudonyms.canonical("case", "C1")
    live = exchange.case(case_id)
    folded = fold([one.event for one in exchange.log.stream(case_id)], exchange.secrets)
    assert live is not None
    assert live.holdings == folded.holdings
    topics = exchange.log.counts().by_topic
    assert topics["nrm.Case.HeldBack"] >= 1


class Opened:
    """What one recipient can open of everything sealed to it."""

    def __init__(self, road: Road, agency: str) -> None:
        identity = road.identities[agency]
        registry = RegistryCache(identity)
        published = road.hub.topics.read(identity.hub.topics["registry"], None, 1_000, 0)
        registry.update(published[-1].value)
        self.opener = Opener(identity, registry)
        self.topic = identity.hub.topics["deliveries"]
        self.road, self.agency = road, agency

    def on_the_topic(self) -> list[Arrived]:
        messages = self.road.hub.topics.read(self.topic, None, 1_000, 0)
        return self._of([one.value for one in messages])

    def over_http(self) -> list[Arrived]:
        return self._of(self.road.hub.publisher.sealed_after(self.agency, 0, 500))

    def _of(self, messages: list[bytes]) -> list[Arrived]:
        found = []
        for raw in messages:
            opened = self.opener.open(raw)
            assert not isinstance(opened, BadMessage)
            found += [one for one in opened.items if isinstance(one, Arrived)]
        return found


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_taken_back_before_it_was_sealed_is_not_sealed(
    road: Road, tmp_path: Path, restarted: bool
) -> None:
    """The broker is away for hours: events are marked, and the person withdraws meanwhile."""
    join_shelter(road, "C1")
    road.settle()
    before = road.hub.exchange.log.tracking("sent/SH-1")
    canary = "a need told in confidence"
    road.publish("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs=canary)
    road.hub.publisher.mark()
    some = {"consent_id": "c1", "extent": "categories", "categories": ["health"]}
    road.publish("NGO-1", "ConsentWithdrawn", "C1", leave_nrm=False, **some)
    road.hub.publisher.mark()
    assert road.hub.exchange.log.tracking("sent/SH-1") == before, "nothing was sealed so far"
    if restarted:
        road.close()
        road = Road.open(tmp_path, ROLES)
    road.settle()
    shelter = Opened(road, "SH-1")
    for arrived in (shelter.on_the_topic(), shelter.over_http()):
        assert [one.sequence for one in arrived] == list(range(1, len(arrived) + 1))
        needs, *others = [one for one in arrived if one.sequence > before]
        [recall] = [one for one in others if one.kind == "recall"]
        assert needs.event_type == "NeedsAssessed"
        assert set(needs.fields) == {"protection"}, "what still stands is sent"
        assert canary not in repr(arrived)

    # What was given again later is sent again, whatever was recalled before.
    road.publish(
        "NGO-1", "ConsentGiven", "C1", consent_id="c2", scope={"SH-1": ["health"]}, **CONSENT
    )
    road.settle()
    for arrived in (shelter.on_the_topic(), shelter.over_http()):
        told = [one for one in arrived if canary in repr(one)]
        assert [set(one.fields) for one in told] == [{"health"}]
        assert told[0].sequence > recall.sequence
    if restarted:
        road.close()


def test_a_partner_that_was_away_gets_nothing_that_was_taken_back_over_http(road: Road) -> None:
    join_shelter(road, "C1")
    canary = "a need told in confidence"
    road.publish("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs=canary)
    road.settle()
    shelter = Opened(road, "SH-1")
    assert canary in repr(shelter.over_http())
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    road.publish("NGO-1", "ConsentWithdrawn", "C1", **gone)
    road.settle()
    assert canary not in repr(shelter.over_http())


def test_a_reference_by_an_agency_s_own_name_is_found_again_after_a_restart(road: Road) -> None:
    """An agency may know an event by its own pseudonym only; the record keeps which it means."""
    exchange = road.hub.exchange
    road.publish(
        "NGO-1", "CaseOpened", "C9", jurisdiction="XX", channel="outreach", age_status="adult"
    )
    wrong = road.event("IdentityRecorded", "C9", family_name="Wrong")
    [outcome] = road.publish_all("NGO-1", [wrong])
    assert outcome.event_id is not None
    own = exchange.pseudonyms.pseudonym("NGO-1", "event", outcome.event_id)
    correction = replace(
        road.event(
            "RecordCorrected", "C9", corrects_event=own, field="family_name", new_value="Right"
        ),
        corrects_type="IdentityRecorded",
    )
    [corrected] = road.publish_all("NGO-1", [correction])
    assert corrected.accepted
    case_id = exchange.pseudonyms.canonical("case", "C9")
    as_decided = exchange.case(case_id)
    assert as_decided is not None
    assert as_decided.events[-1].categories == ("case_management", "identity")
    exchange._forget()
    again = exchange.case(case_id)
    assert again is not None
    assert again.events[-1] == as_decided.events[-1]
