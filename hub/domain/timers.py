"""Timers: how long the law and the policy profile give, by jurisdiction and by start date.

A timer's length stands in the profile's `timers`, as a plain value or as a list of entries:

    "T02_recovery_minimum_days": [
        {"value": 30},
        {"jurisdiction": "GB", "value": 45},
        {"jurisdiction": "GB", "from": "2022-12-13", "value": 30},
        {"jurisdiction": "GB-SCT", "value": 90}]

The entry of the case's own jurisdiction counts, then that of the country it lies in, then one
without a jurisdiction; among these the latest whose `from` is not after the day the timer starts.

Dates are UTC days and include their last day, so whatever is due "on" a day is overdue from the
midnight that ends it. Pure: no clock. What starts, moves and stops each timer is in
`hub/domain/agenda/`; docs/timers.md lists them, held by a test against `TIMERS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from hub.domain.dates import day

Timers = Mapping[str, Any]
FRIDAY: Final = 4  # weekday() of the last working day of a week
HOLIDAYS: Final = "holidays"
ERASE: Final = "T15_erase_automatically"


@dataclass(frozen=True, slots=True)
class Timer:
    """One timer as documented. setting: its name in the profile; default: where it has none."""

    name: str
    starts: str
    stops: str
    fires: str
    setting: str = ""
    default: Any = None


TIMERS: Final[Mapping[str, Timer]] = {
    "T01": Timer(
        "reasonable grounds target",
        "ReferralAccepted by the competent authority",
        "ReasonableGroundsDecided (not suspended), a combined decision, closure, leaving",
        "the item is overdue and shows to the auditor",
        "T01_reasonable_grounds_working_days",
        5,
    ),
    "T02": Timer(
        "recovery period",
        "RecoveryPeriodStarted; moved by RecoveryPeriodChanged",
        "RecoveryPeriodChanged (completed, disqualified, withdrawn), closure",
        "the end is due; RemovalHoldPlaced by the hub where no hold covers the period",
        "T02_recovery_minimum_days",
        30,
    ),
    "T03": Timer(
        "conclusive grounds earliest",
        "positive ReasonableGroundsDecided, a negative one overturned, or RecoveryPeriodStarted",
        "ConclusiveGroundsDecided, closure, leaving",
        "a conclusive decision is possible",
        "T03_conclusive_grounds_earliest_days",
        30,
    ),
    "T04": Timer(
        "local child panel",
        "ReferralAccepted by the competent authority, for a child",
        "as T01",
        "the panel is overdue; route the case back to the central authority",
        "T04_child_panel_days",
        45,
    ),
    "T05": Timer(
        "consent expiry",
        "ConsentGiven; moved by ConsentAmended",
        "ConsentWithdrawn of everything, ConsentExpired",
        "ConsentExpired by the hub",
        "T05_consent_notice_days",
        30,
    ),
    "T06": Timer(
        "referral answer",
        "ReferralMade (respond_by, else by urgency); TransferOffered",
        "accepted, declined, ended, leaving",
        "ReferralEnded (expired) by the hub; the sender is told",
        "T06_referral_answer_hours",
        {"1_hour": 1, "3_hours": 3, "1_day": 24, "3_days": 72, "routine": 120},
    ),
    "T07": Timer(
        "coming of age",
        "the person is, or is presumed, a child",
        "AgeAssessed (adult), own consent, ConsentAmended (reached_18), closure",
        "own consent is needed to stay (G15); looked at per month, see docs/timers.md",
        "T07_notice_days",
        90,
    ),
    "T08": Timer(
        "subject request",
        "SubjectRequestReceived (due_on, else the length); a later due_on extends it once",
        "SubjectRequestDecided",
        "the item is overdue and shows to the data controller",
        "T08_subject_request_days",
        30,
    ),
    "T09": Timer(
        "break-glass window",
        "BreakGlassInvoked",
        "the window's end",
        "the window is shut and the person is to be told",
        "T09_break_glass_window_hours",
        24,
    ),
    "T10": Timer(
        "break-glass review",
        "BreakGlassInvoked",
        "BreakGlassReviewed of that invocation",
        "the item is overdue and shows to the data controller",
        "T10_break_glass_review_hours",
        72,
    ),
    "T11": Timer(
        "recall answer",
        "a recall is marked for sending",
        "the recipient's signed receipt",
        "the item is overdue and shows to the auditor",
        "T11_recall_answer_days",
        7,
    ),
    "T12": Timer(
        "reconsideration window",
        "a negative reasonable or conclusive grounds decision",
        "ReconsiderationRequested about that decision",
        "the window has closed",
        "T12_reconsideration_days",
        30,
    ),
    "T13": Timer(
        "permit renewal",
        "ResidencePermitDecided with valid_until",
        "the next ResidencePermitDecided",
        "the renewal is to be asked for; at valid_until it is overdue",
        "T13_permit_renewal_days_before",
        60,
    ),
    "T14": Timer(
        "age assessment appeal",
        "AgeAssessed with appeal_open_until",
        "another AgeAssessed or AgeDisputed, closure",
        "the appeal window is over: protections of a child end if the person is an adult",
    ),
    "T15": Timer(
        "retention",
        "CaseClosed.retention_until",
        "CaseReopened, erasure",
        "the data controller is asked to erase; by itself only where the profile says so",
        ERASE,
        False,
    ),
    "T16": Timer(
        "return follow-up",
        "ReturnCompleted; one item per length, and one for follow_up_due",
        "closed by a person",
        "the follow-up is due",
        "T16_return_follow_up_days",
        (30, 90, 180),
    ),
    "T17": Timer(
        "statistics",
        "the calendar: each quarter and each year that ended",
        "StatisticsPublished for that period",
        "the table is overdue",
        "T17_statistics_days",
        45,
    ),
}

SILENT: Final = "unanswered_deliveries_hours"  # no timer of a case: a recipient that is silent

_DEFAULTS: Final[Mapping[str, Any]] = {
    **{timer.setting: timer.default for timer in TIMERS.values() if timer.setting},
    SILENT: 24,
}


def check(timers: Timers) -> str | None:
    """What is wrong with a profile's timers, as one sentence; None if nothing is."""
    for name, value in timers.items():
        entries = value if _by_entry(value) else [{"value": value}]
        for entry in entries:
            if not isinstance(entry, Mapping) or "value" not in entry:
                return f"{name}: an entry has `value` and may have `jurisdiction` and `from`"
            if set(entry) - {"value", "jurisdiction", "from"}:
                return f"{name}: an entry has `value`, `jurisdiction` and `from` and nothing else"
            if not isinstance(entry.get("jurisdiction", ""), str):
                return f"{name}: `jurisdiction` is a code such as GB or GB-SCT"
            if "from" in entry and not _is_day(entry["from"]):
                return f"{name}: `from` is a day, such as 2022-12-13"
            wrong = _wrong_value(name, entry["value"])
            if wrong is not None:
                return f"{name}: {wrong}"
    return None


