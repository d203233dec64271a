"""A hub whose work list and timers are moved by hand, for tests: every part is the real one."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from hub.clock import Clock
from hub.domain.work import DONE, MOOT, OPEN, WAITING, WorkItem
from hub.home import Home
from hub.hub import Hub
from tests.road import CONSENT, Road

ROLES = {
    "NGO-1": "ngo_support",
    "SH-1": "shelter",
    "CA-1": "competent_authority",
    "POL-1": "police",
    "CP-1": "child_protection",
    "GU-1": "guardian",
    "PRO-1": "prosecutor",
    "LEG-1": "legal_rep",
    "IE-1": "immigration_enforcement",
    "IS-1": "immigration_status",
    "RO-1": "return_org",
    "AUD-1": "auditor",
}
ADULT = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
CHILD = {**ADULT, "age_status": "child"}


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


class Office(Road):
    """A road, and the hub's own desk beside it."""

    def attend(self) -> None:
        """Move everything until nothing is left to do."""
        busy = True
        while busy:
            self.settle()
            busy = bool(self.hub.timers.step())

    def until(self, when: datetime) -> None:
        """The clock reaches this instant, and what is due by then is done."""
        self.time.at = when
        self.attend()

    def reopen(self) -> None:
        """The hub stops and is opened again, with nothing but what it stored."""
        self.hub.stop()
        self.hub = Hub.open(Home(self.folder / "hub"), Clock(self.time, steady=None))
        self.hub.work.fresh = self.hub.exchange.fresh  # as when it runs

    # -- what is on the list ---------------------------------------------------------------

    def items(self, kind: str | None = None, *states: str) -> list[WorkItem]:
        self.hub.work.catch_up()
        wanted = states or (WAITING, OPEN)
        return self.hub.exchange.log.work.standing(kind=kind, states=wanted)

    def item(self, kind: str, *states: str) -> WorkItem:
        found = self.items(kind, *states)
        assert len(found) == 1, [(one.kind, one.ref, one.state) for one in found]
        return found[0]

    def kinds(self) -> set[str]:
        return {one.kind for one in self.items(None, OPEN)}

    def everything(self) -> list[WorkItem]:
        self.hub.work.catch_up()
        return self.hub.exchange.log.work.all()

    # -- what agencies say -----------------------------------------------------------------

    def say(self, agency: str, type_: str, case: str, **data: Any) -> None:
        """Publish, and it must be accepted."""
        outcome = self.publish(agency, type_, case, **data)
        assert outcome.accepted, (type_, outcome.reason, outcome.detail)

    def consent(self, case: str, scope: dict[str, list[str]], **changes: Any) -> None:
        said = {**CONSENT, "consent_id": "c1", "scope": scope, **changes}
        self.say("NGO-1", "ConsentGiven", case, **said)

    def refer(
        self, case: str, to: str, referral: str, *, respond_by: str, by: str = "NGO-1"
    ) -> None:
        self.say(
            by,
            "ReferralMade",
            case,
            referral_id=referral,
            to_agency=to,
            services=["accommodation"],
            urgency="3_hours",
            respond_by=respond_by,
            basis="c1",
        )

    def identified(self, case: str, opened: dict[str, Any] | None = None) -> None:
        """A case whose referral the competent authority has accepted."""
        self.say("NGO-1", "CaseOpened", case, **(opened or ADULT))
        self.consent(case, {"CA-1": ["identity", "decision"], "NGO-1": ["decision"]})
        self.refer(case, "CA-1", "r-ca", respond_by="2026-03-05T09:00:00Z")
        self.say("CA-1", "ReferralAccepted", case, referral_id="r-ca")

    def decided(self, case: str, outcome: str = "positive", on: str = "2026-03-03") -> None:
        self.say(
            "CA-1",
            "ReasonableGroundsDecided",
            case,
            outcome=outcome,
            decided_on=on,
            decision_maker="single_authority",
        )


def office(folder: Path, **places: str) -> Office:
    """A hub with everyone enrolled. The usual one is copied, since making keys takes its time."""
    if not places:
        shutil.copytree(_enrolled(), folder, dirs_exist_ok=True)
    made = Office.open(folder, ROLES, **places)
    assert isinstance(made, Office)
    return made


@lru_cache(maxsize=1)
def _enrolled() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nrm-office-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Office.open(folder, ROLES).close()
    return folder


__all__ = ["ADULT", "CHILD", "DONE", "MOOT", "OPEN", "WAITING", "Office", "at", "office"]
