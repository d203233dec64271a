"""Rendering: a template, its texts in the viewer's language, and the headers every page has.

Texts are `texts/<language>/<page>.json`, flat: key → text with `{names}`. `t("overview.lag", n=3)`
reads key `lag` of overview.json; a key that a language lacks is taken from English. Nothing is
loaded from elsewhere, and no page needs a script; one that runs our own says so (`scripts=True`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup
from starlette.responses import HTMLResponse

from schemas.described import described

ENGLISH: Final = "en"
NAMES: Final = {"en": "English", "fr": "Français"}
"""Languages by their own names; one that is not here is shown by its code."""
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_SCRIPTS: Final = "; script-src 'self'; connect-src 'self'"


@cache
def languages() -> tuple[str, ...]:
    """Languages there are texts in, English first."""
    folder = resources.files("hub.console") / "texts"
    found = sorted(one.name for one in folder.iterdir() if one.is_dir())
    return (ENGLISH, *(one for one in found if one != ENGLISH))


@cache
def texts(language: str) -> dict[str, str]:
    """Every text of a language by its full key, English where it has none."""
    found = {} if language == ENGLISH else dict(texts(ENGLISH))
    folder = resources.files("hub.console") / "texts" / language
    for file in folder.iterdir():
        if file.name.endswith(".json"):
            page = file.name.removesuffix(".json")
            said = json.loads(file.read_text("utf-8"))
            found.update({f"{page}.{key}": text for key, text in said.items()})
    return found


def language_of(accepted: str, chosen: str | None = None) -> str:
    """The first language we have of what was chosen, then of an Accept-Language header."""
    wanted = [chosen or ""]
    wanted += [one.partition(";")[0].strip().lower() for one in accepted.split(",")]
    for one in wanted:
        for name in (one, one.partition("-")[0]):
            if name in languages():
                return name
    return ENGLISH


def _translate(language: str) -> Callable[..., str]:
    said = texts(language)

    def t(key: str, /, **names: Any) -> str:
        text = said[key]
        if not names:
            return text
        escaped = {name: Markup.escape(value) for name, value in names.items()}
        return Markup.escape(text).format(**escaped)

    return t


def _named(language: str) -> Callable[[str, str], str]:
    """Word of a code, of `terms.json`: role, category, kind of work, reason. The code itself if it
    has none, as one of a country's own."""
    said = texts(language)

    def named(kind: str, code: str) -> str:
        return said.get(f"terms.{kind}_{code}", code.replace("_", " "))

    return named


def _listed(language: str) -> Callable[[str, Iterable[str]], str]:
    """Words of several codes, as `_named` has them, with commas between."""
    named = _named(language)

    def listed(kind: str, codes: Iterable[str]) -> str:
        return ", ".join(named(kind, one) for one in codes)

    return listed


def _moment(value: datetime | str | None) -> str:
    """A time as people read it, UTC, to the minute; an empty text for none."""
    if not value:
        return ""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _until(due: datetime) -> str:
    """The last day, for what is due by the end of a day; else day and minute, UTC."""
    due = due.astimezone(UTC)
    if (due.hour, due.minute, due.second, due.microsecond) == (0, 0, 0, 0):
        return (due - timedelta(days=1)).date().isoformat()
    return _moment(due)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hub.console", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["until"] = _until
    return environment


def page(
    template: str, language: str, *, status: int = 200, scripts: bool = False, **names: Any
) -> HTMLResponse:
    """One page. `names` are what its template uses; `t`, `named`, `listed`, `described`, `language`
    are always there."""
    text = (
        _environment()
        .get_template(f"{template}.html.j2")
        .render(
            t=_translate(language),
            named=_named(language),
            listed=_listed(language),
            described=lambda doc: described(doc, language),
            language=language,
            languages=languages(),
            names_of={one: NAMES.get(one, one) for one in languages()},
            **names,
        )
    )
    policy = _POLICY + (_SCRIPTS if scripts else "")
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}
    return HTMLResponse(text, status, headers=headers)
