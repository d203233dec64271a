"""docs/release.md 2.6 and 2.6a: who is a child, until when, and for whom."""

from __future__ import annotations

from datetime import date

import pytest

from hub.domain.age import eighteenth_birthday
from tests.release.story import Heard, Story


def case_of(age: str, *, born: str | None = None) -> Story:
    """Opened by CPS-1, recorded on 2 March 2026; CA-1 and GRD-1 involved."""
    story = Story()
    story.opened("CPS-1", age)
    story.consents({"CA-1": ["family"], "LEG-1": ["family"]}, by="CPS-1")
    story.involves("CPS-1", "CA-1", "LEG-1")
    if born:
        story.identity("CPS-1", born)
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    return story


def child_for(story: Story, agency: str) -> bool:
    """Whether the release treats the person as a child for this agency."""
    asked: Heard = story.raw("CPS-1", "RiskAssessed", "protection", "identity", "child_welfare")
    category = "child_welfare" if agency in ("CA-1", "POL-1") else "protection"
    return asked.basis(agency, category) == "safeguarding"


# -- 2.6 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "expected"),
    [("child", True), ("unknown", True), ("age_disputed", True), ("adult", False)],
)
def test_2_6_the_status_at_opening(age: str, expected: bool) -> None:
    story = case_of(age)
    assert story.child is expected
    assert child_for(story, "CA-1") is expected


def test_2_6_childhood_ends_at_midnight_utc_on_the_18th_birthday() -> None:
    story = case_of("child", born="2008-09-01")
    assert child_for(story.on("2026-08-31T23:58"), "CA-1")
    assert not child_for(story.on("2026-08-31T23:59"), "CA-1")  # said at 00:00


def test_2_6_without_a_date_a_child_stays_a_child() -> None:
    assert child_for(case_of("child").on("2046-01-01"), "CA-1")


@pytest.mark.parametrize("age", ["unknown", "age_disputed"])
def test_2_6_no_birthday_ends_an_unknown_or_disputed_age(age: str) -> None:
    assert child_for(case_of(age, born="2008-09-01").on("2046-01-01"), "CA-1")


def test_2_6_an_adult_by_assessment_is_a_child_through_the_last_day_of_the_appeal() -> None:
    story = case_of("unknown")
    story.assessed("adult", appeal="2026-05-11")
    assert child_for(story.on("2026-05-11T23:58"), "CA-1")
    assert not child_for(story.on("2026-05-11T23:59"), "CA-1")


def test_2_6_an_adult_by_assessment_without_appeal_is_an_adult_at_once() -> None:
    story = case_of("unknown")
    story.assessed("adult")
    assert not story.child


def test_2_6_an_inconclusive_assessment_leaves_the_age_disputed() -> None:
    story = case_of("child", born="2008-09-01")
    story.assessed("inconclusive")
    assert child_for(story.on("2046-01-01"), "CA-1")


def test_2_6_an_assessment_as_child_brings_back_the_birthday() -> None:
    story = case_of("unknown", born="2008-09-01")
    story.assessed("child")
    assert child_for(story.on("2026-08-31"), "CA-1")
    assert not child_for(story.on("2026-09-01"), "CA-1")


def test_2_6_the_latest_assessed_date_of_birth_goes_before_any_stated_one() -> None:
    story = case_of("child", born="2008-09-01")
    story.assessed("child", born="2009-05-05")
    story.identity("CPS-1", "2008-04-01")
    assert child_for(story.on("2027-05-04"), "CA-1")
    assert not child_for(story.on("2027-05-05"), "CA-1")


def test_2_6_an_assessment_without_a_date_leaves_the_latest_assessed_one() -> None:
    story = case_of("child", born="2008-09-01")
    story.assessed("child", born="2009-05-05")
    story.assessed("child")
    assert child_for(story.on("2027-05-04"), "CA-1")
    assert not child_for(story.on("2027-05-05"), "CA-1")


def test_2_6_of_the_stated_dates_the_latest_that_made_a_minor_counts() -> None:
    story = case_of("child", born="2008-09-01")
    story.identity("CPS-1", "2010-01-01")
    story.identity("CPS-1", "1990-01-01")  # would make an adult: ignored
    assert child_for(story.on("2027-12-31"), "CA-1")
    assert not child_for(story.on("2028-01-01"), "CA-1")


def test_2_6_a_stated_adults_date_ends_no_childhood() -> None:
    assert case_of("child", born="1990-01-01").child


def test_2_6_a_corrected_date_counts_as_stated() -> None:
    story = case_of("child")
    recorded = story.identity("CPS-1", "2008-09-01")
    story.says(
        "CPS-1",
        "RecordCorrected",
        "case_management",
        "identity",
        corrects_event=recorded.event_id,
        field="date_of_birth",
        new_value="2009-09-01",
    )
    assert child_for(story.on("2026-09-02"), "CA-1")


def test_2_6_a_corrected_assessed_date_is_no_assessment() -> None:
    story = case_of("child")
    assessed = story.assessed("child", born="2009-05-05")
    story.says(
        "CPS-1",
        "RecordCorrected",
        "case_management",
        "identity",
        corrects_event=assessed.event_id,
        field="assessed_dob",
        new_value="1990-01-01",
    )
    assert story.child


def test_2_6_a_stated_minors_date_disputes_an_unassessed_adult() -> None:
    story = case_of("adult", born="2010-01-01")
    assert story.child
    assert child_for(story.on("2046-01-01"), "CA-1")  # disputed: only an assessment ends it


def test_2_6_it_does_not_touch_an_assessed_adult() -> None:
    story = case_of("unknown")
    story.assessed("adult")
    story.identity("CPS-1", "2010-01-01")
    assert not story.child


