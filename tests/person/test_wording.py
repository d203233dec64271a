"""Every code and every sentence has its plain words in every language."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from hub.domain.reasons import BASES, WITHHELD
from hub.errors import Refused
from hub.person.wording import LANGUAGES, STATES, Wording
from schemas import codelists, wire
from schemas.registry import Schemas

ROOT = Path(__file__).resolve().parents[2] / "hub" / "person"


def texts(language: str) -> dict[str, Any]:
    file = resources.files("hub.person").joinpath("texts", f"{language}.json")
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded


def symbols(event_type: str, field: str) -> set[str]:
    """Codes an event's field may have."""
    file = resources.files("schemas").joinpath("case", f"{event_type}.avsc")
    for one in json.loads(file.read_text("utf-8"))["fields"]:
        if one["name"] == field:
            return set(one["type"]["symbols"])
    raise LookupError(field)


NEEDED = {
    "categories": set(codelists.load("nrm.category").labels),
    "roles": set(codelists.load("nrm.role").labels),
    "bases": set(BASES),
    "reasons": set(WITHHELD) | {"stopped"},
    "events": set(Schemas.load().types()),
    "states": set(STATES),
    "rights": symbols("SubjectRequestReceived", "right"),
    "outcomes": symbols("SubjectRequestDecided", "outcome"),
    "exemptions": symbols("SubjectRequestDecided", "exemption"),
    "actions": symbols("SubjectRequestDecided", "action"),
    "reviews": symbols("BreakGlassReviewed", "outcome") | {"none"},
    "answers": symbols("RecallAnswered", "outcome") | {"quarantined", "none"},
    "agreements": {"requested", "active", "partly", "withdrawn", "expired", "refused"},
    "request_states": {"open", "overdue", "decided", "decided_late"},
}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, (*path, name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from leaves(one, (*path, str(place)))
    else:
        yield path, value


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_every_code_has_a_text_and_no_text_is_without_a_code(kind: str, language: str) -> None:
    assert set(texts(language)[kind]) == NEEDED[kind]


def test_the_answers_a_receipt_can_give_are_among_them() -> None:
    form = json.loads(resources.files("schemas").joinpath("wire", "Receipt.avsc").read_text())
    assert wire.RECEIPT is not None
    [exceptions] = [one for one in form["fields"] if one["name"] == "exceptions"]
    [outcome] = [f for f in exceptions["type"]["items"]["fields"] if f["name"] == "outcome"]
    assert set(outcome["type"]["symbols"]) - {"applied"} <= NEEDED["answers"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_have_the_same_texts_with_the_same_gaps(language: str) -> None:
    english = dict(leaves(texts("en")))
    theirs = dict(leaves(texts(language)))
    assert theirs.keys() == english.keys()
    for path, text in theirs.items():
        assert gaps(text) == gaps(english[path]), path
        # "none" of exemptions and actions says nothing on purpose
        assert text.strip() or path[-1] == "none" or path == ("list_and",), path


def gaps(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_nothing_was_left_in_another_language(language: str) -> None:
    """A text equal to the English one was not translated; so were two that are alike."""
    english = dict(leaves(texts("en")))
    alike = {
        path
        for path, text in leaves(texts(language))
        if text == english[path] and len(text) > 8 and gaps(text) == set()
    }
    assert alike == set()
    letters = re.compile(r"[А-Яа-яІіЇїЄєҐґ]")
    for path, text in leaves(texts(language)):
        if len(text) > 12 and not gaps(text):
            assert bool(letters.search(text)) == (language == "uk"), path


def test_the_sentences_are_those_the_statement_uses() -> None:
    source = (ROOT / "statement.py").read_text("utf-8") + (ROOT / "wording.py").read_text("utf-8")
    quoted = set(re.findall(r"""["']([a-z_]+)["']""", source))
    columns = {f"column_{one}" for one in quoted}
    sentences = set(texts("en")["sentences"])
    assert sentences <= quoted | columns, "no text that nothing says"


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_words_are_short(language: str) -> None:
    """About what a twelve-year-old reads with ease: no sentence is long."""
    for path, text in leaves(texts(language)):
        for sentence in re.split(r"[.!?:;] ", text):
            assert len(sentence.split()) <= 30, (path, sentence)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "1 March 2026 to 16 August 2026"),
        ("fr", "1er mars 2026 au 16 août 2026"),
        ("ro", "1 martie 2026 – 16 august 2026"),
        ("uk", "1 березня 2026 р. – 16 серпня 2026 р."),
    ],
)
def test_dates_are_said_as_people_say_them(language: str, said: str) -> None:
    wording = Wording.load(language)
    assert wording.span(datetime(2026, 3, 1), datetime(2026, 8, 16)) == said
    assert wording.span(datetime(2026, 3, 1, 8), datetime(2026, 3, 1, 9)) == wording.date(
        date(2026, 3, 1)
    )


def test_lists_are_said_as_people_say_them() -> None:
    assert Wording.load("en").several(["A", "B", "C"]) == "A, B and C"
    assert Wording.load("fr").several(["A", "B"]) == "A et B"
    assert Wording.load("ro").several(["A", "B"]) == "A și B"
    assert Wording.load("uk").several(["A"]) == "A"


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(Refused, match="en, fr, ro, uk") as refused:
        Wording.load("../en")
    assert refused.value.reason == "unknown_language"


def test_a_code_without_words_is_shown_as_it_is_and_told_to_the_operator() -> None:
    wording = Wording.load("uk")
    assert wording.of("categories", "national_extra") == "national_extra"
    assert wording.missing == {"categories: national_extra"}
