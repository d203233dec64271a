"""The eight leaks of the obvious design, each as a story through the whole pipeline.

Every assertion is about what stands in a partner's own database afterwards. The numbers are those
of docs/privacy.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.privacy.told import Told

Opening = Callable[..., Told]


@pytest.fixture
def telling(tmp_path: Path):  # type: ignore[no-untyped-def]
    opened: list[Told] = []

    def tell(*agencies: str) -> Told:
        opened.append(Told(tmp_path, *agencies))
        return opened[-1]

    yield tell
    for told in opened:
        told.road.close()


def test_leak_1_case_management_does_not_tell_police_which_help_began(telling: Opening) -> None:
    told = telling("NGO-1", "POL-1", "SH-1")
    told.opened()
    told.consents({"POL-1": ["identity", "protection"], "SH-1": ["protection", "health"]})
    told.involves("NGO-1", "POL-1", "SH-1")
    told.says("NGO-1", "ServiceEpisodeStarted", service="trauma_counselling", clinical_note="x")
    told.says("NGO-1", "SupportPlanAgreed", details="begins to trust")
    told.says("SH-1", "AccommodationPlaced", region="Northmost", address="Quiet lane 7")
    assert (
        set(told.holds("POL-1"))
        & {
            "ServiceEpisodeStarted",
            "AccommodationPlaced",
        }
        == set()
    ), "not even that such an event exists"
    for word in ("trauma_counselling", "Northmost", "Quiet lane"):
        assert not told.knows("POL-1", word)
    assert "ServiceEpisodeStarted" in told.holds("SH-1"), "the shelter's work needs it"


def test_leak_2_a_referral_between_two_is_unknown_to_third_agencies(telling: Opening) -> None:
    told = telling("NGO-1", "SH-1", "POL-1", "LEG-1")
    told.opened()
    told.consents({one: ["protection"] for one in ("SH-1", "POL-1", "LEG-1")})
    told.involves("NGO-1", "SH-1", "LEG-1", "POL-1")
    told.says("POL-1", "ReferralEnded", referral_id="to-POL-1", outcome="client_left")
    assert not told.knows("SH-1", "POL-1"), "the shelter must not learn that police are in it"
    assert not told.knows("POL-1", "SH-1")
    assert told.knows("LEG-1", "POL-1"), "the person's lawyer knows who was asked"
    made = told.rows("SH-1", "SELECT to_agency FROM referral_made")
    assert made == [("SH-1",)]


def test_leak_3_each_agency_sees_its_own_slice_of_a_consent(telling: Opening) -> None:
    told = telling("NGO-1", "SH-1", "HLT-1", "LEG-1")
    told.opened()
    told.consents(
        {
            "SH-1": ["protection"],
            "HLT-1": ["health", "identity"],
            "LEG-1": ["protection", "immigration"],
        }
    )
    told.involves("NGO-1", "SH-1", "LEG-1")
    told.says(
        "NGO-1",
        "ConsentWithdrawn",
        consent_id="c1",
        extent="recipients",
        recipients=["HLT-1", "SH-1"],
        leave_nrm=False,
    )
    assert told.knows("SH-1", "protection")
    for word in ("HLT-1", "LEG-1", "immigration"):
        assert not told.knows("SH-1", word), f"{word} is no part of the shelter's slice"
    assert not told.knows("LEG-1", "HLT-1")
    slices = told.rows("SH-1", "SELECT scope FROM consent_given")
    assert slices == [('{"SH-1":["protection"]}',)]


def test_leak_4_a_link_to_an_anonymous_record_needs_the_persons_agreement(
    telling: Opening,
) -> None:
    told = telling("NGO-1", "CA-1", "POL-1", "AUD-1")
    told.opened("POL-1", case="C7a")
    told.says("POL-1", "DutyNotificationSubmitted", "C7a", account_deidentified="by night")
    told.opened("NGO-1", case="C7b")
    told.consents({"CA-1": ["identity", "linkage"]}, case="C7b")
    told.involves("NGO-1", "CA-1", case="C7b")
    told.says("NGO-1", "IdentityRecorded", "C7b", family_name="Namedperson")
    link = {"other_case": "C7a", "relation": "same_person", "method": "human"}
    told.says("NGO-1", "CaseLinkDecided", "C7b", **link, agreed_by_person=False)
    assert "CaseLinkDecided" not in told.holds("CA-1"), "not even that there is a link"
    assert not told.knows("CA-1", "same_person")
    notified = told.rows("CA-1", "SELECT case_ref FROM duty_notification_submitted")
    named = told.rows("CA-1", "SELECT case_ref FROM identity_recorded")
    assert notified
    assert named
    assert notified != named, "two cases to the authority"
    assert told.holds("AUD-1")["CaseLinkDecided"] == {"consent"}, "the auditor: metadata only"
    told.says("NGO-1", "CaseLinkDecided", "C7b", **link, agreed_by_person=True)
    assert told.holds("CA-1")["CaseLinkDecided"] == {"consent", "linkage"}


def test_leak_5_emitting_an_event_grants_no_access(telling: Opening) -> None:
    told = telling("NGO-1", "NGO-2", "IMMSTA-1", "POL-1")
    told.opened()
    told.consents({"NGO-1": ["protection"]})
    # A helpline takes a withdrawal, another agency an access request, feedback and an age dispute.
    withdrawn = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    told.says("NGO-2", "ConsentWithdrawn", **withdrawn)
    told.says("NGO-2", "SubjectRequestReceived", right="access")
    told.says("NGO-2", "FeedbackRecorded", kind="complaint", about_agency="NGO-1", text="cold room")
    told.says("IMMSTA-1", "AgeDisputed", basis="appearance")
    told.says("NGO-1", "NeedsAssessed", health_needs="insulin")
    told.says("NGO-1", "RiskAssessed", level="high")
    for outsider in ("NGO-2", "IMMSTA-1", "POL-1"):
        assert told.holds(outsider) == {}, f"{outsider} gained a part by emitting"
    refused = told.hears("NGO-2", "RiskAssessed", level="low")
    assert (refused.accepted, refused.reason) == (False, "unknown_case")


def test_leak_6_a_left_authority_does_not_come_back_by_closing(telling: Opening) -> None:
    told = telling("NGO-1", "CA-1", "SH-1")
    told.opened()
    told.consents({"CA-1": ["identity", "protection"], "SH-1": ["protection"]})
    told.involves("NGO-1", "CA-1", "SH-1")
    told.says("CA-1", "ReasonableGroundsDecided", outcome="positive")
    told.says("SH-1", "ConsentWithdrawn", consent_id="c1", extent="all", leave_nrm=True)
    told.says("CA-1", "RecoveryPeriodChanged", ends_on="2026-03-02", reason="withdrawn")
    told.says("CA-1", "CaseClosed", reason="withdrew", retention_until="2030-01-01")
    before = told.holds("CA-1")
    told.consents({"CA-1": ["identity", "protection"]}, consent_id="c2")
    told.says("NGO-1", "RiskAssessed", level="extreme", threats=["threatened after leaving"])
    told.says("NGO-1", "IdentityRecorded", family_name="Afterleaving")
    assert told.holds("CA-1") == before, "leaving is sticky, a later consent alone restores nothing"
    assert not told.knows("CA-1", "Afterleaving")
    told.says(
        "NGO-1",
        "ReferralMade",
        referral_id="again",
        to_agency="CA-1",
        basis="c2",
        respond_by="2027-01-01T00:00:00Z",
    )
    told.says("CA-1", "ReferralAccepted", referral_id="again")
    assert told.knows("CA-1", "Afterleaving"), "only a referral made and accepted later does"


def test_leak_7_at_18_child_defaults_end_and_consented_access_works(telling: Opening) -> None:
    told = telling("CPS-1", "CA-1", "NGO-1")
    told.on("2026-08-30T09:00:00+00:00")
    told.opened("CPS-1", age="child")
    told.says("CPS-1", "IdentityRecorded", date_of_birth="2008-09-01", given_name="Young")
    told.involves("CPS-1", "CA-1", "NGO-1", basis="safeguarding")
    told.says("CPS-1", "RiskAssessed", level="high", threats=["before"])
    told.on("2026-09-01T00:00:00+00:00")
    told.says("CPS-1", "RiskAssessed", level="medium", threats=["grown"])
    assert told.knows("CA-1", "before")
    assert not told.knows("CA-1", "grown"), "the child's default ended at midnight"
    told.consents({"CA-1": ["protection"]}, by="CPS-1", covers_history=False)
    told.says("CPS-1", "RiskAssessed", level="low", threats=["agreed"])
    assert told.knows("CA-1", "agreed"), "own consent works (matrix K, not X)"
    assert not told.knows("CA-1", "grown"), "and does not reach back unless it says so"


def test_leak_8_private_bodies_default_access_ends_with_the_last_consent_naming_them(
    telling: Opening,
) -> None:
    told = telling("NGO-1", "SH-1", "POL-1")
    told.opened()
    told.consents({"SH-1": ["protection"], "POL-1": ["protection"]})
    told.involves("NGO-1", "SH-1", "POL-1")
    placed = {"placement_id": "p1", "type": "safe_house", "region": "Firstregion"}
    told.says("NGO-1", "AccommodationPlaced", **placed, address="Firststreet")
    assert told.knows("SH-1", "Firststreet")
    told.says(
        "NGO-1",
        "ConsentWithdrawn",
        consent_id="c1",
        extent="recipients",
        recipients=["SH-1"],
        leave_nrm=False,
    )
    told.says("NGO-1", "AccommodationPlaced", **{**placed, "region": "Secondregion"})
    told.says("NGO-1", "CaseClosed", reason="inclusion", retention_until="2030-01-01")
    assert not told.knows("SH-1", "Secondregion"), "location and case management were D before"
    assert "CaseClosed" not in told.holds("SH-1")
    assert "CaseClosed" in told.holds("POL-1"), "a public body keeps its public task"


@pytest.mark.parametrize("emitter", ["POL-1", "IMMSTA-1"])
def test_an_age_dispute_never_widens_what_its_own_emitter_sees(
    emitter: str, telling: Opening
) -> None:
    """2.6a: police gain nothing; an uninvolved asylum authority gains no part in the case."""
    told = telling("NGO-1", "CPS-1", "LEG-1", "POL-1", "IMMSTA-1")
    told.opened()
    told.consents({"POL-1": ["consent"], "LEG-1": ["consent"]})
    told.involves("NGO-1", "POL-1", "LEG-1")
    told.says("NGO-1", "IdentityRecorded", family_name="Grownperson")
    before = told.holds("POL-1"), told.holds("IMMSTA-1")
    told.says(emitter, "AgeDisputed", basis="appearance", claimed_dob="2010-01-01")
    told.says("NGO-1", "RiskAssessed", level="high", threats=["since the dispute"])
    told.says("NGO-1", "IdentityRecorded", family_name="Grownperson", aliases=["Alias"])
    told.involves("NGO-1", "CPS-1", basis="safeguarding")
    if emitter == "POL-1":
        assert (told.holds("POL-1"), told.holds("IMMSTA-1")) == before
        assert not told.knows("POL-1", "Grownperson")
    else:
        assert told.holds("IMMSTA-1") == {}
    assert told.knows("CPS-1", "Grownperson"), "child protection acts on any dispute"


def test_linking_a_proceeding_gives_its_emitter_its_default_and_nothing_earlier(
    telling: Opening,
) -> None:
    """2.1 involves; 5.1 gives no backfill; consent categories stay shut."""
    told = telling("NGO-1", "POL-1")
    told.opened()
    told.consents({"NGO-1": ["protection"]})
    told.says("NGO-1", "IndicatorsScreened", account="told in confidence")
    told.says("NGO-1", "IdentityRecorded", family_name="Unnamedtopolice")
    told.says("POL-1", "ProceedingLinked", proceeding_ref="X/1", stage="reported")
    assert told.holds("POL-1") == {}, "nothing recorded before"
    told.says("NGO-1", "IdentityRecorded", family_name="Unnamedtopolice", gender="F")
    told.says("NGO-1", "NeedsAssessed", health_needs="insulin")
    told.says("NGO-1", "IndicatorsScreened", account="again in confidence")
    held = told.holds("POL-1")
    assert held["IdentityRecorded"] == {"demographics"}
    assert "NeedsAssessed" not in held
    assert "protection" not in held["IndicatorsScreened"]
    for word in ("Unnamedtopolice", "insulin", "in confidence"):
        assert not told.knows("POL-1", word)
