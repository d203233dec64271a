"""Processes no shipped scenario covers, each one story from the agencies' desks to the partners'
tables: what is refused, released, caught up on, recalled and held in the end."""

from __future__ import annotations

from typing import Any

from hub.scenario import Servers, run
from hub.scenario.result import Result
from hub.scenario.story import read
from tests.scenarios.completing import complete
from tests.scenarios.stories import document

AGENCIES = {
    "NGO-1": "ngo_support",
    "SH-1": "shelter",
    "SH-2": "shelter",
    "CA-1": "competent_authority",
    "LEG-1": "legal_rep",
    "POL-1": "police",
    "PROS-1": "prosecutor",
    "LI-1": "labour_inspectorate",
    "UNI-1": "trade_union",
    "COMP-1": "compensation_authority",
    "IMMSTA-1": "immigration_status",
    "IMMENF-1": "immigration_enforcement",
    "RET-1": "return_org",
    "FNRM-1": "foreign_nrm",
    "FNRM-2": "foreign_nrm",
    "EMB-1": "embassy",
    "CPS-1": "child_protection",
    "GRD-1": "guardian",
    "AUD-1": "auditor",
    "HUB": "hub",
}

Line = tuple[str, str, dict[str, Any]]


def says(agency: str, kind: str, /, **data: Any) -> Line:
    return agency, kind, complete(kind, data)


def consent(name: str, scope: dict[str, list[str]], by: str = "NGO-1", **data: Any) -> Line:
    more = {"covers_history": True, "valid_until": "2027-03-01", **data}
    return says(by, "ConsentGiven", consent_id=name, scope=scope, **more)


def referral(sender: str, to: str, basis: str, answer: str = "ReferralAccepted") -> list[Line]:
    made = {"referral_id": f"to-{to}", "to_agency": to, "basis": basis}
    when = {"respond_by": "2026-12-31T00:00:00Z", "summary": f"for {to}"}
    made_by = says(sender, "ReferralMade", **made, **when)
    return [made_by, says(to, answer, referral_id=f"to-{to}")]


def played(name: str, lines: list[Line], *, refused: dict[int, str] | None = None) -> Result:
    """Run it; `refused`: number of a line, from 1 → the guard or reason expected to refuse it."""
    taking_part = {agency for agency, _, _ in lines} | {"IMMENF-1", "AUD-1"}
    for _, _, data in lines:
        taking_part |= {str(data.get(one)) for one in ("to_agency", "guardian_agency")}
        taking_part |= set(data.get("scope") or ())
    agencies = {name: role for name, role in AGENCIES.items() if name in taking_part}
    told = document(name, *lines, agencies=agencies)
    for number, guard in (refused or {}).items():
        told["events"][number - 1]["expected"] = {
            "refused": {"guard" if guard[0] == "G" else "reason": guard}
        }
    with Servers() as servers:
        result = run(read(told), servers)
    assert [str(one) for one in result.differences] == []
    return result


def released(result: Result, number: int, agency: str) -> set[str]:
    found = result.steps[f"e{number}"]["releases"].get(agency, {})
    return set(found.get("categories", ()))


def recalled(result: Result, number: int) -> dict[str, str]:
    return {one["to"]: one["action"] for one in result.steps[f"e{number}"]["recalls"]}


