"""The consent receipt: one page the person can keep, in a language the person reads.

Plain HTML: no script, no font, no picture, no address that is fetched; it prints on one or two
sheets. Texts are data files in `texts/`, one language each, all with the same keys. What agencies
typed is escaped. After an erasure the receipt is a tombstone.

The page names the agencies that may know of the case: who keeps it takes it along. So the command
asks whether it is safe to hand out (docs/consent.md), and the page has no title that tells.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from hub.consent.iso27560 import receipt_id
from hub.consent.parties import Names
from hub.consent.records import ConsentRecord
from hub.errors import Refused

FOLDER: Final = "texts"


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """Codes of the languages there are texts for."""
    folder = resources.files("hub.consent").joinpath(FOLDER)
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".json")))


@lru_cache(maxsize=16)
def texts(language: str) -> dict[str, Any]:
    """The texts of one language. Refused, naming those there are, if there are none."""
    if language not in languages():
        raise Refused(0, "unknown_language", f"there are receipts in {', '.join(languages())} only")
    path = resources.files("hub.consent").joinpath(FOLDER, f"{language}.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def receipt(consent: ConsentRecord, names: Names, language: str, *, hub: str) -> str:
    """The page, as HTML."""
    words = texts(language)
    said = consent.describing
    spoke = consent.given or consent.statements[0]
    return _template().render(
        t=words,
        language=language,
        direction=words["direction"],
        consent=consent,
        receipt=receipt_id(consent),
        hub=hub,
        recorded_by=names(spoke.agency).name,
        on=spoke.occurred_at.date().isoformat(),
        state=words["states"][consent.state],
        recipients=[
            {
                "name": names(agency).name,
                "categories": [_word(words, "categories", code) for code in sorted(pairs)],
            }
            for agency, pairs in sorted(consent.scope.items())
        ],
        purposes=[_word(words, "purposes", code) for code in said.get("purposes", ())],
        given_by=_word(words, "given_by", said.get("given_by")),
        method=_word(words, "methods", said.get("method")),
        withdrawal=said.get("withdrawal_channel"),
        notice=said.get("notice_version"),
        explained_in=said.get("language"),
        interpreter=said.get("interpreter_used"),
    )


def _word(words: dict[str, Any], group: str, code: str | None) -> str | None:
    """The word for a code; a code countries added later stands as it is."""
    return None if code is None else str(words[group].get(code, code))


@lru_cache(maxsize=1)
def _template() -> Template:
    text = resources.files("hub.consent").joinpath("receipt.html.j2").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)
