"""A partner's tables rebuilt from the log are, byte for byte, what its own database holds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.row_digest import partner_lines
from connectors.sql import open_engine
from hub.audit.delivered import Delivered
from hub.audit.partner_tables import PartnerTables
from tests.played import NAMES, play, scenario
from tests.road import Road


def rebuilt(
    road: Road, agency: str, end: int | None = None, spool: Path | str = ":memory:"
) -> list[bytes]:
    exchange = road.hub.exchange
    with Delivered(spool, exchange.log, end or exchange.log.head, agency) as delivered:
        list(delivered.read())
        tables = PartnerTables(exchange, road.hub.settings.hub_id, agency, delivered)
        list(tables.make())
        return list(tables.lines())


def held(road: Road, agency: str) -> list[bytes]:
    """The same of the partner's own database."""
    [sink] = [one for one in road.sinks if one.ledger._agency == agency]
    key = road.hub.exchange.pseudonyms.comparison_key(agency, sink.position().sequence)
    return list(partner_lines(sink, agency, road.hub.settings.hub_id, key))


@pytest.mark.parametrize("name", NAMES)
def test_every_partner_of_every_scenario(tmp_path: Path, name: str) -> None:
    road = play(tmp_path, scenario(name))
    try:
        rows = 0
        for agency in road.partners:
            ours = rebuilt(road, agency)
            assert ours == held(road, agency), agency
            rows += len(ours)
        assert rows > 20
    finally:
        road.close()
