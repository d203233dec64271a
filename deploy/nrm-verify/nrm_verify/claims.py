"""Step 13: the manifest claims what its rows say, and holds nothing that was not asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nrm_verify.failure import Failure
from nrm_verify.manifest import ABSENCE, Manifest
from nrm_verify.rows import ACCEPTED, RECEIVED, SENDING, SETTLED, Row
from nrm_verify.statements import Statement


def check(manifest: Manifest, rows: Sequence[Row], statements: Mapping[int, Statement]) -> None:
    """Raises Failure of step 13."""
    for claim, topic in (
        (manifest.decisions, SETTLED),
        (manifest.deliveries, SENDING),
        (manifest.receipts, RECEIVED),
    ):
        if list(claim) != [row.position for row in rows if row.topic == topic]:
            raise _differs("decisions, deliveries or receipts claimed are not those of the rows")
    _whose(manifest, rows)
    _cases(manifest, rows)
    if manifest.scope.event is not None and not any(
        one.event_id == manifest.scope.event for one in statements.values()
    ):
        raise _differs("the event asked for is not in the bundle")
    _receipts(manifest, rows)


def _whose(manifest: Manifest, rows: Sequence[Row]) -> None:
    """Deliveries and receipts are of the agencies asked for; a holder sees only its own."""
    mine = {manifest.holder, manifest.scope.agency} - {None}
    if len(mine) > 1:
        raise _differs("a bundle about one agency cannot be for another to hold")
    for row in rows:
        if mine and row.topic in (SENDING, RECEIVED) and row.value["agency"] not in mine:
            raise _differs(f"row {row.position} is another agency's")
        if manifest.holder is not None and row.why in ("case", "policy"):
            raise _differs(f"row {row.position} is not for a holder to see")
        if manifest.holder is None and row.why == "event":
            raise _differs(f"row {row.position} is a single event, without a holder")


def _cases(manifest: Manifest, rows: Sequence[Row]) -> None:
    sent = [row for row in rows if row.topic == SENDING]
    streams = {row.stream for row in rows if row.why in ("case", "event")}
    if manifest.scope.case is not None:
        asked = bytes.fromhex(manifest.scope.case)
        about = {row.value["case_id"] for row in sent} if manifest.kind != ABSENCE else set()
        if streams - {asked} or about - {asked}:
            raise _differs("rows of another case than the one asked for")
    elif streams - {row.value["case_id"] for row in sent}:
        raise _differs("a case of which the agency was sent nothing")
    whole = manifest.holder is None and manifest.kind != ABSENCE
    if whole and {row.value["case_id"] for row in sent} - streams:
        raise _differs("a delivery about a case that is not here")
    events = {row.value["event_position"] for row in sent}
    for row in rows:
        if row.why == "event" and row.topic == ACCEPTED and row.position not in events:
            raise _differs(f"row {row.position} was never sent to the holder")


def _receipts(manifest: Manifest, rows: Sequence[Row]) -> None:
    """Where an agency's log is not here whole, a receipt is here for a delivery that is."""
    if manifest.scope.agency is not None:
        return
    sent = {(row.value["agency"], row.version) for row in rows if row.topic == SENDING}
    numbers: dict[str, list[int]] = {}
    for agency, version in sent:
        numbers.setdefault(agency, []).append(version)
    for row in rows:
        if row.topic == RECEIVED:
            first, last = row.value["first_sequence"], row.value["last_sequence"]
            if not any(first <= one <= last for one in numbers.get(row.value["agency"], ())):
                raise _differs(f"row {row.position} is a receipt for nothing in the bundle")


def _differs(text: str) -> Failure:
    return Failure(13, "claims_differ", text)
