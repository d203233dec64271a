"""States: in which state every region of a case stands, and since when. A pure fold.

Fed with each event in log order and whether the person was a child in procedure then (as recorded
with its decisions), it gives the same answer whenever it is asked, also after an erasure. Refuses
nothing; an event no transition takes from where a region stands is noted as out of order, so that
whoever reads the case sees it. What comes with time is told when asked, given the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from hub.domain.case import CaseEvent
from hub.domain.machine import (
    ANY_OPEN,
    BACK,
    FOLLOWING,
    INITIAL,
    KEYS,
    REGIONS,
    TRANSITIONS,
    Transition,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One region, or one record of it: `state` since an event at a log position.

    about: consent, referral or invocation; empty where a region has one standing only.
    """

    region: str
    about: str
    state: str
    position: int
    since: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class OutOfOrder:
    """An event that was recorded although its region stood where it leads nowhere."""

    region: str
    about: str
    state: str
    event: str
    position: int


_BY_EVENT: dict[str, list[Transition]] = {}
for _one in TRANSITIONS:
    if _one.event:
        _BY_EVENT.setdefault(_one.event, []).append(_one)


class States:
    """All regions of one case."""

    def __init__(self) -> None:
        self._now: dict[tuple[str, str], Standing] = {}
        self._before: dict[tuple[str, str], list[str]] = {}
        self._offered: dict[str, str] = {}  # referral → its recipient
        self.out_of_order: list[OutOfOrder] = []

    def take(self, event: CaseEvent, *, child: bool, left: Collection[str] = ()) -> None:
        """One more event. child: in procedure, as of its own decision (2.6, 2.6a). left: the
        authorities it made the person leave, whose pending referrals end (2.4)."""
        could: dict[str, bool] = {}
        for one in _BY_EVENT.get(event.type, ()):
            if could.get(one.region):
                continue  # an earlier line of the table took it
            if not _meant(one, event, child):
                continue
            could[one.region] = self._move(one, event)
        if event.type in ("ReferralMade", "TransferOffered"):
            self._offered[_about("referral", event)] = str(event.facts.get("to_agency"))
        for about, recipient in self._offered.items():
            if recipient in left and self.state("referral", about) == "pending":
                self._stand(("referral", about), "ended", event)
        for region, moved in could.items():
            if not moved and event.type in FOLLOWING:
                about = _about(region, event)
                state = self.state(region, about)
                self.out_of_order.append(
                    OutOfOrder(region, about, state, event.type, event.position)
                )

    def _move(self, one: Transition, event: CaseEvent) -> bool:
        about = _about(one.region, event)
        place = (one.region, about)
        state = self.state(*place)
        if not (state in one.frm or (ANY_OPEN in one.frm and state not in ("", "closed"))):
            return False
        before = self._before.setdefault(place, [])
        to = one.to
        if to == BACK:
            to = before.pop() if before else INITIAL[one.region]
        elif state != to:
            before.append(state)
        if state != to or place not in self._now:
            self._stand(place, to, event)
        return True

    def _stand(self, place: tuple[str, str], state: str, event: CaseEvent) -> None:
        self._now[place] = Standing(*place, state, event.position, event.at, event.event_id)

    def state(self, region: str, about: str = "") -> str:
        standing = self._now.get((region, about))
        return INITIAL[region] if standing is None else standing.state

    def standing(
        self, now: datetime, *, of_age: bool, window_open: Callable[[str], bool]
    ) -> Iterator[Standing]:
        """Every region in its order, records by when they last moved.

        of_age: a child's 18th birthday has come. window_open: by invocation, now.
        """
        for region in REGIONS:
            found = [one for place, one in self._now.items() if place[0] == region]
            for one in sorted(found, key=lambda one: one.position):
                state = one.state
                if region == "age" and state == "child" and of_age:
                    state = "adult"
                if region == "break_glass" and state == "open" and not window_open(one.about):
                    state = "awaiting_review"
                yield Standing(one.region, one.about, state, one.position, one.since, one.event_id)
            if not found and region not in KEYS and INITIAL[region]:
                yield Standing(region, "", INITIAL[region], 0, now, "")


def _meant(one: Transition, event: CaseEvent, child: bool) -> bool:
    """Whether the event is what this line of the table is about, wherever the region stands."""
    if one.by and event.role not in one.by:
        return False
    if one.adult and child:
        return False
    return all(event.facts.get(name) in values for name, values in one.when.items())


def _about(region: str, event: CaseEvent) -> str:
    """Which record of a region the event is about."""
    names = KEYS.get(region)
    if names is None:
        return ""
    if event.type == "BreakGlassInvoked":
        return event.event_id
    for name in names:
        if event.facts.get(name) is not None:
            return str(event.facts[name])
    return ""
