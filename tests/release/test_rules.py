"""docs/release.md 4: each rule, and its place in the order."""

from __future__ import annotations

import dataclasses

import pytest

from hub.domain.parties import Party
from hub.domain.policy import PolicyProfile, default_document
from hub.release import RULES, Ask, Withheld, decide
from tests.release.story import PROFILE, Story, adult


def child(*joined: str) -> Story:
    story = Story()
    story.opened("CPS-1", "child")
    story.involves("CPS-1", *joined)
    return story


def test_the_rules_are_numbered_as_the_document_is() -> None:
    numbers = [int(rule.__name__.split("_")[1]) for rule in RULES]
    assert numbers == list(range(1, 16))


# -- 1.1, 1.2 --------------------------------------------------------------------------------


def test_1_1_every_registered_agency_but_the_emitter_and_the_hub_is_decided() -> None:
    story = adult({"SH-1": ["protection"]}, "SH-1")
    heard = story.says("SH-1", "RiskAssessed", "protection")
    for party in story.parties.all():
        if party.agency == "SH-1":
            assert party.agency not in heard.settlement.decided
        elif party.role != "hub":
            assert heard.outcome(party.agency, "protection") is not None
    assert "HUB" not in heard.settlement.decided


def test_1_2_the_first_reason_comes_first_and_further_ones_follow() -> None:
    story = adult({"SH-1": ["protection"], "CA-1": ["protection"]}, "SH-1", "CA-1")
    offer = story.refers("NGO-1", "CA-1", "second", basis="c1")
    outcome = offer.outcome("SH-1", "protection")
    assert isinstance(outcome, Withheld)
    assert outcome.reason == "not_party"
    story.withdraws(extent="recipients", recipients=["SH-1"])
    offer = story.refers("NGO-1", "CA-1", "third", basis="c1")
    outcome = offer.outcome("SH-1", "case_management")
    assert isinstance(outcome, Withheld)
    assert outcome.reasons == ("not_party", "withdrawn")


def test_1_2_a_rule_that_raises_withholds() -> None:
    story = adult({"SH-1": ["protection"]}, "SH-1")
    event = story.event("NGO-1", "RiskAssessed", "protection")
    story.case.enter(event)
    broken = dataclasses.replace(PROFILE, private_bodies=None)  # type: ignore[arg-type]
    ask = Ask(
        story.case,
        event,
        Party("SH-1", "shelter"),
        broken,
        story.now,
        age=story.case.age.view(story.now, frozenset()),
        category="case_management",
    )
    assert decide(ask) == Withheld(("rule_failed",))


def test_2_12_an_agency_without_an_agreement_receives_nothing() -> None:
    story = Story("NGO-1", "SH-1", "HUB", "IMMENF-1")
    story.parties = type(story.parties)(
        Party(p.agency, p.role, receives=p.agency == "NGO-1") for p in story.parties.all()
    )
    story.opened()
    story.consents({"SH-1": ["protection"]})
    story.involves("NGO-1", "SH-1")
    assert story.says("NGO-1", "RiskAssessed", "protection").reason("SH-1", "protection") == (
        "no_agreement"
    )
    hold = story.says("HUB", "RemovalHoldPlaced", "removal_hold")
    assert hold.reason("IMMENF-1", "removal_hold") == "no_agreement"
    assert set(story.case.holdings) == {"NGO-1"}


@pytest.mark.parametrize(
    ("role", "category"), [("unheard_of", "identity"), ("police", "unheard_of"), ("hub", "audit")]
)
def test_default_deny_for_what_the_profile_does_not_name(role: str, category: str) -> None:
    story = child("POL-1")
    heard = story.says("CPS-1", "RiskAssessed", category)
    event = story.case.find(heard.event_id)
    assert event is not None
    age = story.case.age.view(story.now, PROFILE.enforcement_roles)
    ask = Ask(story.case, event, Party("X", role), PROFILE, story.now, age=age, category=category)
    assert decide(ask) == Withheld(("never_rule", "not_involved"))


# -- 4.1 -------------------------------------------------------------------------------------


