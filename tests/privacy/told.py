"""A whole hub whose stories are told in short phrases, and what its partners' databases then hold.

Everything goes the whole road; what a partner knows is read back from its own database.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from connectors.agency.outcomes import Outcome
from connectors.submit import Event
from hub.topics.port import Message
from tests.noted import noted as taken_by
from tests.road import CONSENT, Road
from tests.scenarios.completing import complete

ROLES = {
    "AUD": "auditor",
    "CA": "competent_authority",
    "CPS": "child_protection",
    "EMB": "embassy",
    "GRD": "guardian",
    "HLT": "health",
    "IMMENF": "immigration_enforcement",
    "IMMSTA": "immigration_status",
    "LEG": "legal_rep",
    "NGO": "ngo_support",
    "POL": "police",
    "PROS": "prosecutor",
    "SH": "shelter",
    "UNI": "trade_union",
}


class Told:
    """One hub. Agencies are named by their role's short form; every one of them is a partner."""

    def __init__(self, folder: Path, *agencies: str) -> None:
        self.folder = folder
        self.agencies = agencies
        roles = {agency: ROLES[agency.partition("-")[0]] for agency in agencies}
        self.road = Road.open(folder, roles)
        for agency in agencies:
            self.road.partner(agency)
        self.count = 0
        self.asides = 0

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *failure: object) -> None:
        self.road.close()

    # -- telling ---------------------------------------------------------------------------

    def on(self, when: str) -> None:
        self.road.time.at = datetime.fromisoformat(when)

    def says(self, agency: str, kind: str, case: str = "C1", /, **data: Any) -> str:
        """Publish one event, whole; its id. Every required field not given gets a plain value."""
        outcome = self.hears(agency, kind, case, **data)
        assert outcome.accepted, f"{agency} {kind}: {outcome}"
        assert outcome.event_id is not None
        return str(outcome.event_id)

    def hears(self, agency: str, kind: str, case: str = "C1", /, **data: Any) -> Outcome:
        """As `says`, refused or not."""
        [outcome] = self.road.publish_all(agency, [self.event(kind, case, **data)])
        self.road.settle()
        return outcome

    def attend(self) -> None:
        """What the hub does of itself: its own events, timers, the work list."""
        busy = True
        while busy:
            self.road.settle()
            busy = bool(self.road.hub.attend())

    def event(self, kind: str, case: str = "C1", /, **data: Any) -> Event:
        """The story's next event, a minute later, whole and not published yet."""
        self.count += 1
        self.road.time.at += timedelta(minutes=1)
        event_id = UUID(int=(0x40008000 << 64) + self.count)
        return self.road.event(kind, case, event_id=event_id, **complete(kind, data))

    def aside(
        self, agency: str, kind: str, case: str = "C1", /, *, refused: bool = False, **data: Any
    ) -> None:
        """Publish an event that takes no time and no number of the story's own."""
        self.asides += 1
        event_id = UUID(int=(0x40008001 << 64) + self.asides)
        event = self.road.event(kind, case, event_id=event_id, **complete(kind, data))
        [outcome] = self.road.publish_all(agency, [event])
        assert outcome.accepted is not refused, f"{agency} {kind}: {outcome}"
        self.road.settle()

    def opened(self, agency: str = "NGO-1", age: str = "adult", case: str = "C1") -> str:
        return self.says(agency, "CaseOpened", case, age_status=age)

    def consents(
        self, scope: dict[str, list[str]], *, consent_id: str = "c1", by: str = "NGO-1", **data: Any
    ) -> str:
        data = {**CONSENT, "scope": scope, "consent_id": consent_id, **data}
        return self.says(by, "ConsentGiven", data.pop("case", "C1"), **data)

    def refers(self, sender: str, to: str, case: str = "C1", basis: str = "c1") -> str:
        return self.says(
            sender,
            "ReferralMade",
            case,
            referral_id=f"to-{to}",
            to_agency=to,
            basis=basis,
            respond_by="2027-01-01T00:00:00Z",
            summary=f"referred to {to}",
        )

    def involves(self, sender: str, *agencies: str, case: str = "C1", basis: str = "c1") -> None:
        for to in agencies:
            self.refers(sender, to, case, basis)
            self.says(to, "ReferralAccepted", case, referral_id=f"to-{to}")

    # -- what a partner has ----------------------------------------------------------------

    def rows(self, agency: str, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / f"{agency}.db")) as database:
            return database.execute(query).fetchall()

    def holds(self, agency: str) -> dict[str, set[str]]:
        """Event type → categories the partner holds now."""
        held: dict[str, set[str]] = {}
        for kind, category in self.rows(agency, "SELECT event_type, category FROM nrm_holding"):
            held.setdefault(kind, set()).add(category)
        return held

    def knows(self, agency: str, word: str) -> bool:
        """Whether the word stands anywhere in the partner's database files."""
        files = self.folder.glob(f"{agency}.db*")
        return any(word.encode() in file.read_bytes() for file in files)

    def tables(self, agency: str) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the partner's database, by table."""
        names = [
            name
            for (name,) in self.rows(
                agency, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
            if not name.startswith("sqlite_")
        ]
        return {name: self.rows(agency, f'SELECT * FROM "{name}"') for name in names}


def noted(told: Told) -> list[tuple[str, Message]]:
    """Everything the hub appends to any topic from now on."""
    return taken_by(told.road.hub.topics)


def values(rows: list[tuple[Any, ...]]) -> set[str]:
    """Every value in these rows, those inside JSON and signed bytes included, as text."""
    found: set[str] = set()
    for row in rows:
        for value in row:
            found |= _inside(value)
    return found


def _inside(value: Any) -> set[str]:
    if value is None:
        return set()
    if isinstance(value, bytes):
        return {value.hex()}
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return _inside(json.loads(value))
        except ValueError:
            return {value}
    if isinstance(value, dict):
        return {str(key) for key in value} | {x for one in value.values() for x in _inside(one)}
    if isinstance(value, list):
        return {x for one in value for x in _inside(one)}
    return {str(value)}
