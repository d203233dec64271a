"""The sink: its system answers, holds what it should, may what it must and no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from connectors.dead_letters import RECALLED_SINCE, SIDES, owner
from connectors.errors import ConnectorError
from connectors.findings import Checkable, Finding
from connectors.sink import Position, Sink

LATE: Final = timedelta(hours=1)


def sink_findings(sink: Sink, now: datetime) -> tuple[list[Finding], Position | None]:
    """What the sink says; its position if it could be asked."""
    found: list[Finding] = []
    if isinstance(sink, Checkable):
        found += sink.check()
    try:
        sink.prepare()
        position = sink.position()
        rows = sink.quarantine(waiting_only=False)
        waiting = [row for row in rows if row.state == "waiting"]
        owed = sink.owed(1)
    except ConnectorError as wrong:
        found.append(Finding("wrong", "sink", str(wrong), "nothing flows until this is mended"))
        return found, None
    except Exception as wrong:
        name = type(wrong).__name__
        found.append(Finding("wrong", "sink", f"it fails with {name}", "tell who wrote this sink"))
        return found, None
    found.append(Finding("ok", "sink", f"at sequence {position.sequence}"))
    if waiting:
        sides = sorted({SIDES[owner(row.reason)] for row in waiting})
        oldest = min(row.arrived_at for row in waiting)
        found.append(
            Finding(
                "warning",
                "quarantine",
                f"{len(waiting)} in quarantine, the oldest since {oldest:%Y-%m-%d %H:%M}; "
                f"to be mended by {', '.join(sides)}",
                "nrm-hub connector quarantine",
            )
        )
    by_hand = [row for row in rows if row.detail == RECALLED_SINCE]
    if by_hand:
        found.append(
            Finding(
                "warning",
                "recalls",
                f"{len(by_hand)} events this site holds by another way were recalled since",
                "take them out by hand: nrm-hub connector quarantine --all",
            )
        )
    if owed and now - owed[0].applied_at > LATE:
        found.append(
            Finding(
                "warning",
                "receipts",
                f"the hub was told nothing since {owed[0].applied_at:%Y-%m-%d %H:%M}",
                "start the connector, or look why it does not reach the hub",
            )
        )
    return found, position
