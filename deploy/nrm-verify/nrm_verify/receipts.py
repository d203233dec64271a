"""Step 12: partners signed for what they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nrm_verify import signature
from nrm_verify.failure import Failure
from nrm_verify.manifest import Manifest
from nrm_verify.register import Register
from nrm_verify.rows import RECEIVED, SENDING, Row, Undecodable, decode

_SHOWN = 20


@dataclass(frozen=True)
class Receipt:
    """One receipt whose signature stands. exceptions: the first of what was not just applied."""

    position: int
    agency: str
    first: int
    last: int
    exceptions: Sequence[str]
    others: int


def check(manifest: Manifest, rows: Sequence[Row], register: Register) -> list[Receipt]:
    """Step 12, in the order of the log."""
    receipts = [_receipt(row, manifest, register) for row in rows if row.topic == RECEIVED]
    if manifest.scope.agency is not None:
        sent = sum(row.topic == SENDING for row in rows)
        for number, row in enumerate((r for r in rows if r.topic == RECEIVED), 1):
            if row.version != number:
                raise Failure(12, "receipt_differs", f"receipt {number} is missing")
        for one in receipts:
            if one.last > sent:
                raise Failure(
                    12, "receipt_differs", f"row {one.position} is for a delivery never made"
                )
    return receipts


def _receipt(row: Row, manifest: Manifest, register: Register) -> Receipt:
    value = row.value
    try:
        receipt = decode("nrm.wire.Receipt", value["receipt"])
    except Undecodable:
        raise Failure(12, "bad_receipt", f"row {row.position} holds no receipt") from None
    told = (receipt["agency"], receipt["first_sequence"], receipt["last_sequence"])
    kept = (value["agency"], value["first_sequence"], value["last_sequence"])
    if told != kept or receipt["hub"] != manifest.origin or not 1 <= told[1] <= told[2]:
        raise Failure(12, "receipt_differs", f"row {row.position} is not the receipt it holds")
    public = register.key(value["agency"], receipt["key_id"], row.position)
    if public is None:
        raise Failure(12, "unknown_key", f"row {row.position}: no such key of {value['agency']}")
    body, sign = value["receipt"], value["signature"]
    if not signature.stands_typed(public, signature.RECEIPT, body, sign):
        raise Failure(
            12, "bad_receipt", f"row {row.position}: the signature of {value['agency']} fails"
        )
    odd = receipt["exceptions"]
    shown = [f"{one['sequence']} {one['outcome']}" for one in odd[:_SHOWN]]
    return Receipt(row.position, *told, shown, len(odd) - len(shown))
