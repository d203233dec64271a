"""Items: the work list as the rows followed so far leave it, before that is stored.

What was changed is kept here until the follower's position moves on with it; everything else is
looked up. Of the cases in memory it knows which items are not settled, for the rules to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.domain.case import CaseEvent
from hub.domain.policy import PolicyProfile
from hub.domain.work import DONE, MOOT, OPEN, WAITING, WorkItem, item_id
from hub.domain.work_kinds import AUDITOR, KINDS, OFFICES, owner_word
from hub.membership.agencies import Agencies
from hub.store.work import WorkRows

Unsettled = dict[str, dict[UUID, WorkItem]]  # kind → id → item


def loose_id(kind: str, ref: str) -> UUID:
    """Id of an item that rows outside a case's events open or settle."""
    return item_id(None, kind, ref, 0)


class Items:
    """For one follower, in its thread."""

    def __init__(
        self,
        rows: WorkRows,
        agencies: Callable[[], Agencies],
        profile_at: Callable[[int], PolicyProfile],
    ) -> None:
        self.changed: dict[UUID, WorkItem] = {}
        self._rows = rows
        self._agencies = agencies
        self._profile_at = profile_at
        self._unsettled: dict[UUID, Unsettled] = {}

    @property
    def agencies(self) -> Agencies:
        """Who takes part."""
        return self._agencies()

    def get(self, item: UUID) -> WorkItem | None:
        return self.changed.get(item) or self._rows.item(item)

    def of_subject(self, subject: UUID) -> list[WorkItem]:
        return [self.changed.get(one.item, one) for one in self._rows.of_subject(subject)]

    def of_kind(self, kind: str) -> list[WorkItem]:
        """Those that stand, and those of the kind that were changed since."""
        changed = (one for one in self.changed.values() if one.kind == kind)
        return [*self._rows.standing(kind=kind), *changed]

    def unsettled(self, case_id: UUID, *, new: bool = False) -> Unsettled:
        """Of a case, kept up to date from now on. new: nothing of it is on the list yet."""
        found = self._unsettled.get(case_id)
        if found is None:
            found = self._unsettled[case_id] = {}
            if not new:
                changed = (one for one in self.changed.values() if one.case_id == case_id)
                for item in [*self._rows.of_case(case_id), *changed]:
                    _enter(found, item)
        return found

    def put(self, item: WorkItem) -> None:
        self.changed[item.item] = item
        if item.case_id in self._unsettled:
            _enter(self._unsettled[item.case_id], item)

    def settle(self, item: UUID, at: CaseEvent, because: str) -> None:
        standing = self.get(item)
        if standing is not None and standing.state not in (DONE, MOOT):
            self.put(standing.settled(at.at, at.position, because=because))

    def fresh(
        self,
        kind: str,
        ref: str,
        position: int,
        at: datetime,
        *,
        agency: str = "",
        due: datetime | None = None,
        detail: dict[str, Any] | None = None,
        case_id: UUID | None = None,
        subject: UUID | None = None,
    ) -> WorkItem:
        """A fresh item that no rule of a case opens. agency: the recipient it waits for."""
        word = owner_word(kind, self._profile_at(position).work)
        party = self.agencies.get(agency) if agency else None
        if word == "recipient":
            role, owner = ("", "") if party is None else (party.role, agency)
        else:
            role, owner = word, ""
        known = role in OFFICES or role in self._profile_at(position).matrix
        return WorkItem(
            item=loose_id(kind, ref),
            kind=kind,
            ref=ref,
            role=role if known else AUDITOR,
            agency=owner if known else "",
            position=position,
            since=at,
            case_id=case_id,
            subject=subject,
            escalates=KINDS[kind].escalates,
            due=due,
            detail=detail or {},
        )

    def let_go(self, case_id: UUID) -> None:
        """This case is in memory no more."""
        self._unsettled.pop(case_id, None)

    def forget(self) -> None:
        """What was not stored did not happen."""
        self.changed.clear()
        self._unsettled.clear()


def _enter(unsettled: Unsettled, item: WorkItem) -> None:
    if item.state in (WAITING, OPEN):
        unsettled.setdefault(item.kind, {})[item.item] = item
    else:
        unsettled.get(item.kind, {}).pop(item.item, None)
