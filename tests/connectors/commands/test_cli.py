"""The commands: an agency enrols and publishes, a partner's connector runs; errors that help."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.topics import Message, Topics
from tests.connectors.builder import MiniHub, case_opened
from tests.connectors.commands.saying import delivered, said
from tests.connectors.conftest import CONNECTOR
from tests.patience import PATIENCE, until


class HubThread(threading.Thread):
    """Answers what lies on the ingest topic."""

    def __init__(self, hub: MiniHub, topics: Topics) -> None:
        super().__init__(daemon=True)
        self.hub, self.topics = hub, topics
        self.stop = threading.Event()
        self.taken: list[bytes] = []
        self.changes: dict[str, Any] = {}

    def run(self) -> None:
        offset = 0
        while not self.stop.is_set():
            for message in self.topics.read("nrm.ingest", offset, 10, 0.05):
                offset = message.offset + 1
                self.taken.append(message.value)
                answer = self.hub.outcomes(message.value, **self.changes)
                self.topics.append("nrm.outcomes.SH-1", [Message(answer)])


@pytest.fixture
def answering(hub: MiniHub, topics: Topics) -> Iterator[HubThread]:
    thread = HubThread(hub, topics)
    thread.start()
    yield thread
    thread.stop.set()
    thread.join(10)


def test_enrolment_by_command(hub: MiniHub, tmp_path: Path) -> None:
    home = tmp_path / "id"
    assert "Back up" in said(
        "agency", "init", "SH-1", "--name", "Shelter", "--role", "shelter", "--home", home
    )
    assert "none yet" in said("agency", "show", "--home", home)
    told = said("agency", "request", "--home", home, "--out", tmp_path / "request.json")
    assert "fingerprint" in told
    approval = tmp_path / "approval.json"
    approval.write_bytes(hub.approve((tmp_path / "request.json").read_bytes()))
    assert "by another channel" in said("agency", "install", approval, "--home", home)
    shown = said("agency", "show", "--home", home)
    assert "test-hub" in shown
    rotated = said("agency", "rotate", "--home", home)
    approval.write_bytes(hub.approve(rotated[: rotated.rindex("}") + 1].encode()))
    said("agency", "install", approval, "--home", home)
    assert said("agency", "show", "--home", home) != shown


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    assert "nrm-hub agency init" in said("agency", "request", "--home", tmp_path / "no", code=1)
    said("agency", "init", "A", "--name", "A", "--role", "police", "--home", tmp_path / "a")
    file = tmp_path / "e.json"
    file.write_text('{"type": "CaseOpened", "case": "c", "data": {}}')
    assert "not enrolled" in said("publish", file, "--home", tmp_path / "a", code=1)
    assert "partner.toml" in said("connector", "check", tmp_path / "partner.toml", code=1)


def test_publishing_a_file_twice_repeats_the_same_events(
    hub: MiniHub, answering: HubThread, tmp_path: Path
) -> None:
    hub.enrol(tmp_path, "SH-1", "shelter")
    file = tmp_path / "events.json"
    entry = {"type": "CaseOpened", "case": "C-1", "data": dict(case_opened().data)}
    file.write_text(json.dumps([entry, {**entry, "case": "C-2"}]))
    first = said("publish", file, "--home", tmp_path / "SH-1", "--json").splitlines()
    second = said("publish", file, "--home", tmp_path / "SH-1", "--json").splitlines()
    assert first == second
    assert len(first) == 2
    assert json.loads(first[0])["accepted"] is True
    kept = (tmp_path / "events.json.published.json").read_text()
    assert "C-1" not in kept
    file.write_text(json.dumps([entry]))
    assert "changed after" in said("publish", file, "--home", tmp_path / "SH-1", code=1)


def test_a_file_with_a_mistake_can_be_put_right(
    hub: MiniHub, answering: HubThread, tmp_path: Path
) -> None:
    """Nothing of it was sent, so nothing stands in the way of the same file without the mistake."""
    hub.enrol(tmp_path, "SH-1", "shelter")
    file = tmp_path / "events.json"
    entry = {"type": "CaseOpened", "case": "C-1", "data": dict(case_opened().data)}
    wrong = {**entry, "case": "C-2", "data": {**entry["data"], "grounds": "x"}}
    file.write_text(json.dumps([entry, wrong]))
    said_no = said("publish", file, "--home", tmp_path / "SH-1", code=1)
    assert "event 2 (CaseOpened), field 'grounds': unknown_field" in said_no
    file.write_text(json.dumps([entry, {**entry, "case": "C-2"}]))
    first = said("publish", file, "--home", tmp_path / "SH-1", "--json")
    assert len(first.splitlines()) == 2
    file.write_text(json.dumps([entry, wrong]))
    assert "changed after" in said("publish", file, "--home", tmp_path / "SH-1", code=1)
    file.write_text(json.dumps([entry, {**entry, "case": "C-2"}]))
    assert said("publish", file, "--home", tmp_path / "SH-1", "--json") == first, "ids were kept"


def test_a_refusal_is_shown_with_its_guard(
    hub: MiniHub, answering: HubThread, tmp_path: Path
) -> None:
    hub.enrol(tmp_path, "SH-1", "shelter")
    answering.changes = {"accepted": False, "position": None, "step": 7, "reason": "no_consent",
                         "guard": "G01", "detail": "record a consent first"}  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text(
        json.dumps({"type": "CaseOpened", "case": "C-1", "data": dict(case_opened().data)}) + "\n"
    )
    shown = said("publish", file, "--home", tmp_path / "SH-1", code=3)
    assert "refused at step 7: no_consent (G01)" in shown
    assert "record a consent first" in shown


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "e.json:1"),
        ("[]", "holds no event"),
        ("[1]", "not an object"),
        ('{"case": "c", "data": {}}', "'type': is missing"),
        ('{"type": "CaseOpened", "case": "c"}', "'data': is missing"),
        ('{"type": "CaseOpened", "case": "c", "data": {}, "x": 1}', "'x': is unknown"),
        ('{"type": "CaseOpened", "case": "c", "data": {}, "event_id": "1"}', "not a UUID"),
        ('{"type": "CaseOpened", "case": "c", "data": {}, "occurred_at": "now"}', "not a time"),
        ('{"type": "CaseOpened", "case": "c", "data": {"channel": "self"}}', "missing_field"),
    ],
)
def test_mistakes_in_a_file(
    hub: MiniHub, topics: Topics, tmp_path: Path, text: str, words: str
) -> None:
    hub.enrol(tmp_path, "SH-1", "shelter")
    file = tmp_path / "e.json"
    file.write_text(text)
    assert words in said("publish", file, "--home", tmp_path / "SH-1", code=1)


def test_a_connector_by_command(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    assert "no registry yet" in said("connector", "check", partner)
    delivered(hub, topics, tmp_path)
    delivered(hub, topics, tmp_path, spoil=True)
    checked = said("connector", "check", partner)
    assert "at sequence 0" in checked
    assert "1 applied, 1 quarantined" in said("connector", "run", partner, "--once")
    assert "0 applied, 0 quarantined" in said("connector", "run", partner, "--once")
    listed = said("connector", "quarantine", partner)
    assert "compartment_unopenable" in listed
    assert "1 in quarantine" in said("connector", "check", partner)
    assert "0 applied, 1 still" in said("connector", "redrive", partner, code=3)
    assert len(topics.read("nrm.receipts", None, 10, 0)) == 1


def test_verbose_says_more(partner: Path, topics: Topics, caplog: pytest.LogCaptureFixture) -> None:
    """Also where a log is set up already, as `nrm-hub` does before every command."""
    said("connector", "run", partner, "--once")
    assert caplog.messages == []
    said("connector", "run", partner, "--once", "--verbose")
    assert caplog.messages == ["generation 2"]


def test_a_running_connector_stops_on_a_signal(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [*CONNECTOR, "run", str(partner)],
        cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONPATH": "."},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        delivered(hub, topics, tmp_path)
        until(lambda: topics.read("nrm.receipts", None, 10, 0.1) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.wait()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/partner.db")
    with engine.connect() as db:
        assert db.execute(sa.text("SELECT channel FROM case_opened")).all() == [("outreach",)]
    engine.dispose()


def test_every_command_has_help() -> None:
    for path in ([], ["agency"], ["connector"], ["publish"], ["connector", "run"]):
        assert "Usage" in said(*path, "--help")