def embassy() -> Story:
    return adult({"EMB-1": ["identity", "immigration", "case_management"]}, "EMB-1")


def test_4_1_while_a_claim_is_open_nothing_reaches_the_embassy() -> None:
    story = embassy()
    assert story.identity().basis("EMB-1", "identity") == "consent:c1"
    opened = story.says("IMMSTA-1", "AsylumClaimRecorded", "immigration", status="open")
    assert opened.reason("EMB-1", "immigration") == "asylum_embassy"
    assert story.identity().reason("EMB-1", "identity") == "asylum_embassy"
    closed = story.says("IMMSTA-1", "AsylumClaimRecorded", "immigration", status="closed")
    assert closed.reason("EMB-1", "immigration") == "asylum_embassy"
    assert story.identity().basis("EMB-1", "identity") == "consent:c1"


def test_4_1_goes_before_never_and_not_involved() -> None:
    story = adult({"NGO-1": ["identity"]})
    story.says("IMMSTA-1", "AsylumClaimRecorded", "immigration", status="open")
    heard = story.says("NGO-1", "RiskAssessed", "protection", "identity")
    assert heard.reason("EMB-1", "protection") == "asylum_embassy"
    assert heard.reason("EMB-1", "identity") == "asylum_embassy"


# -- 4.3 -------------------------------------------------------------------------------------


def test_4_3_a_duty_notification_goes_whole_to_authority_and_police_and_to_nobody_else() -> None:
    story = Story()
    story.opened("LI-1")
    story.consents({"NGO-1": ["demographics"]}, by="LI-1")
    story.involves("LI-1", "NGO-1")
    categories = ("demographics", "deidentified_account", "location_exploitation")
    told = story.says("LI-1", "DutyNotificationSubmitted", *categories)
    for category in categories:
        assert told.basis("CA-1", category) == "legal_obligation"
        assert told.basis("POL-1", category) == "legal_obligation"
        assert told.reason("NGO-1", category) == "not_involved"
        assert told.reason("IMMENF-1", category) == "not_involved"  # before never_rule


# -- 4.4, 4.5 --------------------------------------------------------------------------------


def test_4_4_never_goes_before_not_involved() -> None:
    story = adult({"SH-1": ["health"]})
    heard = story.says("NGO-1", "NeedsAssessed", "health")
    assert heard.reason("POL-1", "health") == "never_rule"
    assert heard.reason("SH-1", "health") == "not_involved"


def test_4_5_always_needs_no_involvement() -> None:
    story = adult({"SH-1": ["health"]})
    hold = story.says("HUB", "RemovalHoldPlaced", "removal_hold")
    assert hold.basis("IMMENF-1", "removal_hold") == "statutory_minimum"
    assert story.withdraws().basis("AUD-1", "consent") == "statutory_minimum"


def test_4_5_the_deidentified_account_is_by_consent_outside_a_notification() -> None:
    story = adult({"CA-1": ["protection"], "POL-1": ["deidentified_account"]}, "CA-1")
    told = story.says("NGO-1", "IndicatorsScreened", "deidentified_account")
    assert told.reason("POL-1", "deidentified_account") == "not_involved"
    assert told.reason("CA-1", "deidentified_account") == "no_consent"
    story.involves("NGO-1", "POL-1")
    told = story.says("NGO-1", "IndicatorsScreened", "deidentified_account")
    assert told.basis("POL-1", "deidentified_account") == "consent:c1"


# -- 4.7 -------------------------------------------------------------------------------------


def test_4_7_a_referral_is_for_sender_recipient_lawyer_and_guardian() -> None:
    scope = ["case_management", "protection"]
    named = ("SH-1", "CA-1", "LEG-1", "GRD-1", "HLT-1")
    story = adult(dict.fromkeys(named, scope), "SH-1", "LEG-1", "GRD-1")
    story.refers("NGO-1", "CA-1")
    accepted = story.accepts("CA-1")
    assert accepted.basis("NGO-1", "case_management") == "public_task"
    assert accepted.basis("LEG-1", "case_management") == "public_task"
    assert accepted.basis("GRD-1", "case_management") == "consent:c1"
    assert accepted.reason("SH-1", "case_management") == "not_party"


