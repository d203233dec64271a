"""The way to the verifiers: for everybody signed in, without scripts, with the log's key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.home import Home
from tests.console.stories import AUDITOR, OPERATOR, RAPPORTEUR, Story, officer, told_by
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
    stranger = story.client(RAPPORTEUR)
    stranger.cookies.clear()
    assert stranger.get("/static/verify/verify.html").status_code == 303
