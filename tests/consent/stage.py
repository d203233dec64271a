"""What the tests of consent share: a hub, a consent, and somebody to withdraw from."""

from __future__ import annotations

from typing import Any

from connectors.agency.inbox import TopicInbox
from connectors.agency.outcomes import Outcome
from connectors.jsonl import JsonlSink
from connectors.runner import Runner
from connectors.sink import RecallPolicy, Sink
from connectors.sql import SqlSink
from hub.topics import open_topics
from schemas.registry import Schemas
from tests.road import CONSENT, Road

ROLES = {
    "NGO-1": "ngo_support",
    "SH-1": "shelter",
    "POL-1": "police",
    "CA-1": "competent_authority",
}
OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
CANARY = "Kanarie Zjevnova"
REFERRAL: dict[str, Any] = {
    "services": ["accommodation"],
    "urgency": "3_hours",
    "respond_by": "2026-03-02T15:00:00Z",
    "basis": "c1",
}


def accepted(outcome: Outcome) -> Outcome:
    assert outcome.accepted, (outcome.reason, outcome.detail)
    return outcome


def open_case(road: Road, case: str, scope: dict[str, list[str]], **changes: Any) -> None:
    """A case with consent c1 of this scope; everyone named has accepted a referral."""
    accepted(road.publish("NGO-1", "CaseOpened", case, **OPENED))
    given = {**CONSENT, **changes}
    accepted(road.publish("NGO-1", "ConsentGiven", case, consent_id="c1", scope=scope, **given))
    for agency in scope:
        refer(road, case, agency)


def refer(road: Road, case: str, agency: str) -> None:
    asked = {"referral_id": f"to-{agency}", "to_agency": agency, **REFERRAL}
    accepted(road.publish("NGO-1", "ReferralMade", case, **asked))
    accepted(road.publish(agency, "ReferralAccepted", case, referral_id=f"to-{agency}"))


def needs(road: Road, case: str, text: str = CANARY) -> Outcome:
    return accepted(
        road.publish("NGO-1", "NeedsAssessed", case, domains=["medical"], health_needs=text)
    )


def withdraw(road: Road, case: str, by: str = "NGO-1", **changes: Any) -> Outcome:
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False, **changes}
    return accepted(road.publish(by, "ConsentWithdrawn", case, **gone))


def sink_of(road: Road, agency: str, kind: str, policy: RecallPolicy | None = None) -> Sink:
    """A sink of this kind: sqlite, jsonl, or a PostgreSQL database by its url. See `close`."""
    hub = road.identities[agency].hub.hub
    url = f"sqlite:///{road.folder / f'{agency}.db'}" if kind == "sqlite" else kind
    sink: Sink = (
        JsonlSink(road.folder / f"{agency}.jsonl", agency, hub, recalls=policy)
        if kind == "jsonl"
        else SqlSink(url, agency, hub, recalls=policy)
    )
    _OPENED.append(sink)
    return sink


_OPENED: list[Sink] = []


def close(road: Road) -> None:
    """The hub and every sink opened by `sink_of`."""
    road.close()
    while _OPENED:
        _OPENED.pop().close()


def partner(road: Road, agency: str, sink: Sink, schemas: Schemas | None = None) -> Runner:
    """The agency's connector writing into this sink; `settle` moves it."""
    identity = road.identities[agency]
    inbox = TopicInbox(open_topics(road.hub.settings.topics_url), identity)
    runner = road.partners[agency] = Runner(inbox, sink, identity, schemas=schemas)
    return runner
