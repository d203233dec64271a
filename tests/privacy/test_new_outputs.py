"""No canary in anything the hub writes for auditors, operators, witnesses or machines.

One story with a canary in every personal field of it; then every export, replay, page, payload,
log and leftover there is. What opens content by design is looked at elsewhere: a person's
statement, export and consents, a holder's bundle.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from consumers.witnesses import Witnesses
from consumers.witnesses.settings import LogSettings, WitnessSettings
from hub.api.metrics import HubCollector, Metrics
from hub.audit.questions import QUESTIONS, Hub, answer
from hub.authority.viewers import PASSKEY, Grant
from hub.console.app import create_console
from hub.console.desk import COOKIE
from hub.console.serving import put_together
from hub.console.settings import read_console
from hub.console.viewer import ROLES, Viewer
from hub.errors import Refused
from hub.home import Home
from hub.hub import Deciding
from hub.telemetry import Telemetry, TelemetrySettings
from hub.witness.book import Book
from hub.witness.home import WitnessHome
from hub.witness.server import serve_witness
from hub.witness.witness import Witness
from tests.answering import Answer, Answering
from tests.cli.programs import nrm
from tests.console.admitted import Office
from tests.depth import depth
from tests.patience import until
from tests.played import event_id, play, scenario
from tests.privacy.canaries import COMMON, files, found_in, planted, readings
from tests.road import Road


class Sweep:
    """A story told, and a folder that everything is written to."""

    def __init__(self, folder: Path) -> None:
        document, self.canaries = planted(scenario("S1"))
        self.road: Road = play(folder / "place", document)
        self.home = folder / "place" / "hub"
        self.out = folder / "out"
        self.out.mkdir()
        self.case = str(document["events"][0]["case"])
        self.event = str(event_id(document["events"][2]["id"]))
        self.agencies = sorted(one for one in document["agencies"] if one != "HUB")

    def leaks(self, *more: Path) -> list[str]:
        paths = [one for folder in (self.out, *more) for one in files(folder)]
        raw = [f"{COMMON} in {one.name}" for one in paths if COMMON.encode() in readings(one)]
        return found_in(paths, self.canaries) + raw

    def run(self, *arguments: str) -> None:
        """A command; what it prints is looked at like what it writes."""
        done = nrm(*arguments, "--home", self.home)
        empty = "nothing_to_show" in done.err
        assert done.code in (0, 3) or empty, (arguments, done.err)
        name = "-".join(arguments[:4]).replace("/", "_")[:100]
        (self.out / f"{name}-{len(list(self.out.iterdir()))}.txt").write_text(done.out + done.err)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    made = Sweep(tmp_path_factory.mktemp("sweep"))
    made.road.hub.checkpoints.step(now=True)
    yield made
    made.road.close()


def test_the_story_has_canaries_and_they_are_found(sweep: Sweep) -> None:
    """Where they are meant to be, in a partner's tables: so the search finds what there is.

    In copies made by another process: opening and closing a database's file here would let go of
    the locks that this process holds on it.
    """
    copies = sweep.out.parent / "copies"
    subprocess.run(["cp", "-r", str(sweep.road.folder), str(copies)], check=True)
    assert len(sweep.canaries) > 10
    assert found_in(files(copies), sweep.canaries)


def test_commands(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command that writes or prints without content, and what it leaves in TMPDIR."""
    temporary = sweep.out / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    out, case = sweep.out, sweep.case
    sweep.run("audit", "export-log", str(out / "log"))
    sweep.run("audit", "bundle", "--case", case, "--out", str(out / "case.zip"))
    sweep.run("audit", "bundle", "--event", sweep.event, "--out", str(out / "event.zip"))
    for kind in ("decisions", "fhir-audit", "prov"):
        sweep.run("audit", "export", kind, "--out", str(out / f"{kind}.jsonl"))
    sweep.run("audit", "replay", "--case", case)
    sweep.run("audit", "replay", "--all", "--out", str(out / "all.jsonl"))
    sweep.run("audit", "redecide", "--out", str(out / "differs.jsonl"))
    sweep.run("audit", "breakglass")
    sweep.run("audit", "conservation")
    sweep.run("audit", "looks")
    sweep.run("audit", "verify")
    sweep.run("status")
    sweep.run("refusals")
    sweep.run("recalls")
    sweep.run("work", "list")
    for agency in sweep.agencies:
        sweep.run("audit", "bundle", "--agency", agency, "--out", str(out / f"{agency}.zip"))
        sweep.run("audit", "replay", "--agency", agency, "--out", str(out / f"{agency}.rows.jsonl"))
    assert sum(_absent(sweep, one) for one in sweep.agencies) > 0
    with Deciding.open(Home(sweep.home)) as deciding:
        reading = deciding.reading
        hub = Hub(reading.exchange, reading.settings.hub_id, reading.log_verifier)
        for one in QUESTIONS.values():
            given = {"case": case} if any(p.name == "case" for p in one.parameters) else {}
            with suppress(Refused):
                found = answer(one, hub, one.checked(given))
                (out / f"{one.id}.json").write_text(json.dumps(found.as_dict(), default=str))
                (out / f"{one.id}.csv").write_text(found.as_csv())
    assert len(files(out)) > 50
    assert sweep.leaks() == []


