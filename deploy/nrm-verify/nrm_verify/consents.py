"""Consents of one case: what was agreed to, and when it counts (docs/release.md 2.7 to 2.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Pair = tuple[str, str]  # agency, category
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
    """One record. pairs: each with the position that granted it."""

    id: str
    pairs: dict[Pair, int] = field(default_factory=dict)
    ever: set[Pair] = field(default_factory=set)
    history: bool = False
    until: date = date.min
    over: bool = False  # an expiry was recorded

    def active(self, today: date) -> bool:
        return not self.over and today <= self.until

    def names(self, agency: str) -> bool:
        return any(one == agency for one, _ in self.pairs)

    def counts(self, agency: str, category: str, position: int, today: date) -> bool:
        """2.8, for an event recorded at this position."""
        granted = self.pairs.get((agency, category))
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
        self.just_before = Before(
            message,
            name,
            frozenset(agency for agency, _ in old.pairs) if old else frozenset(),
            old.until if old else date.min,
            old.over if old else True,
        )
        if type_ in ("ConsentRequested", "ConsentRefused", "ConsentGiven") and old is None:
            old = self.known[name] = Consent(name)
        if old is None:
            return
        match type_:
            case "ConsentGiven":
                self.given.setdefault(name, old)
                old.pairs, old.over = {}, False
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

        def among(pairs: Any) -> bool:
            return any(a == agency and category in (None, c) for a, c in pairs)

        for one in reversed(list(self.given.values())):
            if among(one.ever):
                if not among(one.pairs):
                    return "withdrawn"
                return "no_consent" if one.active(today) else "expired"
        return "no_consent"


def _replace(consent: Consent, position: int, facts: Mapping[str, Any]) -> None:
    scope = facts.get("scope") or {}
    pairs = [(agency, name) for agency, names in scope.items() for name in names]
    consent.pairs = {pair: consent.pairs.get(pair, position) for pair in pairs}
    consent.ever.update(pairs)
    try:
        consent.until = date.fromisoformat(str(facts.get("valid_until"))[:10])
    except ValueError:
        consent.until = date.min


def _withdraw(consent: Consent, facts: Mapping[str, Any]) -> None:
    extent = facts.get("extent")
    recipients, categories = facts.get("recipients") or (), facts.get("categories") or ()
    consent.pairs = {
        (agency, name): at
        for (agency, name), at in consent.pairs.items()
        if not (
            extent == "all"
            or (extent == "recipients" and agency in recipients)
            or (extent == "categories" and name in categories)
        )
    }
