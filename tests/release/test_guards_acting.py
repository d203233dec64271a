"""Guards that act without refusing: by what is presumed, released, kept or withheld.

Those that refuse are in test_guards.py; docs/guards.md lists where each of the twenty acts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hub.domain.policy import default_profile
from schemas.registry import Schemas
from tests.release.story import Story

DOCS = Path(__file__).parents[2] / "docs" / "guards.md"
HELP = (
    "AccommodationPlaced",
    "ServiceEpisodeStarted",
    "SupportPlanAgreed",
    "NeedsAssessed",
    "RecoveryPeriodStarted",
    "RecoveryPeriodChanged",
)


def adult(*joined: str) -> Story:
    story = Story()
    story.opened()
    story.consents({one: ["identity", "protection", "decision", "health"] for one in joined})
    story.involves("NGO-1", *joined)
    return story


def test_g02_a_notification_has_no_field_for_name_or_contact() -> None:
    schema = Schemas.load().by_type("DutyNotificationSubmitted")
    assert not {"identity", "contact", "linkage", "location_safe"} & set(schema.categories)
    assert {field.category for field in schema.fields} <= {
        "deidentified_account",
        "demographics",
        "location_exploitation",
    }


def test_g04_any_agency_takes_a_withdrawal_and_leaving_stops_the_authority_at_once() -> None:
    story = adult("CA-1", "SH-1")
    told = story.says("NGO-1", "RiskAssessed", "case_management", "protection")
    assert told.basis("CA-1", "protection") == "consent:c1"
    story.withdraws(by="POL-1", leave_nrm=True)
    after = story.says("NGO-1", "RiskAssessed", "case_management", "protection")
    assert after.reason("CA-1", "protection") == "not_involved"
    story.says("SH-1", "ServiceEpisodeStarted", "case_management", "health")  # help goes on


def test_g05_while_recovery_runs_no_hold_is_lifted_and_none_is_needed_to_ask() -> None:
    story = adult("CA-1")
    story.says("CA-1", "ReasonableGroundsDecided", "decision", outcome="positive")
    period = {"start": "2026-03-02", "minimum_days": 30, "ends_on": "2026-04-01"}
    story.says("CA-1", "RecoveryPeriodStarted", "case_management", **period)
    placed = story.says("HUB", "RemovalHoldPlaced", "removal_hold", hold_ref="h")
    assert placed.basis("IMMENF-1", "removal_hold") == "statutory_minimum"
    refusal = story.refused("HUB", "RemovalHoldLifted", "removal_hold", hold_ref="h")
    assert refusal.guard == "G07"


@pytest.mark.parametrize("status", ["unknown", "age_disputed"])
def test_g09_age_unknown_or_disputed_is_presumed_childhood(status: str) -> None:
    story = Story()
    story.opened("POL-1", status)
    story.refers("POL-1", "CPS-1", basis="safeguarding")
    story.accepts("CPS-1")
    assert story.child
    appointed = story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    assert appointed.basis("GRD-1", "child_welfare") == "safeguarding"
    # An assessment does not end it while the appeal is open, and needs no guardian to be recorded.
    story.assessed("adult", appeal="2026-03-20")
    assert story.child
    story.on("2026-03-21")
    assert not story.child


def test_g11_a_prosecutor_in_the_case_is_told_that_identification_is_pending() -> None:
    """That a decision was taken and recovery runs, by default; its outcome by consent."""
    story = adult("CA-1", "LEG-1")
    story.says("PROS-1", "ProceedingLinked", "criminal_justice", stage="charged")
    raised = story.says("LEG-1", "NonPunishmentRaised", "alleged_offence")
    assert raised.reason("PROS-1", "alleged_offence") == "no_consent"
    decided = story.says(
        "CA-1", "ReasonableGroundsDecided", "decision", "case_management", outcome="positive"
    )
    assert decided.basis("PROS-1", "case_management") == "public_task"
    assert decided.reason("PROS-1", "decision") == "no_consent"
    period = {"start": "2026-03-02", "minimum_days": 30, "ends_on": "2026-04-01"}
    started = story.says("CA-1", "RecoveryPeriodStarted", "case_management", **period)
    assert started.basis("PROS-1", "case_management") == "public_task"
    agreed = story.consents({"PROS-1": ["alleged_offence", "decision"]}, consent_id="c2")
    assert set(agreed.backfill("PROS-1")) >= {raised.event_id, decided.event_id}


def test_g13_the_victims_side_may_ask_and_the_hold_stays_meanwhile() -> None:
    asking = Schemas.load().by_type("ReconsiderationRequested").emitters
    assert asking == {"legal_rep", "ngo_support", "guardian", "competent_authority"}
    story = adult("CA-1", "LEG-1")
    story.says("HUB", "RemovalHoldPlaced", "removal_hold", hold_ref="h")
    story.says("CA-1", "ReasonableGroundsDecided", "decision", outcome="negative")
    story.says("LEG-1", "ReconsiderationRequested", "decision", decision_ref="rg")
    assert story.refused("HUB", "RemovalHoldLifted", "removal_hold").reason == "hold_stays"
    about = {"decision_ref": "rg", "outcome": "refused"}
    story.says("CA-1", "ReconsiderationDecided", "decision", **about)
    story.says("HUB", "RemovalHoldLifted", "removal_hold")


def test_g14_closing_needs_reason_and_retention_date_and_takes_nothing_back() -> None:
    fields = {field.name: field for field in Schemas.load().by_type("CaseClosed").fields}
    assert fields["reason"].required
    assert fields["retention_until"].required
    story = adult("SH-1")
    held = dict(story.case.holdings["SH-1"])
    closed = story.says(
        "NGO-1", "CaseClosed", "case_management", reason="inclusion", retention_until="2030-01-01"
    )
    assert closed.recalls == {}
    assert held.items() <= story.case.holdings["SH-1"].items()
    story.says("NGO-1", "RiskAssessed", "protection")  # the record goes on


def test_g15_at_18_child_defaults_stop_and_own_consent_is_needed_to_remain() -> None:
    story = Story()
    story.opened("CPS-1", "child")
    story.identity("CPS-1", born="2008-09-01")
    story.involves("CPS-1", "CA-1")
    before = story.says("CPS-1", "RiskAssessed", "protection")
    assert before.basis("CA-1", "protection") == "safeguarding"
    story.on("2026-09-01T00:00")
    after = story.says("CPS-1", "RiskAssessed", "protection")
    assert after.reason("CA-1", "protection") == "no_consent"
    refer = ("ReferralMade", "case_management")
    refused = story.refused("CPS-1", *refer, referral_id="r", to_agency="SH-1", basis="c1")
    assert (refused.reason, refused.guard) == ("consent_required", "G01")
    story.consents({"CA-1": ["protection"]}, by="CPS-1")
    assert story.again(after, "CA-1", "protection") == "consent:c1"


@pytest.mark.parametrize("stage", ["reported", "trial", "closed"])
def test_g16_help_never_depends_on_testimony(stage: str) -> None:
    """No help is refused or withheld for what the person does or does not do in proceedings."""
    with_, without = adult("CA-1", "SH-1"), adult("CA-1", "SH-1")
    with_.says("POL-1", "ProceedingLinked", "criminal_justice", stage=stage, victim_role="none")
    without.says("HUB", "RemovalHoldPlaced", "removal_hold")
    for kind in HELP:
        emitters = Schemas.load().by_type(kind).emitters
        emitter = (
            "SH-1"
            if "shelter" in emitters
            else "CA-1"
            if "competent_authority" in emitters
            else "NGO-1"
        )
        categories = [c for c in Schemas.load().by_type(kind).categories if c != "routing"]
        told = [story.says(emitter, kind, *categories) for story in (with_, without)]
        for agency in ("NGO-1", "SH-1", "CA-1"):
            for category in categories:
                answers = {
                    (one.basis(agency, category), one.reason(agency, category)) for one in told
                }
                assert len(answers) == 1, (kind, agency, category)


def test_g16_no_field_of_any_help_could_state_a_condition_on_testimony() -> None:
    """The catalogue's only words for it are the ground of a permit and the role in proceedings."""
    words = re.compile(r"cooperat|co_operat|testi|witness", re.IGNORECASE)
    found = set()
    for name in Schemas.load().types():
        schema = Schemas.load().by_type(name)
        for field in schema.document["fields"]:
            said = {key: value for key, value in field.items() if key != "doc"}
            if words.search(json.dumps(said)):
                found.add((name, field["name"]))
    assert found == {
        ("ConsentGiven", "method"),  # oral, before a witness
        ("ProceedingLinked", "victim_role"),
        ("ResidencePermitDecided", "ground"),
        ("WitnessProtectionApplied", "measure"),
    }
    assert not {name for name, _ in found} & set(HELP)