def test_a_decision_is_reconsidered_and_a_closed_case_reopened() -> None:
    scope = {"CA-1": ["identity", "decision"], "LEG-1": ["decision", "case_management"]}
    both = {"decision_ref": "rg"}
    lines = [
        says("NGO-1", "CaseOpened", age_status="adult"),
        consent("c1", scope),
        *referral("NGO-1", "CA-1", "c1"),  # 3, 4
        *referral("NGO-1", "LEG-1", "c1"),  # 5, 6
        says("HUB", "RemovalHoldPlaced", hold_ref="h"),  # 7
        says("CA-1", "ReasonableGroundsDecided", outcome="negative", reasons="doubted"),  # 8
        says("LEG-1", "ReconsiderationRequested", **both, grounds="new papers"),  # 9
        says("HUB", "RemovalHoldLifted", hold_ref="h"),  # 10: refused while it is open
        says("CA-1", "ReconsiderationDecided", **both, outcome="overturned"),  # 11
        says("CA-1", "RecoveryPeriodStarted", start="2026-03-02", minimum_days=30,
             ends_on="2026-04-01"),  # 12
        says("CA-1", "RecoveryPeriodChanged", ends_on="2026-03-05", reason="disqualified"),  # 13
        says("CA-1", "CaseClosed", reason="inclusion", retention_until="2030-01-01"),  # 14
        says("NGO-1", "CaseReopened", reason="retrafficked"),  # 15
        says("NGO-1", "CaseReopened", reason="retrafficked"),  # 16: it is open
        says("NGO-1", "RiskAssessed", level="extreme"),  # 17
    ]  # fmt: skip
    result = played("reversed", lines, refused={10: "G07", 13: "G08", 16: "wrong_state"})
    assert released(result, 8, "LEG-1") == {"case_management", "decision"}
    assert released(result, 9, "CA-1") == {"case_management", "decision"}
    assert released(result, 11, "NGO-1") == {"case_management"}
    assert released(result, 14, "LEG-1") == {"case_management"}
    assert released(result, 15, "CA-1") == {"case_management"}
    assert released(result, 7, "IMMENF-1") == {"removal_hold"}
    assert set(result.holdings["C1"]["IMMENF-1"]) == {"removal_hold"}


def test_a_referral_declined_is_recalled_and_the_next_shelter_learns_nothing_of_it() -> None:
    scope = {"SH-1": ["protection"], "SH-2": ["protection", "location_safe"]}
    lines = [
        says("NGO-1", "CaseOpened", age_status="adult"),
        consent("c1", scope),
        *referral("NGO-1", "SH-1", "c1", "ReferralDeclined"),  # 3, 4
        *referral("NGO-1", "SH-2", "c1"),  # 5, 6
        says("SH-2", "AccommodationPlaced", region="North", address="Quiet street"),  # 7
        says("SH-2", "ReferralEnded", referral_id="to-SH-2", outcome="done"),  # 8
        says("NGO-1", "RiskAssessed", level="low"),  # 9
    ]
    result = played("declined", lines)
    assert recalled(result, 4) == {"SH-1": "delete"}
    assert released(result, 5, "SH-1") == set()
    assert released(result, 7, "SH-1") == set()
    assert released(result, 8, "NGO-1") == {"case_management"}
    assert recalled(result, 8) == {}, "the end of an accepted referral recalls nothing"
    assert released(result, 9, "SH-2") == set(), "an ended referral involves no longer"


def test_wages_and_compensation_are_claimed_without_the_account_of_exploitation() -> None:
    scope = {
        "UNI-1": ["identity", "employment", "financial"],
        "COMP-1": ["identity", "financial", "employment"],
        "PROS-1": ["identity", "protection"],
    }
    lines = [
        says("LI-1", "CaseOpened", age_status="adult"),
        says("LI-1", "IndicatorsScreened", account="locked in at night", employer="Farm"),  # 2
        consent("c1", scope, by="LI-1"),  # 3
        *referral("LI-1", "UNI-1", "c1"),  # 4, 5
        *referral("LI-1", "COMP-1", "c1"),  # 6, 7
        says("PROS-1", "ProceedingLinked", stage="charged"),  # 8
        says("UNI-1", "CompensationClaimed", route="labour_court", employer="Farm",
             amount={"amount": "1250.00", "currency": "EUR"}),  # 9
        says("PROS-1", "WitnessProtectionApplied", measure="anonymity"),  # 10
        says("COMP-1", "CompensationDecided", outcome="awarded",
             amount={"amount": "900.00", "currency": "EUR"}),  # 11
    ]  # fmt: skip
    result = played("wages", lines)
    assert result.steps["e5"]["backfill"] == [{"to": "UNI-1", "events": {"e2": ["employment"]}}], (
        "the employer, never the account"
    )
    assert released(result, 9, "COMP-1") == {"financial", "employment"}
    assert released(result, 9, "PROS-1") == set(), "no consent to tell the prosecutor of money"
    assert released(result, 11, "UNI-1") == {"financial"}
    assert released(result, 10, "UNI-1") == set()
    assert "protection" not in result.holdings["C1"]["UNI-1"]


