"""Parts: the levels by which tables divide, each with the code of every part and its label.

IC-TIP and EU dimensions (registering organisation, sex and age, citizenship, form of
exploitation), the age bands of CTDC, HTCDS's forms of exploitation. A person is in exactly one
part of a level; where several apply there is a part for that ("several"). `not_known` is where
nothing was stated, or nothing of this list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from hub.domain.age import eighteenth_birthday
from hub.statistics.counts import Level
from hub.statistics.lives import Life
from schemas import codelists

U = TypeVar("U")
NOT_KNOWN = {"not_known": "Not known"}
ROLES = {code: label for code, label in codelists.load("nrm.role").labels.items() if code != "hub"}
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


def labels(**labels: str) -> Mapping[str, str]:
    """Codes and what they stand for."""
    return labels


def level(
    title: str,
    part: Callable[[U], str],
    labels: Mapping[str, str],
    means: str,
    *,
    open_: bool = False,
    only: frozenset[str] = frozenset(),
) -> Level[U]:
    """A level with a part for what is not known."""
    return Level(title, part, {**labels, **NOT_KNOWN}, open_, only, means)


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
    means="By the latest decision, reconsideration included. Identified: the conclusive-grounds"
    " decision is positive. Not identified: it is negative; or there is none and the"
    " reasonable-grounds decision is negative. Presumed: otherwise, with a PresumptionRecorded, an"
    " acceptance by a competent authority or a reasonable-grounds decision. Notified: otherwise,"
    " with a DutyNotificationSubmitted.",
)

REGISTERED_BY: Level[Life] = level(
    "Registering organisation",
    lambda life: life.registering_role or "not_known",
    {role: ROLES[role] for role in _REGISTERING},
    "Role of the agency whose PresumptionRecorded or DutyNotificationSubmitted was recorded first.",
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


STEPS = labels(
    opened="Case opened",
    screened="Screened",
    presumed="Presumed",
    referred="Referred",
    accepted="Referral accepted by the authority",
    reasonable_grounds="Reasonable-grounds decision",
    conclusive_grounds="Conclusive-grounds decision",
    inclusion="Social inclusion",
)
FURTHEST: Level[Life] = Level(
    "Furthest step",
    furthest,
    dict(STEPS),
    means="The last of: CaseOpened; IndicatorsScreened; PresumptionRecorded or"
    " DutyNotificationSubmitted; ReferralMade; ReferralAccepted by a competent authority; a"
    " reasonable-grounds decision that is not suspended; a conclusive-grounds decision; CaseClosed"
    " for inclusion. Who reached a step counts as having reached those before it.",
)


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


STANDING: Level[Life] = level(
    "Why no further",
    standing,
    labels(
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
    "The first that applies: closed for lost contact, withdrawal, return or transfer;"
    " ConsentWithdrawn with leave_nrm and no ConsentGiven since; closed for inclusion, or for"
    " another reason; the last placement ended missing or left_unplanned; ConsentRefused, no"
    " ConsentGiven since, and not accepted by an authority; a referral declined, and not accepted"
    " by an authority; else under way.",
)

# -- who -------------------------------------------------------------------------------------------

_SEX = labels(F="Female", M="Male", X="Another gender")
SEX: Level[Life] = level(
    "Sex",
    lambda life: life.sex if life.sex in _SEX else "not_known",
    _SEX,
    "Field gender as last recorded.",
)

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


ON_THE_DAY = (
    "On the day the first case was opened: by the last recorded or assessed date of birth; without"
    " one, by the notification's age band; without one, by the status stated or assessed. Unknown"
    " or disputed age is not known."
)
ADULTHOOD: Level[Life] = level(
    "Child or adult", adulthood, labels(child="Child", adult="Adult"), ON_THE_DAY
)
AGE: Level[Life] = level(
    "Age band",
    band,
    _BANDS,
    "Full years on the same day, or the notification's age band.",
    only=frozenset({"child", "adult"}),
)


def _citizenship(life: Life) -> str:
    stated = life.citizenships
    if len(stated) != 1:
        return "several" if stated else "not_known"
    return stated[0]


SEVERAL = labels(several="Several")
CITIZENSHIP: Level[Life] = level(
    "Citizenship",
    _citizenship,
    SEVERAL,
    "Citizenships as last recorded, ISO 3166; small ones are pooled.",
    open_=True,
)


def _form(life: Life) -> str:
    forms = life.exploitation
    if len(forms) != 1:
        return "several" if forms else "not_known"
    return next(iter(forms))


FORM: Level[Life] = level(
    "Form of exploitation",
    _form,
    {**codelists.load("htcds.TypeOfExploitation").labels, "several": "More than one form"},
    "exploitation_types as last recorded in a screening or a notification.",
)


def _number(count: int) -> str:
    return str(count) if count < 4 else "4+"


_AGENCIES = {"1": "One agency", "2": "Two", "3": "Three", "4+": "Four or more"}
_KINDS = {"1": "Of one kind", "2": "Of two kinds", "3": "Of three kinds", "4+": "Of more kinds"}
AGENCIES: Level[Life] = Level(
    "Agencies that recorded something",
    lambda life: _number(len(life.agencies)),
    dict(_AGENCIES),
    means="How many different agencies recorded an event about the person.",
)
KINDS: Level[Life] = Level(
    "Kinds of agency",
    lambda life: _number(len(set(life.agencies.values()))),
    dict(_KINDS),
    only=frozenset({"2", "3", "4+"}),
    means="How many different roles those agencies have.",
)
