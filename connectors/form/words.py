"""Words of the form: texts, labels of fields, events and codes, in English and French.

`texts/<language>.json` is flat: key → text with `{names}`. Labels come from `field.NAME`,
`event.TYPE`, `code.CODE` and `refusal.CODE`; English has them from the names themselves. What
French lacks is shown in English, marked as such for screen readers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final

from markupsafe import Markup

LANGUAGES: Final = {"en": "English", "fr": "Français"}


@cache
def texts(language: str) -> dict[str, str]:
    folder = resources.files("connectors.form") / "texts"
    found: dict[str, str] = {}
    for one in ("en", language):
        found |= json.loads((folder / f"{one}.json").read_text("utf-8"))
    return found


def language_of(chosen: str, accepted: str) -> str:
    """The first of ours among what was chosen and an Accept-Language header."""
    for one in (chosen, *(part.partition(";")[0].strip() for part in accepted.split(","))):
        short = one.lower().partition("-")[0]
        if short in LANGUAGES:
            return short
    return "en"


def translator(language: str) -> Callable[..., str]:
    said = texts(language)

    def t(key: str, /, **names: Any) -> str:
        text = said[key]
        if not names:
            return text
        escaped = {name: Markup.escape(value) for name, value in names.items()}
        return Markup.escape(text).format(**escaped)

    return t


def label(language: str, kind: str, name: str, english: str = "") -> str:
    """kind: field, event, group, category, code. english: where it is known better."""
    found = texts(language).get(f"{kind}.{name}")
    return found or english or plain(name)


def foreign(language: str, kind: str, name: str, english: str) -> Markup:
    """What the hub says in English, in this language if we have it; else marked as English."""
    found = texts(language).get(f"{kind}.{name}")
    return Markup.escape(found) if found else Markup('<span lang="en">{}</span>').format(english)


def plain(name: str) -> str:
    """`age_status`, `CaseOpened`, `group_ref` → Age status, Case opened, Group reference."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()
    words = re.sub(r" (ref|id)$", " reference", words)
    return words[:1].upper() + words[1:]
