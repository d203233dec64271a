"""Rebuilt: the row digests of one partner, made from the log into a file, whole or not at all.

For questions that hold a partner's own lines against them; `audit replay --agency` does the same in
a way that goes on after an interruption.
"""

from __future__ import annotations

from pathlib import Path

from hub.audit.delivered import Delivered
from hub.audit.partner_tables import PartnerTables
from hub.exchange import Exchange


def rebuild(exchange: Exchange, hub: str, agency: str, end: int, folder: Path) -> Path:
    """Every row the agency should hold as of the position `end`. folder: for what waits meanwhile,
    and the file; the caller's to remove."""
    path = folder / "rebuilt.jsonl"
    with Delivered(folder / "delivered.db", exchange.log, end, agency) as delivered:
        for _ in delivered.read():
            pass
        rebuilt = PartnerTables(exchange, hub, agency, delivered)
        for _ in rebuilt.make():
            pass
        with path.open("wb") as file:
            file.writelines(rebuilt.lines())
    return path
