"""Look: what a rule of the agenda sees of one event, and the few things it may do.

The case holder is the agency that opened the case, while it has a part in it; else the guardian;
else another agency with a part in it, support before enforcement. An item about an event goes only
to an agency that knows of the event: that published it, or was released something of it. Where
none does, it goes to whoever published it, who knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from hub.domain import timers
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import HUB_ROLE, Parties
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Released, Settlement
from hub.domain.work import OPEN, WAITING, WorkItem, item_id
from hub.domain.work_kinds import (
    AUDITOR,
    AUTHORITY,
    EMITTER,
    HOLDER,
    KINDS,
    RECIPIENT,
    SENDER,
    owner_word,
)

SUPPORT = ("ngo_support", "shelter", "child_protection", "legal_rep", "health", "trade_union")


@dataclass(slots=True)
class Look:
    """One event of one case, the items open in that case by kind, and what becomes of them."""

    case: Case
    event: CaseEvent
    settlement: Settlement
    profile: PolicyProfile
    parties: Parties
    items: Mapping[str, Mapping[UUID, WorkItem]]
    changed: dict[UUID, WorkItem] = field(default_factory=dict)

    # -- what happened -------------------------------------------------------------------------

    def fact(self, name: str) -> Any:
        return self.event.facts.get(name)

    @property
    def day(self) -> date:
        return self.event.at.date()

    def length(self, setting: str, starts: date | None = None) -> Any:
        return timers.length(
            self.profile.timers, setting, self.case.jurisdiction, starts or self.day
        )

    def days(self, setting: str, starts: date | None = None) -> int:
        return int(self.length(setting, starts))

    @property
    def child(self) -> bool:
        """Child in procedure, as recorded with the decision on this event."""
        return self.settlement.age.in_procedure

    # -- who -----------------------------------------------------------------------------------

    def role_of(self, agency: str) -> str:
        party = self.parties.get(agency)
        return "" if party is None else party.role

    def knows(self, agency: str, category: str = "") -> bool:
        """Whether the agency published this event or was released something (or this) of it."""
        return agency == self.event.emitter or any(
            isinstance(outcome, Released) and category in ("", name)
            for name, outcome in self.settlement.decided.get(agency, {}).items()
        )

    def holder(self, *, but: str = "", knowing: bool = True, category: str = "") -> str:
        """The case holder; with `knowing`, the first such agency that knows of this event."""
        for agency in holders(self.case, self.role_of):
            if agency != but and (not knowing or self.knows(agency, category)):
                return agency
        return ""

    def authority(self) -> str:
        """The competent authority that holds the case now."""
        for agency in sorted(self.case.involvement.agencies()):
            if self.role_of(agency) == AUTHORITY:
                return agency
        return ""

    def _owner(self, kind: str, named: Mapping[str, str]) -> tuple[str, str]:
        """(role, agency): by the profile, else by the kind; never somebody who must not know."""
        word = owner_word(kind, self.profile.work)
        if word in named:
            agency = named[word]
        elif word == EMITTER:
            agency = self.event.emitter
        elif word == HOLDER:
            agency = self.holder(knowing=not KINDS[kind].regardless, category=KINDS[kind].rests_on)
        elif word == AUTHORITY:
            agency = self.authority()
            if agency and not self.knows(agency, KINDS[kind].rests_on):
                agency = ""
        elif word in (RECIPIENT, SENDER):
            agency = ""
        else:
            return word, ""  # a role as such
        if not agency and not KINDS[kind].told and word not in named:
            agency = self.event.emitter
        role = self.role_of(agency) if agency else ""
        if role in ("", HUB_ROLE):
            return AUDITOR, ""
        return role, agency

    # -- what may be done ----------------------------------------------------------------------

    def open(
        self,
        kind: str,
        ref: str,
        *,
        opens: datetime | None = None,
        due: datetime | None = None,
        detail: Mapping[str, Any] | None = None,
        named: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        """Put an item on the list; if one of this kind about this stands there, move it.

        once: its ref is this event's own, so that none can stand there.
        """
        role, agency = self._owner(kind, named or {})
        state = WAITING if opens is not None and opens > self.event.at else OPEN
        standing = None if once else self._standing(kind, ref)
        if standing is not None and standing.agency == agency:
            kept = standing.fired if standing.due == due else None
            item = replace(standing, role=role, opens=opens, due=due, fired=kept, state=state)
            item = replace(item, detail=standing.detail if detail is None else detail)
        else:
            if standing is not None:  # another owner: the former one's list ends by this event
                self._settle(standing)
            item = WorkItem(
                item=item_id(self.case.case_id, kind, ref, self.event.position),
                kind=kind,
                ref=ref,
                role=role,
                agency=agency,
                position=self.event.position,
                since=self.event.at,
                case_id=self.case.case_id,
                subject=self.case.subject_id,
                escalates=KINDS[kind].escalates,
                opens=opens,
                due=due,
                state=state,
                detail=detail or {},
            )
        self.changed[item.item] = item

    def settle(self, kind: str, ref: str | None = None) -> None:
        """Take items of this kind off the list: the one about `ref`, or all."""
        for item in self.standing(kind):
            if ref in (None, item.ref):
                self._settle(item)

    def standing(self, kind: str) -> list[WorkItem]:
        """Items of this kind that are not settled, moot ones left out."""
        now = {
            **self.items.get(kind, {}),
            **{item: one for item, one in self.changed.items() if one.kind == kind},
        }
        return [one for one in now.values() if one.state in (WAITING, OPEN)]

    def all_standing(self) -> list[WorkItem]:
        """The same, of every kind."""
        kinds = {*self.items, *(one.kind for one in self.changed.values())}
        return [item for kind in sorted(kinds) for item in self.standing(kind)]

    def _standing(self, kind: str, ref: str) -> WorkItem | None:
        return next((one for one in self.standing(kind) if one.ref == ref), None)

    def _settle(self, item: WorkItem) -> None:
        moot = bool(item.agency) and not self.knows(item.agency)
        self.changed[item.item] = item.settled(
            self.event.at, self.event.position, because=self.event.type, moot=moot
        )


def holders(case: Case, role_of: Callable[[str], str]) -> list[str]:
    """Agencies that may hold the case, in order."""
    involved = case.involvement.agencies()
    first = [
        one
        for one in (case.involvement.opener, case.involvement.guardian)
        if one is not None and one in involved
    ]
    rest = sorted(involved - set(first), key=lambda one: (role_of(one) not in SUPPORT, one))
    return list(dict.fromkeys([*first, *rest]))