def test_4_7_a_transfer_is_a_message_of_rule_7_too() -> None:
    story = adult({"FNRM-1": ["case_management"], "SH-1": ["protection"]}, "SH-1")
    offer = story.says(
        "NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1"
    )
    assert offer.basis("FNRM-1", "case_management") == "consent:c1"
    assert offer.reason("SH-1", "case_management") == "not_party"


# -- 4.9 -------------------------------------------------------------------------------------


def link(story: Story, *, agreed: bool = True) -> dict[str, str | None]:
    heard = story.says(
        "NGO-1",
        "CaseLinkDecided",
        "linkage",
        "consent",
        other_case="C0",
        agreed_by_person=agreed,
    )
    return {
        f"{agency} {category}": heard.basis(agency, category) or heard.reason(agency, category)
        for agency in ("CA-1", "SH-1", "AUD-1")
        for category in ("linkage", "consent")
    }


def test_4_9_a_links_consent_is_decided_as_the_link() -> None:
    story = adult({"CA-1": ["linkage"], "SH-1": ["protection"]}, "CA-1", "SH-1")
    assert link(story) == {
        "CA-1 linkage": "consent:c1",
        "CA-1 consent": "consent:c1",
        "SH-1 linkage": "never_rule",
        "SH-1 consent": "never_rule",
        "AUD-1 linkage": "never_rule",
        "AUD-1 consent": "statutory_minimum",
    }


def test_4_9_if_the_link_is_withheld_so_is_its_consent_for_the_same_reason() -> None:
    story = adult({"CA-1": ["protection"], "SH-1": ["protection"]}, "CA-1", "SH-1")
    told = link(story)
    assert told["CA-1 linkage"] == told["CA-1 consent"] == "no_consent"


def test_4_9_without_agreement_a_link_reaches_nobody_but_the_auditor() -> None:
    story = adult({"CA-1": ["linkage"], "SH-1": ["protection"]}, "CA-1", "SH-1")
    told = link(story, agreed=False)
    assert told["CA-1 linkage"] == told["CA-1 consent"] == "no_consent"
    assert told["AUD-1 consent"] == "statutory_minimum"
    minor = child("NGO-1", "GRD-1")
    heard = minor.says(
        "NGO-1", "CaseLinkDecided", "linkage", "consent", other_case="C0", agreed_by_person=False
    )
    for agency in ("GRD-1", "CPS-1"):
        assert heard.reason(agency, "linkage") == "no_consent"
        assert heard.reason(agency, "consent") == "no_consent"


def test_4_9_the_consent_of_a_link_is_recalled_with_the_pair_it_rests_on() -> None:
    story = adult({"CA-1": ["linkage", "consent"]}, "CA-1")
    link(story)
    unrelated = story.withdraws(extent="categories", categories=["consent"])
    assert unrelated.recalls == {}
    withdrawn = story.withdraws(extent="categories", categories=["linkage"])
    assert withdrawn.recalls == {"CA-1": ("delete_or_restrict", ("consent", "linkage"))}


# -- 4.10 ------------------------------------------------------------------------------------


def test_4_10_case_management_outside_the_roles_groups_is_not_relevant() -> None:
    story = adult({"POL-1": ["case_management"]}, "POL-1")
    service = story.says("NGO-1", "ServiceEpisodeStarted", "case_management")
    assert service.reason("POL-1", "case_management") == "not_relevant"
    closed = story.says("NGO-1", "CaseClosed", "case_management")
    assert closed.basis("POL-1", "case_management") == "public_task"


def missing(story: Story, reason: str = "missing") -> str | None:
    ended = story.says("CPS-1", "AccommodationEnded", "case_management", reason=reason)
    return ended.basis("POL-1", "case_management") or ended.reason("POL-1", "case_management")


def test_4_10_a_missing_child_alerts_the_involved_police() -> None:
    story = child("POL-1")
    assert missing(story) == "safeguarding"
    assert missing(story, "moved_on") == "not_relevant"
    assert missing(child()) == "not_involved"


