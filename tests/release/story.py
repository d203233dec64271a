"""Stories for the rules' tests: given, when, then over plain values.

    story = Story("NGO-1", "CA-1", "POL-1")
    story.opened("NGO-1", "adult")
    heard = story.says("NGO-1", "RiskAssessed", protection=True, case_management=True)
    assert heard.reason("CA-1", "protection") == "not_involved"

Agencies are named by their role's short form (`ROLES`). Time moves on by a minute per event unless
`story.on(...)` sets it. `says` asserts that no guard refuses; `refused` expects a refusal; `raw`
asks no guard, for states no valid log contains.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.deliveries import settle
from hub.domain.case import Case, CaseEvent
from hub.domain.facts import facts_of
from hub.domain.guards import Refusal, refuse
from hub.domain.parties import Parties, Party
from hub.domain.policy import PolicyProfile, default_profile
from hub.domain.settlement import Released, Settlement, Withheld
from hub.release import redecide

ROLES = {
    "AUD": "auditor",
    "CA": "competent_authority",
    "COMP": "compensation_authority",
    "CPS": "child_protection",
    "EMB": "embassy",
    "FNRM": "foreign_nrm",
    "GRD": "guardian",
    "HLT": "health",
    "HUB": "hub",
    "IMMENF": "immigration_enforcement",
    "IMMSTA": "immigration_status",
    "LEG": "legal_rep",
    "LI": "labour_inspectorate",
    "NGO": "ngo_support",
    "POL": "police",
    "PROS": "prosecutor",
    "RAP": "national_rapporteur",
    "RET": "return_org",
    "SH": "shelter",
    "UNI": "trade_union",
}

PROFILE = default_profile()
EVERYBODY = (*tuple(f"{short}-1" for short in ROLES if short != "HUB"), "HUB")


def role_of(agency: str) -> str:
    return ROLES[agency.partition("-")[0]]


@dataclass
class Heard:
    """What one event led to."""

    event_id: str
    settlement: Settlement
    parties: Parties

    def outcome(self, agency: str, category: str) -> Released | Withheld | None:
        party = self.parties.get(agency)
        assert party is not None
        return self.settlement.outcome(agency, party.role, category)

    def basis(self, agency: str, category: str) -> str | None:
        outcome = self.outcome(agency, category)
        return outcome.basis if isinstance(outcome, Released) else None

    def reason(self, agency: str, category: str) -> str | None:
        outcome = self.outcome(agency, category)
        return outcome.reason if isinstance(outcome, Withheld) else None

    def backfill(self, agency: str) -> dict[str, dict[str, str]]:
        return self.settlement.backfill.get(agency, {})

    @property
    def recalls(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {one.to: (one.action, one.categories) for one in self.settlement.recalls}


class Story:
    """One case and its agencies."""

    def __init__(self, *agencies: str, profile: PolicyProfile = PROFILE) -> None:
        self.profile = profile
        self.parties = Parties(Party(agency, role_of(agency)) for agency in agencies or EVERYBODY)
        self.case = Case()
        self.now = datetime(2026, 3, 2, 9, tzinfo=UTC)
        self.said: list[tuple[CaseEvent, Settlement]] = []

    def on(self, when: str) -> Story:
        moment = datetime.fromisoformat(when)
        self.now = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return self

    def event(self, agency: str, event_type: str, *categories: str, **data: Any) -> CaseEvent:
        self.now += timedelta(minutes=1)
        plain, personal = facts_of(event_type, data)
        position = len(self.case.events) + 1
        return CaseEvent(
            position=position,
            event_id=f"e{position}",
            type=event_type,
            emitter=agency,
            role=role_of(agency),
            at=self.now,
            categories=categories,
            facts={**plain, **personal},
        )

    def says(self, agency: str, event_type: str, *categories: str, **data: Any) -> Heard:
        event = self.event(agency, event_type, *categories, **data)
        assert refuse(self._known(), event, self.parties, self.profile, self.now) is None
        return self._settle(event)

    def raw(self, agency: str, event_type: str, *categories: str, **data: Any) -> Heard:
        return self._settle(self.event(agency, event_type, *categories, **data))

    def refused(self, agency: str, event_type: str, *categories: str, **data: Any) -> Refusal:
        event = self.event(agency, event_type, *categories, **data)
        refusal = refuse(self._known(), event, self.parties, self.profile, self.now)
        assert refusal is not None
        return refusal

    def _known(self) -> Case | None:
        return self.case if self.case.events else None

    def _settle(self, event: CaseEvent) -> Heard:
        settlement = settle(self.case, event, self.parties, self.profile, self.now)
        self.said.append((self.case.events[-1], settlement))
        return Heard(event.event_id, settlement, self.parties)

    def again(self, heard: Heard, agency: str, category: str) -> str:
        """Basis or reason if the event were decided again in today's state."""
        party, event = self.parties.get(agency), self.case.find(heard.event_id)
        assert party is not None
        assert event is not None
        outcome = redecide(self.case, event, party, category, self.profile, self.now)
        return outcome.basis if isinstance(outcome, Released) else outcome.reason

    # -- phrases ---------------------------------------------------------------------------

    def opened(self, agency: str = "NGO-1", age: str = "adult") -> Heard:
        return self.says(agency, "CaseOpened", "case_management", age_status=age)

    def consents(
        self,
        scope: dict[str, list[str]],
        *,
        consent_id: str = "c1",
        by: str = "NGO-1",
        history: bool = True,
        until: str = "2026-12-31",
    ) -> Heard:
        return self.says(
            by,
            "ConsentGiven",
            "consent",
            consent_id=consent_id,
            scope=scope,
            covers_history=history,
            valid_until=until,
        )

    def amends(
        self,
        scope: dict[str, list[str]],
        *,
        consent_id: str = "c1",
        by: str = "NGO-1",
        until: str = "2026-12-31",
    ) -> Heard:
        return self.says(
            by,
            "ConsentAmended",
            "consent",
            consent_id=consent_id,
            scope=scope,
            valid_until=until,
            reason="widened",
        )

    def withdraws(self, *, consent_id: str = "c1", by: str = "NGO-1", **data: Any) -> Heard:
        data = {"extent": "all", "leave_nrm": False, **data}
        return self.says(by, "ConsentWithdrawn", "consent", consent_id=consent_id, **data)

    def refers(self, sender: str, to: str, referral_id: str | None = None, **data: Any) -> Heard:
        data = {"respond_by": "2027-01-01T00:00:00Z", "basis": "c1", **data}
        return self.says(
            sender,
            "ReferralMade",
            "case_management",
            "protection",
            referral_id=referral_id or f"to-{to}",
            to_agency=to,
            **data,
        )

    def accepts(self, agency: str, referral_id: str | None = None) -> Heard:
        return self.says(
            agency,
            "ReferralAccepted",
            "case_management",
            referral_id=referral_id or f"to-{agency}",
        )

    def involves(self, sender: str, *agencies: str) -> None:
        """Refer to each and let it accept."""
        for agency in agencies:
            self.refers(sender, agency)
            self.accepts(agency)

    def identity(self, agency: str = "NGO-1", born: str | None = None) -> Heard:
        return self.says(agency, "IdentityRecorded", "identity", "demographics", date_of_birth=born)

    def disputed(self, agency: str) -> Heard:
        return self.says(agency, "AgeDisputed", "child_welfare")

    def assessed(
        self, outcome: str, *, born: str | None = None, appeal: str | None = None
    ) -> Heard:
        return self.says(
            "CPS-1",
            "AgeAssessed",
            "child_welfare",
            "identity",
            outcome=outcome,
            assessed_dob=born,
            appeal_open_until=appeal,
        )

    @property
    def child(self) -> bool:
        """A child in procedure, now."""
        return self.case.age.view(self.now, self.profile.enforcement_roles).in_procedure


def adult(scope: dict[str, list[str]], *joined: str) -> Story:
    """An adult's case of NGO-1 in which these agencies take part."""
    story = Story()
    story.opened()
    story.consents(scope)
    story.involves("NGO-1", *joined)
    return story
