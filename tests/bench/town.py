"""A town to measure in: one NGO that publishes, five partners that may see it, cases under way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from connectors.agency.identity import AgencyIdentity
from connectors.submit import Event, Publisher
from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.scenario.places import Places
from hub.scenario.stage import write_partner_settings

PARTNERS = {
    "SH-1": "shelter",
    "CA-1": "competent_authority",
    "POL-1": "police",
    "LEG-1": "legal_rep",
    "CPS-1": "child_protection",
}
SCOPE = {agency: ["identity", "contact", "protection"] for agency in (*PARTNERS, "NGO-1")}
CASES = 50
BATCH = 200


@dataclass
class Town:
    """A hub with everybody enrolled; every event of the NGO goes to all five partners."""

    folder: Path
    hub: Hub
    places: Places
    identities: dict[str, AgencyIdentity] = field(default_factory=dict)
    cases: list[str] = field(default_factory=list)

    @classmethod
    def build(cls, folder: Path, places: Places) -> Town:
        home = Home(folder / "hub")
        home.init("bench", store=places.store, keys=places.keys, topics=places.topics)
        town = cls(folder, Hub.open(home), places)
        for agency, role in {"NGO-1": "ngo_support", **PARTNERS}.items():
            identity = AgencyIdentity.create(folder / agency, agency, agency, role)
            request = identity.enrolment_request()
            identity.install_approval(town.hub.enrolment.approve(request, by="bench"))
            write_partner_settings(folder / agency, places.partner(agency))
            town.identities[agency] = identity
        town.hub.ensure_topics()
        town.open_cases("case")
        while town.hub.step():
            pass
        return town

    def open_cases(self, name: str) -> None:
        """New cases, in which everybody has a part; events go to these from now on."""
        self.cases = [f"{name}-{number}" for number in range(CASES)]
        opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
        consent = {
            "consent_id": "c1",
            "given_by": "self",
            "purposes": ["assistance"],
            "scope": SCOPE,
            "covers_history": True,
            "valid_until": "2099-01-01",
            "method": "written",
            "notice_version": "1",
            "withdrawal_channel": "any",
        }
        for case in self.cases:
            events = [Event("CaseOpened", case, opened), Event("ConsentGiven", case, consent)]
            for agency in PARTNERS:
                referral = {"referral_id": agency, "to_agency": agency, "services": ["x"]}
                when = {"urgency": "1_day", "respond_by": "2098-01-01T00:00:00Z", "basis": "c1"}
                events.append(Event("ReferralMade", case, {**referral, **when}))
            self._record("NGO-1", events)
            for agency in PARTNERS:
                self._record(agency, [Event("ReferralAccepted", case, {"referral_id": agency})])

    def _record(self, agency: str, events: list[Event]) -> None:
        sealed = Publisher(self.identities[agency]).prepare(events)
        [outcomes] = self.hub.exchange.record([self.hub.ingest.admit(sealed)])
        assert all(outcome.accepted for outcome in outcomes), outcomes

    def events(self, count: int) -> list[Event]:
        """Ordinary events: 9 fields in three categories, about 300 bytes of content."""
        return [
            Event(
                "IndicatorsScreened",
                self.cases[number % CASES],
                {
                    "tool": "national-1",
                    "indicators": ["isolation", "debt_bondage"],
                    "exploitation_types": ["LabourExploitation"],
                    "means_of_control": ["PhysicalThreats"],
                    "screened_by_role": "ngo_support",
                    "account": "synthetic " * 20,
                },
                event_id=uuid4(),
            )
            for number in range(count)
        ]

    def sealed(self, count: int, batch: int = BATCH) -> list[bytes]:
        """The events as an agency sends them, prepared before anything is timed."""
        publisher = Publisher(self.identities["NGO-1"])
        events = self.events(count)
        return [publisher.prepare(events[at : at + batch]) for at in range(0, count, batch)]

    @contextmanager
    def connectors(self) -> Iterator[list[subprocess.Popen[bytes]]]:
        """One connector process per partner, up and waiting."""
        processes = [
            subprocess.Popen(
                [
                    sys.executable,
                    *("-m", "hub.cli", "connector", "run"),
                    str(self.folder / agency / "partner.toml"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for agency in PARTNERS
        ]
        try:
            yield processes
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(20)

    def answered(self) -> bool:
        """Whether every partner has answered for everything marked for it."""
        counts = self.hub.exchange.log.counts().followers
        return self.hub.publisher.idle and all(
            counts.get(f"acknowledged/{agency}", 0)
            >= self.hub.exchange.last_version(delivery_stream(agency))
            for agency in PARTNERS
        )


def until(done: Callable[[], bool], seconds: float = 600.0) -> None:
    give_up = time.monotonic() + seconds
    while not done():
        if time.monotonic() > give_up:
            raise TimeoutError("the bench waited too long")
        time.sleep(0.02)
