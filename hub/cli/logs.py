"""Logs: JSON lines on standard error, by an allow-list of fields.

Results go to standard output and logs never do. A field that is not on the list is left out, so
that no later line can log content by accident; `tests/cli/test_logs.py` holds the list against the
code.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO, cast

import structlog

from connectors.commands.printed import log_to_stderr

FIELDS: Final = frozenset(
    {
        "agency",
        "at",
        "caller",
        "error",
        "event",
        "evidence",
        "host",
        "level",
        "loop",
        "method",
        "ms",
        "operator_port",
        "port",
        "problem",
        "request",
        "route",
        "sequence",
        "size",
        "status",
        "stopping",
        "timestamp",
        "why",
        "witness",
    }
)


class _StandardError:
    """Standard error as it is when a line is written: whoever replaces it meanwhile is heeded."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def known_fields(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Only what is on the list; the names of the rest are not told either."""
    return {name: value for name, value in event.items() if name in FIELDS}


def configure(level: int = logging.WARNING) -> None:
    """For the whole process. Servers say INFO, every other command warnings only."""
    log_to_stderr("%(levelname)s %(name)s %(message)s")
    # Its failures are raised as our own errors; its own lines come by the dozen and name hosts.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            known_fields,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _StandardError())),
    )
