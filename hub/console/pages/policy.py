"""Policy: the profile in force, its versions, what waits for a second officer, what would change.

To propose and to approve takes an officer's own key, which never comes near this console: the page
shows the exact command instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from hub.audit.compared import CHANGES
from hub.audit.simulate import Simulation
from hub.authority.proposals import OPEN, Proposals
from hub.authority.publication import proposals_of
from hub.console import asked
from hub.console.desk import Console
from hub.console.viewer import Role
from hub.domain.policy import SHIPPED, PolicyProfile, shipped_document
from hub.domain.profile_changes import Change, Changes, changes
from hub.domain.profile_check import ENFORCEMENT, categories
from hub.errors import Refused
from hub.exchange import Exchange

DESKS: Final[tuple[Role, ...]] = ("auditor", "operator")
MODES: Final = "ADCKXN"
REPLAYED: Final = 4_000  # log rows up to which history is decided again while somebody waits
FIREWALL: Final = frozenset(
    {
        "inside_enforcement",
        "enforcement_roles",
        "enforcement_dispute_serves",
        "private_bodies",
        "evidence",
    }
)
TIMERS: Final = "timers"


@dataclass(frozen=True, slots=True)
class Named:
    """A profile that can be chosen: its key in an address, what to call it, its document.

    at: since when it was in force or proposed; None if it is shipped and neither. A key is no log
    position: those tell an agency how much is recorded about others.
    """

    key: str
    kind: str
    version: str
    at: datetime | None
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One role and category. effect: "", gains, loses, both or other."""

    before: str
    after: str
    effect: str = ""


def policy_pages(console: Console) -> APIRouter:
    """In force and proposed; two of them compared; history decided again."""
    pages = APIRouter(prefix="/policy")

    @pages.get("")
    def policy(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "policy")
        known = proposals_of(console.exchange.log, console.hub_id)
        profile = _checked(json.loads(known.current.document))
        return console.page(
            request,
            "policy",
            current=known.current,
            versions=known.versions[::-1],
            waiting=[one for one in known.newest_first() if known.state(one) == OPEN],
            past=[(one, known.state(one)) for one in known.newest_first()],
            profile=profile,
            title=json.loads(known.current.document).get("title", ""),
            categories=categories(),
            rows=_rows(profile, profile, Changes((), (), ())),
            modes=MODES,
            named_profiles=list(_named(known).values()),
            chosen=_usual(known),
            places=viewer.role in DESKS,
        )

    @pages.get("/diff")
    def diff(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "policy_diff")
        exchange = console.exchange
        old, new, named = _two(request, exchange, console.hub_id)
        found = changes(_checked(old.document), _checked(new.document))
        return console.page(
            request,
            "policy_diff",
            old=old,
            new=new,
            named_profiles=list(named.values()),
            categories=categories(),
            rows=_rows(_checked(old.document), _checked(new.document), found),
            gains=[one for one in found.gains if one.part == "matrix"],
            loses=[one for one in found.loses if one.part == "matrix"],
            timers=[one for one in found.other if one.part == TIMERS],
            firewall=[one for one in _all(found) if one.part in FIREWALL],
            enforcement=[
                one for one in _all(found) if one.role == ENFORCEMENT and one.part not in FIREWALL
            ],
            rest=[
                one
                for one in _all(found)
                if one.part not in FIREWALL | {TIMERS} and one.part != "matrix"
            ],
            differs=bool(found),
            may_replay=viewer.role in DESKS,
            cheap=exchange.log.head <= REPLAYED,
        )

    @pages.get("/replay")
    def replay(request: Request) -> Response:
        viewer = console.admit(request, *DESKS)
        console.look(viewer, "policy_replay")
        exchange = console.exchange
        _, new, _ = _two(request, exchange, console.hub_id)
        if exchange.log.head > REPLAYED:
            raise Refused(
                0, "too_long", "history is long here; run: nrm-hub policy simulate, at the hub"
            )
        simulation = Simulation(exchange, _checked(new.document))
        closed = simulation.closed_to()
        changed = sum(len(found) for found in simulation.cases())
        return console.page(
            request,
            "policy_replay",
            new=new,
            changed=changed,
            simulation=simulation,
            kinds=tuple(CHANGES),
            totals={role: simulation.totals[role] for role in sorted(simulation.totals)},
            closed=closed,
        )

    return pages


def _checked(document: Mapping[str, Any]) -> PolicyProfile:
    return PolicyProfile.as_recorded(document)


def _named(known: Proposals) -> dict[str, Named]:
    """Everything that can be compared, the newest first."""
    found = [
        Named(_key(one.digest), "version", one.version, one.at, json.loads(one.document))
        for one in known.versions[::-1]
    ]
    found += [
        Named(_key(one.digest), "proposal", one.version, one.at, json.loads(one.document))
        for one in known.newest_first()
        if known.state(one) == OPEN
    ]
    for name in dict.fromkeys(SHIPPED.values()):
        document = shipped_document(name)
        found.append(Named(name, "shipped", str(document["version"]), None, document))
    named: dict[str, Named] = {}
    for one in found:
        named.setdefault(one.key, one)
    return named


def _key(digest: bytes) -> str:
    return digest.hex()[:16]


def _two(
    request: Request, exchange: Exchange, hub_id: str
) -> tuple[Named, Named, dict[str, Named]]:
    """The two profiles asked for."""
    known = proposals_of(exchange.log, hub_id)
    named = _named(known)
    old = asked.word(request, "old", named)
    new = asked.word(request, "new", named)
    if old is None and new is None:
        old, new = _usual(known)
    current = _key(known.current.digest)
    return named[old or current], named[new or current], named


def _usual(known: Proposals) -> tuple[str, str]:
    """What one wants to compare first: what is proposed with what is in force, else that with what
    was before it."""
    current = _key(known.current.digest)
    for one in known.newest_first():
        if known.state(one) == OPEN:
            return current, _key(one.digest)
    earlier = known.versions[:-1]
    return (_key(earlier[-1].digest) if earlier else "coe"), current


def _rows(
    old: PolicyProfile, new: PolicyProfile, found: Changes
) -> list[tuple[str, list[Cell], tuple[str, str]]]:
    """(role, a cell for every category, evidence before and after)."""
    effects: dict[tuple[str, str], set[str]] = {}
    for one in _all(found):
        if one.part == "matrix":
            effects.setdefault((one.role, one.what), set()).add(one.effect)
    return [
        (
            role,
            [
                Cell(
                    old.mode(role, category),
                    new.mode(role, category),
                    _effect(effects.get((role, category), set())),
                )
                for category in categories()
            ],
            (old.evidence_for(role), new.evidence_for(role)),
        )
        for role in dict.fromkeys([*new.matrix, *old.matrix])
    ]


def _effect(effects: set[str]) -> str:
    return "both" if {"gains", "loses"} <= effects else next(iter(effects), "")


def _all(found: Changes) -> tuple[Change, ...]:
    return (*found.gains, *found.loses, *found.other)
