"""A hub in a process of its own: `Hub.open(home).start()`, until told to stop or killed.

    python -m tests.chaos.hub_process HOME [--api PORT] [--plant NAME]

`NRM_CRASH_AT=point[:n]` ends it at a crash point. It ends with status 3 when an operator has to
act, as `nrm-hub serve` ends with 1.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from hub import crash
from hub.api.limits import Limits, Rate
from hub.api.server import serve_api
from hub.home import Home
from hub.hub import Hub
from schemas.registry import Schemas
from tests.chaos import plants
from tests.chaos.forked import failed, obey, redirect

GENEROUS = Limits(requests=Rate(10_000, 10_000), unknown=Rate(10_000, 10_000))

Schemas.load()  # once for all that are forked from here


def main(
    talk: Any,
    log: str,
    home: str,
    point: str = "",
    planted: Sequence[str] = (),
    api: int = 0,
) -> None:
    """The forked form. talk: a pipe; says ready, armed or failed, takes arm and stop."""
    redirect(log)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        processors=[
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
    )
    crash.arm(point)
    status = 0
    with plants.planted(planted):
        try:
            hub = Hub.open(Home(Path(home)))
        except Exception as failure:
            print(f"not opened: {failure!r}", flush=True)
            talk.send(("failed", repr(failure)))
            os._exit(3)
        server = None
        hub.start()
        if api:
            server = serve_api(hub, port=api, limits=GENEROUS)
        talk.send(("ready", os.getpid()))
        obey(talk, lambda: hub.failure is None, crash.arm)
        if hub.failure is not None:
            status = 3
            failed(talk, hub.failure)
        if server is not None:
            server.stop()
        hub.stop()
    os._exit(status)


class _Nobody:
    """Stands in for the pipe where a person starts the program."""

    def poll(self, timeout: float) -> bool:
        import time

        time.sleep(timeout)
        return False

    def send(self, what: tuple[str, object]) -> None:
        print(*what, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home")
    parser.add_argument("--api", type=int, default=0)
    parser.add_argument("--plant", action="append", default=[])
    given = parser.parse_args()
    point = os.environ.get(crash.VARIABLE, "")
    main(_Nobody(), "/dev/stderr", given.home, point, given.plant, given.api)
