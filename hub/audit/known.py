"""Known: a case as one agency knows it, and nothing more.

Made of what the agency stated itself and of what it holds, by what was decided, sent and not
recalled. Of another agency's event only the facts of released categories are in it; of a per-party
field only the agency's own entry; of an event on the hub's word not who stated it. Whatever is
worked out on such a case can tell the agency nothing that it was not told: two histories that are
alike for the agency give the same case here. The reasoning is decision record 36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from hub.audit.held import Holdings
from hub.deliveries import AUTHORITY
from hub.domain.case import Case, CaseEvent
from hub.domain.catalogue import field_category
from hub.domain.referral import MESSAGES
from hub.domain.settlement import Settlement
from hub.exchange import Exchange
from hub.recalling.in_flight import MARKED
from hub.recording.accepted import case_event
from hub.store import events as stored
from hub.store.log import Recorded
from schemas.registry import Schemas

# Facts without which an event says nothing to a case; the name, so that none is made up.
_NEEDS: Final[Mapping[str, str]] = {
    **{event_type: name for event_type, (_, name) in MESSAGES.items()},
    "ConsentRequested": "consent_id",
    "ConsentGiven": "consent_id",
    "ConsentRefused": "consent_id",
    "ConsentAmended": "consent_id",
    "ConsentWithdrawn": "consent_id",
    "ConsentExpired": "consent_id",
    "GuardianAppointed": "guardian_agency",
    "AgeAssessed": "outcome",
    "RecordCorrected": "corrects_event",
    "AsylumClaimRecorded": "status",
    "BreakGlassInvoked": "requested_categories",
    "BreakGlassReviewed": "invocation_event_id",
    "SubjectRequestDecided": "action",
    "FeedbackRecorded": "about_agency",
}
SOMEBODY: Final = ""  # no agency has this id


def known_case(exchange: Exchange, rows: list[Recorded], agency: str) -> Case | None:
    """None if the agency knows nothing of it: as if there were no such case."""
    party = exchange.agencies.parties().get(agency)
    profile = exchange.policy()
    attested = party is not None and profile.evidence_for(party.role) == "hub"
    held = _held(exchange, rows, agency)
    case: Case | None = None
    for one in rows:
        event = one.event
        if not isinstance(event, stored.EventAccepted):
            continue
        own = event.emitter == agency
        categories = held.get(str(UUID(bytes=event.event_id)), frozenset())
        if not own and not categories:
            continue
        if case is None:
            case = Case(event.originator_id, UUID(bytes=event.subject_id))
        happened = case_event(event, exchange.secrets, one.position)
        if not own:
            happened = _as_told(happened, categories, agency, attested)
        _enter(exchange, case, happened)
    if case is not None and case.involvement.opener is None:
        case.involvement.opener = SOMEBODY
    return case


def _held(exchange: Exchange, rows: Iterable[Recorded], agency: str) -> dict[str, frozenset[str]]:
    """Event → categories the agency holds of it. What is decided but not marked for sending may
    still be held back, so it does not count yet."""
    marked = exchange.log.tracking(MARKED)
    holdings = Holdings(agency)
    for one in rows:
        if one.position <= marked or isinstance(one.event, stored.HeldBack):
            holdings.take(one.event)
    found: dict[str, set[str]] = {}
    if agency in holdings.by_agency:
        for event_id, category in holdings.by_agency[agency].held:
            found.setdefault(event_id, set()).add(category)
    return {event_id: frozenset(names) for event_id, names in found.items()}


def _as_told(
    event: CaseEvent, categories: frozenset[str], agency: str, attested: bool
) -> CaseEvent:
    """The event with what this agency was shown of it."""
    schema = Schemas.load().by_type(event.type)
    facts: dict[str, Any] = {}
    for name, value in event.facts.items():
        field = schema.field(name)
        if field is None or field_category(event.type, name) not in categories:
            continue
        facts[name] = value
        if field.per_party:
            if isinstance(value, Mapping):
                facts[name] = {agency: value[agency]} if agency in value else {}
            else:
                facts[name] = [one for one in value or () if one == agency]
    told = replace(event, categories=tuple(sorted(categories)), facts=facts)
    return replace(told, emitter=SOMEBODY, role="") if attested else told


def _enter(exchange: Exchange, case: Case, event: CaseEvent) -> None:
    """Take it in as far as it says something; what it ends (2.4), it ends among those known."""
    parties, profile = exchange.agencies.parties(), exchange.policy()
    needed = _NEEDS.get(event.type)
    if needed is not None and event.facts.get(needed) is None:
        return
    event = case.enter(event)
    age = case.age.view(event.at, profile.enforcement_roles)
    left: tuple[str, ...] = ()
    if event.facts.get("leave_nrm") is True and not age.in_procedure:
        authorities = (one.agency for one in parties.by_role(AUTHORITY))
        left = tuple(one for one in authorities if case.involvement.has_ground_or_offer(one))
    case.hold(Settlement(event.event_id, profile.version, 0, age, left=left), event)
    case.leave(event)
