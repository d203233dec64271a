"""Timeline: every span in which a consent covered a pair, kept apart from the release rules.

An independent account of docs/release.md 2.7–2.8, so that the auditor's check does not ask the
code it checks: what was given, amended, withdrawn and expired becomes spans of log positions, and
"was this release covered then" is a join on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from hub.domain.dates import day

MESSAGES: Final = frozenset(
    {"ConsentGiven", "ConsentAmended", "ConsentWithdrawn", "ConsentExpired"}
)


@dataclass(slots=True)
class Span:
    """One pair of one consent, from a position on until another, exclusive; None: still."""

    consent: str
    agency: str
    category: str
    start: int
    end: int | None = None

    def holds(self, position: int) -> bool:
        return self.start <= position and (self.end is None or position < self.end)


@dataclass(slots=True)
class _Term:
    """How long a consent is valid, as said at a position."""

    position: int
    until: date
    expired: bool = False


@dataclass(slots=True)
class _Consent:
    covers_history: bool = False
    spans: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    terms: list[_Term] = field(default_factory=list)

    def open(self) -> list[Span]:
        return [spans[-1] for spans in self.spans.values() if spans[-1].end is None]


class Timeline:
    """All consents of one case, in log order."""

    def __init__(self) -> None:
        self._consents: dict[str, _Consent] = {}

    def take(self, event_type: str, position: int, facts: Mapping[str, Any]) -> list[Span]:
        """One consent message; returns the spans it ends. Others say nothing here."""
        if event_type not in MESSAGES:
            return []
        name = str(facts.get("consent_id"))
        if event_type == "ConsentGiven":
            consent = self._consents.setdefault(name, _Consent())
            ended = _end(consent.open(), position)
            consent.covers_history = facts.get("covers_history") is True
            self._say(name, consent, position, facts, expired=False)
            return ended
        known = self._consents.get(name)
        if known is None:
            return []
        if event_type == "ConsentAmended":
            wanted = _pairs(facts)
            gone = [one for one in known.open() if (one.agency, one.category) not in wanted]
            ended = _end(gone, position)
            expired = bool(known.terms) and known.terms[-1].expired  # it revives nothing
            self._say(name, known, position, facts, expired=expired)
            return ended
        if event_type == "ConsentExpired":
            until = known.terms[-1].until if known.terms else date.min
            known.terms.append(_Term(position, until, expired=True))
            return []
        return _end([one for one in known.open() if _withdrawn(one, facts)], position)

    def _say(
        self,
        name: str,
        consent: _Consent,
        position: int,
        facts: Mapping[str, Any],
        *,
        expired: bool,
    ) -> None:
        open_ = {(one.agency, one.category) for one in consent.open()}
        for agency, category in sorted(_pairs(facts) - open_):
            span = Span(name, agency, category, position)
            consent.spans.setdefault((agency, category), []).append(span)
        until = day(facts.get("valid_until")) or date.min
        consent.terms.append(_Term(position, until, expired))

    def covering(
        self, consent: str, agency: str, category: str, event: int, at: int, on: date
    ) -> Span | None:
        """The span under which this consent covered it; None if nothing did.

        event: log position of the event released. at, on: position and UTC day of the release.
        """
        known = self._consents.get(consent)
        if known is None or not known.terms:
            return None
        spoken = [one for one in known.terms if one.position <= at]
        if not spoken or spoken[-1].expired or on > spoken[-1].until:
            return None
        for span in known.spans.get((agency, category), ()):
            if span.holds(at) and (known.covers_history or event >= span.start):
                return span
        return None

    def valid_until(self, consent: str) -> date | None:
        """As last said."""
        known = self._consents.get(consent)
        return known.terms[-1].until if known and known.terms else None


def _pairs(facts: Mapping[str, Any]) -> set[tuple[str, str]]:
    scope = facts.get("scope") or {}
    return {(agency, category) for agency, names in scope.items() for category in names}


def _withdrawn(span: Span, facts: Mapping[str, Any]) -> bool:
    extent = facts.get("extent")
    if extent == "recipients":
        return span.agency in (facts.get("recipients") or ())
    if extent == "categories":
        return span.category in (facts.get("categories") or ())
    return extent == "all"


def _end(spans: list[Span], position: int) -> list[Span]:
    for one in spans:
        one.end = position
    return spans
