"""Consents of one case: what was agreed to, and when it counts (docs/release.md 2.7 to 2.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

MESSAGES = (
    "ConsentRequested",
    "ConsentGiven",
    "ConsentRefused",
    "ConsentAmended",
    "ConsentWithdrawn",
    "ConsentExpired",
)


@dataclass
class Consent:
    """One record. scope: agency, category, and the position that granted the pair."""

    id: str
    scope: dict[str, dict[str, int]] = field(default_factory=dict)
    ever: dict[str, set[str]] = field(default_factory=dict)
    history: bool = False
    until: date = date.min
    over: bool = False  # an expiry was recorded

    def active(self, today: date) -> bool:
        return not self.over and today <= self.until

    def names(self, agency: str) -> bool:
        return agency in self.scope

    def holds(self, agency: str, category: str) -> bool:
        return category in self.scope.get(agency, {})

    def counts(self, agency: str, category: str, position: int, today: date) -> bool:
        """2.8, for an event recorded at this position."""
        granted = self.scope.get(agency, {}).get(category)
        if granted is None or not self.active(today):
            return False
        return self.history or position >= granted


@dataclass(frozen=True)
class Before:
    """The record a message is about, just before the message (4.8, 4.12)."""

    message: str
    consent: str
    named: frozenset[str]
    until: date
    over: bool


class Consents:
    """All records of a case. `given`: those once given, oldest first."""

    def __init__(self) -> None:
        self.known: dict[str, Consent] = {}
        self.given: dict[str, Consent] = {}
        self.just_before: Before | None = None

    def enter(self, message: str, type_: str, position: int, facts: Mapping[str, Any]) -> None:
        if type_ not in MESSAGES:
            return
        name = str(facts.get("consent_id"))
        old = self.known.get(name)
        if old is None:
            self.just_before = Before(message, name, frozenset(), date.min, True)
        else:
            self.just_before = Before(message, name, frozenset(old.scope), old.until, old.over)
        if old is None:
            if type_ not in ("ConsentRequested", "ConsentRefused", "ConsentGiven"):
                return
            old = self.known[name] = Consent(name)
        match type_:
            case "ConsentGiven":
                self.given.setdefault(name, old)
                old.scope, old.over = {}, False
                old.history = facts.get("covers_history") is True
                _replace(old, position, facts)
            case "ConsentAmended":
                _replace(old, position, facts)
            case "ConsentWithdrawn":
                _withdraw(old, facts)
            case "ConsentExpired":
                old.over = True

    def get(self, facts: Mapping[str, Any]) -> Consent | None:
        return self.known.get(str(facts.get("consent_id")))

    def basis(self, agency: str, category: str, position: int, today: date) -> str | None:
        """2.8: the oldest that counts."""
        for one in self.given.values():
            if one.counts(agency, category, position, today):
                return one.id
        return None

    def some_active(self, agency: str, today: date) -> bool:
        return any(one.names(agency) and one.active(today) for one in self.given.values())

    def why_not(self, agency: str, category: str | None, today: date) -> str:
        """2.9. category None: any pair of the agency."""
        for one in reversed(self.given.values()):
            ever = one.ever.get(agency, set())
            if not ever or (category is not None and category not in ever):
                continue
            held = one.names(agency) if category is None else one.holds(agency, category)
            if not held:
                return "withdrawn"
            return "no_consent" if one.active(today) else "expired"
        return "no_consent"


def _replace(consent: Consent, position: int, facts: Mapping[str, Any]) -> None:
    """An amendment: pairs that are kept keep the position that granted them."""
    old, consent.scope = consent.scope, {}
    for agency, names in (facts.get("scope") or {}).items():
        if names:
            before = old.get(agency, {})
            consent.scope[agency] = {name: before.get(name, position) for name in names}
            consent.ever.setdefault(agency, set()).update(names)
    try:
        consent.until = date.fromisoformat(str(facts.get("valid_until"))[:10])
    except ValueError:
        consent.until = date.min


def _withdraw(consent: Consent, facts: Mapping[str, Any]) -> None:
    match facts.get("extent"):
        case "all":
            consent.scope = {}
        case "recipients":
            for agency in facts.get("recipients") or ():
                consent.scope.pop(agency, None)
        case "categories":
            gone = set(facts.get("categories") or ())
            left = {
                agency: {name: at for name, at in names.items() if name not in gone}
                for agency, names in consent.scope.items()
            }
            consent.scope = {agency: names for agency, names in left.items() if names}