def test_g17_immigration_enforcement_gets_the_removal_hold_flag_and_nothing_else() -> None:
    profile = default_profile()
    assert profile.matrix["immigration_enforcement"]["removal_hold"] == "A"
    assert {
        m for c, m in profile.matrix["immigration_enforcement"].items() if c != "removal_hold"
    } == {"N"}
    assert not profile.opens("immigration_enforcement")
    everything = sorted(profile.matrix["immigration_enforcement"])
    story = Story()
    story.opened("IMMENF-1")  # even where it opened the case and is named in everything
    story.says(
        "IMMENF-1",
        "ConsentGiven",
        "consent",
        consent_id="c1",
        scope={"IMMENF-1": everything, "NGO-1": ["identity"]},
        covers_history=True,
        valid_until="2026-12-31",
    )
    story.involves("IMMENF-1", "NGO-1")
    for kind in Schemas.load().types():
        emitters = Schemas.load().by_type(kind).emitters
        if "ngo_support" not in emitters or kind in ("CaseOpened", "ConsentGiven"):
            continue
        heard = story.raw("NGO-1", kind, *everything, consent_id="c1", referral_id="r")
        released = {c for c in everything if heard.basis("IMMENF-1", c)}
        assert released <= {"removal_hold"}, kind


def test_g20_a_link_needs_the_persons_agreement() -> None:
    story = adult("CA-1", "POL-1")
    story.consents({"CA-1": ["linkage"], "POL-1": ["linkage"]}, consent_id="c2")
    link = ("CaseLinkDecided", "linkage", "consent")
    unagreed = story.says("NGO-1", *link, agreed_by_person=False)
    agreed = story.says("NGO-1", *link, agreed_by_person=True)
    for agency in ("CA-1", "POL-1"):
        assert unagreed.basis(agency, "linkage") is None
        assert agreed.basis(agency, "linkage") == "consent:c2"
    assert unagreed.basis("CA-1", "consent") is None


# -- the page ----------------------------------------------------------------------------------


def test_the_page_lists_every_guard_with_tests_that_exist() -> None:
    lines = [
        line
        for line in DOCS.read_text("utf-8").splitlines()
        if line.startswith(("| G0", "| G1", "| G2"))
    ]
    assert [line[2:5] for line in lines] == [f"G{number:02}" for number in range(1, 21)]
    folder = DOCS.parents[1]
    for line in lines:
        named = re.findall(r"`(tests/[a-z_/]+\.py)::(\w+)`", line)
        assert named, line
        for path, test in named:
            text = (folder / path).read_text("utf-8")
            assert f"def {test}" in text, f"{path} has no {test}"
