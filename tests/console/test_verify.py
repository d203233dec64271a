"""The way to the verifiers, for everybody signed in; bundles, for auditors and operators."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from hub.console import bundles
from hub.console.app import create_console
from hub.console.viewer import Viewer
from hub.home import Home
from nrm_verify.log import Key, Trust
from nrm_verify.verify import Report, verify
from tests.console.stories import AUDITOR, OPERATOR, RAPPORTEUR, Story, officer, told_by
from tests.played import play, scenario
from tests.privacy.canaries import planted
from tests.privacy.told import Told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder: Path = tmp_path_factory.mktemp("verify")
    with Told(folder, "NGO-1"):
        pass
    assert Home(folder / "hub").exists
    with told_by(folder) as found:
        yield found


def test_everybody_signed_in_is_told_both_ways_and_the_key(story: Story) -> None:
    for viewer in (AUDITOR, OPERATOR, RAPPORTEUR, officer("NGO-1")):
        page = story.get("/verify", viewer)
        assert 'href="/static/verify/verify.html"' in page
        assert "nrm-verify" in page
        assert str(story.console.log_verifier) in page
        assert "<script" not in page


def test_the_verifiers_page_may_run_its_scripts_and_connect_nowhere(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "verify.html"
    page.write_text("<!doctype html><title>Check</title>")
    monkeypatch.setattr("hub.console.pages.verify.VERIFIER", page)
    answer = story.client().get("/static/verify/verify.html")
    assert answer.text == page.read_text()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "connect-src" not in policy
    assert "unsafe" not in policy
    page.unlink()
    assert story.client().get("/static/verify/verify.html").status_code == 404
    with TestClient(create_console(story.console), follow_redirects=False) as stranger:
        assert stranger.get("/static/verify/verify.html").status_code == 303


# -- making one -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("lived")
    document = planted(scenario("S1"))[0]
    road = play(folder, document)
    road.hub.checkpoints.step(now=True)
    road.close()
    with told_by(folder, document["events"][0]["case"]) as found:
        yield found


def answer(lived: Story, viewer: Viewer = AUDITOR, /, **form: str) -> Response:
    data = {"token": lived.token(viewer), **form}
    return lived.client(viewer).post("/verify/bundle", data=data)


def judged(data: bytes, lived: Story) -> Report:
    return verify(data, Trust(log_key=Key.parse(str(lived.console.log_verifier))))


@pytest.mark.parametrize("viewer", [AUDITOR, OPERATOR])
def test_a_bundle_made_here_verifies_and_the_look_says_about_what(
    lived: Story, viewer: Viewer
) -> None:
    case = lived.case_id.hex
    assert 'action="/verify/bundle"' in lived.get("/verify", viewer)
    first = lived.exchange.log.stream(lived.case_id, limit=1)[0].position
    for form, about in (
        ({"case": lived.case}, case),
        ({"case": case, "as_of": str(first + 1)}, case),
        ({"event": str(first)}, case),
        ({"agency": "NGO-1"}, "NGO-1"),
    ):
        made = answer(lived, viewer, **form, holder="NGO-1")
        assert made.status_code == 200, made.text
        assert made.headers["content-type"] == "application/zip"
        assert made.headers["content-disposition"].startswith('attachment; filename="bundle-')
        assert made.headers["cache-control"] == "no-store"
        report = judged(made.content, lived)
        assert report.manifest is not None
        assert (report.manifest.holder, report.manifest.content) == (None, ())
        assert lived.secret.encode() not in made.content
        assert lived.looks.seen[-1] == (viewer, "bundle", about)


def test_a_bundle_is_for_auditors_and_operators_with_a_form_of_ours(lived: Story) -> None:
    for viewer in (RAPPORTEUR, officer("NGO-1")):
        assert "/verify/bundle" not in lived.get("/verify", viewer)
        assert answer(lived, viewer, case=lived.case).status_code == 403
    assert answer(lived, case=lived.case, token="other").status_code == 403


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "one_scope"),
        ({"case": "C1", "agency": "NGO-1"}, "one_scope"),
        ({"case": "no such case"}, "unknown_case"),
        ({"event": "1"}, "unknown_event"),
        ({"event": "²"}, "unknown_event"),
        ({"agency": "NOBODY"}, "unknown_agency"),
        ({"case": "C1", "as_of": "yesterday"}, "bad_as_of"),
        ({"case": "C1", "as_of": "²"}, "bad_as_of"),
        ({"case": "C1", "as_of": "9" * 5_000}, "bad_as_of"),
        ({"case": "C1", "as_of": "1"}, "nothing_to_show"),
    ],
)
def test_what_cannot_be_made_is_said_on_the_page(
    lived: Story, form: dict[str, str], code: str
) -> None:
    page = answer(lived, **form)
    assert page.status_code == 409
    assert f"<code>{code}</code>" in page.text
    assert lived.looks.seen[-1][1] == "bundle"


@pytest.mark.parametrize("form", [{"case": "C1"}, {"agency": "NGO-1"}])
def test_what_is_too_large_here_is_for_the_command(
    lived: Story, form: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MOST_ROWS", 3)
    page = answer(lived, **form)
    assert page.status_code == 409
    assert "<code>too_large_here</code>" in page.text
    [(name, value)] = form.items()
    assert f"nrm-hub audit bundle --out bundle.zip --{name} {value}" in page.text
