"""Preview: what each partner would receive of an event, before anybody states it.

An auditor or operator asks about the case as it is recorded. An officer asks for the own agency,
about the case as that agency knows it (`hub/audit/known.py`): so no answer can tell an agency who
else is in a case. Nothing is kept but the look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from hub.audit.course import UNKNOWN_CASE
from hub.audit.known import known_case
from hub.audit.replay import case_named
from hub.console.desk import Console
from hub.console.form import Form, Sent
from hub.console.lanes import SIGNS, kind_of, words
from hub.console.pages.cases import case_id_of
from hub.console.pages.held import agency_named
from hub.console.supposed import WrongValue, always, answered, asked_of, optional, types_for
from hub.console.viewer import Role, Viewer
from hub.domain.case import Case
from hub.domain.parties import HUB_ROLE
from hub.domain.settlement import Outcome, Outcomes, Released, Settlement
from hub.errors import Refused
from hub.exchange import Exchange
from hub.membership.agencies import Agency
from hub.preview import Preview, Supposed, preview
from schemas.registry import Schemas

WHO: tuple[Role, ...] = ("auditor", "operator", "agency_officer")
NO_SUCH_TYPE = Refused(0, "unknown_event", "this agency's role states no event of this type")


@dataclass(frozen=True, slots=True)
class Told:
    """One agency of the answer."""

    agency: str
    role: str
    outcomes: dict[str, Outcome]
    compartments: tuple[str, ...]
    backfill: dict[str, list[str]] = field(default_factory=dict)
    recalls: int = 0
    recalled: tuple[str, ...] = ()

    @property
    def gets(self) -> bool:
        return bool(self.compartments)


@dataclass(frozen=True, slots=True)
class Others:
    """Agencies that have no part in it: one answer for all of these roles."""

    roles: tuple[str, ...]
    outcomes: Outcomes


def told(exchange: Exchange, found: Preview, *, all_of_it: bool) -> list[Told]:
    """Every agency that is asked by itself, gets something or gives something back.

    all_of_it: also backfill and recalls, which only the whole case can tell.
    """
    settlement = found.outcome
    assert isinstance(settlement, Settlement)
    parties = exchange.agencies.parties()
    backfill = settlement.backfill if all_of_it else {}
    recalls = {one.to: one for one in settlement.recalls} if all_of_it else {}
    lines = []
    for agency in sorted({*settlement.decided, *backfill, *recalls}):
        party = parties.get(agency)
        outcomes = dict(settlement.decided.get(agency, {}))
        bases = {name: one.basis for name, one in outcomes.items() if isinstance(one, Released)}
        recall = recalls.get(agency)
        lines.append(
            Told(
                agency,
                party.role if party else "",
                outcomes,
                found.delivered(agency, bases),
                {event: sorted(names) for event, names in backfill.get(agency, {}).items()},
                sum(len(names) for _, names in recall.items) if recall else 0,
                recall.categories if recall else (),
            )
        )
    return lines


def others(settlement: Settlement) -> list[Others]:
    """The rest, roles with equal answers together."""
    alike: dict[tuple[tuple[str, Outcome], ...], list[str]] = {}
    for role, outcomes in settlement.outsiders.by_role.items():
        alike.setdefault(tuple(sorted(outcomes.items(), key=str)), []).append(role)
    return [Others(tuple(roles), dict(outcomes)) for outcomes, roles in alike.items()]


def preview_pages(console: Console) -> APIRouter:
    """The form in two steps, and the answer."""
    pages = APIRouter()

    @pages.get("/preview")
    def choose(request: Request, case: str = "") -> Response:
        viewer = console.admit(request, *WHO)
        if case and viewer.agency is None:
            case = case_id_of(case).hex
        console.look(viewer, "preview", case if viewer.agency is None else "")
        return console.page(
            request,
            "preview",
            **_choices(console.exchange, viewer),
            chosen_case=case,
            stage="choose",
        )

    @pages.post("/preview")
    def ask(request: Request, form: Sent) -> Response:
        viewer = console.admit_form(request, form.get("token"), *WHO)
        desk = _Desk(console, viewer, form)
        console.look(viewer, "preview", desk.case_id.hex)
        desk.open()
        names: dict[str, Any] = {
            **_choices(desk.exchange, viewer),
            **desk.names(),
            "chosen_case": desk.case_text,
            "stage": "facts",
        }
        if form.get("stage") == "decide":
            names |= desk.decided()
        return console.page(request, "preview", **names)

    return pages


def _choices(exchange: Exchange, viewer: Viewer) -> dict[str, Any]:
    agencies = [one for one in exchange.agencies if one.role != HUB_ROLE]
    if viewer.agency is not None:
        agencies = [one for one in agencies if one.agency == viewer.agency]
    roles = sorted({one.role for one in agencies})
    return {
        "agencies": agencies,
        "types": {role: types_for(role) for role in roles},
        "words": words,
        "officer": viewer.agency is not None,
    }


class _Desk:
    """One question as it was sent."""

    def __init__(self, console: Console, viewer: Viewer, form: Form) -> None:
        self.exchange = console.exchange
        self._officer = viewer.agency is not None
        self._form = form
        named = viewer.agency or form.get("agency")
        self.agency: Agency = agency_named(self.exchange, named)
        self._type = form.get("type")
        if self._type not in types_for(self.agency.role):
            raise NO_SUCH_TYPE
        text, name = form.get("case"), self.agency.agency
        names = self.exchange.pseudonyms
        if self._officer:
            self.case_id = names.resolve(name, "case", text) or names.canonical("case", text)
        else:
            self.case_id = case_named(self.exchange, text)
        self.case: Case | None = None

    def open(self) -> None:
        """The case as the viewer may know it. To an officer an unknown case is none."""
        exchange = self.exchange
        if self._officer:
            rows = exchange.log.stream(self.case_id)
            self.case = known_case(exchange, rows, self.agency.agency)
            return
        self.case = exchange.case(self.case_id)
        if self.case is None and self._type != "CaseOpened":
            raise UNKNOWN_CASE

    @property
    def case_text(self) -> str:
        """How the case is called in the form: never the hub's own id before an agency."""
        if self._officer:
            return self._form.get("case")
        return self.case_id.hex if self.case is not None else self._form.get("case")

    def names(self) -> dict[str, Any]:
        schema = Schemas.load().by_type(self._type)
        return {
            "agency": self.agency,
            "type": self._type,
            "fields": asked_of(schema),
            "always": always(schema),
            "optional": optional(schema),
            "form": self._form,
            "known": self.case is not None,
            "doc": schema.doc,
            "suggested": self._suggested(),
        }

    def _suggested(self) -> dict[str, list[str]]:
        """Names that stand in the case, as far as the viewer knows it, by what they name."""
        evidence = self.exchange.policy().evidence_for(self.agency.role)
        if self.case is None or (self._officer and evidence == "hub"):
            return {}  # on the hub's word the agency has its own names for them
        found: dict[str, list[str]] = {"consent": [one.consent_id for one in self.case.consents]}
        for kind, name in self.case.involvement.referrals:
            found.setdefault(kind, []).append(name)
        return found

    def decided(self) -> dict[str, Any]:
        schema = Schemas.load().by_type(self._type)
        try:
            data, also = answered(schema, self._form)
        except WrongValue as wrong:
            return {"stage": "facts", "wrong": wrong.field}
        party = self.exchange.agencies.parties().get(self.agency.agency)
        assert party is not None
        found = preview(self.exchange, self.case, party, Supposed(uuid4(), self._type, data, also))
        answer: dict[str, Any] = {
            "stage": "decided",
            "found": found,
            "missing": [
                one.name for one in asked_of(schema) if one.required and one.name not in data
            ],
            "position": self.exchange.position,
            "policy": self.exchange.policy().version,
            "at": found.event.at,
            "kind_of": kind_of,
            "signs": SIGNS,
            "is_released": lambda outcome: isinstance(outcome, Released),
        }
        if isinstance(found.outcome, Refused):
            return {**answer, "refused": found.outcome}
        return {
            **answer,
            "refused": None,
            "told": told(self.exchange, found, all_of_it=not self._officer),
            "others": others(found.outcome),
            "left": () if self._officer else found.outcome.left,
        }
