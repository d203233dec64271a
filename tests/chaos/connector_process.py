"""A connector in a process of its own: a Runner that writes into one partner database.

    python -m tests.chaos.connector_process IDENTITY DATABASE [--http URL] [--plant NAME]

`NRM_CRASH_AT=point[:n]` ends it at a crash point. It ends with status 3 when an operator has to
act: another connector has taken over, or the hub is not the one it knows.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import Any

from connectors import crash
from connectors.agency.http_auth import signed_requests
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox, Inbox, TopicInbox
from connectors.errors import StopError
from connectors.pace import Pace
from connectors.runner import Runner
from connectors.sql import SqlSink
from hub.topics import TopicUnavailable, open_topics
from hub.topics.port import Topics
from tests.chaos import plants
from tests.chaos.forked import loop, redirect

PACE = Pace(poll=0.1, pause_first=0.05, pause_most=0.5, registry=2.0)


def main(
    talk: Any,
    log: str,
    place: str,
    database: str,
    point: str = "",
    planted: Sequence[str] = (),
    http: str = "",
) -> None:
    """The forked form. talk: a pipe; says ready, armed or failed, takes arm and stop."""
    redirect(log)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    crash.arm(point)
    status = 0
    with plants.planted(planted):
        identity = AgencyIdentity.load(place)
        sink = SqlSink(database, identity.agency, identity.hub.hub)
        inbox: Inbox
        if http:
            inbox = HttpInbox(http, signed_requests(identity), timeout=5.0)
        else:
            inbox = TopicInbox(_topics(identity), identity)
        runner = Runner(inbox, sink, identity, pace=PACE)
        failure = loop(talk, runner.run, crash.arm)
        if failure is not None:
            status = 3 if isinstance(failure, StopError) else 4
        inbox.close()
        sink.close()
    os._exit(status)


def _topics(identity: AgencyIdentity) -> Topics:
    """The hub's topics, waited for: a broker may be down when a connector starts."""
    while True:
        try:
            return open_topics(str(identity.hub.topics_url))
        except TopicUnavailable as away:
            print(f"waiting: {away}", flush=True)


if __name__ == "__main__":
    from tests.chaos.hub_process import _Nobody

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("identity")
    parser.add_argument("database")
    parser.add_argument("--http", default="")
    parser.add_argument("--plant", action="append", default=[])
    given = parser.parse_args()
    point = os.environ.get(crash.VARIABLE, "")
    main(_Nobody(), "/dev/stderr", given.identity, given.database, point, given.plant, given.http)