def length(timers: Timers, name: str, jurisdiction: str, starts: date) -> Any:
    """The value that holds in this jurisdiction for a timer that starts on this day."""
    value = timers.get(name, _DEFAULTS.get(name))
    if not _by_entry(value):
        return value
    country = jurisdiction.partition("-")[0]
    for wanted in dict.fromkeys((jurisdiction, country, "")):
        found = [
            entry
            for entry in value
            if entry.get("jurisdiction", "") == wanted
            and (day(entry.get("from")) or date.min) <= starts
        ]
        if found:
            return max(found, key=lambda entry: day(entry.get("from")) or date.min)["value"]
    return _DEFAULTS.get(name)


def days(timers: Timers, name: str, jurisdiction: str, starts: date) -> int:
    """The same for a length in whole days."""
    return int(length(timers, name, jurisdiction, starts))


def recovery_minimum(timers: Timers, jurisdiction: str, starts: date) -> int:
    """T02: days the recovery period lasts at least. Guards and timers ask here and nowhere else."""
    return days(timers, "T02_recovery_minimum_days", jurisdiction, starts)


def answer_hours(timers: Timers, urgency: str, jurisdiction: str, starts: date) -> float:
    """T06: hours a recipient has when the referral itself names no time."""
    by_urgency = length(timers, "T06_referral_answer_hours", jurisdiction, starts)
    defaults = _DEFAULTS["T06_referral_answer_hours"]
    return float(by_urgency.get(urgency) or defaults.get(urgency) or defaults["routine"])


def end_of(last: date) -> datetime:
    """The instant from which something due on this day is overdue."""
    return datetime.combine(last + timedelta(days=1), time.min, UTC)


def start_of(first: date) -> datetime:
    return datetime.combine(first, time.min, UTC)


def working_days_after(start: date, count: int, holidays: Sequence[object] = ()) -> date:
    """The day `count` working days after `start`: Monday to Friday, holidays left out."""
    off = {day(one) for one in holidays}
    current = start
    while count > 0:
        current += timedelta(days=1)
        if current.weekday() <= FRIDAY and current not in off:
            count -= 1
    return current


def _by_entry(value: object) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value)


def _is_day(value: object) -> bool:
    return isinstance(value, str) and len(value) == 10 and day(value) is not None


def _is_length(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _wrong_value(name: str, value: object) -> str | None:
    if name == HOLIDAYS:
        fine = isinstance(value, list | tuple) and all(_is_day(one) for one in value)
        return None if fine else "the value is a list of days, such as 2026-12-25"
    default = _DEFAULTS.get(name)
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "the value is true or false"
    if isinstance(default, Mapping):
        fine = isinstance(value, Mapping) and all(_is_length(one) for one in value.values())
        return None if fine else "the value maps each urgency to hours"
    if isinstance(default, tuple):
        fine = isinstance(value, list | tuple) and all(_is_length(one) for one in value)
        return None if fine else "the value is a list of numbers of days"
    if default is None or _is_length(value):  # a name this version does not know is left alone
        return None
    return "the value is a number, not below 0"
