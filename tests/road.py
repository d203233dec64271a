"""A whole hub with agencies and partners in one place, for tests: every part is the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.agency.outcomes import Outcome
from connectors.agency.transport import TopicTransport
from connectors.runner import Runner
from connectors.sql import SqlSink
from connectors.submit import Event, Publisher
from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub
from hub.topics import open_topics

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

CONSENT: Mapping[str, Any] = {
    "given_by": "self",
    "purposes": ["assistance"],
    "covers_history": True,
    "valid_until": "2027-03-01",
    "method": "written",
    "notice_version": "n1",
    "withdrawal_channel": "any agency or helpline",
}


@dataclass
class Road:
    """One hub, its agencies, and each partner's own database."""

    folder: Path
    hub: Hub
    time: ScenarioTime
    identities: dict[str, AgencyIdentity] = field(default_factory=dict)
    partners: dict[str, Runner] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    sinks: list[SqlSink] = field(default_factory=list)
    _quiet: dict[str, int] = field(default_factory=dict)
    """How long the topic of a partner was whose connector found nothing more to do."""

    @classmethod
    def open(
        cls,
        folder: Path,
        roles: Mapping[str, str],
        *,
        topics: str = "",
        store: str = "",
        keys: str = "",
    ) -> Road:
        home = Home(folder / "hub")
        if not home.exists:
            home.init(
                topics=topics or "embedded:///topics.db",
                store=store or "sqlite:///events.db",
                keys=keys or "sqlite:///secrets.db",
            )
        time = ScenarioTime(START)
        road = cls(folder, Hub.open(home, Clock(time, steady=None)), time)
        for agency, role in roles.items():
            road.enrol(agency, role)
        road.settle()
        return road

    def enrol(self, agency: str, role: str) -> None:
        place = self.folder / agency
        if (place / "agency.toml").exists():
            self.identities[agency] = AgencyIdentity.load(place)
            return
        identity = AgencyIdentity.create(place, agency, f"{agency} office", role)
        approval = self.hub.enrolment.approve(identity.enrolment_request(), by="operator")
        identity.install_approval(approval)
        self.hub.ensure_topics()
        self.identities[agency] = identity

    def publisher(self, agency: str) -> Publisher:
        """The agency's publisher; its transport moves the hub while it waits for the answer."""
        transport = _Stepping(self, TopicTransport(self.hub.topics, self.identities[agency]))
        return Publisher(self.identities[agency], transport)

    def publish(self, agency: str, type_: str, case: str, **data: Any) -> Outcome:
        [outcome] = self.publish_all(agency, [self.event(type_, case, **data)])
        return outcome

    def publish_all(self, agency: str, events: list[Event]) -> list[Outcome]:
        return self.publisher(agency).publish(events)

    def event(self, type_: str, case: str, event_id: UUID | None = None, **data: Any) -> Event:
        return Event(type_, case, data, occurred_at=self.time.at, event_id=event_id)

    def partner(self, agency: str, url: str | None = None) -> Runner:
        """The agency's connector, writing into its own database."""
        if agency not in self.partners:
            identity = self.identities[agency]
            self.urls[agency] = url or f"sqlite:///{self.folder / f'{agency}.db'}"
            sink = SqlSink(self.urls[agency], agency, identity.hub.hub)
            self.sinks.append(sink)
            inbox = TopicInbox(open_topics(self.hub.settings.topics_url), identity)
            self.partners[agency] = Runner(inbox, sink, identity)
        return self.partners[agency]

    def settle(self, *, sent_to: bool = False) -> None:
        """Move hub and connectors until nothing is left to do.

        A connector that had nothing to do has nothing either until the hub sends it something.
        sent_to: that holds since the last time too, for nobody else has touched its books.
        """
        if not sent_to:
            self._quiet.clear()
        moved = True
        while moved:
            moved = bool(self.hub.step())
            for agency, runner in self.partners.items():
                end = self.hub.topics.end(self.identities[agency].hub.topics["deliveries"])
                if self._quiet.get(agency) == end:
                    continue
                moved = True
                if runner.run_once().idle:
                    self._quiet[agency] = end

    def close(self) -> None:
        for runner in self.partners.values():
            runner._inbox.close()
        for sink in self.sinks:
            sink.close()
        self.hub.stop()


def shelter_joins(road: Road, *categories: str, valid_until: str = "2027-03-01") -> None:
    """In case C1 of NGO-1: agreed to, referred and accepted."""
    scope = {"SH-1": list(categories)}
    consent = {**CONSENT, "valid_until": valid_until}
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **consent)
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
    road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
    assert road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1").accepted


class _Stepping:
    """A transport whose waiting moves the hub, so that tests need no threads."""

    def __init__(self, road: Road, inner: TopicTransport) -> None:
        self._road = road
        self._inner = inner

    def send(self, sealed: bytes) -> None:
        self._inner.send(sealed)

    def outcomes(self, timeout: float) -> list[bytes]:
        self._road.hub.ingest.step()
        return self._inner.outcomes(min(timeout, 0.2))

    def close(self) -> None:
        pass
