"""Agreements: the person's consents, as they stand and as they came about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from hub.domain.case import Case
from hub.domain.consent import REFUSED, REQUESTED
from hub.person.steps import Happened


@dataclass(slots=True)
class Agreement:
    """One consent record, numbered in the order of its first message."""

    number: int
    consent_id: str
    state: str
    taken_by: str
    asked_at: datetime | None = None
    given_at: datetime | None = None
    refused_at: datetime | None = None
    withdrawn_at: list[datetime] = field(default_factory=list)  # a part, or all of it
    valid_until: date | None = None
    covers_history: bool = False
    scope: dict[str, tuple[str, ...]] = field(default_factory=dict)


def agreements(
    events: Iterable[Happened], case: Case, today: date, categories: Sequence[str]
) -> list[Agreement]:
    """Every agreement of a case, by its first message. case: as it stands at the end of them."""
    found: dict[str, Agreement] = {}
    for event in events:
        consent_id = event.facts.get("consent_id")
        if not isinstance(consent_id, str) or not event.type.startswith("Consent"):
            continue
        agreement = found.get(consent_id)
        if agreement is None:
            agreement = Agreement(len(found) + 1, consent_id, REQUESTED, event.agency)
            found[consent_id] = agreement
        if event.type == "ConsentRequested":
            agreement.asked_at = event.at
        elif event.type == "ConsentGiven":
            agreement.given_at, agreement.taken_by = event.at, event.agency
        elif event.type == "ConsentRefused":
            agreement.refused_at, agreement.taken_by = event.at, event.agency
        elif event.type == "ConsentWithdrawn":
            agreement.withdrawn_at.append(event.at)
    for agreement in found.values():
        consent = case.consents.get(agreement.consent_id)
        if consent is None:
            continue
        if agreement.given_at is None:
            agreement.state = REFUSED if consent.state == REFUSED else REQUESTED
            continue
        agreement.valid_until = consent.valid_until
        agreement.covers_history = consent.covers_history
        agreement.scope = {
            agency: tuple(name for name in categories if consent.holds(agency, name))
            for agency in sorted(consent.named)
        }
        if not agreement.scope:
            agreement.state = "withdrawn"
        elif not consent.active(today):
            agreement.state = "expired"
        elif any(at > agreement.given_at for at in agreement.withdrawn_at):
            agreement.state = "partly"
        else:
            agreement.state = "active"
    return list(found.values())
