"""What every page of the console has: a viewer, a recorded look, strict headers, our own texts."""

from __future__ import annotations

import pytest

from hub.console.desk import Console, LooksUnrecorded
from hub.console.viewer import Viewer
from tests.console.conftest import SignIn

AUDITOR = Viewer("Ana Auditor", "auditor")


def test_a_stranger_is_sent_to_sign_in(console: Console, signed_in: SignIn) -> None:
    client = signed_in(AUDITOR)
    client.cookies.clear()
    answer = client.get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?then=%2F"


def test_a_look_is_recorded_before_the_page(console: Console, signed_in: SignIn) -> None:
    answer = signed_in(AUDITOR).get("/")
    assert answer.status_code == 200
    assert isinstance(console.looks, LooksUnrecorded)
    assert console.looks.seen == [(AUDITOR, "overview", "")]


def test_nothing_is_loaded_from_elsewhere(signed_in: SignIn) -> None:
    answer = signed_in(AUDITOR).get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "://" not in answer.text


def test_an_unknown_page_says_so(signed_in: SignIn) -> None:
    answer = signed_in(AUDITOR).get("/nothing-here")
    assert answer.status_code == 404
    assert "no_such_page" in answer.text


def test_an_agency_officer_has_an_agency() -> None:
    with pytest.raises(ValueError, match="an agency officer has an agency"):
        Viewer("Nobody", "agency_officer")
    with pytest.raises(ValueError, match="an agency officer has an agency"):
        Viewer("Nobody", "auditor", "SH-1")
