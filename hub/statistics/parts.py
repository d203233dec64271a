"""Parts: the levels by which tables divide, each with the code of every part and its label.

IC-TIP and EU dimensions (registering organisation, sex and age, citizenship, form of
exploitation), the age bands of CTDC, HTCDS's forms of exploitation. A person is in exactly one
part of a level; where several apply there is a part for that ("several"). `not_known` is where
nothing was stated, or nothing of this list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hub.domain.age import eighteenth_birthday
from hub.statistics.counts import Level
from hub.statistics.lives import Feedback, Life, Referral
from schemas import codelists

U = TypeVar("U")
NOT_KNOWN = {"not_known": "Not known"}
_ROLES = {code: label for code, label in codelists.load("nrm.role").labels.items() if code != "hub"}
_REGISTERING = (
    "police",
    "labour_inspectorate",
    "ngo_support",
    "child_protection",
    "health",
    "shelter",
    "trade_union",
    "immigration_status",
    "immigration_enforcement",
)


def _labels(**labels: str) -> Mapping[str, str]:
    return labels


def _level(
    title: str,
    part: Callable[[U], str],
    labels: Mapping[str, str],
    *,
    open_: bool = False,
    only: frozenset[str] = frozenset(),
) -> Level[U]:
    return Level(title, part, {**labels, **NOT_KNOWN}, open_, only)


# -- status and how far ----------------------------------------------------------------------------


def status(life: Life) -> str:
    """By what was decided last: reconsideration counts, a suspended decision does not."""
    if life.cg is not None:
        return "identified" if life.cg.outcome == "positive" else "not_identified"
    if life.rg is not None and life.rg.outcome == "negative":
        return "not_identified"
    if life.presumed or life.accepted or life.rg:
        return "presumed"
    return "notified" if life.notified else "registered"


STATUS: Level[Life] = Level(
    "Status",
    status,
    {
        "identified": "Identified",
        "presumed": "Presumed",
        "not_identified": "Not identified",
        "notified": "Notified without identity",
        "registered": "Registered only",
    },
)

REGISTERED_BY: Level[Life] = _level(
    "Registering organisation",
    lambda life: life.registering_role or "not_known",
    {role: _ROLES[role] for role in _REGISTERING},
)


def furthest(life: Life) -> str:
    """The last step reached; steps before it count as reached too."""
    if life.close_reason == "inclusion":
        return "inclusion"
    if life.cg is not None:
        return "conclusive_grounds"
    if life.rg is not None and life.rg.outcome != "suspended":
        return "reasonable_grounds"
    if life.accepted:
        return "accepted"
    if life.referrals:
        return "referred"
    if life.presumed or life.notified:
        return "presumed"
    return "screened" if life.screened else "opened"


STEPS = _labels(
    opened="Case opened",
    screened="Screened",
    presumed="Presumed",
    referred="Referred",
    accepted="Referral accepted by the authority",
    reasonable_grounds="Reasonable-grounds decision",
    conclusive_grounds="Conclusive-grounds decision",
    inclusion="Social inclusion",
)
FURTHEST: Level[Life] = Level("Furthest step", furthest, dict(STEPS))


def standing(life: Life) -> str:
    """Why the person is where they are; the first that applies."""
    if life.close_reason in ("lost_contact", "withdrew", "returned", "transferred"):
        return life.close_reason
    if life.withdrew:
        return "withdrew"
    if life.close_reason == "inclusion":
        return "completed"
    if life.close_reason:
        return "closed"
    if life.missing:
        return "lost_contact"
    if life.consent_refused and not life.accepted:
        return "refused"
    answers = {one.answer for one in life.referrals.values()}
    if not life.accepted and any(one.startswith("declined") for one in answers):
        return "declined"
    return "under_way"


STANDING: Level[Life] = _level(
    "Why no further",
    standing,
    _labels(
        under_way="Under way",
        completed="Completed",
        refused="Consent refused",
        declined="Referral declined",
        lost_contact="Lost contact",
        withdrew="Withdrew",
        returned="Returned",
        transferred="Transferred",
        closed="Closed for another reason",
    ),
)

# -- who -------------------------------------------------------------------------------------------

_SEX = _labels(F="Female", M="Male", X="Another gender")
SEX: Level[Life] = _level("Sex", lambda life: life.sex if life.sex in _SEX else "not_known", _SEX)

_BANDS = codelists.load("ctdc.ageBroad").labels
_CHILD_BANDS = ("0-8", "9-17")


def _years(life: Life) -> int | None:
    born, on = life.born, life.opened
    if born is None or on is None or born > on:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def adulthood(life: Life) -> str:
    """Child or adult on the day of registration: by birth date, else band, else status."""
    if life.born is not None and life.opened is not None:
        return "child" if life.opened < eighteenth_birthday(life.born) else "adult"
    if life.age_band in _BANDS:
        return "child" if life.age_band in _CHILD_BANDS else "adult"
    return life.age_status if life.age_status in ("adult", "child") else "not_known"


def band(life: Life) -> str:
    years = _years(life)
    if years is None:
        return life.age_band if life.age_band in _BANDS else "not_known"
    for name in _BANDS:
        first, _, last = name.partition("-")
        if not last or int(first) <= years <= int(last):
            return name
    return "not_known"


ADULTHOOD: Level[Life] = _level("Child or adult", adulthood, _labels(child="Child", adult="Adult"))
AGE: Level[Life] = _level("Age band", band, _BANDS, only=frozenset({"child", "adult"}))


def _citizenship(life: Life) -> str:
    stated = life.citizenships
    if len(stated) != 1:
        return "several" if stated else "not_known"
    return stated[0]


SEVERAL = _labels(several="Several")
CITIZENSHIP: Level[Life] = _level(
    "Citizenship", _citizenship, _labels(several="Several"), open_=True
)


def _form(life: Life) -> str:
    forms = life.exploitation
    if len(forms) != 1:
        return "several" if forms else "not_known"
    return next(iter(forms))


FORM: Level[Life] = _level(
    "Form of exploitation",
    _form,
    {**codelists.load("htcds.TypeOfExploitation").labels, "several": "More than one form"},
)


def _number(count: int) -> str:
    return str(count) if count < 4 else "4+"


_AGENCIES = {"1": "One agency", "2": "Two", "3": "Three", "4+": "Four or more"}
_KINDS = {"1": "Of one kind", "2": "Of two kinds", "3": "Of three kinds", "4+": "Of more kinds"}
AGENCIES: Level[Life] = Level(
    "Agencies that recorded something", lambda life: _number(len(life.agencies)), dict(_AGENCIES)
)
KINDS: Level[Life] = Level(
    "Kinds of agency",
    lambda life: _number(len({role for role, _ in life.agencies.values()})),
    dict(_KINDS),
    only=frozenset({"2", "3", "4+"}),
)

# -- decisions and delays --------------------------------------------------------------------------

RG_OUTCOME: Level[Life] = _level(
    "Outcome",
    lambda life: life.rg.first if life.rg else "not_known",
    _labels(positive="Positive", negative="Negative", suspended="Suspended"),
)


def _rg_detail(life: Life) -> str:
    if life.rg is not None and life.rg.first == "negative":
        return _reason(life.rg.reasons)
    if life.recovery_change in ("disqualified", "withdrawn") or life.disqualified:
        return "recovery_ended_early"
    if life.recovery is None:
        return "recovery_not_recorded"
    extended = life.recovery_change in ("extended", "needs", "decision_pending", "emergency_mode")
    return "recovery_extended" if extended else "recovery_granted"


def _reason(reasons: tuple[str, ...]) -> str:
    if len(reasons) != 1:
        return "several" if reasons else "not_known"
    return reasons[0]


RG_DETAIL: Level[Life] = _level(
    "Recovery period, or reason",
    _rg_detail,
    _labels(
        recovery_granted="Recovery period",
        recovery_extended="Recovery period, extended",
        recovery_ended_early="Recovery period ended early",
        recovery_not_recorded="No recovery period recorded",
        several="Several reasons",
    ),
    open_=True,
    only=frozenset({"positive", "negative"}),
)
CG_OUTCOME: Level[Life] = _level(
    "Outcome",
    lambda life: life.cg.first if life.cg else "not_known",
    _labels(positive="Positive", negative="Negative"),
)
CG_REASON: Level[Life] = _level(
    "Reason",
    lambda life: _reason(life.cg.reasons) if life.cg else "not_known",
    _labels(several="Several reasons"),
    open_=True,
    only=frozenset({"negative"}),
)

_DELAYS = {
    "0-5": (5, "Up to 5 days"),
    "6-30": (30, "6 to 30 days"),
    "31-45": (45, "31 to 45 days"),
    "46-90": (90, "46 to 90 days"),
    "91-180": (180, "91 to 180 days"),
    "181-365": (365, "181 to 365 days"),
}


def delays(days: Callable[[Any], int | None]) -> Level[Any]:
    """By length of time."""

    def part(one: Any) -> str:
        length = days(one)
        if length is None:
            return "not_known"
        return next((name for name, (most, _) in _DELAYS.items() if length <= most), "366+")

    labels = {name: label for name, (_, label) in _DELAYS.items()}
    return _level("Time taken", part, {**labels, "366+": "More than a year"})


WAITING_FOR: Level[Any] = Level(
    "Waiting for",
    lambda one: str(one.kind),
    {
        "reasonable_grounds": "Reasonable-grounds decision",
        "conclusive_grounds": "Conclusive-grounds decision",
    },
)
MODE: Level[Any] = Level(
    "Referral accepted",
    lambda one: str(one.kind),
    {"ordinary": "In ordinary times", "emergency": "While an emergency mode was in force"},
)
ADULT_OR_CHILD: Level[Any] = _level(
    "Child or adult", lambda one: adulthood(one.life), _labels(child="Child", adult="Adult")
)

# -- services, justice, return ---------------------------------------------------------------------

REFERRED_TO: Level[Referral] = _level(
    "Receiving organisation", lambda one: one.to_role or "not_known", _ROLES
)
ANSWER: Level[Referral] = _level(
    "Answer",
    lambda one: one.answer,
    _labels(
        accepted="Accepted",
        pending="Not answered yet",
        expired="Lapsed without an answer",
        revoked="Revoked",
        ended="Ended before an answer",
        declined_no_capacity="Declined: no capacity",
        declined_out_of_scope="Declined: out of scope",
        declined_safety="Declined: safety",
        declined_client_choice="Declined: the person's choice",
        declined_other="Declined: other",
    ),
)
PERMIT: Level[Life] = _level(
    "Outcome",
    lambda life: life.permit.outcome if life.permit else "not_known",
    _labels(granted="Granted", refused="Refused", renewed="Renewed", revoked="Revoked"),
)
COMPENSATION: Level[Life] = _level(
    "Result",
    lambda life: life.compensation,
    _labels(
        open="Not decided yet",
        awarded="Awarded, not paid yet",
        settled="Settled",
        paid="Paid",
        refused="Refused",
    ),
)
NON_PUNISHMENT: Level[Life] = _level(
    "Outcome",
    lambda life: life.offence,
    _labels(
        open="Not decided yet",
        pending_nrm="Waits for the identification",
        discontinued="Discontinued",
        not_charged="Not charged",
        conviction_quashed="Conviction quashed",
        proceeded="Proceeded with",
    ),
)
STAGE: Level[Life] = _level(
    "Stage",
    lambda life: life.proceeding_stage,
    _labels(
        reported="Reported",
        investigation="Investigation",
        charged="Charged",
        trial="Trial",
        judgment="Judgment",
        closed="Closed",
    ),
)
RETURN_RISK: Level[Life] = _level(
    "Risk assessed before return",
    lambda life: life.return_risk,
    _labels(low="Low", medium="Medium", high="High"),
)
REOPENED: Level[str] = _level(
    "Reason",
    lambda reason: reason,
    _labels(
        retrafficked="Trafficked again",
        new_information="New information",
        overturned="Decision overturned",
        returned_to_support="Came back for support",
    ),
)

# -- what people said ------------------------------------------------------------------------------

KIND: Level[Feedback] = _level(
    "Kind",
    lambda one: one.kind,
    _labels(
        feedback="Feedback", complaint="Complaint", safeguarding_concern="Safeguarding concern"
    ),
)
RESULT: Level[Feedback] = _level(
    "Result",
    lambda one: one.result,
    _labels(
        open="Open",
        upheld="Upheld",
        partly="Partly upheld",
        not_upheld="Not upheld",
        withdrawn="Withdrawn",
    ),
    only=frozenset({"complaint", "safeguarding_concern"}),
)
ABOUT: Level[Feedback] = _level("About", lambda one: one.about_role or "not_known", _ROLES)
