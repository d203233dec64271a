"""`nrm-hub serve` as a process: first run, parts in processes of their own, a clean end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub.topics.local_ports import free_port
from tests.cli.programs import installed, nrm
from tests.patience import PATIENCE, until

CASE = {
    "type": "CaseOpened",
    "case": "C1",
    "data": {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"},
}


@dataclass
class Running:
    """A process whose output goes to files, so that it can be read while it runs."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def first_line(self) -> str:
        until(lambda: "\n" in self.out.read_text("utf-8") or self.process.poll() is not None)
        assert self.process.poll() is None, self.err.read_text("utf-8")
        return self.out.read_text("utf-8").partition("\n")[0]

    def stop(self, number: int = signal.SIGTERM) -> tuple[str, str]:
        self.process.send_signal(number)
        return self.done()

    def done(self, code: int = 0) -> tuple[str, str]:
        assert self.process.wait(PATIENCE) == code, self.err.read_text("utf-8")
        return self.out.read_text("utf-8"), self.err.read_text("utf-8")


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `nrm-hub …` in the test's folder; whatever still runs at the end is killed."""
    environment = dict(installed(tmp_path / "bin"))
    running: list[Running] = []

    def started(*arguments: str) -> Running:
        out, err = (tmp_path / f"{len(running)}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as to, err.open("wb") as errors:
            process = subprocess.Popen(
                [str(tmp_path / "bin" / "nrm-hub"), *arguments], cwd=tmp_path, env=environment,
                stdin=subprocess.DEVNULL, stdout=to, stderr=errors,
            )  # fmt: skip
        running.append(Running(process, out, err))
        return running[-1]

    yield started
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_run_says_what_to_do_next_and_stops_cleanly(
    start: Start, tmp_path: Path, number: int
) -> None:
    port = free_port()
    hub = start("serve", "--home", "h", "--port", str(port), "--hub-id", "xx-hub")
    assert hub.first_line() == f"Hub xx-hub is running from h, API at http://127.0.0.1:{port}"
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
        assert json.load(answer)["ready"] is True
    out, err = hub.stop(number)
    assert "nrm-hub agency approve sh-1-request.json --home h" in out
    assert err.endswith("Stopped.\n")

    again = start("serve", "--home", "h", "--port", "0")
    assert again.first_line().startswith("Hub xx-hub is running from h, API at http://127.0.0.1:")
    out, _ = again.stop(number)
    assert "This is a new hub" not in out
    assert (tmp_path / "h" / "hub.toml").read_text("utf-8").count("xx-hub") == 1


def test_logs_are_json_lines_on_standard_error(start: Start) -> None:
    hub = start("serve", "--home", "h", "--port", "0")
    hub.first_line()
    _, err = hub.stop()
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines] == ["api_serving"]


def test_a_port_that_is_taken(start: Start) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        taken = str(one.getsockname()[1])
        out, err = start("serve", "--home", "h", "--port", taken).done(1)
    assert err.splitlines()[-1].startswith(f"Error: cannot listen on 127.0.0.1:{taken}")
    assert out == ""


@pytest.mark.slow
def test_three_processes_share_one_home(start: Start, tmp_path: Path) -> None:
    """Hub, consumers and API apart; an agency enrolled meanwhile publishes on both roads."""
    port = free_port()
    parts = [
        start("serve", "--home", "h", "--only", "hub", "--port", str(port)),
    ]
    assert parts[0].first_line() == "Hub nrm-hub is running from h (hub only)"
    for name in ("consumers", "api"):
        parts.append(start("serve", "--home", "h", "--only", name))
        assert f"({name} only)" in parts[-1].first_line()
    enrolled(start, "NGO-1", "ngo_support")
    enrolled(start, "SH-1", "shelter")

    (tmp_path / "one.json").write_text(json.dumps(CASE), "utf-8")
    (tmp_path / "other.json").write_text(json.dumps({**CASE, "case": "C2"}), "utf-8")
    by_topic = start("publish", "one.json", "--home", "NGO-1", "--json")
    by_http = start("publish", "other.json", "--home", "NGO-1", "--via", "http", "--json")
    for publishing in (by_topic, by_http):
        assert json.loads(publishing.done()[0])["accepted"] is True

    about = {"referral_id": "r1"}  # a case and a referral nobody knows
    refused = {"type": "ReferralAccepted", "case": "C3", "data": about}
    (tmp_path / "refused.json").write_text(json.dumps(refused), "utf-8")
    out, _ = start("publish", "refused.json", "--home", "SH-1", "--json").done(3)
    assert json.loads(out)["reason"]
    told = json.loads(start("refusals", "--home", "h", "--json").done()[0])
    assert [one["agency"] for one in told] == ["SH-1"]

    def status() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(nrm("status", "--home", tmp_path / "h", "--json").out)
        return told

    # The consumers' process signs checkpoints over what the others recorded.
    until(lambda: status()["checkpoint"] == status()["position"])
    assert status()["accepted"] == 2
    for part in parts:
        part.stop()


def enrolled(start: Start, agency: str, role: str) -> None:
    for arguments in (
        ("agency", "init", agency, "--name", "office", "--role", role, "--home", agency),
        ("agency", "request", "--home", agency, "--out", f"{agency}-r.json"),
        ("agency", "approve", f"{agency}-r.json", "--home", "h", "--out", f"{agency}-a.json"),
        ("agency", "install", f"{agency}-a.json", "--home", agency),
    ):
        start(*arguments).done()
