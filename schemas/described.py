"""What an event and its fields are, in the reader's language.

The schemas say it in English (`doc`); `descriptions/<language>.json` has each of those sentences in
another language, by the English one, so that a sentence that changes has no translation until
somebody looks at it again. Names, codes and references stay as they are in every language.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


def described(doc: str, language: str) -> str:
    """A description of a schema in this language; the English one where there is no other."""
    return _sentences(language).get(doc, doc)


@cache
def _sentences(language: str) -> dict[str, str]:
    file = resources.files("schemas") / "descriptions" / f"{language}.json"
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}