def _absent(sweep: Sweep, agency: str) -> bool:
    """Whether the hub gave its word that nothing reached this agency."""
    place = sweep.out / f"no-{agency}.zip"
    options = ("--case", sweep.case, "--agency", agency, "--out", place)
    done = nrm("audit", "absence", "--home", sweep.home, *options)
    (sweep.out / f"no-{agency}.txt").write_text(done.out + done.err)
    return place.exists()


@pytest.mark.parametrize("which", [["--all"], ["--agency"]])
def test_what_a_killed_run_leaves(sweep: Sweep, which: list[str]) -> None:
    where = sweep.out / f"killed{which[0]}"
    where.mkdir()
    told = [*which, sweep.agencies[0]] if which == ["--agency"] else which
    for pause in depth((1.1, 1.6), (0.9, 1.1, 1.3, 1.6)):
        command = [
            sys.executable, "-m", "hub.cli", "audit", "replay", "--home", str(sweep.home), *told,
            "--out", str(where / f"{pause}.jsonl"),
        ]  # fmt: skip
        environment = {**os.environ, "TMPDIR": str(where)}
        running = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(pause)
        running.send_signal(signal.SIGKILL)
        running.wait(20)
    assert sweep.leaks() == []


def test_pages_looks_and_logs_at_debug(sweep: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    caplog.set_level(logging.DEBUG)
    with _everything_logged(said), Deciding.open(Home(sweep.home)) as deciding:
        exchange = deciding.reading.exchange
        console, entrance = put_together(deciding, read_console({"port": 0}), "http://testserver")
        app = create_console(console, None, entrance)
        office = Office(exchange)
        case = exchange.pseudonyms.canonical("case", sweep.case).hex
        for number, role in enumerate(ROLES):
            agency = sweep.agencies[0] if role == "agency_officer" else ""
            granted, _ = office.grant(Grant(f"v-{number}", role, agency, PASSKEY))
            viewer = Viewer(f"v-{number}", role, agency or None, PASSKEY)
            with TestClient(app, follow_redirects=False) as client:
                client.cookies.set(COOKIE, console.sessions.begin(viewer, granted.position))
                for route in iter_route_contexts(app.routes):
                    path = str(route.path).replace("{case}", case)
                    for name, value in (("agency", sweep.agencies[0]), ("question_id", "Q01")):
                        path = path.replace(f"{{{name}}}", value)
                    answer = client.get(path, params={"case": COMMON, "agency": COMMON})
                    said.append(f"{path} {answer.headers}")
                    page = sweep.out / f"page-{role}-{path.replace('/', '_')[:80]}.html"
                    page.write_text(client.get(path).text, "utf-8")
        said += [
            repr(one.event) for one in exchange.log.read(0, 100_000) if "Looked" in one.event.TOPIC
        ]
    ours = [one for one in caplog.records if not one.name.startswith("httpx")]  # the client's own
    said += [f"{one.getMessage()} {one.exc_text}" for one in ours]
    (sweep.out / "said.txt").write_text("\n".join(said), "utf-8")
    assert len(said) > 60
    assert sweep.leaks() == []


@contextmanager
def _everything_logged(said: list[str]) -> Iterator[None]:
    """Each line of the hub's log, at DEBUG, as it would be written."""
    before = structlog.get_config()

    def noted(_: Any, __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
        said.append(repr(line))
        raise structlog.DropEvent

    structlog.configure(
        processors=[noted],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def test_what_is_sent_to_a_collector(sweep: Sweep) -> None:
    """Traces and metrics over OTLP while a story with canaries is told, and the same as scraped."""
    collector = Answering(lambda _asked: Answer())
    metrics = Metrics(sweep.road.hub)
    told = TelemetrySettings(collector.url, every_seconds=0.2)
    telemetry = Telemetry(told, HubCollector(sweep.road.hub))
    try:
        again, _ = planted(scenario("S1"))
        play(sweep.out.parent / "again", again).close()
        until(lambda: collector.asked)
    finally:
        telemetry.stop()
        collector.close()
    assert collector.asked
    (sweep.out / "otlp.bin").write_bytes(b"\n".join(one.body for one in collector.asked))
    (sweep.out / "metrics.txt").write_bytes(metrics.text())
    assert sweep.leaks() == []


def test_what_a_witness_keeps(sweep: Sweep, tmp_path: Path) -> None:
    home = WitnessHome(tmp_path / "witness")
    home.init("w.example/1")
    hub = sweep.road.hub
    home.watch([str(hub.checkpoints.verifier)])
    book = Book(home.path / "witness.db")
    now = hub.exchange.clock.now().timestamp()
    serving = serve_witness(Witness(home, book, home.logs(), lambda: now), "127.0.0.1", 0)
    try:
        told = WitnessSettings("W1", serving.url, home.cosigner().verifier)
        lines = Witnesses(hub.exchange.log, LogSettings(witnesses=(told,)), hub.exchange.clock)
        assert lines.step() == 1
    finally:
        serving.stop()
        book.close()
    assert (home.path / "witness.db").stat().st_size > 0
    assert sweep.leaks(home.path) == []
