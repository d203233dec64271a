"""A hub with two persons, a shelter that gets what they agree to, and its backups."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.backup.make import Made, make_backup
from hub.backup.restore import Restored, Wanted, restore
from hub.clock import Clock
from hub.home import Home
from hub.hub import Hub
from tests.road import CONSENT, Road

ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter", "LAW-1": "legal_rep"}
PASSPHRASE = "correct horse battery"
ERASURE = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}


@dataclass
class Place:
    """A road, and three places for its backups."""

    road: Road
    home: Path

    @classmethod
    def open(cls, folder: Path, **where: str) -> Place:
        road = Road.open(folder, ROLES, **where)
        for agency in ("SH-1", "LAW-1"):
            road.partner(agency)
        return cls(road, folder / "hub")

    def close(self) -> None:
        for runner in self.road.partners.values():
            runner._inbox.close()
            runner._sink.close()
        self.road.close()

    @property
    def folder(self) -> Path:
        return self.road.folder

    @property
    def recovery(self) -> Path:
        return self.folder / "safe" / "recovery.key"

    def person(self, case: str, name: str) -> None:
        """A case whose identity the shelter receives and the lawyer does not, as yet."""
        road = self.road
        opening = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
        assert road.publish("NGO-1", "CaseOpened", case, **opening).accepted
        given = {"given_name": name, "family_name": f"{name}-family"}
        assert road.publish("NGO-1", "IdentityRecorded", case, **given).accepted
        self.agree(case, "SH-1", f"{case}-k1")
        road.settle()

    def agree(self, case: str, agency: str, consent: str) -> None:
        self.road.time.at += timedelta(minutes=1)
        scope = {agency: ["identity"]}
        told = self.road.publish(
            "NGO-1", "ConsentGiven", case, consent_id=consent, scope=scope, **CONSENT
        )
        assert told.accepted, told
        refer: dict[str, Any] = {
            "referral_id": f"{consent}-r",
            "to_agency": agency,
            "services": ["legal_aid" if agency == "LAW-1" else "accommodation"],
            "urgency": "routine",
            "basis": "consent",
            "respond_by": "2026-12-01T00:00:00+00:00",
        }
        told = self.road.publish("NGO-1", "ReferralMade", case, **refer)
        assert told.accepted, told
        told = self.road.publish(agency, "ReferralAccepted", case, referral_id=f"{consent}-r")
        assert told.accepted, told
        self.road.settle()

    def erase(self, case: str) -> None:
        road = self.road
        asked = {"request_id": f"{case}-q", "right": "erasure", "due_on": "2026-07-01"}
        assert road.publish("NGO-1", "SubjectRequestReceived", case, **asked).accepted
        granted = {"request_id": f"{case}-q", **ERASURE}
        assert road.publish("NGO-1", "SubjectRequestDecided", case, **granted).accepted
        road.settle()

    def subject(self, case: str) -> UUID:
        return self.road.hub.exchange.pseudonyms.canonical("subject", case)

    def backup(self, name: str = "one") -> Made:
        for folder in ("safe", "vault"):
            (self.folder / folder).mkdir(exist_ok=True)
        return make_backup(
            Home(self.home),
            self.folder / "backup" / name,
            keys_to=self.folder / "vault" / f"{name}.keys",
            passphrase=PASSPHRASE,
            recovery_to=self.recovery,
        )

    def wanted(self, name: str = "one", **options: Any) -> Wanted:
        return Wanted(
            **{
                "backup": self.folder / "backup" / name,
                "keys": self.folder / "vault" / f"{name}.keys",
                "passphrase": PASSPHRASE,
                "recovery": self.recovery,
                **options,
            }
        )

    def restored(self, wanted: Wanted, name: str = "new") -> tuple[Restored, Place]:
        """Restore into a folder of its own and go on there, with the same partners."""
        home = Home(self.folder / name)
        done = restore(home, wanted)
        time = self.road.time
        time.at += timedelta(hours=1)
        hub = Hub.open(home, Clock(time, steady=None))
        road = Road(self.folder, hub, time, dict(self.road.identities))
        for agency in ("SH-1", "LAW-1"):
            road.partner(agency)
        return done, Place(road, home.path)


def names_held(place: Place, agency: str) -> list[str]:
    """Family names in the partner's table of identities, one a row."""
    with closing(sqlite3.connect(place.folder / f"{agency}.db")) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE name = 'identity_recorded'")
        if not tables.fetchall():
            return []
        rows = db.execute("SELECT family_name FROM identity_recorded").fetchall()
    return sorted(str(name) for (name,) in rows)


def readable(place: Place, agency: str) -> bytes:
    """Everything in the partner's database files."""
    files = [one for one in place.folder.iterdir() if one.name.startswith(f"{agency}.db")]
    return b"".join(one.read_bytes() for one in files)
