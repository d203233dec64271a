"""Preview: what would be decided if an agency stated this event now. Nothing is recorded.

The decision needs no content: it reads the event's type, its plain and personal facts, and which
categories it carries a field of. So that is all a preview is told. Everything after that is the
road itself: the exchange's own refusal and settlement (`Exchange.supposed`) and the publisher's
own choice of compartments (`parts.released`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.domain.case import Case, CaseEvent
from hub.domain.facts import EVENT_REFERENCES, facts_of
from hub.domain.parties import Party
from hub.domain.settlement import Settlement
from hub.errors import Refused
from hub.exchange import Exchange
from hub.sending.parts import released
from schemas.compartments import INHERIT, parts
from schemas.event import EventSchema
from schemas.registry import Schemas


@dataclass(frozen=True, slots=True)
class Supposed:
    """An event that nobody stated. data: fields that decisions read, as JSON values; what has no
    value is left out. also: further categories it would carry something of."""

    event_id: UUID
    type: str
    data: Mapping[str, Any]
    also: frozenset[str] = frozenset()

    @property
    def schema(self) -> EventSchema:
        return Schemas.load().by_type(self.type)

    def compartments(self, corrected: str | None = None) -> tuple[str, ...]:
        """Names of the compartments it would have, but for its routing; as `split` names them.

        corrected: category of the field a correction corrects.
        """
        names: set[str] = set()
        for field in self.schema.fields:
            category = corrected if field.category == INHERIT else field.category
            value = self.data.get(field.name)
            if category is None or field.copies:
                continue
            if field.category == INHERIT or field.required or value is not None:
                names.add(category)
            if field.per_party and value is not None:
                names |= {f"{category}/{party}" for party, _ in parts(value)}
        return tuple(sorted(names | self.also))


@dataclass(frozen=True, slots=True)
class Preview:
    """What would follow. compartments: of the event itself, all of them."""

    event: CaseEvent
    compartments: tuple[str, ...]
    outcome: Settlement | Refused

    def delivered(self, agency: str, bases: Mapping[str, str]) -> tuple[str, ...]:
        """The compartments of the event that leave for an agency on these bases."""
        return tuple(name for name in self.compartments if released(name, bases, agency))


def preview(exchange: Exchange, case: Case | None, party: Party, supposed: Supposed) -> Preview:
    """case: as the exchange has it, or as somebody knows it; it is copied, not changed."""
    now = exchange.clock.now()
    facts, personal = facts_of(supposed.type, supposed.data, now.date())
    reference = EVENT_REFERENCES.get(supposed.type)
    if reference in facts:
        own = exchange.pseudonyms.resolve(party.agency, "event", str(facts[reference]))
        facts[reference] = str(own or facts[reference])
    corrected = None
    if supposed.type == "RecordCorrected" and case is not None:
        corrected = case.category_corrected_by(facts)
    names = supposed.compartments(corrected)
    event = CaseEvent(
        position=exchange.position + 1,
        event_id=str(supposed.event_id),
        type=supposed.type,
        emitter=party.agency,
        role=party.role,
        at=now,
        categories=_categories(names),
        facts={**facts, **personal},
    )
    return Preview(event, names, exchange.supposed(deepcopy(case), event))


def _categories(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({name.partition("/")[0] for name in names}))
