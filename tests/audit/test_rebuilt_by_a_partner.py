"""A partner rebuilds its tables from the hub's own log, sealed anew, and they are equal: through
recalls, corrections, withdrawals and persons erased; with tables of its own, too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from connectors.agency.inbox import Sealed, last_sequence
from connectors.agency.registry_cache import RegistryCache
from connectors.reconciliation.reconcile import Compared, Reconciliation
from hub.hub import Hub
from tests.audit.test_partner_tables import COSTS, ROLES, WHOLE, case_with_shelter
from tests.played import play, scenario
from tests.road import Road


class FromTheLog:
    """What GET /v1/deliveries answers, without the HTTP."""

    def __init__(self, hub: Hub, agency: str) -> None:
        self._hub, self._agency, self._after = hub, agency, 0

    def start(self, cursor: str, sequence: int) -> None:
        self._after = sequence

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        found = self._hub.publisher.sealed_after(self._agency, self._after, limit)
        if found:
            self._after = last_sequence(found[-1])
        return [Sealed(one, "") for one in found]

    def rewind(self, sequence: int) -> bool:
        self._after = sequence - 1
        return True

    def emptied(self, sequence: int) -> bool:
        return False

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        raise AssertionError("what a copy took is nobody's answer")

    def registry(self) -> bytes | None:
        return None

    def close(self) -> None:
        pass


def compared(road: Road, agency: str, scratch: Path) -> tuple[Compared, list[str]]:
    [sink] = [one for one in road.sinks if one.ledger._agency == agency]
    identity = road.identities[agency]
    scratch.mkdir()
    found = Reconciliation(
        sink,
        FromTheLog(road.hub, agency),
        identity,
        scratch,
        recalls=sink._recalls,
        registry=RegistryCache(identity),
    )
    result = found.compare()
    told = [str(one) for page in found.differences.pages() for one in page]
    found.close()
    return result, told


def test_every_partner_of_a_whole_case(tmp_path: Path) -> None:
    """S10: corrections, a withdrawal, recalls, several agencies."""
    road = play(tmp_path, scenario("S10"))
    try:
        road.settle()
        rows: Counter[str] = Counter()
        for agency in road.partners:
            result, told = compared(road, agency, tmp_path / f"scratch-{agency}")
            assert told == [], agency
            rows[agency] = result.rows
        assert rows.total() > 10
    finally:
        road.close()


def test_what_the_hub_can_no_longer_tell_is_no_difference(tmp_path: Path) -> None:
    """The person's secret is destroyed: every delivery about them is sealed with nothing inside."""
    road = Road.open(tmp_path, ROLES)
    try:
        road.partner("SH-1")
        case_with_shelter(road, "identity", "health")
        road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
        road.settle()
        before, told = compared(road, "SH-1", tmp_path / "before")
        assert told == []
        assert road.hub.shredder.shred(road.hub.exchange.pseudonyms.canonical("subject", "C1"))
        after, told = compared(road, "SH-1", tmp_path / "after")
        assert told == [], "rows the partner still holds are not taken for added ones"
        assert after.rows == before.rows
        road.publish("NGO-1", "ConsentWithdrawn", "C1", **WHOLE)
        road.settle()
        assert compared(road, "SH-1", tmp_path / "withdrawn")[1] == []
    finally:
        road.close()