def test_forced_begging_is_not_punished() -> None:
    scope = {"LEG-1": ["alleged_offence", "decision", "criminal_justice"], "CA-1": ["identity"]}
    lines = [
        says("POL-1", "CaseOpened", age_status="adult", channel="custody"),
        consent("c1", scope, by="POL-1"),
        *referral("POL-1", "CA-1", "c1"),  # 3, 4
        *referral("POL-1", "LEG-1", "c1"),  # 5, 6
        says("PROS-1", "ProceedingLinked", stage="charged"),  # 7
        says("LEG-1", "NonPunishmentRaised", offence_code="begging"),  # 8
        says("PROS-1", "NonPunishmentDecided", outcome="pending_nrm"),  # 9
        says("CA-1", "ReasonableGroundsDecided", outcome="positive"),  # 10
        consent("c2", {"PROS-1": ["alleged_offence", "decision"]}, by="LEG-1"),  # 11
        says("PROS-1", "NonPunishmentDecided", outcome="discontinued"),  # 12
    ]
    result = played("begging", lines)
    assert released(result, 8, "PROS-1") == set(), "until the person agrees"
    assert released(result, 10, "PROS-1") == {"case_management"}, "that it was decided (G11)"
    [caught_up] = [one for one in result.steps["e11"]["backfill"] if one["to"] == "PROS-1"]
    assert caught_up["events"] == {"e8": ["alleged_offence"], "e10": ["decision"]}
    assert released(result, 12, "LEG-1") == {"alleged_offence", "case_management"}
    assert released(result, 12, "IMMENF-1") == set()


def test_a_return_over_the_border_is_voluntary_assessed_and_the_second_partner_accepts() -> None:
    named = {one: ["case_management", "identity"] for one in ("RET-1", "FNRM-1", "FNRM-2")}
    offer = {"country": "YY", "adequacy": "safeguards"}
    lines = [
        says("NGO-1", "CaseOpened", age_status="adult"),
        says("NGO-1", "IdentityRecorded", family_name="Person"),  # 2
        consent("c1", {**named, "EMB-1": ["immigration", "case_management"]}),  # 3
        *referral("NGO-1", "RET-1", "c1"),  # 4, 5
        says("RET-1", "ReturnAgreed", voluntary=True),  # 6: not assessed
        says("RET-1", "ReturnRiskAssessed", level="high"),  # 7
        says("RET-1", "ReturnAgreed", voluntary=True),  # 8: too dangerous
        says("RET-1", "TransferOffered", transfer_id="t1", to_agency="FNRM-1", **offer),  # 9
        says("FNRM-1", "TransferAnswered", transfer_id="t1", outcome="declined"),  # 10
        says("RET-1", "TransferOffered", transfer_id="t2", to_agency="FNRM-2", **offer),  # 11
        says("FNRM-2", "TransferAnswered", transfer_id="t2", outcome="accepted"),  # 12
        says("RET-1", "ReturnRiskAssessed", level="low"),  # 13
        says("RET-1", "ReturnAgreed", voluntary=True, destination="YY"),  # 14
        says("FNRM-2", "ReturnCompleted", arrived_on="2026-03-20"),  # 15
    ]
    result = played("return", lines, refused={6: "G10", 8: "G10"})
    assert recalled(result, 10) == {"FNRM-1": "delete"}
    assert released(result, 11, "FNRM-1") == set()
    caught_up = result.steps["e12"]["backfill"]
    assert [one["to"] for one in caught_up] == ["FNRM-2"]
    assert caught_up[0]["events"]["e2"] == ["identity"]
    assert "e9" not in caught_up[0]["events"], "nor of the partner asked before it"
    assert released(result, 14, "FNRM-2") == {"case_management"}
    assert "EMB-1" not in result.holdings["C1"], "named, but never referred to"
    assert released(result, 15, "RET-1") == {"case_management"}


