"""How much one viewer opens: counted without reading history, told to others, and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.work import WorkList
from hub.clock import Clock, ScenarioTime
from hub.console.browsing import Browsing, BrowsingLimits
from hub.console.grants import GrantsOnRecord
from hub.console.looking import ALARM, RecordedLooks, TooManyLooks
from hub.domain.work import WorkItem
from hub.domain.work_kinds import KINDS
from hub.home import Home
from hub.hub import Deciding
from hub.store.events import ConsoleLooked
from tests.console.test_looks import Desk
from tests.policy.officers import HUB_ID
from tests.store.samples import stream

DAY = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NIGHT = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)


def row(at: datetime, about: str = "", refused: str = "", granted: int = 7) -> ConsoleLooked:
    return ConsoleLooked(
        originator_id=stream("looks"),
        originator_version=1,
        timestamp=at,
        viewer="audit-1",
        granted=granted,
        role="auditor",
        agency="",
        page="case",
        about=about,
        seen=1,
        refused=refused,
    )


def case(number: int) -> str:
    return f"{number:032x}"


def crossed(browsing: Browsing, now: datetime, granted: int = 7) -> list[tuple[str, int]]:
    return [(one.rule, one.count) for one in browsing.crossed(granted, now)]


def test_the_same_case_again_is_one_case() -> None:
    browsing = Browsing(BrowsingLimits(cases_per_hour=2))
    for at in range(50):
        browsing.note(row(DAY + timedelta(seconds=at), case(at % 2)))
    assert crossed(browsing, DAY) == []
    browsing.note(row(DAY, case(9)))
    assert crossed(browsing, DAY) == [("cases_per_hour", 3)]
    assert crossed(browsing, DAY, granted=8) == []  # everybody for themselves
    assert crossed(browsing, DAY + timedelta(hours=1)) == []


def test_looks_and_refusals_have_thresholds_of_their_own() -> None:
    browsing = Browsing(BrowsingLimits(looks_per_hour=3, refusals_per_hour=1))
    for _ in range(4):
        browsing.note(row(DAY, "SH-1"))
    for _ in range(2):
        browsing.note(row(DAY, refused="not_for_this_role"))
    browsing.note(row(DAY, refused="too_many_looks"))  # follows from a limit: not counted
    assert crossed(browsing, DAY) == [("looks_per_hour", 4), ("refusals_per_hour", 2)]


def test_a_night_is_one_window_over_midnight() -> None:
    browsing = Browsing(BrowsingLimits(cases_per_night=2))
    for hours in range(4):  # 23:30, 00:30, 01:30, 02:30
        browsing.note(row(NIGHT + timedelta(hours=hours), case(hours)))
    after_midnight = NIGHT + timedelta(hours=2)
    assert crossed(browsing, after_midnight) == [("cases_per_night", 4)]
    [found] = browsing.crossed(7, after_midnight)
    assert found.window == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert crossed(browsing, NIGHT + timedelta(days=1)) == []
    for hours in range(4):
        browsing.note(row(DAY + timedelta(days=2, hours=hours), case(hours)))
    assert crossed(browsing, DAY + timedelta(days=2, hours=3)) == []


def test_beyond_the_second_threshold_only_what_is_open_already() -> None:
    browsing = Browsing(BrowsingLimits(cases_per_hour_stop=2, looks_per_hour_stop=5))
    for at in range(2):
        browsing.note(row(DAY, case(at)))
    found = browsing.shut(7, DAY, case(9))
    assert found is not None
    assert (found.rule, found.limit) == ("cases_per_hour", 2)
    assert browsing.shut(7, DAY, case(0)) is None
    assert browsing.shut(7, DAY, "SH-1") is None
    for _ in range(3):
        browsing.note(row(DAY, case(0)))
    assert browsing.shut(7, DAY, case(0)) is not None
    assert browsing.shut(7, DAY + timedelta(hours=1), case(9)) is None


def test_zero_switches_a_threshold_off() -> None:
    off = BrowsingLimits(**dict.fromkeys(
        (name for name in BrowsingLimits.model_fields if "per" in name), 0
    ))  # fmt: skip
    browsing = Browsing(off)
    for at in range(500):
        browsing.note(row(NIGHT, case(at), refused="x" if at % 2 else ""))
    assert crossed(browsing, NIGHT) == []
    assert browsing.shut(7, NIGHT, case(501)) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60 * 72), st.integers(0, 40), st.booleans()), max_size=80))
def test_counts_are_those_of_the_window_and_old_ones_are_forgotten(
    looks: list[tuple[int, int, bool]],
) -> None:
    browsing = Browsing(BrowsingLimits(cases_per_hour=1, cases_per_night=0, looks_per_hour=1))
    rows = [
        row(DAY + timedelta(minutes=minute), case(number), "x" if no else "")
        for minute, number, no in sorted(looks)
    ]
    for one in rows:
        browsing.note(one)
    if not rows:
        return
    now = rows[-1].timestamp
    same = [one for one in rows if one.timestamp.replace(minute=0) == now.replace(minute=0)]
    shown = [one for one in same if not one.refused]
    counts = dict(crossed(browsing, now))
    cases = len({one.about for one in shown})
    assert counts.get("cases_per_hour", 0) == (cases if cases > 1 else 0)
    assert counts.get("looks_per_hour", 0) == (len(shown) if len(shown) > 1 else 0)
    assert len(browsing._hours) <= 4
    assert len(browsing._nights) <= 4


# -- at a hub ----------------------------------------------------------------------------------


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    one = Desk(
        home,
        cases_per_hour=3,
        cases_per_hour_stop=6,
        refusals_per_hour=2,
        refusals_per_hour_stop=4,
        cases_per_night=0,
    )
    one.deciding.reading.exchange.clock = Clock(ScenarioTime(_soon()), steady=None)
    yield one
    one.close()


def _soon() -> datetime:
    """The middle of a coming hour: later than what the fixture recorded, and not near its end."""
    return (datetime.now(UTC) + timedelta(hours=1)).replace(minute=30, second=0, microsecond=0)


def alarms(desk: Desk) -> list[WorkItem]:
    work = WorkList(desk.deciding.reading.exchange)
    work.catch_up()
    return list(desk.deciding.reading.exchange.log.work.standing(kind=ALARM, limit=100))


def test_an_alarm_is_raised_once_for_others_to_look_at(desk: Desk) -> None:
    viewer = desk.viewer("operator-1", "operator")
    granted = desk.grants.of(viewer)
    for at in range(3):
        desk.looks.record(viewer, "case", case(at))
    assert alarms(desk) == []
    for at in range(3, 6):
        desk.looks.record(viewer, "case", case(at))
    [item] = alarms(desk)
    now = desk.deciding.reading.exchange.clock.now()
    assert (item.role, item.escalates) == ("auditor", "data_controller")
    assert item.ref == f"{granted}/cases_per_hour/{now:%Y-%m-%dT%H}"
    assert "operator-1" not in item.ref
    assert not item.overdue(now)


def test_about_an_auditor_it_is_never_with_auditors_alone(desk: Desk) -> None:
    viewer = desk.viewer()
    for at in range(4):
        desk.looks.record(viewer, "case", case(at))
    [item] = alarms(desk)
    assert item.overdue(desk.deciding.reading.exchange.clock.now())  # so shown to both at once
    assert KINDS[ALARM].escalates == "data_controller"


def test_beyond_the_stop_nothing_more_is_shown_and_the_log_does_not_fill(desk: Desk) -> None:
    viewer = desk.viewer()
    for at in range(6):
        desk.looks.record(viewer, "case", case(at))
    for at in range(20):
        with pytest.raises(TooManyLooks) as found:
            desk.looks.record(viewer, "case", case(100 + at))
    assert found.value.retry_after == 1_800
    desk.looks.record(viewer, "case", case(0))  # what was open stays open
    refused = [row for row in desk.recorded() if row[3]]
    assert refused == [("audit-1", "case", case(100), "too_many_looks")]


def test_the_page_says_429_and_what_to_do(desk: Desk) -> None:
    client = desk.client(desk.viewer("operator-1", "operator"))
    answers = [client.get("/looks") for _ in range(8)]
    assert [one.status_code for one in answers] == [403] * 8
    page = client.get("/")
    assert page.status_code == 429
    assert page.headers["retry-after"] == "1800"
    assert "until the hour is over" in page.text
    assert len([row for row in desk.recorded() if row[3] == "not_for_this_role"]) <= 5


def test_a_restart_forgets_nothing(desk: Desk) -> None:
    viewer = desk.viewer()
    for at in range(6):
        desk.looks.record(viewer, "case", case(at))
    exchange = desk.deciding.reading.exchange
    again = RecordedLooks(exchange, desk.grants, BrowsingLimits(cases_per_hour_stop=6))
    with pytest.raises(TooManyLooks):
        again.record(viewer, "case", case(7))


def test_looks_at_another_console_of_the_same_hub_count_too(desk: Desk) -> None:
    viewer = desk.viewer()
    exchange = desk.deciding.reading.exchange
    other = RecordedLooks(exchange, desk.grants, BrowsingLimits(cases_per_hour_stop=6))
    for at in range(6):
        desk.looks.record(viewer, "case", case(at))
    other.record(viewer, "case", case(0))
    with pytest.raises(TooManyLooks):
        other.record(viewer, "case", case(7))


def test_a_console_that_stood_by_knows_what_was_opened_at_another(home: Home) -> None:
    limits = {"cases_per_hour_stop": 3, "looks_per_hour_stop": 3}
    one = Desk(home, **limits)
    viewer = one.viewer()
    with Deciding.open(home) as other:
        exchange = other.reading.exchange
        grants = GrantsOnRecord(exchange.log, HUB_ID)
        beside = RecordedLooks(exchange, grants, BrowsingLimits(**limits))
        for number in range(3):
            one.looks.record(viewer, "timeline", f"{number:032x}")
        with pytest.raises(TooManyLooks):
            beside.record(viewer, "timeline", f"{9:032x}")
    one.close()
