"""Child, permit, return, requests, break-glass and retention (T07–T10, T13–T16; G09, G12, G15)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from hub.domain.age import eighteenth_birthday
from hub.domain.agenda.look import Look
from hub.domain.case import Case
from hub.domain.dates import day
from hub.domain.timers import ERASE, end_of, start_of
from hub.domain.work import OPEN, WAITING
from hub.domain.work_kinds import KINDS, owner_word

COMING_OF_AGE = "coming_of_age"
_EXTENSION = timedelta(days=61)  # T08: extendable by two months, once
_ASKING = timedelta(days=30)  # T15: time to answer whether to erase
_FOLLOWING_UP = timedelta(days=14)  # T16: time for a visit or a call
_GUARDIAN = timedelta(days=1)  # G09: without delay
_ERASURE_LEAVES = frozenset({"recall_open", "subject_request_due", "break_glass_review"})


# -- the child -------------------------------------------------------------------------------------


def age_stated(look: Look) -> None:
    """A child, or somebody presumed one: a guardian, and an eye on the eighteenth birthday.

    The birthday itself is a personal fact, so it stands nowhere here: see `comes_of_age`.
    """
    if not look.child:
        look.settle("guardian_missing")
        return
    if look.case.progress.closed:
        return
    if look.case.involvement.guardian is None and not look.standing("guardian_missing"):
        _guardian_missing(
            look, look.event.at + _GUARDIAN, "" if _protected(look) else look.holder()
        )
    if not look.standing(COMING_OF_AGE) and look.fact("outcome") != "adult":
        look.open(COMING_OF_AGE, "age")
        for item in look.standing(COMING_OF_AGE):
            look.changed[item.item] = replace(item, state=WAITING)


def _protected(look: Look) -> bool:
    """Whether whose task it is to find a guardian has a part in the case.

    Where it has none, an item of that role would be on no agency's list: the case holder has it
    until then, who can refer to child protection. A profile that names another owner is followed.
    """
    wanted = KINDS["guardian_missing"].owner
    return owner_word("guardian_missing", look.profile.work) != wanted or any(
        look.role_of(agency) == wanted for agency in look.case.involvement.agencies()
    )


def _guardian_missing(look: Look, due: datetime | None, holder: str) -> None:
    named = {KINDS["guardian_missing"].owner: holder} if holder else {}
    look.open("guardian_missing", "guardian", due=due, named=named)


def part_taken(look: Look) -> None:
    """Child protection came into the case: what waits for a guardian is its own now.

    It never goes back to the holder, who need not know by what the person is presumed a child.
    """
    for item in look.standing("guardian_missing"):
        if item.agency and _protected(look):
            _guardian_missing(look, item.due, "")


def comes_of_age(born: date, today: date, notice: int) -> date | None:
    """T07: the day by which own consent is needed, once it is time to see to it; else None.

    In whole months, and early rather than late: what stands in the store beside the sealed birth
    date tells the month of the eighteenth birthday and only when it is near.
    """
    month = eighteenth_birthday(born).replace(day=1)
    return month if today >= (month - timedelta(days=notice)).replace(day=1) else None


def may_know_month(case: Case, agency: str) -> bool:
    """Whether the agency stated a date of birth in this case or was released one."""
    held = case.holdings.get(agency, {})
    return any(
        one.emitter == agency or (one.event_id, "identity") in held
        for one in case.events
        if "birth_date_stated" in one.facts
    )


def own_consent(look: Look) -> None:
    """G15: consent given by the person, now that it is time, or amended because of it."""
    if look.fact("given_by") == "self" or look.fact("reason") == "reached_18":
        for item in look.standing(COMING_OF_AGE):
            if item.state == OPEN:
                look.settle(COMING_OF_AGE, item.ref)


def guardian(look: Look) -> None:
    look.settle("guardian_missing")


def age_assessed(look: Look) -> None:
    look.settle("age_appeal_over")
    look.settle("age_dispute_contestable")
    if look.fact("outcome") == "adult":
        look.settle(COMING_OF_AGE)
    until = day(look.fact("appeal_open_until"))
    if until is not None:
        look.open("age_appeal_over", "appeal", opens=end_of(until))


def age_disputed(look: Look) -> None:
    look.settle("age_appeal_over")


# -- permit and return -----------------------------------------------------------------------------


def permit(look: Look) -> None:
    look.settle("permit_renewal")
    until = day(look.fact("valid_until"))
    if until is not None and look.fact("outcome") in ("granted", "renewed"):
        before = look.days("T13_permit_renewal_days_before")
        look.open(
            "permit_renewal",
            "permit",
            opens=start_of(until - timedelta(days=before)),
            due=end_of(until),
        )


def returned(look: Look) -> None:
    follow_ups = {str(after): look.day + timedelta(days=after) for after in _follow_ups(look)}
    agreed = day(look.fact("follow_up_due"))
    if agreed is not None and agreed not in follow_ups.values():
        follow_ups["agreed"] = agreed
    for ref, on in follow_ups.items():
        look.open(
            "return_follow_up",
            ref,
            opens=start_of(on),
            due=end_of(on + _FOLLOWING_UP),
            detail={"follow_up": ref},
        )


def _follow_ups(look: Look) -> list[int]:
    return [int(after) for after in look.length("T16_return_follow_up_days")]


# -- requests and break-glass ----------------------------------------------------------------------


def request_received(look: Look) -> None:
    """T08: due as stated, within what the law allows; a later due_on extends it once."""
    request = str(look.fact("request_id"))
    allowed = end_of(look.day + timedelta(days=look.days("T08_subject_request_days")))
    stated = day(look.fact("due_on"))
    due = allowed if stated is None else min(end_of(stated), allowed)
    for item in look.standing("subject_request_due"):
        if item.ref == request and item.due is not None and stated is not None:
            due = max(item.due, min(end_of(stated), end_of(item.since.date()) + _longest(look)))
    look.open("subject_request_due", request, due=due, detail={"right": str(look.fact("right"))})


def _longest(look: Look) -> timedelta:
    return timedelta(days=look.days("T08_subject_request_days")) + _EXTENSION


def request_decided(look: Look) -> None:
    look.settle("subject_request_due", str(look.fact("request_id")))
    if look.fact("action") == "key_destroyed":
        _erased(look)


def _erased(look: Look) -> None:
    """Nothing about the person is left to be done, and no date that came from their own."""
    for item in look.all_standing():
        if item.kind not in _ERASURE_LEAVES:
            look.settle(item.kind, item.ref)
            if item.kind == COMING_OF_AGE:
                look.changed[item.item] = replace(look.changed[item.item], due=None, fired=None)


def invoked(look: Look) -> None:
    """T09 and T10: the window shuts by itself; somebody reviews it, and the person is told."""
    review = look.event.at + timedelta(hours=float(look.length("T10_break_glass_review_hours")))
    shuts = min(
        look.case.windows[-1].closes,
        look.event.at + timedelta(hours=float(look.length("T09_break_glass_window_hours"))),
    )
    look.open("break_glass_review", look.event.event_id, due=review)
    look.open("break_glass_person_to_be_told", look.event.event_id, opens=shuts, due=review)


def reviewed(look: Look) -> None:
    about = str(look.fact("invocation_event_id"))
    look.settle("break_glass_review", about)
    if look.fact("person_informed") is True:
        look.settle("break_glass_person_to_be_told", about)


# -- retention -------------------------------------------------------------------------------------


def closed(look: Look) -> None:
    """T15: the data controller is asked. By itself only where the profile says so."""
    until = day(look.fact("retention_until"))
    if until is None:
        return
    ends = end_of(until)
    erase = look.length(ERASE) is True
    look.open(
        "retention_due",
        "retention",
        opens=ends,
        due=ends if erase else ends + _ASKING,
        detail={"erase": True} if erase else {},
    )


def reopened(look: Look) -> None:
    look.settle("retention_due")
    age_stated(look)


RULES: Mapping[str, tuple[Callable[[Look], None], ...]] = {
    "CaseOpened": (age_stated,),
    "AgeDisputed": (age_disputed, age_stated),
    "AgeAssessed": (age_assessed, age_stated),
    "IdentityRecorded": (age_stated,),
    "RecordCorrected": (age_stated,),
    "ReferralAccepted": (part_taken,),
    "GuardianAppointed": (guardian,),
    "ConsentGiven": (own_consent,),
    "ConsentAmended": (own_consent,),
    "ResidencePermitDecided": (permit,),
    "ReturnCompleted": (returned,),
    "SubjectRequestReceived": (request_received,),
    "SubjectRequestDecided": (request_decided,),
    "BreakGlassInvoked": (invoked,),
    "BreakGlassReviewed": (reviewed,),
    "CaseClosed": (closed,),
    "CaseReopened": (reopened,),
}
