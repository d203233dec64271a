"""Steps 7 and 8 of opening: what is disclosed, and what it says.

Only what the hub released, opened with the key that came along, and standing under the root that
the agency signed; then values, by the schema the header names.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any

from connectors.opening.evidence import Disclosed
from connectors.opening.unreadable import Unreadable
from hub.crypto.compartment import ATTESTED_ID, CompartmentError, open_compartment
from hub.crypto.disclosure import verify_disclosed
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import EventSchema

_INHERIT = "inherit"
_CUTS = {32 * hashes: Struct("32s" * hashes).unpack for hashes in range(17)}


def disclosed(
    delivery: dict[str, Any],
    header: dict[str, Any] | None,
    bases: dict[str, str],
    signed: bool,
) -> list[Disclosed]:
    """(7) Released, open, and under the signed root."""
    event_id = ATTESTED_ID if header is None else header["event_id"]
    opened: list[Disclosed] = []
    seen: set[str] = set()
    for encoded in delivery["compartments"]:
        try:
            part = wire.DELIVERED_COMPARTMENT.unsingle(encoded, trusted=signed)
        except AvroError:
            raise Unreadable("delivery_malformed") from None
        name = part["name"]
        if _category(name) not in bases or name in seen:
            raise Unreadable("not_released")
        seen.add(name)
        try:
            salt, body = open_compartment(
                part["key"],
                part["ciphertext"],
                event_id=event_id,
                name=name,
                schema_id=delivery["schema"],
            )
        except (CompartmentError, ValueError):
            raise Unreadable("compartment_unopenable") from None
        path = part["path"]
        if header is not None and not verify_disclosed(
            header["disclosure_root"], name, salt, body, part["index"], _hashes(path)
        ):
            raise Unreadable("not_disclosed")
        opened.append(Disclosed(name, salt, body, part["index"], path))
    return opened


def content(
    schema: EventSchema, bodies: Mapping[str, bytes], *, trusted: bool
) -> dict[str, dict[str, Any]]:
    """(8) Values by category, of compartment bodies by name: every field of a delivered category,
    None where it is empty. AvroError, SchemaError or ValueError if a body does not decode."""
    if not bodies:  # the person was erased on the way: there is nothing left to read
        return {}
    if trusted and (told := schema.plain(bodies)) is not None:
        return told
    values = schema.join(bodies, trusted=trusted)
    categories = {_category(name) for name in bodies}
    inherited = categories.difference(schema.categories, (_INHERIT,))
    found: dict[str, dict[str, Any]] = {category: {} for category in sorted(categories)}
    for known in schema.fields:
        category = known.category
        if category == _INHERIT:
            # The value has the corrected field's category: its own compartment if there is one.
            category = next(iter(inherited), "") or next(
                (c for c in sorted(categories) if known.name in values), ""
            )
        if category in found:
            value = values.get(known.name)
            if value is None and known.copies:
                value = values.get(known.copies)
            found[category][known.name] = value
    return found


def _hashes(path: bytes) -> tuple[bytes, ...]:
    """A path as it travels, cut into its hashes; what is left over makes it no path."""
    cut = _CUTS.get(len(path))
    return cut(path) if cut else tuple(path[at : at + 32] for at in range(0, len(path), 32))


def _category(name: str) -> str:
    return name.partition("/")[0]
