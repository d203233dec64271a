"""Compared: what was recorded for one event, and what another policy profile would have decided.

Pure. A decision is one (event, agency, category), at the moment it is made: when the event is
recorded (`first`), when an agency is caught up (`backfill`), when something is taken back
(`recall`), or between decision and sending (`sending`). It changes if the agency receives or keeps
what it did not, does not what it did, or does so on another basis. Withheld for another reason is
no change: nobody receives more or less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hub.domain.case import Case
from hub.domain.settlement import Outcome, Released, Settlement

Phase = Literal["first", "backfill", "recall", "sending"]
Change = Literal["gains", "loses", "basis", "follows"]
CHANGES: Mapping[str, str] = {
    "gains": "receives or keeps what it did not",
    "loses": "does not receive, or gives back, what it did",
    "basis": "receives it either way, on another basis",
    "follows": "from an earlier change: already held, or nothing there to give back",
}
NOTHING_HELD, HELD = "nothing to give back", "held already"

Reason = Callable[[str, str, str], str]  # agency, event id, category → why a backfill withholds


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that would change. event_id: the event it is about."""

    phase: Phase
    event_id: str
    agency: str
    category: str
    change: Change
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: its settlement, and its case after it."""

    settlement: Settlement
    case: Case
    reason: Reason

    def held(self, agency: str, event_id: str, category: str) -> str | None:
        """Basis on which the item is held, unless it came by this settlement's backfill."""
        if category in self.settlement.backfill.get(agency, {}).get(event_id, {}):
            return None
        return self.case.holdings.get(agency, {}).get((event_id, category))


def compared(then: Side, would: Side, role_of: Callable[[str], str]) -> Iterator[Difference]:
    """Every decision of one event that would change."""
    yield from _first(then.settlement, would.settlement, role_of)
    yield from _recalls(then, would)
    yield from _backfill(then, would)


def told(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not asked"
    if isinstance(outcome, Released):
        return f"released: {outcome.basis}"
    return f"withheld: {', '.join(outcome.reasons)}"


def _first(
    then: Settlement, would: Settlement, role_of: Callable[[str], str]
) -> Iterator[Difference]:
    if then.decided == would.decided:
        return  # whoever receives something although not concerned stands there too
    for agency in sorted({*then.decided, *would.decided}):
        role = role_of(agency)
        for category in then.categories:
            before = then.outcome(agency, role, category)
            after = would.outcome(agency, role, category)
            had = before.basis if isinstance(before, Released) else None
            has = after.basis if isinstance(after, Released) else None
            if had == has:
                continue
            change: Change = "gains" if had is None else "loses" if has is None else "basis"
            yield Difference(
                "first", then.event_id, agency, category, change, told(before), told(after)
            )


def _recalls(then: Side, would: Side) -> Iterator[Difference]:
    before, after = _recalled(then.settlement), _recalled(would.settlement)
    for item in sorted({*before, *after}):
        if (item in before) == (item in after):
            continue
        agency, event_id, category = item
        if item in before:
            basis = would.held(*item)
            change: Change = "gains" if basis is not None else "follows"
            kept = NOTHING_HELD if basis is None else f"kept: {basis}"
            yield Difference("recall", event_id, agency, category, change, "recalled", kept)
        else:
            basis = then.held(*item)
            change = "loses" if basis is not None else "follows"
            kept = NOTHING_HELD if basis is None else f"kept: {basis}"
            yield Difference("recall", event_id, agency, category, change, kept, "recalled")
    yield from _rebased(then.settlement, would.settlement)


def _rebased(then: Settlement, would: Settlement) -> Iterator[Difference]:
    """6.5: kept after a review on another basis. Recalled by one of the two: told above."""
    before, after = _items(then.rebased), _items(would.rebased)
    for item in sorted(before.keys() & after.keys()):
        if before[item] != after[item]:
            agency, event_id, category = item
            texts = f"kept: {before[item]}", f"kept: {after[item]}"
            yield Difference("recall", event_id, agency, category, "basis", *texts)


def _recalled(settlement: Settlement) -> set[tuple[str, str, str]]:
    return {
        (recall.to, event_id, category)
        for recall in settlement.recalls
        for event_id, names in recall.items
        for category in names
    }


def _backfill(then: Side, would: Side) -> Iterator[Difference]:
    before, after = _items(then.settlement.backfill), _items(would.settlement.backfill)
    if before == after:
        return
    for item in sorted({*before, *after}):
        was, now = before.get(item), after.get(item)
        if was == now:
            continue
        if was is not None and now is not None:
            texts = f"released: {was}", f"released: {now}"
            yield Difference("backfill", item[1], item[0], item[2], "basis", *texts)
        elif was is not None:
            held = would.held(*item) is not None
            text = HELD if held else f"withheld: {would.reason(*item)}"
            change: Change = "follows" if held else "loses"
            yield Difference(
                "backfill", item[1], item[0], item[2], change, f"released: {was}", text
            )
        else:
            held = then.held(*item) is not None
            text = HELD if held else f"withheld: {then.reason(*item)}"
            change = "follows" if held else "gains"
            yield Difference(
                "backfill", item[1], item[0], item[2], change, text, f"released: {now}"
            )


def _items(
    bases: Mapping[str, Mapping[str, Mapping[str, str]]],
) -> dict[tuple[str, str, str], str]:
    return {
        (agency, event_id, category): basis
        for agency, events in bases.items()
        for event_id, found in events.items()
        for category, basis in found.items()
    }
