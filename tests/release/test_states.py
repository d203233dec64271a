"""The state machine: every transition of its table, and what the fold makes of whole cases."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from hub.domain.drawn import page
from hub.domain.machine import ANY_OPEN, BACK, INITIAL, TRANSITIONS, Transition
from hub.domain.policy import default_profile
from hub.domain.statements import Statements
from hub.domain.states import States
from hub.scenario import shipped
from schemas.registry import Schemas
from tests.release.story import Story
from tests.scenarios.rules_alone import play

TABLE = Path(__file__).parents[1] / "vectors" / "state_machine.csv"

# Rows that no event of the catalogue brings about, and where they are instead.
BY_TIME = {
    ("referral", "timer T06"): "ended(expired) is recorded as ReferralEnded by the hub",
    ("consent", "court or authority ruling"): "no event states it; withdraw or let it expire",
}
OUTCOMES = {"quashed": "conviction_quashed"}


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['region']}-{r['event'][:40]}-{r['to']}")
def test_the_table_the_code_runs_on_has_every_transition(row: dict[str, str]) -> None:
    region, event = row["region"], row["event"]
    if (region, event) in BY_TIME:
        return
    name, _, condition = event.partition("(")
    wanted = {OUTCOMES.get(one, one) for one in re.split(r"[|]", condition.rstrip(")")) if one}
    lines = [one for one in TRANSITIONS if one.region == region and _names(one, name)]
    assert lines, f"{region} has no transition for {name}"
    if region == "age" and row["to"] == "adult" and name == "AgeAssessed":
        wanted = {"adult"}
    if wanted and name == "ReferralAccepted":
        lines = [one for one in lines if one.by]
        wanted = set()
    if row["to"] == "as outcome" or "overturned" in wanted or wanted == {"combined"}:
        wanted, targets = set(), {one.to for one in lines}
    else:
        targets = set(row["to"].split("|"))
    for outcome in wanted or {""}:
        meant = [one for one in lines if not outcome or _when(one, outcome)]
        assert meant, f"{region}: {name} with {outcome}"
        froms = {
            "" if one in ("-", "none") and region != "asylum" else one
            for one in row["from"].split("|")
        }
        for start in froms - {""}:
            reached = {one.to for one in meant if _starts(one, start)}
            assert reached & (targets | {BACK}), f"{region}: {start} --{event}--> {targets}"


def _names(one: Transition, name: str) -> bool:
    return one.event == name or (name.startswith("timer") and bool(one.after))


def _when(one: Transition, outcome: str) -> bool:
    if outcome in one.when:
        return True  # leave_nrm
    return any(outcome in values for values in one.when.values()) or not one.when


def _starts(one: Transition, start: str) -> bool:
    return start in one.frm or (ANY_OPEN in one.frm) or start in ("any", "any open")


def test_every_state_event_and_region_of_the_table_exists() -> None:
    types = set(Schemas.load().types())
    for one in TRANSITIONS:
        assert one.region in INITIAL
        assert one.event in types or (not one.event and one.after)
        states = {other.to for other in TRANSITIONS if other.region == one.region}
        states |= {INITIAL[one.region], ANY_OPEN, BACK}
        assert {*one.frm, one.to} <= states, one
        schema = Schemas.load().by_type(one.event) if one.event else None
        for name in one.when:
            assert schema is not None
            assert name in {field.name for field in schema.fields}


# -- whole cases -------------------------------------------------------------------------------


def after(story: Story) -> States:
    """The states of a story told so far."""
    states = States()
    for event, settlement in story.said:
        states.take(event, child=settlement.age.in_procedure, left=settlement.left)
    return states


def test_a_case_from_opening_to_reopening() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["identity"]})
    story.involves("NGO-1", "CA-1")
    assert after(story).state("case") == "identification_pending"
    decided = ("decision", "case_management")
    story.says("CA-1", "ReasonableGroundsDecided", *decided, outcome="negative")
    story.says("NGO-1", "ReconsiderationRequested", *decided, decision_ref="rg")
    assert after(story).state("case") == "reconsideration"
    story.says("CA-1", "ReconsiderationDecided", *decided, decision_ref="rg", outcome="upheld")
    assert after(story).state("case") == "rg_negative"
    story.says("NGO-1", "ReconsiderationRequested", *decided, decision_ref="rg")
    story.says("CA-1", "ReconsiderationDecided", *decided, decision_ref="rg", outcome="overturned")
    assert after(story).state("case") == "rg_positive"
    story.says("CA-1", "ConclusiveGroundsDecided", *decided, outcome="positive")
    story.says("NGO-1", "CaseClosed", "case_management", reason="inclusion")
    assert after(story).state("case") == "closed"
    story.says("NGO-1", "CaseReopened", "case_management", reason="new_information")
    states = after(story)
    assert states.state("case") == "cg_positive"
    assert states.out_of_order == []


def test_leaving_ends_the_authoritys_pending_referral_and_no_other() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["identity"], "SH-1": ["protection"]})
    story.refers("NGO-1", "CA-1", "r-ca")
    story.refers("NGO-1", "SH-1", "r-sh")
    story.withdraws(leave_nrm=True, extent="recipients", recipients=["CA-1"])
    states = after(story)
    assert states.state("case") == "withdrawn"
    assert states.state("referral", "r-ca") == "ended"
    assert states.state("referral", "r-sh") == "pending"


def test_a_child_does_not_leave() -> None:
    story = Story()
    story.opened("CPS-1", age="child")
    story.consents({"CA-1": ["identity"]}, by="CPS-1")
    story.withdraws(by="CPS-1", leave_nrm=True)
    assert after(story).state("case") == "opened"


def test_recovery_and_hold_run_beside_the_case() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["identity"]})
    story.involves("NGO-1", "CA-1")
    period = {"start": "2026-03-02", "minimum_days": 30, "ends_on": "2026-04-01"}
    story.says("CA-1", "RecoveryPeriodStarted", "case_management", **period)
    story.says("CA-1", "RemovalHoldPlaced", "removal_hold", hold_ref="h")
    states = after(story)
    assert (states.state("recovery"), states.state("removal")) == ("running", "held")
    longer = {"ends_on": "2026-05-01", "reason": "needs"}
    story.says("CA-1", "RecoveryPeriodChanged", "case_management", **longer)
    assert after(story).state("recovery") == "running"
    story.on("2026-05-03")
    over = {"ends_on": "2026-05-02", "reason": "completed"}
    story.says("CA-1", "RecoveryPeriodChanged", "case_management", **over)
    story.says("HUB", "RemovalHoldLifted", "removal_hold", hold_ref="h")
    states = after(story)
    assert (states.state("recovery"), states.state("removal")) == ("ended", "clear")


def test_what_comes_with_time_is_told_when_asked() -> None:
    story = Story()
    story.opened("CPS-1", age="child")
    until = {"expires_at": "2026-03-02T20:00:00Z", "two_person_ref": "tp"}
    invoked = story.says(
        "HLT-1", "BreakGlassInvoked", "case_management", requested_categories=["health"], **until
    )
    states = after(story)

    def told(*, of_age: bool, open_: bool) -> dict[str, str]:
        standing = states.standing(story.now, of_age=of_age, window_open=lambda _: open_)
        return {one.region: one.state for one in standing}

    assert told(of_age=False, open_=True)["age"] == "child"
    assert told(of_age=False, open_=True)["break_glass"] == "open"
    later = told(of_age=True, open_=False)
    assert (later["age"], later["break_glass"]) == ("adult", "awaiting_review")
    about = {"invocation_event_id": invoked.event_id, "outcome": "justified"}
    story.says("AUD-1", "BreakGlassReviewed", "audit", **about)
    assert after(story).state("break_glass", invoked.event_id) == "closed"


def test_what_follows_from_nothing_is_recorded_and_noted() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["identity"]})
    story.involves("NGO-1", "CA-1")
    about = {"decision_ref": "rg", "outcome": "overturned"}
    story.says("CA-1", "ReconsiderationDecided", "decision", **about)
    [noted] = after(story).out_of_order
    assert (noted.event, noted.region, noted.state) == (
        "ReconsiderationDecided",
        "case",
        "identification_pending",
    )


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_the_shipped_scenarios_run_through_the_machine_in_order(scenario_id: str) -> None:
    cases: dict[str, States] = {}
    scenario = shipped.load(scenario_id)
    written = {event["id"]: event["case"] for event in scenario["events"]}
    for played in play(scenario, default_profile()):
        assert played.settlement is not None
        states = cases.setdefault(written[played.event.event_id], States())
        settlement = played.settlement
        states.take(played.event, child=settlement.age.in_procedure, left=settlement.left)
    for states in cases.values():
        assert states.out_of_order == []
    ends = {
        "S1": {"case": "withdrawn", "recovery": "ended", "removal": "clear"},
        "S2": {"case": "cg_positive", "guardian": "appointed", "age": "child"},
        "S4": {"case": "cg_positive", "proceeding": "decided", "removal": "held"},
        "S5": {"case": "closed", "return": "returned"},
        "S8": {"case": "rg_positive", "recovery": "running"},
        "S10": {"asylum": "closed", "return": "agreed"},
    }
    for region, state in ends.get(scenario_id, {}).items():
        [only] = cases.values()
        assert only.state(region) == state, region


# -- several agencies on one matter --------------------------------------------------------------


def test_two_statements_on_one_matter_are_both_kept_side_by_side() -> None:
    story = Story()
    story.opened("POL-1", age="adult")
    story.consents({"PROS-1": ["identity"]}, by="POL-1")
    story.says("POL-1", "IdentityRecorded", "identity", date_of_birth="1999-01-01")
    story.says("POL-1", "ProceedingLinked", "criminal_justice", stage="investigation")
    story.says("PROS-1", "ProceedingLinked", "criminal_justice", stage="charged")
    story.says("CPS-1", "AgeDisputed", "child_welfare")
    story.says("POL-1", "ReferralMade", "case_management", referral_id="r", to_agency="CPS-1")
    story.says("CPS-1", "ReferralAccepted", "case_management", referral_id="r")
    story.says("CPS-1", "IdentityRecorded", "identity", date_of_birth="2009-05-05")
    statements = Statements()
    for event, _ in story.said:
        statements.take(event)
    matters = {one.about: one for one in statements.matters()}
    assert {name for name, one in matters.items() if one.differ} == {
        "age",
        "date of birth",
        "stage of proceedings",
    }
    stages = matters["stage of proceedings"].statements
    assert [(one.agency, one.said) for one in stages] == [
        ("POL-1", "investigation"),
        ("PROS-1", "charged"),
    ]
    born = matters["date of birth"].statements
    assert [one.said for one in born] == ["stated", "stated"], "content is not shown"
    assert [one.position for one in born] == sorted(one.position for one in born)


def test_statements_that_agree_and_erased_ones_do_not_differ() -> None:
    statements = Statements()
    story = Story()
    for agency, facts in (
        ("NGO-1", {"date_of_birth": "1999-01-01"}),
        ("SH-1", {"date_of_birth": "1999-01-01"}),
        ("HLT-1", {"birth_date_stated": True}),
    ):
        event = story.event(agency, "IdentityRecorded", "identity")
        event.facts.update(facts)  # type: ignore[attr-defined]
        story.raw("AUD-1", "RecallAnswered", "audit")
        statements.take(event)
    [born] = statements.matters()
    assert [one.said for one in born.statements] == ["stated", "stated", "erased"]
    assert not born.differ


def test_the_page_of_processes_is_drawn_from_the_table() -> None:
    kept = (Path(__file__).parents[2] / "docs" / "processes.md").read_text("utf-8")
    assert kept == page(), "run: python -m hub.domain.drawn > docs/processes.md"
    assert kept.count("```mermaid") == len(INITIAL)
