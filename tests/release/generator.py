"""Random scenarios: cases that live, agencies that come and go, and much that should not happen.

Same seed, same scenario. Events are drawn from what the situation suggests, not checked: guards
may refuse some. Times jump so that consents lapse, windows close and persons come of age.

Two kinds. Without guards anything may follow anything. A *lawful* scenario is a case as it is
lived: somebody is asked, named and referred to, so that guards take most of it; it also uses ids
again and steps through the procedure, which only makes sense if guards refuse the rest.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from schemas.registry import Schemas

AGENCIES = {
    "AUD-1": "auditor",
    "CA-1": "competent_authority",
    "CA-2": "competent_authority",
    "CPS-1": "child_protection",
    "EMB-1": "embassy",
    "FNRM-1": "foreign_nrm",
    "GRD-1": "guardian",
    "GRD-2": "guardian",
    "HLT-1": "health",
    "HUB": "hub",
    "IMMENF-1": "immigration_enforcement",
    "IMMSTA-1": "immigration_status",
    "LEG-1": "legal_rep",
    "LI-1": "labour_inspectorate",
    "NGO-1": "ngo_support",
    "NGO-2": "ngo_support",
    "POL-1": "police",
    "POL-2": "police",
    "PROS-1": "prosecutor",
    "RET-1": "return_org",
    "SH-1": "shelter",
    "UNI-1": "trade_union",
}
CATEGORIES = (
    "case_management",
    "consent",
    "linkage",
    "identity",
    "contact",
    "location_safe",
    "demographics",
    "deidentified_account",
    "protection",
    "health",
    "criminal_justice",
    "immigration",
    "family",
    "child_welfare",
    "decision",
    "feedback",
)
GLASS = ("identity", "contact", "location_safe", "protection", "health", "family")
JOINING = [name for name in AGENCIES if name not in ("HUB", "AUD-1", "IMMENF-1")]
BIRTHS = ["1990-05-01", "2008-03-05", "2008-03-20", "2008-09-01", "2010-01-01", "2008-02-29"]


# Types that change nothing: what they carry is released or withheld, and that is all.
PLAIN_TYPES = (
    "PresumptionRecorded",
    "SupportPlanAgreed",
    "ServiceEpisodeEnded",
    "ResidencePermitDecided",
    "WitnessProtectionApplied",
    "NonPunishmentRaised",
    "NonPunishmentDecided",
    "CompensationClaimed",
    "CompensationDecided",
    "ReturnCompleted",
    "SubjectRequestReceived",
    "DeliveryAcknowledged",
    "EmergencyModeDeclared",
)


class Generator:
    """One scenario from one seed."""

    def __init__(self, seed: int, length: int = 40, *, lawful: bool = False) -> None:
        self.lawful = lawful
        self.random = random.Random(seed)
        self.now = datetime(2026, 2, 25, 9, tzinfo=UTC)
        self.events: list[dict[str, Any]] = []
        self.offers: list[tuple[str, str, str, str]] = []  # kind, id, sender, to
        self.inside: list[str] = []
        self.named: list[str] = []  # by the consent given or amended last
        self.consents: list[str] = []
        self.invocations: list[str] = []
        self.count = 0
        opener = self.pick(["NGO-1", "POL-1", "CPS-1", "CA-1", "LI-1", "SH-1"])
        self.inside.append(opener)
        age = self.pick(["adult"] * 7 + ["child", "unknown", "age_disputed"])
        self.add(opener, "CaseOpened", {"age_status": age}, ["case_management"])
        if lawful:
            self.consent()
        while len(self.events) < length:
            self.step()

    def scenario(self) -> dict[str, Any]:
        return {"id": "G", "agencies": AGENCIES, "events": self.events}

    def pick(self, choices: list[Any] | tuple[Any, ...]) -> Any:
        return self.random.choice(choices)

    def some(self, choices: list[str] | tuple[str, ...], most: int) -> list[str]:
        return sorted(self.random.sample(list(choices), self.random.randint(1, most)))

    def add(self, agency: str, kind: str, data: dict[str, Any], categories: list[str]) -> str:
        """One more event; its id. Lawful, what the role may not say is mostly left unsaid."""
        emitters = Schemas.load().by_type(kind).emitters
        able = AGENCIES[agency] in emitters or "any_authorised" in emitters
        if self.lawful and not able and self.random.random() < 0.95:
            return ""
        self.now += self.pick(
            [timedelta(minutes=7)] * 20
            + [timedelta(hours=9)] * 3
            + [timedelta(days=2), timedelta(days=9)]
            + [timedelta(days=33)] * (self.lawful and self.random.random() < 0.2)
        )
        event_id = f"g{len(self.events) + 1}"
        self.events.append(
            {
                "id": event_id,
                "t": self.now.isoformat(),
                "case": "C",
                "agency": agency,
                "type": kind,
                "data": data,
                "categories": categories,
            }
        )
        return event_id

    def step(self) -> None:
        moves = (
            [self.refer] * 6
            + [self.answer] * 10
            + [self.consent] * 4
            + [self.amend] * 3
            + [self.withdraw] * 3
            + [self.ordinary] * 16
            + [self.age]
            + [self.guardian]
            + [self.glass] * 3
            + [self.review] * 2
            + [self.correct] * 2
            + [self.rare] * 5
            + [self.procedure] * 8
        )
        self.pick(moves)()

    def actor(self, kind: str | None = None) -> str:
        """Somebody inside; one whose role may publish the type, if there is one."""
        if kind is not None:
            emitters = Schemas.load().by_type(kind).emitters
            able = [agency for agency in self.inside if AGENCIES[agency] in emitters]
            if able:
                return str(self.pick(able))
        return str(self.pick(self.inside))

    def day(self, low: int, high: int) -> str:
        there: date = (self.now + timedelta(days=self.random.randint(low, high))).date()
        return there.isoformat()

    def scope(self) -> dict[str, list[str]]:
        named = {*self.some(JOINING, 8), *self.random.sample(self.inside, len(self.inside) // 2)}
        self.named = sorted(named)
        return {agency: self.some(CATEGORIES, 12) for agency in sorted(named)}

    # -- moves -------------------------------------------------------------------------------

    def refer(self) -> None:
        self.count += 1
        sender, to = self.actor("ReferralMade"), self.pick([*JOINING, *(["CA-1", "SH-1"] * 3)])
        if self.lawful and self.named and self.random.random() < 0.85:
            to = self.pick(self.named)
        number = self.count
        if self.lawful and self.random.random() < 0.4:
            number = self.random.randint(1, number)
        if self.random.random() < 0.25:
            data = {"transfer_id": f"t{number}", "to_agency": to}
            self.offers.append(("transfer", f"t{number}", sender, to))
            self.add(sender, "TransferOffered", data, ["case_management", "protection"])
        else:
            data = {
                "referral_id": f"r{number}",
                "to_agency": to,
                "respond_by": "2026-02-25T00:00:00Z",
                "basis": "c",
            }
            self.offers.append(("referral", f"r{number}", sender, to))
            self.add(sender, "ReferralMade", data, ["case_management", "protection"])

    def answer(self) -> None:
        if not self.offers:
            return
        kind, ref, sender, to = self.pick(self.offers[-2:])
        accepts = self.random.random() < 0.75
        if kind == "transfer":
            outcome = "accepted" if accepts else "declined"
            data = {"transfer_id": ref, "outcome": outcome}
            self.add(to, "TransferAnswered", data, ["case_management"])
        elif self.random.random() < 0.2:
            data = {"referral_id": ref, "outcome": "revoked"}
            ender = self.pick([sender, to, "HUB", self.actor()])
            self.add(ender, "ReferralEnded", data, ["case_management"])
        else:
            name = "ReferralAccepted" if accepts else "ReferralDeclined"
            self.add(to, name, {"referral_id": ref}, ["case_management"])
        if accepts and to not in self.inside:
            self.inside.append(to)

    def consent(self) -> None:
        self.count += 1
        consent_id = f"c{self.count}"
        if self.random.random() < 0.15:
            asked = {"consent_id": self.pick([consent_id, *self.consents])}
            self.add(self.actor("ConsentGiven"), "ConsentRequested", asked, ["consent"])
        self.consents.append(consent_id)
        data = {
            "consent_id": consent_id,
            "scope": self.scope(),
            "covers_history": self.random.random() < 0.5,
            "valid_until": self.day(20, 60) if self.lawful else self.day(0, 40),
        }
        self.add(self.actor("ConsentGiven"), "ConsentGiven", data, ["consent"])

    def amend(self) -> None:
        if not self.consents:
            return
        data = {
            "consent_id": self.pick(self.consents),
            "scope": self.scope(),
            "valid_until": self.day(0, 40),
        }
        self.add(self.actor("ConsentAmended"), "ConsentAmended", data, ["consent"])

    def withdraw(self) -> None:
        if not self.consents:
            return
        data = {
            "consent_id": self.pick(self.consents),
            "extent": self.pick(["all", "recipients", "categories"]),
            "recipients": self.some(JOINING, 6),
            "categories": self.some(CATEGORIES, 6),
            "leave_nrm": self.random.random() < 0.3,
        }
        emitter = self.pick([self.actor(), "NGO-2", "SH-1"])
        self.add(emitter, "ConsentWithdrawn", data, ["consent"])

    def ordinary(self) -> None:
        kind, data, categories = self.pick(
            [
                ("RiskAssessed", {}, ["case_management", "protection", "family"]),
                ("NeedsAssessed", {}, ["protection", "health", "family"]),
                ("IndicatorsScreened", {}, ["case_management", "deidentified_account"]),
                ("ContactPreferenceRecorded", {}, ["contact"]),
                ("AccommodationPlaced", {}, ["case_management", "location_safe"]),
                ("AccommodationEnded", {"reason": "missing"}, ["case_management"]),
                ("ServiceEpisodeStarted", {}, ["case_management", "health"]),
                ("BestInterestsDetermined", {"question": "return"}, ["child_welfare"]),
                ("CaseClosed", {"reason": "inclusion"}, ["case_management"]),
                ("ReturnAgreed", {"voluntary": True}, ["case_management", "immigration"]),
                (
                    "IdentityRecorded",
                    {"date_of_birth": self.pick([*BIRTHS, None, None])},
                    ["identity", "demographics"],
                ),
            ]
        )
        self.add(self.actor(kind), kind, data, categories)

    def age(self) -> None:
        if self.random.random() < 0.6:
            emitter = self.pick(["POL-1", "POL-2", "IMMSTA-1", "CPS-1", "CA-1"])
            self.add(emitter, "AgeDisputed", {"claimed_dob": "1990-01-01"}, ["child_welfare"])
            return
        data = {
            "outcome": self.pick(["child", "adult", "adult", "inconclusive"]),
            "assessed_dob": self.pick([None, *BIRTHS]),
            "appeal_open_until": self.pick([None, self.day(0, 10)]),
        }
        self.add("CPS-1", "AgeAssessed", data, ["child_welfare", "identity"])

    def guardian(self) -> None:
        named = self.pick(["GRD-1", "GRD-2", "NGO-2", "CA-2"])
        if named not in self.inside:
            self.inside.append(named)
        self.add("CPS-1", "GuardianAppointed", {"guardian_agency": named}, ["child_welfare"])

    def glass(self) -> None:
        data = {
            "requested_categories": self.some(GLASS, 5),
            "two_person_ref": "tp",
            "expires_at": (self.now + timedelta(hours=self.pick([10, 20, 40]))).isoformat(),
        }
        emitter = self.pick(["POL-1", "POL-1", "HLT-1", "CPS-1", "SH-1", "NGO-1"])
        if self.random.random() < 0.5:
            emitter = self.actor("BreakGlassInvoked")
        invoked = self.add(emitter, "BreakGlassInvoked", data, ["case_management", "audit"])
        if invoked:
            self.invocations.append(invoked)

    def review(self) -> None:
        about = self.pick([*self.invocations[-2:] * 3, "g1"])
        outcome = self.pick(["not_justified", "not_justified", "justified", "partly"])
        data = {"invocation_event_id": about, "outcome": outcome}
        self.add("AUD-1", "BreakGlassReviewed", data, ["audit"])

    def correct(self) -> None:
        events = [e for e in self.events if e["type"] in ("IdentityRecorded", "RiskAssessed")]
        if not events:
            return
        event = self.pick(events)
        if event["type"] == "RiskAssessed":
            field, category, value = "level", "protection", "high"
        elif self.random.random() < 0.5:
            field, category, value = "date_of_birth", "identity", self.pick(BIRTHS)
        else:
            field, category, value = "gender", "demographics", "F"
        data = {"corrects_event": event["id"], "field": field, "new_value": value}
        self.add(self.actor(), "RecordCorrected", data, ["case_management", category])

    def procedure(self) -> None:
        """Decision, recovery, return, justice and closure; any type at all, now and then."""
        kind, data = self.pick(
            [
                ("ReasonableGroundsDecided", {"outcome": self.pick(["positive", "negative"])}),
                (
                    "RecoveryPeriodStarted",
                    {"start": self.day(0, 0), "minimum_days": 30, "ends_on": self.day(30, 30)},
                ),
                (
                    "RecoveryPeriodChanged",
                    {
                        "reason": self.pick(
                            ["extended", "needs", "disqualified", "withdrawn", "completed"]
                        ),
                        "ends_on": self.day(-5, 45),
                    },
                ),
                (
                    "ConclusiveGroundsDecided",
                    {"outcome": self.pick(["positive", "negative"]), "decided_on": self.day(0, 0)},
                ),
                ("ReconsiderationRequested", {"decision_ref": "cg"}),
                ("ReconsiderationDecided", {"decision_ref": "cg", "outcome": "upheld"}),
                ("DisqualificationDecided", {"outcome": "disqualified"}),
                ("RemovalHoldLifted", {"hold_ref": "h"}),
                ("ReturnRiskAssessed", {"level": self.pick(["low", "low", "high"])}),
                ("BestInterestsDetermined", {"question": "return"}),
                ("ReturnAgreed", {"voluntary": True}),
                ("CaseClosed", {"reason": "inclusion"}),
                ("CaseReopened", {"reason": "new_information"}),
                (self.pick(PLAIN_TYPES), {}),
                (self.pick(PLAIN_TYPES), {}),
                (self.pick(PLAIN_TYPES), {}),
            ]
        )
        known = [c for c in Schemas.load().by_type(kind).categories if c != "routing"]
        emitter = "HUB" if kind == "RemovalHoldLifted" else self.actor(kind)
        self.add(emitter, kind, data, self.some(known, len(known)))

    def rare(self) -> None:
        kind, emitters, data, categories = self.pick(
            [
                ("AsylumClaimRecorded", ["IMMSTA-1"], {"status": "open"}, ["immigration"]),
                ("AsylumClaimRecorded", ["IMMSTA-1"], {"status": "closed"}, ["immigration"]),
                ("ProceedingLinked", ["POL-1", "PROS-1", "LI-1"], {}, ["criminal_justice"]),
                ("RemovalHoldPlaced", ["HUB"], {}, ["removal_hold"]),
                (
                    "DutyNotificationSubmitted",
                    [self.actor()],
                    {},
                    ["demographics", "deidentified_account"],
                ),
                (
                    "CaseLinkDecided",
                    [self.actor()],
                    {"agreed_by_person": self.random.random() < 0.6},
                    ["linkage", "consent"],
                ),
                (
                    "FeedbackRecorded",
                    ["NGO-2", "UNI-1"],
                    {
                        "kind": self.pick(["complaint", "feedback", "safeguarding_concern"]),
                        "about_agency": self.actor(),
                    },
                    ["case_management", "feedback"],
                ),
                ("ComplaintResolved", [self.actor()], {}, ["case_management", "feedback"]),
                (
                    "SubjectRequestDecided",
                    [self.actor()],
                    {"action": self.pick(["disclosed"] * 5 + ["key_destroyed"])},
                    ["case_management"],
                ),
                (
                    "ConsentExpired",
                    ["HUB"],
                    {"consent_id": self.pick([*self.consents, "c0"])},
                    ["consent"],
                ),
                ("ConsentRefused", [self.actor()], {"consent_id": "x"}, ["consent"]),
                ("RecallAnswered", [self.actor()], {"recall_ref": "r"}, ["audit"]),
            ]
        )
        self.add(self.pick(emitters), kind, data, categories)
