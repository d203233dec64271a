"""How long a timer runs: by jurisdiction, by start date, in working days; and wrong profiles."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain import timers
from hub.domain.policy import PolicyError, PolicyProfile, default_document, default_profile

RECOVERY = "T02_recovery_minimum_days"
UNITED_KINGDOM = {
    RECOVERY: [
        {"value": 31},
        {"jurisdiction": "GB", "value": 45},
        {"jurisdiction": "GB", "from": "2022-12-13", "value": 30},
        {"jurisdiction": "GB-SCT", "value": 90},
    ]
}


@pytest.mark.parametrize(
    ("jurisdiction", "starts", "days"),
    [
        ("GB", date(2022, 12, 12), 45),
        ("GB", date(2022, 12, 13), 30),
        ("GB", date(2026, 3, 2), 30),
        ("GB-WLS", date(2022, 12, 12), 45),  # a part without an entry follows its country
        ("GB-SCT", date(2022, 12, 12), 90),
        ("GB-SCT", date(2026, 3, 2), 90),
        ("RO", date(2026, 3, 2), 31),
        ("", date(2026, 3, 2), 31),
    ],
)
def test_recovery_minimum_by_jurisdiction_and_start_date(
    jurisdiction: str, starts: date, days: int
) -> None:
    assert timers.recovery_minimum(UNITED_KINGDOM, jurisdiction, starts) == days


def test_a_plain_number_holds_everywhere_and_a_missing_one_has_a_default() -> None:
    assert timers.recovery_minimum({RECOVERY: 60}, "GB", date(2020, 1, 1)) == 60
    assert timers.recovery_minimum({}, "GB", date(2020, 1, 1)) == 30
    only_elsewhere = {RECOVERY: [{"jurisdiction": "RO", "value": 90}]}
    assert timers.recovery_minimum(only_elsewhere, "GB", date(2020, 1, 1)) == 30
    not_yet = {RECOVERY: [{"from": "2030-01-01", "value": 90}]}
    assert timers.recovery_minimum(not_yet, "GB", date(2026, 1, 1)) == 30


def test_answers_by_urgency() -> None:
    profile = default_profile().timers
    hours = {
        urgency: timers.answer_hours(profile, urgency, "XX", date(2026, 3, 2))
        for urgency in ("1_hour", "3_hours", "1_day", "3_days", "routine", "no such urgency")
    }
    assert list(hours.values()) == [1, 3, 24, 72, 120, 120]


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        (date(2026, 3, 2), 5, date(2026, 3, 9)),  # Monday to Monday
        (date(2026, 3, 6), 1, date(2026, 3, 9)),  # Friday to Monday
        (date(2026, 3, 7), 1, date(2026, 3, 9)),  # begun on a Saturday
        (date(2026, 12, 23), 2, date(2026, 12, 28)),  # the 25th is off
        (date(2026, 3, 2), 0, date(2026, 3, 2)),
    ],
)
def test_working_days(start: date, days: int, due: date) -> None:
    assert timers.working_days_after(start, days, ["2026-12-25"]) == due


@given(
    start=st.dates(date(2020, 1, 1), date(2040, 1, 1)),
    days=st.integers(0, 40),
    holidays=st.lists(st.dates(date(2020, 1, 1), date(2040, 1, 1)), max_size=5),
)
def test_working_days_are_so_many_and_none_is_a_day_off(
    start: date, days: int, holidays: list[date]
) -> None:
    due = timers.working_days_after(start, days, [one.isoformat() for one in holidays])
    worked = [
        one
        for one in (date.fromordinal(n) for n in range(start.toordinal() + 1, due.toordinal() + 1))
        if one.weekday() < 5 and one not in holidays
    ]
    assert len(worked) == days
    assert days == 0 or due == worked[-1]


def test_a_day_is_over_at_the_midnight_that_ends_it() -> None:
    assert timers.end_of(date(2026, 3, 31)) == datetime(2026, 4, 1, tzinfo=UTC)
    assert timers.start_of(date(2026, 3, 31)) == datetime(2026, 3, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {RECOVERY: "thirty"},
        {RECOVERY: -1},
        {RECOVERY: True},
        {RECOVERY: [{"days": 30}]},
        {RECOVERY: [{"value": 30, "until": "2026-01-01"}]},
        {RECOVERY: [{"value": 30, "from": "13 Dec 2022"}]},
        {RECOVERY: [{"value": 30, "jurisdiction": 44}]},
        {RECOVERY: [{"value": "30"}]},
        {RECOVERY: [{"value": 30}, 45]},
        {"T06_referral_answer_hours": 24},
        {"T06_referral_answer_hours": {"1_hour": "soon"}},
        {"T16_return_follow_up_days": 30},
        {"T15_erase_automatically": "yes"},
        {"holidays": ["Christmas"]},
    ],
)
def test_a_wrong_length_is_refused_when_the_profile_is_loaded(wrong: dict[str, Any]) -> None:
    document = default_document()
    document["timers"] = {**document["timers"], **wrong}
    with pytest.raises(PolicyError, match=next(iter(wrong))):
        PolicyProfile.from_document(document)


def test_documents_of_before_and_entries_are_valid() -> None:
    document = default_document()
    document["timers"] |= UNITED_KINGDOM | {"holidays": ["2026-12-25"], "a later version's": "?"}
    profile = PolicyProfile.from_document(document)
    assert timers.recovery_minimum(profile.timers, "GB-SCT", date(2026, 3, 2)) == 90


def test_every_timer_has_its_default_in_the_shipped_profile() -> None:
    shipped = default_profile().timers
    for name, timer in timers.TIMERS.items():
        if timer.setting in shipped and isinstance(timer.default, int):
            assert shipped[timer.setting] == timer.default, name
