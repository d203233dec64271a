"""Agencies' desks: threads that publish cases through everything that happens to the hub.

Each desk takes some cases at a time through the same story: opened, consented, referred, accepted,
needs and corrections; some are withdrawn, some persons erased. What is done to which case comes
from the seed. A step is published until it is answered, as an agency would.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.errors import TransportDownError
from connectors.submit import Event, Limits, Publisher
from tests.chaos.ledger import Ledger
from tests.patience import PATIENCE

LIMITS = Limits(answer_seconds=1.0, give_up_seconds=10.0)
OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
Step = tuple[str, list[Event]]


class Desks:
    """Some desks at work. `publisher(desk, agency)` makes one that only this desk uses."""

    def __init__(
        self,
        ledger: Ledger,
        publisher: Callable[[int, str], Publisher],
        seed: int,
        *,
        desks: int = 3,
        cases: int = 2,
        pause: float = 0.05,
    ) -> None:
        """cases: at once per desk. pause: seconds between two steps of a desk."""
        self._ledger = ledger
        self._publisher = publisher
        self._seed = seed
        self._cases = cases
        self._pause = pause
        self._open = threading.Event()
        self._over = threading.Event()
        self._idle = [threading.Event() for _ in range(desks)]
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"desk-{number}", daemon=True)
            for number in range(desks)
        ]
        self.erasing = 0.15  # share of persons who are erased
        self.failures: list[str] = []
        for thread in self._threads:
            thread.start()

    # -- what a test says --------------------------------------------------------------------

    def work(self) -> None:
        """Begin, or go on."""
        for idle in self._idle:
            idle.clear()
        self._open.set()

    def rest(self, timeout: float = PATIENCE) -> None:
        """Every step that was begun is answered; then nothing new. Needs a hub that runs."""
        self._open.clear()
        deadline = time.monotonic() + timeout
        for idle in self._idle:
            if not idle.wait(max(0.0, deadline - time.monotonic())):
                self.failures.append(f"a desk had no answer for {timeout:.0f} s")

    def close(self) -> None:
        self._over.set()
        self._open.set()
        for thread in self._threads:
            thread.join(30)

    # -- what a desk does --------------------------------------------------------------------

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        publishers: dict[str, Publisher] = {}
        turn = 0
        try:
            while not self._over.is_set():
                turn += 1
                for agency, events in self._stories(chance, f"{self._seed}-{number}-{turn}"):
                    self._gate(number)
                    if self._over.is_set():
                        return
                    if agency not in publishers:
                        publishers[agency] = self._publisher(number, agency)
                    self._say(publishers[agency], agency, events)
                    time.sleep(self._pause)
        except Exception as wrong:
            self.failures.append(f"desk {number}: {wrong!r}")
        finally:
            self._idle[number].set()

    def _gate(self, number: int) -> None:
        while not self._open.is_set():
            self._idle[number].set()
            self._open.wait(0.5)

    def _say(self, publisher: Publisher, agency: str, events: list[Event]) -> None:
        entries = self._ledger.attempt(agency, publisher, events)
        while not self._over.is_set():
            try:
                outcomes = publisher.publish(events)
            except TransportDownError:
                continue
            self._ledger.told(entries, outcomes)
            for entry, outcome in zip(entries, outcomes, strict=True):
                if not outcome.accepted:
                    self.failures.append(
                        f"{entry.event.type} of {entry.event.case} was refused: "
                        f"{outcome.reason} {outcome.guard} {outcome.detail}"
                    )
            return

    def _stories(self, chance: random.Random, name: str) -> Iterator[Step]:
        """The steps of some cases side by side, one batch for all of them."""
        stories = [story(chance, f"{name}-{n}", self._erased) for n in range(self._cases)]
        while any(stories):
            by_agency: dict[str, list[Event]] = {}
            for steps in stories:
                if steps:
                    agency, events = steps.pop(0)
                    by_agency.setdefault(agency, []).extend(events)
            yield from by_agency.items()

    def _erased(self, chance: random.Random) -> bool:
        return chance.random() < self.erasing


def story(chance: random.Random, case: str, erased: Callable[[random.Random], bool]) -> list[Step]:
    """One case from its opening to whatever becomes of it."""
    says = _Says(chance, case)
    name = says("NGO-1", "IdentityRecorded", gender="F", family_name=f"Name {says.token()}")
    steps: list[Step] = [
        (
            "NGO-1",
            [
                says("NGO-1", "CaseOpened", **OPENED),
                says("NGO-1", "ConsentGiven", **_consent()),
                name,
                says("NGO-1", "ReferralMade", **_referral()),
            ],
        ),
        ("SH-1", [says("SH-1", "ReferralAccepted", referral_id="r1")]),
        ("NGO-1", [says.need(), says.need()]),
    ]
    if chance.random() < 0.4:
        corrects = {"corrects_event": str(name.event_id), "field": "family_name"}
        data = {**corrects, "new_value": f"Right {says.token()}"}
        steps.append(("NGO-1", [says("NGO-1", "RecordCorrected", "IdentityRecorded", **data)]))
    fate = chance.random()
    if erased(chance):
        over = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
        steps.append(("NGO-1", [says("NGO-1", "SubjectRequestDecided", request_id="q", **over)]))
        steps.append(("NGO-1", [says.need()]))
    elif fate < 0.3:
        agency = chance.choice(["NGO-1", "SH-1"])
        gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
        steps.append((agency, [says(agency, "ConsentWithdrawn", **gone)]))
        steps.append(("NGO-1", [says.need()]))
    else:
        steps += [("NGO-1", [says.need()]) for _ in range(chance.randrange(3))]
    return steps


class _Says:
    """Makes events of one case; ids and values from the seed, so that a run can be had again."""

    def __init__(self, chance: random.Random, case: str) -> None:
        self._chance = chance
        self._case = case

    def token(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def need(self) -> Event:
        return self(
            "NGO-1", "NeedsAssessed", domains=["medical"], health_needs=f"need {self.token()}"
        )

    def __call__(self, agency: str, type_: str, corrects: str | None = None, **data: Any) -> Event:
        return Event(
            type_,
            self._case,
            data,
            event_id=UUID(int=self._chance.getrandbits(128), version=4),
            occurred_at=datetime.now(UTC),
            corrects_type=corrects,
        )


def _consent() -> dict[str, Any]:
    return {
        "consent_id": "c1",
        "given_by": "self",
        "purposes": ["assistance"],
        "scope": {"SH-1": ["identity", "protection", "health"]},
        "covers_history": True,
        "valid_until": (datetime.now(UTC) + timedelta(days=300)).date().isoformat(),
        "method": "written",
        "notice_version": "n1",
        "withdrawal_channel": "any agency or helpline",
    }


def _referral() -> dict[str, Any]:
    return {
        "referral_id": "r1",
        "to_agency": "SH-1",
        "services": ["accommodation"],
        "urgency": "routine",
        "respond_by": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
        "basis": "c1",
    }
