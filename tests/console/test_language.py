"""Languages: complete, chosen in the foot of every page without a script."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from hub.console.desk import LANGUAGE
from hub.console.render import NAMES, languages
from hub.console.viewer import Viewer
from tests.console.conftest import SignIn

AUDITOR = Viewer("Ana Auditor", "auditor")
TEXTS = resources.files("hub.console") / "texts"
_PLACES = re.compile(r"\{(\w*)\}")


def said(language: str) -> dict[str, str]:
    """A language's own texts, nothing taken from English."""
    found = {}
    for file in (TEXTS / language).iterdir():
        page = json.loads(file.read_text("utf-8"))
        found |= {f"{file.name.removesuffix('.json')}.{key}": text for key, text in page.items()}
    return found


@pytest.mark.parametrize("language", [one for one in languages() if one != "en"])
def test_a_language_has_every_text_with_the_same_places(language: str) -> None:
    english, other = said("en"), said(language)
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert set(_PLACES.findall(other[key])) == set(_PLACES.findall(text)), key
        assert bool(other[key]) == bool(text), key


def test_every_language_has_a_name_of_its_own() -> None:
    assert set(NAMES) == set(languages())


def test_it_is_chosen_by_a_form_and_stays(signed_in: SignIn) -> None:
    client = signed_in(AUDITOR)
    page = client.get("/looks?days=31")
    assert '<html lang="en">' in page.text
    assert 'value="/looks?days=31"' in page.text
    answer = client.post("/language", data={"to": "fr", "then": "/looks?days=31"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/looks?days=31"
    assert "HttpOnly" in answer.headers["set-cookie"]
    page = client.get("/looks?days=31", headers={"accept-language": "en"})
    assert '<html lang="fr">' in page.text
    assert "Qui a regardé" in page.text


@pytest.mark.parametrize(
    ("then", "leads"),
    [
        ("/sign-in?then=%2Fwork", "/sign-in?then=%2Fwork"),
        ("/sign-in/new", "/sign-in/new"),
        ("/sign-in/answer?code=x", "/"),
        ("/sign-out", "/"),
        ("//elsewhere.example/", "/"),
        ("https://elsewhere.example/", "/"),
        ("/\\elsewhere.example", "/"),
        ("/sign-in\r\nset-cookie: a=b", "/"),
        ("", "/"),
    ],
)
def test_it_leads_back_and_nowhere_else(signed_in: SignIn, then: str, leads: str) -> None:
    client = signed_in(AUDITOR)
    client.cookies.clear()
    answer = client.post("/language", data={"to": "fr", "then": then})
    assert answer.headers["location"] == leads
    assert answer.cookies.get(LANGUAGE) == "fr"


def test_an_unknown_language_changes_nothing(signed_in: SignIn) -> None:
    answer = signed_in(AUDITOR).post("/language", data={"to": "xx", "then": "/"})
    assert answer.status_code == 303
    assert LANGUAGE not in answer.cookies


def test_a_refusal_repeats_nothing_of_what_was_asked(signed_in: SignIn) -> None:
    assert "secret" not in signed_in(AUDITOR).get("/nothing?x=secret").text