def test_2_6_minor_means_minor_when_stated() -> None:
    story = case_of("adult").on("2026-09-01")
    story.identity("CPS-1", "2008-09-01")  # 18 on this very day
    assert not story.child
    story = case_of("adult").on("2026-08-31")
    story.identity("CPS-1", "2008-09-01")
    assert story.child


def test_2_6_a_claimed_date_of_birth_is_never_used() -> None:
    story = case_of("child")
    story.says("CPS-1", "AgeDisputed", "child_welfare", "identity", claimed_dob="1990-01-01")
    assert story.child
    assert "claimed_dob" not in story.case.events[-1].facts


def test_2_6_one_born_on_29_february_comes_of_age_on_1_march() -> None:
    assert eighteenth_birthday(date(2008, 2, 29)) == date(2026, 3, 1)


# -- 2.6a ------------------------------------------------------------------------------------

SERVED = ("GRD-1", "LEG-1")
OTHERS = ("CA-1",)


def narrow(story: Story) -> bool:
    """Child in procedure and for those a dispute serves, for nobody else."""
    return (
        story.child
        and all(child_for(story, agency) for agency in SERVED if agency != "LEG-1")
        and not any(child_for(story, agency) for agency in OTHERS)
    )


@pytest.mark.parametrize("agency", ["POL-1", "PROS-1", "LI-1", "IMMENF-1"])
def test_2_6a_an_enforcement_dispute_about_an_adult_serves_three_roles_only(agency: str) -> None:
    story = case_of("adult")
    story.raw(agency, "AgeDisputed", "child_welfare")
    assert narrow(story)


def test_2_6a_for_the_lawyer_default_access_no_longer_needs_a_consent() -> None:
    story = case_of("adult")
    story.withdraws(by="CPS-1")
    plan = story.says("CPS-1", "SupportPlanAgreed", "case_management")
    assert plan.reason("LEG-1", "case_management") == "withdrawn"
    story.disputed("POL-1")
    plan = story.says("CPS-1", "SupportPlanAgreed", "case_management")
    assert plan.basis("LEG-1", "case_management") == "public_task"


def test_2_6a_about_one_who_came_of_age() -> None:
    story = case_of("child", born="2008-09-01").on("2026-09-02")
    story.disputed("POL-1")
    assert narrow(story)


def test_2_6a_with_an_appeal_window_open_all_stays_until_it_closes() -> None:
    story = case_of("unknown")
    story.assessed("adult", appeal="2026-05-11")
    story.disputed("POL-1")
    assert child_for(story.on("2026-05-11"), "CA-1")
    assert narrow(story.on("2026-05-12"))


@pytest.mark.parametrize("age", ["child", "unknown", "age_disputed"])
def test_2_6a_about_anybody_else_it_acts_at_once(age: str) -> None:
    story = case_of(age, born="2008-09-01")
    story.disputed("POL-1")
    assert child_for(story.on("2046-01-01"), "CA-1")  # age_disputed: no birthday counts


def test_2_6a_a_dispute_from_another_role_acts_by_2_6() -> None:
    story = case_of("adult")
    story.disputed("POL-1")
    story.disputed("IMMSTA-1")
    assert child_for(story, "CA-1")


def test_2_6a_an_assessment_ends_it() -> None:
    story = case_of("adult")
    story.disputed("POL-1")
    story.assessed("adult")
    assert not story.child
    assert not child_for(story, "GRD-1")


def test_2_6a_a_stated_minors_date_acts_by_2_6() -> None:
    story = case_of("adult")
    story.disputed("POL-1")
    story.identity("CPS-1", "2010-01-01")
    assert child_for(story, "CA-1")


def test_2_6a_a_stated_minors_date_does_not_act_on_an_assessed_adult() -> None:
    story = case_of("unknown")
    story.assessed("adult")
    story.disputed("POL-1")
    story.identity("CPS-1", "2010-01-01")
    assert narrow(story)


def test_2_6a_a_stated_minors_date_answers_a_dispute_about_one_come_of_age() -> None:
    story = case_of("child", born="2008-09-01").on("2026-10-01")
    story.disputed("POL-1")
    assert narrow(story)
    story.identity("CPS-1", "2008-12-01")  # a child again, for everybody, until that birthday
    assert child_for(story.on("2026-11-30T20:00"), "CA-1")
    story.on("2026-12-02")
    assert not story.child
    assert not child_for(story, "GRD-1")


def test_2_6a_next_to_an_assessed_date_a_stated_one_does_not_act() -> None:
    story = case_of("unknown")
    story.assessed("child", born="2008-09-01")
    story.on("2026-10-01").disputed("POL-1")
    story.identity("CPS-1", "2008-12-01")
    assert narrow(story)


def test_2_6a_whose_dispute_is_narrow_is_the_emitters_role_not_what_it_says() -> None:
    story = case_of("adult")
    story.says("POL-1", "AgeDisputed", "child_welfare", raised_by_role="child_protection")
    assert narrow(story)


# -- erasure -----------------------------------------------------------------------------------


def test_once_birth_dates_are_erased_a_folded_case_keeps_what_was_recorded() -> None:
    story = case_of("child", born="2008-09-01").on("2026-09-02")
    story.says("CPS-1", "NeedsAssessed", "protection")
    folded = Story()
    for event, settlement in story.said:
        plain = {k: v for k, v in event.facts.items() if k not in ("date_of_birth", "assessed_dob")}
        entered = folded.case.enter(
            type(event)(
                event.position,
                event.event_id,
                event.type,
                event.emitter,
                event.role,
                event.at,
                event.categories,
                plain,
            )
        )
        folded.case.hold(settlement, entered)
        folded.case.leave(entered)
    folded.on("2026-09-03")
    assert not folded.child
