"""A source in a process of its own, as `nrm-hub source run` runs it, until told to stop."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.commands.agency import transport_of
from connectors.sources.runner import SourceRunner
from connectors.sources.settings import load_source_settings, open_source
from connectors.submit import Limits, Publisher
from tests.chaos.forked import loop, redirect

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
    failure = loop(talk, runner.run, crash.arm)
    os._exit(0 if failure is None else 3)
