"""Consent: one record of what the person agreed to, and when it counts (docs/release.md 2.7–2.9).

The scope is a set of pairs (agency, category), each with the position that granted it. Purposes
change no decision and are not kept here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from hub.domain.dates import day

REQUESTED, GIVEN, REFUSED, WITHDRAWN, EXPIRED = (
    "requested",
    "given",
    "refused",
    "withdrawn",
    "expired",
)

Scope = Mapping[str, Sequence[str]]


class Consent:
    """One consent record.

    `state` follows the consent region of the state machine; decisions read only the pairs,
    `valid_until` and `expired`.
    """

    __slots__ = (
        "_ever",
        "_pairs",
        "consent_id",
        "covers_history",
        "expired",
        "state",
        "valid_until",
    )

    def __init__(self, consent_id: str) -> None:
        self.consent_id = consent_id
        self.state = REQUESTED
        self.covers_history = False
        self.valid_until = date.min
        self.expired = False
        self._pairs: dict[str, dict[str, int]] = {}
        self._ever: dict[str, set[str]] = {}

    # -- what happens to it ----------------------------------------------------------------

    def give(self, position: int, scope: Scope, valid_until: date, covers_history: bool) -> None:
        self.state, self.expired = GIVEN, False
        self.covers_history = covers_history
        self._pairs = {}
        self._replace(position, scope, valid_until)

    def amend(self, position: int, scope: Scope, valid_until: date) -> None:
        """Replace scope and validity; pairs kept keep their granting position."""
        self._replace(position, scope, valid_until)

    def _replace(self, position: int, scope: Scope, valid_until: date) -> None:
        old = self._pairs
        self._pairs = {
            agency: {
                category: old.get(agency, {}).get(category, position) for category in categories
            }
            for agency, categories in scope.items()
            if categories
        }
        for agency, categories in scope.items():
            if categories:
                self._ever.setdefault(agency, set()).update(categories)
        self.valid_until = valid_until

    def withdraw(
        self, extent: str, recipients: Iterable[str] = (), categories: Iterable[str] = ()
    ) -> None:
        if extent == "all":
            self._pairs, self.state = {}, WITHDRAWN
        elif extent == "recipients":
            for agency in recipients:
                self._pairs.pop(agency, None)
        elif extent == "categories":
            gone = set(categories)
            kept = {
                agency: {name: at for name, at in pairs.items() if name not in gone}
                for agency, pairs in self._pairs.items()
            }
            self._pairs = {agency: pairs for agency, pairs in kept.items() if pairs}

    def expire(self) -> None:
        self.state, self.expired = EXPIRED, True

    def refuse(self) -> None:
        if self.state == REQUESTED:
            self.state = REFUSED

    def request(self) -> None:
        if self.state != GIVEN:
            self.state = REQUESTED

    # -- questions -------------------------------------------------------------------------

    def active(self, today: date) -> bool:
        """Not past its last day, and no expiry recorded."""
        return not self.expired and today <= self.valid_until

    def granted_at(self, agency: str, category: str) -> int | None:
        """Position that granted the pair, or None if the record does not hold it now."""
        pairs = self._pairs.get(agency)
        return None if pairs is None else pairs.get(category)

    def holds(self, agency: str, category: str) -> bool:
        return self.granted_at(agency, category) is not None

    def names(self, agency: str) -> bool:
        """The agency is in the scope now. Expiry does not un-name; withdrawal does."""
        return agency in self._pairs

    @property
    def named(self) -> frozenset[str]:
        return frozenset(self._pairs)

    @property
    def scope(self) -> dict[str, tuple[str, ...]]:
        """Agency → categories it may see, now."""
        return {agency: tuple(sorted(pairs)) for agency, pairs in sorted(self._pairs.items())}

    def pairs(self) -> dict[str, dict[str, int]]:
        """The scope now: agency → category → position that granted the pair. A copy."""
        return {agency: dict(pairs) for agency, pairs in self._pairs.items()}

    def ever_held(self, agency: str, category: str | None) -> bool:
        """Whether the pair (any pair of the agency, if None) was ever in the scope."""
        ever = self._ever.get(agency)
        return ever is not None and (category is None or category in ever)

    def counts_for(self, agency: str, category: str, position: int, today: date) -> bool:
        """2.8: active, holds the pair, and the event is not older than the pair.

        The message that grants a pair is not older than it: an event changes state before it is
        decided, so agencies named in a new consent receive it (3.1).
        """
        granted = self.granted_at(agency, category)
        if granted is None or not self.active(today):
            return False
        return self.covers_history or position >= granted


class Consents:
    """All consent records of a case; oldest first, by when they were first given."""

    __slots__ = ("_given", "_known")

    def __init__(self) -> None:
        self._known: dict[str, Consent] = {}
        self._given: dict[str, Consent] = {}

    def __iter__(self) -> Iterator[Consent]:
        return iter(self._given.values())

    def get(self, consent_id: str) -> Consent | None:
        """The record, if it was ever asked for, given or refused."""
        return self._known.get(consent_id)

    def ensure(self, consent_id: str) -> Consent:
        consent = self._known.get(consent_id)
        if consent is None:
            consent = self._known[consent_id] = Consent(consent_id)
        return consent

    def given(self, consent_id: str) -> Consent:
        """The record, listed from now on among those that were given."""
        return self._given.setdefault(consent_id, self.ensure(consent_id))

    def apply(self, event_type: str, position: int, facts: Mapping[str, Any]) -> None:
        """What a consent message says, by its plain facts. Any other event says nothing here."""
        consent_id = str(facts.get("consent_id"))
        consent = self._known.get(consent_id)
        scope, until = facts.get("scope") or {}, day(facts.get("valid_until")) or date.min
        match event_type:
            case "ConsentRequested":
                self.ensure(consent_id).request()
            case "ConsentRefused":
                self.ensure(consent_id).refuse()
            case "ConsentGiven":
                covers_history = facts.get("covers_history") is True
                self.given(consent_id).give(position, scope, until, covers_history)
            case "ConsentAmended" if consent is not None:
                consent.amend(position, scope, until)
            case "ConsentWithdrawn" if consent is not None:
                consent.withdraw(
                    str(facts.get("extent")),
                    facts.get("recipients") or (),
                    facts.get("categories") or (),
                )
            case "ConsentExpired" if consent is not None:
                consent.expire()
            case _:
                pass

    def basis_for(self, agency: str, category: str, position: int, today: date) -> str | None:
        """Id of the oldest record that counts (2.8)."""
        for consent in self._given.values():
            if consent.counts_for(agency, category, position, today):
                return consent.consent_id
        return None

    def names_actively(self, agency: str, today: date) -> bool:
        return any(c.names(agency) and c.active(today) for c in self._given.values())

    def why_not(self, agency: str, category: str | None, today: date) -> str:
        """2.9: the reason consent fails; `None` asks about any pair of the agency (4.12)."""
        for consent in reversed(self._given.values()):
            if not consent.ever_held(agency, category):
                continue
            held = consent.names(agency) if category is None else consent.holds(agency, category)
            if not held:
                return "withdrawn"
            return "no_consent" if consent.active(today) else "expired"
        return "no_consent"
