"""What an event says goes into the partner's system, and into nothing that is read elsewhere."""

from __future__ import annotations

import logging
from typing import Final

import pytest

from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import (
    CANARY,
    batch,
    corrected,
    demographics,
    identity,
    poison,
    recalled,
)

CHATTY: Final = ("sqlalchemy", "kafka", "urllib3", "httpx", "httpcore", "paramiko", "asyncio")
"""Libraries whose lowest levels hold whole requests; nobody turns those on at a partner's."""


def overheard(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> str:
    """All that was logged, at any level, and all that was printed."""
    out, err = capfd.readouterr()
    return "\n".join([caplog.text, *(str(one.__dict__) for one in caplog.records), out, err])


def listen(caplog: pytest.LogCaptureFixture) -> None:
    for name in CHATTY:
        caplog.set_level(logging.WARNING, logger=name)
    caplog.set_level(logging.DEBUG)  # the last: it is the handler's level, too


class Telling:
    def test_nothing_an_event_says_is_logged_or_printed(
        self,
        bench: Bench,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        listen(caplog)
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(corrected(3, "e-1", "family_name", CANARY)))
        sink.apply(batch(poison(4, "e-2", CANARY.encode()), identity(5, "e-3")))
        [row] = sink.quarantine()
        sink.redrive(row.id, [identity(4, "e-2")], row.arrived_at)
        sink.apply(batch(recalled(6, ("e-1", ["identity"]), ("e-3", ["identity"]))))
        assert CANARY not in overheard(caplog, capfd), "logs and output are read by others"
