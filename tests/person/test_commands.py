"""`nrm-hub person statement` and `requests`, as they would be typed."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.programs import nrm
from tests.person.reader import Page, pdf_text
from tests.person.stories import says
from tests.road import Road


@pytest.fixture(scope="module")
def home(played: Path) -> Path:
    """Read only."""
    return played / "hub"


@pytest.mark.parametrize("language", ["en", "fr", "ro", "uk"])
def test_a_page_and_a_document_in_each_language(home: Path, tmp_path: Path, language: str) -> None:
    asked = ("person", "statement", "--home", home, "--case", "C1", "--lang", language)
    page = nrm(*asked, "--contact", "Helpline <116 000>")
    assert page.code == 0, page.err
    assert "Helpline <116 000>" in Page(page.out.encode()).text
    out = tmp_path / f"{language}.pdf"
    done = nrm(*asked, "--format", "pdf", "--out", out)
    assert (done.code, done.out) == (0, "")
    assert "Hand it to the person" in done.err
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "POL-1 office" in pdf_text(out.read_bytes())


def test_for_programs(home: Path) -> None:
    told = json.loads(nrm("person", "statement", "--home", home, "--case", "C1", "--json").out)
    assert told["case"] == "C1"
    summary = {one["category"]: one for one in told["agencies"]["POL-1"]["summary"]}
    assert summary["identity"]["state"] == "deleted"
    assert summary["identity"]["times"] == 1
    assert told["agencies"]["POL-1"]["name"] == "POL-1 office"
    assert told["requests"][0]["right"] == "access"
    assert told["emergencies"][0]["got"] == ["contact", "location_safe"]
    assert told["agreements"][0]["scope"]["CA-1"] == ["identity", "protection"]
    assert "FeedbackRecorded" not in {one["type"] for one in told["events"]}
    shown = nrm("person", "statement", "--home", home, "--case", "C1", "--json", "--complaints")
    assert "FeedbackRecorded" in {one["type"] for one in json.loads(shown.out)["events"]}


def test_bad_input_is_one_line_that_says_what_to_do(home: Path, tmp_path: Path) -> None:
    for arguments, said in (
        (["--case", "C9"], "unknown_case"),
        (["--case", "C1", "--lang", "xx"], "en, fr, ro, uk; choose one of them (unknown_language)"),
        (["--case", "C1", "--format", "pdf"], "--out FILE"),
        (
            ["--case", "C1", "--out", tmp_path / "none" / "x.html"],
            "none is not a folder; make it first",
        ),
    ):
        done = nrm("person", "statement", "--home", home, *arguments)
        assert (done.code, done.out) == (1, "")
        assert said in done.err
        assert len(done.err.strip().splitlines()) == 1
    nowhere = nrm("person", "statement", "--home", tmp_path / "nowhere", "--case", "C1")
    assert nowhere.code == 1
    assert not (tmp_path / "nowhere").exists()
    assert nrm("person", "statement", "--home", home, "--case", "C1", "--format", "doc").code == 2


def test_requests_and_their_deadlines(copied: Callable[[], Road]) -> None:
    road = copied()
    home = road.folder / "hub"
    shown = nrm("person", "requests", "--home", home, "--case", "C1")
    [row] = [line.split() for line in shown.out.splitlines() if line.startswith("q1")]
    assert row == ["q1", "access", "2026-03-05", "NGO-1", "2026-04-03", "overdue", "-"]
    road.time.at += timedelta(days=1)
    says(road, "NGO-1", "SubjectRequestDecided", request_id="q1", outcome="refused",
         exemption="legal_claims", action="none")  # fmt: skip
    says(road, "NGO-1", "SubjectRequestReceived", request_id="q2", right="objection",
         due_on="2026-03-20")  # fmt: skip
    says(road, "NGO-1", "SubjectRequestReceived", request_id="q2", right="objection",
         due_on="2026-05-01")  # fmt: skip
    road.close()
    listed = json.loads(nrm("person", "requests", "--home", home, "--case", "C1", "--json").out)
    assert [(one["request_id"], one["state"], one["due_on"]) for one in listed] == [
        ("q1", "decided", "2026-04-03"),
        ("q2", "overdue", "2026-05-01"),
    ]
    assert listed[0]["exemption"] == "legal_claims"
    text = nrm("person", "requests", "--home", home, "--case", "C1").out
    assert "refused: legal_claims" in text
    assert "(extended)" in text
    waiting = nrm("person", "requests", "--home", home, "--case", "C1", "--open", "--json")
    assert [one["request_id"] for one in json.loads(waiting.out)] == ["q2"]


def test_no_requests(tmp_path: Path) -> None:
    from tests.person.stories import opened

    road = opened(tmp_path)
    road.close()
    home = tmp_path / "hub"
    asked = nrm("person", "requests", "--home", home, "--case", "C1")
    assert asked.out.strip() == "No request is on record."
    waiting = nrm("person", "requests", "--home", home, "--case", "C1", "--open")
    assert waiting.out.strip() == "No request is waiting."
    told = "Error: there is no case of this reference; check it (unknown_case)\n"
    for asked_ in (("requests",), ("feedback", "--about", "POL-1")):  # by the hub's own desk
        assert nrm("person", *asked_, "--home", home, "--case", "C2").err == told