def test_4_10_an_adults_absence_does_not_nor_does_it_after_an_enforcement_dispute() -> None:
    story = Story()
    story.opened("CPS-1", "adult")
    story.says("POL-1", "ProceedingLinked", "criminal_justice")
    assert missing(story) == "not_relevant"
    story.disputed("POL-1")
    assert missing(story) == "not_relevant"


# -- 4.11 ------------------------------------------------------------------------------------


def complained(story: Story, kind: str = "complaint", about: str = "CA-1") -> str | None:
    heard = story.says(
        "NGO-1", "FeedbackRecorded", "case_management", kind=kind, about_agency=about
    )
    return heard.basis("CA-1", "case_management") or heard.reason("CA-1", "case_management")


def widely() -> Story:
    """A profile whose authority may receive rights events, to see 4.11 apart from 4.10."""
    document = default_document()
    document["event_group_gate"]["competent_authority"].append("rights")
    story = Story(profile=PolicyProfile.from_document(document))
    story.opened()
    story.consents({"CA-1": ["protection"]})
    story.involves("NGO-1", "CA-1")
    return story


def test_4_11_feedback_about_an_agency_reaches_it_by_consent_only() -> None:
    story = widely()
    assert complained(story, about="SH-1") == "public_task"
    assert complained(story) == "no_consent"
    story.amends({"CA-1": ["case_management"]})
    assert complained(story) == "consent:c1"


def resolved(story: Story) -> str | None:
    heard = story.says("NGO-1", "ComplaintResolved", "case_management")
    return heard.basis("CA-1", "case_management") or heard.reason("CA-1", "case_management")


def test_4_11_a_resolution_reaches_agencies_complained_about_earlier_by_consent_only() -> None:
    story = widely()
    assert resolved(story) == "public_task"
    complained(story, "feedback")
    assert resolved(story) == "public_task"
    first = resolved
    complained(story)
    assert first(story) == "no_consent"


def test_4_11_a_complaint_made_later_does_not_reach_back() -> None:
    story = widely()
    heard = story.says("NGO-1", "ComplaintResolved", "case_management")
    complained(story)
    assert story.again(heard, "CA-1", "case_management") == "public_task"


def test_4_11_an_agency_that_opened_the_case_is_not_spared() -> None:
    story = adult({"SH-1": ["protection"]}, "SH-1")
    heard = story.says(
        "SH-1", "FeedbackRecorded", "case_management", "feedback", kind="complaint",
        about_agency="NGO-1",
    )  # fmt: skip
    assert heard.reason("NGO-1", "case_management") == "no_consent"
    assert heard.reason("NGO-1", "feedback") == "no_consent"


# -- 4.14, 4.15 ------------------------------------------------------------------------------


def test_4_14_child_categories_go_out_for_children_and_for_adults_by_consent_or_never() -> None:
    minor = child("CA-1")
    heard = minor.says("CPS-1", "RiskAssessed", "identity", "child_welfare")
    assert heard.basis("CA-1", "identity") == "safeguarding"
    assert heard.basis("CA-1", "child_welfare") == "safeguarding"
    grown = adult({"CA-1": ["identity", "child_welfare"]}, "CA-1")
    heard = grown.says("NGO-1", "RiskAssessed", "identity", "child_welfare")
    assert heard.basis("CA-1", "identity") == "consent:c1"
    assert heard.reason("CA-1", "child_welfare") == "age_rule"


def test_4_15_c_asks_for_consent_even_of_a_child() -> None:
    heard = child("CA-1").says("CPS-1", "NeedsAssessed", "health")
    assert heard.reason("CA-1", "health") == "no_consent"


def test_the_firewall_enforcement_gets_the_hold_flag_and_nothing_else() -> None:
    story = adult({"IMMENF-1": ["identity", "case_management"]})
    heard = story.says("NGO-1", "RiskAssessed", "identity", "case_management")
    assert heard.reason("IMMENF-1", "identity") == "never_rule"
    assert heard.reason("IMMENF-1", "case_management") == "never_rule"
