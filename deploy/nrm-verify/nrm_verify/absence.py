"""Step 14: signed absence. The statement is the hub's, and every row agrees with it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nrm_verify import signature
from nrm_verify.failure import Failure
from nrm_verify.log import Checkpoint
from nrm_verify.manifest import STATEMENT, Manifest
from nrm_verify.rows import ACCEPTED, HELD_BACK, RECEIVED, SENDING, SETTLED, Row
from nrm_verify.strict_json import read_json

_LARGEST, _DEEPEST = 64 * 1024, 8


@dataclass(frozen=True)
class Absence:
    """What was shown. own: events of the case the agency published itself."""

    agency: str
    case: str
    categories: tuple[str, ...] | None
    own: int
    decisions: int
    deliveries: int


def check(
    members: Mapping[str, memoryview], manifest: Manifest, head: Checkpoint, rows: Sequence[Row]
) -> Absence:
    """Raises Failure of step 14."""
    payload = _signed(bytes(members[STATEMENT]), bytes(rows[0].value["public"]))
    agency, case = manifest.scope.agency, manifest.scope.case
    assert agency is not None
    assert case is not None
    stream = [row for row in rows if row.why == "case"]
    sent = [row for row in rows if row.topic == SENDING]
    expected = {
        "agency": agency,
        "as_of": manifest.as_of,
        "case": case,
        "case_rows": len(stream),
        "categories": _listed(manifest.scope.categories),
        "deliveries": len(sent),
        "format": "nrm-absence.1",
        "hub": manifest.origin,
        "receipts": sum(row.topic == RECEIVED for row in rows),
        "root": head.root.hex(),
        "tree_size": head.size,
    }
    if payload != expected:
        raise Failure(14, "bad_statement", "the statement is about something else than this file")
    asked = manifest.scope.categories
    if not stream:
        raise Failure(14, "bad_statement", "there is no row of the case")
    _withheld(agency, asked, stream)
    for row in sent:
        if row.value["case_id"].hex() != case:
            continue
        if row.value["kind"] == "release" and _among(row.json("items")["bases"], asked):
            raise Failure(14, "not_absent", f"row {row.position} is a delivery of it to {agency}")
    own = sum(row.topic == ACCEPTED and row.value["emitter"] == agency for row in stream)
    decisions = sum(row.topic == SETTLED for row in stream)
    return Absence(agency, case, asked, own, decisions, len(sent))


def _withheld(agency: str, asked: tuple[str, ...] | None, stream: Sequence[Row]) -> None:
    """Every release decided for the agency was held back before it was sent."""
    open_: dict[tuple[str, str], int] = {}
    for row in stream:
        if row.topic == SETTLED:
            record = row.json("settlement")
            bases = {
                name: one
                for name, one in record.get("decided", {}).get(agency, {}).items()
                if isinstance(one, str)
            }
            released = {record["event"]: bases, **record.get("backfill", {}).get(agency, {})}
            for event_id, names in released.items():
                open_ |= {(event_id, name): row.position for name in _among(names, asked)}
        elif row.topic == HELD_BACK and row.value["agency"] == agency:
            for event_id, names in row.json("items").items():
                for name in names:
                    open_.pop((event_id, name), None)
    for (_, name), position in open_.items():
        raise Failure(14, "not_absent", f"row {position} released {name} to {agency}")


def _among(names: Any, asked: tuple[str, ...] | None) -> list[str]:
    return [name for name in names if asked is None or name in asked]


def _listed(categories: tuple[str, ...] | None) -> list[str] | None:
    return None if categories is None else list(categories)


def _signed(document: bytes, public: bytes) -> Any:
    try:
        if len(document) > _LARGEST:
            raise ValueError
        envelope = read_json(document, _DEEPEST)
        [entry] = envelope["signatures"]
        body = _base64(envelope["payload"])
        sign = _base64(entry["sig"])
        payload = read_json(body, _DEEPEST)
        right = envelope["payloadType"] == signature.ABSENCE
        named = entry["keyid"] == signature.key_id(public).hex()
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Failure(14, "bad_statement", "it is no signed statement") from None
    if not (right and named and signature.stands_typed(public, signature.ABSENCE, body, sign)):
        raise Failure(14, "bad_hub_signature", "the statement is not signed by the hub in row 1")
    return payload


def _base64(text: str) -> bytes:
    raw = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not base64 as it is written")
    return raw
