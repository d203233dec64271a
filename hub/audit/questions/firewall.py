"""Q06, Q12 and Q13: three things that must never have happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from hub.audit.questions.answer import Cell, Column, Found, Row, listed, moment
from hub.audit.questions.asking import AS_OF, Asked, Question
from hub.audit.questions.items import Items
from hub.domain.settlement import Released, Settlement
from hub.membership.agencies import CHANGES, Agencies
from hub.store import events as stored
from schemas.registry import Schemas

ENFORCEMENT: Final = "immigration_enforcement"
HOLD: Final = "removal_hold"
NOTIFICATION: Final = "DutyNotificationSubmitted"
FORBIDDEN: Final = ("identity", "contact")
# Names of fields that would carry identity or contact under another category.
_TELLING: Final = ("name", "phone", "email", "address", "birth", "document", "contact", "passport")


class _Wall:
    """Looks at every row for something other than the hold flag crossing to enforcement."""

    def __init__(self, emitter_of: Callable[[int], str]) -> None:
        self.register = Agencies()
        self.ever: dict[str, int] = {}  # agency → position at which it was enrolled so
        self.rows: list[Row] = []
        self.looked = {"decisions": 0, "deliveries": 0, "hold flags sent": 0}
        self._emitter_of = emitter_of

    def take(self, position: int, event: stored.StoreEvent) -> None:
        if isinstance(event, stored.AgencyEnrolled) and event.role == ENFORCEMENT:
            self.ever[event.agency] = position
        self.register.apply(position, event)
        if isinstance(event, stored.Settled):
            self.looked["decisions"] += 1
            settlement = Settlement.from_record(json.loads(event.settlement))
            for agency, category, basis in self._crossing(settlement):
                self._find(position, event, "decided", agency, category, basis, event.position)
        elif isinstance(event, stored.Sending) and event.agency in self.ever:
            self._sent(position, event)
        elif isinstance(event, stored.InFlight):
            told = json.loads(event.told)
            agency = self._emitter_of(event.position) if told and self.ever else ""
            for _, _, names in told if agency in self.ever else ():
                for category in names:
                    self._find(position, event, "told", agency, category, "", event.position)

    def _crossing(self, settlement: Settlement) -> Iterator[tuple[str, str, str]]:
        for agency in self.ever:
            for category, outcome in settlement.decided.get(agency, {}).items():
                if isinstance(outcome, Released) and category != HOLD:
                    yield agency, category, outcome.basis
            for bases in settlement.backfill.get(agency, {}).values():
                for category, basis in bases.items():
                    if category != HOLD:
                        yield agency, category, basis
        for category, outcome in settlement.outsiders.by_role.get(ENFORCEMENT, {}).items():
            if isinstance(outcome, Released) and category != HOLD:
                yield f"every {ENFORCEMENT}", category, outcome.basis

    def _sent(self, position: int, event: stored.Sending) -> None:
        self.looked["deliveries"] += 1
        body = json.loads(event.items)
        if event.kind == "recall":
            named = {(name, "recall") for _, names in body["items"] for name in names}
        else:
            named = set(body["bases"].items())
        for category, basis in sorted(named):
            if category == HOLD:
                self.looked["hold flags sent"] += event.kind == "release"
            else:
                self._find(
                    position, event, "sent", event.agency, category, basis, event.event_position
                )

    def _find(
        self,
        position: int,
        event: stored.StoreEvent,
        how: str,
        agency: str,
        category: str,
        basis: str,
        about: int,
    ) -> None:
        at = moment(event.timestamp)
        self.rows.append((position, at, how, agency, category, basis, about))


def _crossed(asked: Asked) -> Found:
    def emitter_of(position: int) -> str:
        event = asked.exchange.log.read(position - 1, 1)[0].event
        return event.emitter if isinstance(event, stored.EventAccepted) else ""

    wall = _Wall(emitter_of)
    kinds = (stored.Settled, stored.Sending, stored.InFlight, *CHANGES)
    for one in asked.walk(*kinds):
        wall.take(one.position, one.event)
    found = Found(wall.rows, len(wall.rows))
    found.summary = {"enforcement agencies": listed(sorted(wall.ever)) or "none", **wall.looked}
    for inside in asked.exchange.policy().inside:
        found.notes.append(
            f"Part of enforcement under another role, so not looked at here: {inside.body} "
            f"({inside.role}), inside {inside.inside}."
        )
    return found


Q06: Final = Question(
    "Q06",
    "auditor",
    "Has any immigration-enforcement system received anything but a hold flag?",
    (AS_OF,),
    (
        Column("position", "Log position of what crossed."),
        Column("at", "When that was recorded."),
        Column("how", "decided, sent, or told in an acknowledgement."),
        Column("agency", "The enforcement agency."),
        Column("category", "Category of data."),
        Column("basis", "The basis on record."),
        Column("event", "Log position of the event it is of."),
    ),
    _crossed,
    "Every decision and every delivery to every agency that was ever enrolled as "
    "immigration_enforcement, by the categories on record.",
    "What reaches enforcement by other ways, or inside a body that has another role.",
    must_be_empty=True,
)


def _identified(asked: Asked) -> Found:
    found = Found(list(_in_schemas()))
    schemas, looked = Schemas.load(), 0
    notified: dict[str, int] = {}
    for one in asked.walk(stored.EventAccepted):
        event = one.event
        assert isinstance(event, stored.EventAccepted)
        if event.event_type == NOTIFICATION:
            looked += 1
            notified[str(UUID(bytes=event.event_id))] = one.position
            found.rows += _in_notification(one.position, event, schemas)
        elif event.event_type == "RecordCorrected":
            facts = json.loads(event.facts)
            if str(facts.get("corrects_event")) in notified:
                about = _forbidden([*event.categories, *_names(event)])
                field = str(facts.get("field"))
                if about or _telling(field):
                    found.rows.append(
                        (
                            one.position,
                            moment(event.timestamp),
                            "correction",
                            event.emitter,
                            listed(about) or "field name",
                        )
                    )
    found.findings = len(found.rows)
    found.summary = {
        "versions of the schema": len(schemas.versions(NOTIFICATION)),
        "notifications looked at": looked,
    }
    return found


def _in_schemas() -> Iterator[Row]:
    """Of every version of the schema, the fields it must not have."""
    for version in Schemas.load().versions(NOTIFICATION):
        for field in version.fields:
            if field.category in FORBIDDEN or _telling(field.name):
                yield (None, None, "schema", None, field.name)


def _in_notification(position: int, event: stored.EventAccepted, schemas: Schemas) -> Iterator[Row]:
    at = moment(event.timestamp)
    found = _forbidden([*event.categories, *_names(event)])
    if found:
        yield (position, at, "notification", event.emitter, listed(found))
    schema = schemas.by_id(event.schema_id)
    if schema is None or schema.type != NOTIFICATION:
        yield (position, at, "notification", event.emitter, "a schema that is not the type's")


def _names(event: stored.EventAccepted) -> list[str]:
    return [one.name for one in event.compartments]


def _forbidden(names: Iterable[str]) -> list[str]:
    """Categories that must not be there; a compartment of one party is `category/party`."""
    return sorted({one.partition("/")[0] for one in names} & set(FORBIDDEN))


def _telling(field: str) -> bool:
    return any(word in field for word in _TELLING)


Q12: Final = Question(
    "Q12",
    "auditor",
    "Did an identity or contact field ever travel in a duty notification?",
    (AS_OF,),
    (
        Column("position", "Log position of the notification; empty: the schema itself."),
        Column("at", "When it was recorded."),
        Column("where", "schema, notification, or a correction of one."),
        Column("agency", "Who submitted it."),
        Column("what", "The category, compartment or field that should not be there."),
    ),
    _identified,
    "Every version of the notification's schema by category and by field name; every notification "
    "recorded, and every correction of one, by the compartments it consists of.",
    "Whether somebody wrote a name into the free text of the account: no content is opened here.",
    must_be_empty=True,
)


def _linked(asked: Asked) -> Found:
    items = Items(asked.exchange.pseudonyms)
    links: dict[int, tuple[stored.EventAccepted, Any]] = {}
    for one in asked.walk(stored.EventAccepted, stored.Settled, stored.Sending):
        event = one.event
        if isinstance(event, stored.EventAccepted):
            if event.event_type == "CaseLinkDecided":
                links[one.position] = (event, json.loads(event.facts).get("agreed_by_person"))
                items.apply(one.position, event)
        elif isinstance(event, stored.Settled):
            if event.position in links:
                items.apply(one.position, event)
        elif isinstance(event, stored.Sending) and event.event_position in links:
            items.apply(one.position, event)
    reached: dict[int, set[str]] = {}
    for item in items.all:
        if item.sent and item.category in ("linkage", "consent"):
            reached.setdefault(item.about.position, set()).add(item.agency)
    found = Found(findings=0)
    for position, (event, agreed) in links.items():
        said: Cell = agreed is True
        found.rows.append(
            (
                position,
                moment(event.timestamp),
                event.originator_id.hex,
                event.emitter,
                said,
                listed(sorted(reached.get(position, ()))),
            )
        )
    found.findings = sum(row[4] is False for row in found.rows)
    found.summary = {"links decided": len(found.rows)}
    return found


Q13: Final = Question(
    "Q13",
    "auditor",
    "Were two cases linked without the person's agreement?",
    (AS_OF,),
    (
        Column("position", "Log position of the decision to link."),
        Column("at", "When it was recorded."),
        Column("case", "The hub's id of the case it was recorded in; the other is content."),
        Column("agency", "Who decided it."),
        Column("agreed", "Whether the person agreed, as recorded. Every `no` is a finding."),
        Column("reached", "Agencies the link was sent to; without agreement there must be none."),
    ),
    _linked,
    "Every CaseLinkDecided with the agreement recorded beside it, and its deliveries.",
    "Cases an agency has joined in its own system without telling the hub.",
    must_be_empty=True,
)
