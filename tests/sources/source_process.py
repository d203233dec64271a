"""A source in a process of its own, as `nrm-hub source run` runs it, until told to stop."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.commands.agency import transport_of
from connectors.sources.runner import SourceRunner
from connectors.sources.settings import load_source_settings, open_source
from connectors.submit import Limits, Publisher
from tests.chaos.hub_process import redirect

LIMITS = Limits(answer_seconds=1.0, give_up_seconds=2.0)


def main(talk: Any, log: str, settings: str, point: str = "") -> None:
    """talk: a pipe; says ready, armed or failed, takes arm and stop."""
    redirect(log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    crash.arm(point)
    loaded = load_source_settings(Path(settings))
    identity = AgencyIdentity.load(loaded.home)
    source = open_source(loaded, identity)
    publisher = Publisher(identity, transport_of(identity, "topics", None), limits=LIMITS)
    runner = SourceRunner(source, identity, publisher, pace=loaded.source_pace())
    stop = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            runner.run(stop)
        except BaseException as wrong:
            failure.append(wrong)

    thread = threading.Thread(target=run, daemon=True)
    talk.send(("ready", os.getpid()))  # first: it may die at once
    thread.start()
    while thread.is_alive():
        if not talk.poll(0.02):
            continue
        try:
            what, told = talk.recv()
        except EOFError:
            os._exit(1)
        if what == "stop":
            stop.set()
            break
        crash.arm(told)
        talk.send(("armed", told))
    thread.join(30)
    if failure:
        print(f"stopped: {failure[0]!r}", flush=True)
        talk.send(("failed", repr(failure[0])))
        os._exit(3)
    os._exit(0)
