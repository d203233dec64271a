"""Registry: who takes part, with which keys from when to when, and every break-glass access.

Auditor and operator see all of it by log position. An agency officer sees the own agency alone,
and validity by change of the register: a log position would tell how much is recorded about others
(`hub/membership/agencies.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter, Request, Response

from hub.audit.breakglass import break_glass
from hub.authority.acts import officers_of
from hub.console import asked
from hub.console.desk import Console
from hub.crypto.sealing import sealing_key_id
from hub.domain.breakglass import Invocation
from hub.membership.agencies import Agency

CASES: Final = 10  # cases with break-glass shown, the newest and those to review; each read whole
REVIEW: Final = "break_glass_review"
MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key: short id, where its validity begins and ends; end None while it is valid."""

    id: str
    begin: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """One agency as shown."""

    agency: Agency
    since: int
    keys: tuple[Key, ...]
    sealing: str


def registry_pages(console: Console) -> APIRouter:
    """The register, officers, break-glass."""
    pages = APIRouter()

    @pages.get("/registry")
    def registry(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator", "agency_officer")
        console.look(viewer, "registry", viewer.agency or "")
        exchange = console.exchange
        agencies = exchange.agencies
        if viewer.agency is not None:
            own = agencies.get(viewer.agency)
            rows = [_row(own, agencies.change_at)] if own is not None else []
            return console.page(request, "registry", rows=rows, by="change", glass=None)
        newest = asked.number(request, "newest", MOST, CASES) or CASES
        now = exchange.clock.now()
        work = exchange.log.work
        known = list(exchange.emergencies.cases)
        waiting = [one.case_id for one in work.standing(kind=REVIEW, limit=newest) if one.case_id]
        shown = {*known[-newest:], *waiting}
        glass = break_glass(exchange, among=shown)
        found = sorted(glass.invocations, key=lambda one: (bool(one.reviews), -one.position))
        officers = officers_of(exchange.log, console.hub_id)
        return console.page(
            request,
            "registry",
            rows=[_row(one, lambda position: position) for one in agencies],
            by="position",
            glass=[(one, *_standing(one, now)) for one in found],
            to_review=work.by_kind(now).get(REVIEW, (0, 0)),
            cases=len(known),
            shown=len(shown),
            more=min(newest * 4, MOST) if len(known) > len(shown) and newest < MOST else None,
            emergencies=glass.declared[::-1],
            running={one.position for one in glass.emergency},
            officers=officers,
            head=exchange.log.head,
        )

    return pages


def _row(agency: Agency, place: Callable[[int], int]) -> Row:
    return Row(
        agency,
        place(agency.position),
        tuple(
            Key(
                key.key_id.hex(),
                place(key.valid_from),
                None if key.valid_to is None else place(key.valid_to),
            )
            for key in agency.keys.values()
        ),
        sealing_key_id(agency.sealing_public).hex() if agency.sealing_public else "",
    )


def _standing(one: Invocation, now: datetime) -> tuple[str, str]:
    """(kind of state, key of its word)."""
    if one.overdue(now):
        return "bad", "overdue"
    if not one.reviews:
        return "warn", "open" if one.open(now) else "unreviewed"
    last = one.reviews[-1]
    if last.outcome == "not_justified":
        return "bad", "not_justified"
    return "good", "reviewed_late" if one.reviewed_late else "reviewed"