def test_a_child_is_referred_guarded_and_assessed() -> None:
    lines = [
        says("POL-1", "CaseOpened", age_status="unknown"),
        says("POL-1", "DutyNotificationSubmitted"),  # 2: a child is referred
        *referral("POL-1", "CPS-1", "safeguarding"),  # 3, 4
        says("CPS-1", "GuardianAppointed", guardian_agency="GRD-1"),  # 5
        says("GRD-1", "BestInterestsDetermined", question="placement"),  # 6
        says("POL-1", "AgeDisputed", basis="appearance"),  # 7
        says("CPS-1", "AgeAssessed", outcome="child", assessed_dob="2010-03-01"),  # 8
        says("CPS-1", "NeedsAssessed", health_needs="vaccination"),  # 9
        says("GRD-1", "ReturnRiskAssessed"),  # 10: not the guardian's to state
    ]
    result = played("child", lines, refused={2: "G03", 10: "role_may_not_emit"})
    assert released(result, 6, "CPS-1") == {"child_welfare"}
    assert released(result, 6, "POL-1") == {"child_welfare"}, "X: children only"
    assert released(result, 8, "GRD-1") == {"child_welfare", "identity"}
    assert released(result, 9, "POL-1") == {"protection"}, "never health"
    assert released(result, 9, "GRD-1") >= {"health", "protection"}


def test_rights_feedback_correction_access_and_erasure() -> None:
    scope = {"SH-1": ["identity", "protection", "feedback"], "LEG-1": ["identity", "feedback"]}
    withdrawn = {"extent": "recipients", "recipients": ["SH-1"], "leave_nrm": False}
    lines = [
        says("NGO-1", "CaseOpened", age_status="adult"),
        consent("c1", scope),
        *referral("NGO-1", "SH-1", "c1"),  # 3, 4
        *referral("NGO-1", "LEG-1", "c1"),  # 5, 6
        says("NGO-1", "IdentityRecorded", family_name="Wrong", gender="F"),  # 7
        says("HUB", "FeedbackRecorded", kind="complaint", about_agency="SH-1", text="cold"),  # 8
        says("NGO-1", "ComplaintResolved", outcome="upheld", learning="heating"),  # 9
        ("NGO-1", "RecordCorrected",
         {"corrects_event": "e7", "field": "family_name", "new_value": "Right"}),  # 10
        says("NGO-1", "ConsentWithdrawn", consent_id="c1", **withdrawn),  # 11
        says("LEG-1", "SubjectRequestReceived", request_id="q", right="erasure"),  # 12
        says("NGO-1", "SubjectRequestDecided", request_id="q", outcome="granted",
             exemption="none", action="key_destroyed"),  # 13
    ]  # fmt: skip
    result = played("rights", lines)
    assert released(result, 8, "LEG-1") == {"case_management", "feedback"}
    assert "case_management" not in released(result, 8, "SH-1"), "by consent only (4.11)"
    assert released(result, 9, "SH-1") == {"feedback"}, "the person agreed to that"
    assert released(result, 10, "SH-1") == {"identity"}
    assert recalled(result, 11) == {"SH-1": "delete_or_restrict"}
    assert recalled(result, 13)["AUD-1"] == "delete"
    assert recalled(result, 13)["LEG-1"] == "delete"
