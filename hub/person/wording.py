"""Wording: the plain words of one language, from `texts/<language>.json`.

Every code a statement can meet (category, role, basis, reason, event type, state) has a text in
every language, and every sentence of the templates too; a test holds that. A code that has none,
because a country's own profile brought it, is shown as it is and kept in `missing` for the
operator: never in another language's words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from importlib import resources
from typing import Any

from hub.errors import Refused

LANGUAGES = ("en", "fr", "ro", "uk")
STATES = (
    "waiting",
    "sent",
    "received",
    "unreadable",
    "asked_back",
    "deleted",
    "restricted",
    "kept",
    "stopped",
)


class Wording:
    """One language."""

    def __init__(self, texts: dict[str, Any]) -> None:
        self._texts = texts
        self.language: str = texts["language"]
        self.missing: set[str] = set()

    @classmethod
    def load(cls, language: str) -> Wording:
        """Raises Refused, naming the languages there are."""
        if language not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise Refused(0, "unknown_language", f"there are texts in {known}; choose one of them")
        file = resources.files("hub.person").joinpath("texts", f"{language}.json")
        return cls(json.loads(file.read_text("utf-8")))

    def of(self, kind: str, code: str) -> str:
        """Text of a code; the code itself, and a note in `missing`, if it has none."""
        text = self._texts[kind].get(code)
        if text is None:
            self.missing.add(f"{kind}: {code}")
            return code
        return str(text)

    def say(self, sentence: str, **values: object) -> str:
        """A sentence of the templates, which all languages have."""
        text: str = self._texts["sentences"][sentence]
        return text.format(**values) if values else text

    def label(self, sentence: str, text: str) -> str:
        """A label and what it labels, on one line."""
        return self.say("label", label=self.say(sentence), text=text)

    def date(self, on: date | datetime) -> str:
        shown = self._texts["first_day"] if on.day == 1 else str(on.day)
        month = self._texts["months"][on.month - 1]
        return str(self._texts["date"].format(day=shown, month=month, year=on.year))

    def span(self, first: datetime, last: datetime) -> str:
        """One day, or from the first to the last."""
        if first.date() == last.date():
            return self.date(first)
        return self.say("span", first=self.date(first), last=self.date(last))

    def several(self, texts: Iterable[str]) -> str:
        """One, two and three: as the language joins them."""
        *most, last = texts
        if not most:
            return last
        return f"{', '.join(most)}{self._texts['list_and']}{last}"
