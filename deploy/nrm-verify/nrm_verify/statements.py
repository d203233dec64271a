"""Steps 8 and 9: each event was said by its agency, and its sealed parts are those it signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any
from uuid import UUID

from nrm_verify import signature, tree
from nrm_verify.failure import Failure
from nrm_verify.manifest import Manifest, place
from nrm_verify.register import Register
from nrm_verify.rows import ACCEPTED, SENDING, Row, Undecodable, decode

_SALT = 16
_LEAST_LEAVES, _MOST_LEAVES = 8, 1 << 16


@dataclass(frozen=True)
class Statement:
    """One event whose agency's signature stands."""

    row: Row
    header: Mapping[str, Any]

    @property
    def event_id(self) -> str:
        return str(UUID(bytes=self.row.value["event_id"]))


def signed(rows: Sequence[Row], register: Register, origin: str) -> dict[int, Statement]:
    """Step 8: the events by position. No agency's event is there twice, in whichever case."""
    found: dict[int, Statement] = {}
    said: set[tuple[str, bytes]] = set()
    for row in rows:
        if row.topic == ACCEPTED:
            found[row.position] = _statement(row, register, origin)
            one = (row.value["emitter"], row.value["event_id"])
            if one in said:
                raise Failure(8, "bad_evidence", f"row {row.position}: recorded once before")
            said.add(one)
    return found


def _statement(row: Row, register: Register, origin: str) -> Statement:
    value, where = row.value, f"row {row.position}"
    try:
        header = decode("nrm.wire.Header", value["header"])
        head = decode("nrm.wire.BatchHead", value["head"])
    except Undecodable:
        raise Failure(8, "bad_evidence", f"{where}: header or head do not decode") from None
    told = (
        header["event_id"],
        header["event_type"],
        header["schema"],
        header["occurred_at"],
        header["agency"],
        head["agency"],
        head["audience"],
        sha256(value["header"]).digest(),
    )
    kept = (
        value["event_id"],
        value["event_type"],
        value["schema_id"],
        value["occurred_at"],
        value["emitter"],
        value["emitter"],
        origin,
        value["digest"],
    )
    if told != kept:
        raise Failure(8, "bad_evidence", f"{where} is not the event its agency signed")
    hash_ = tree.leaf(value["header"])
    if not tree.included(hash_, value["index"], head["size"], value["path"], head["root"]):
        raise Failure(8, "bad_evidence", f"{where}: the header is not in the signed batch")
    agency = register.agencies.get(value["emitter"])
    public = register.key(value["emitter"], head["key_id"], row.position)
    if agency is None or public is None:
        raise Failure(
            8, "unknown_key", f"{where}: no key {head['key_id'].hex()} of {value['emitter']} there"
        )
    if not signature.stands_typed(public, signature.BATCH, value["head"], value["signature"]):
        raise Failure(
            8, "bad_agency_signature", f"{where}: the signature of {value['emitter']} fails"
        )
    if agency.role != value["role"]:
        raise Failure(8, "bad_evidence", f"{where}: {value['emitter']} is no {value['role']}")
    return Statement(row, header)


@dataclass(frozen=True)
class Content:
    """One opened compartment, committed to by the agency's signature."""

    position: int
    name: str
    body: bytes

    @property
    def category(self) -> str:
        return self.name.partition("/")[0]


def committed(statements: Mapping[int, Statement]) -> None:
    """Step 9, without content."""
    for position, one in statements.items():
        value = one.row.value
        leaves = value["leaves"]
        whole = (
            _LEAST_LEAVES <= len(leaves) <= _MOST_LEAVES
            and len(leaves) & (len(leaves) - 1) == 0
            and all(a < b for a, b in pairwise(leaves))
        )
        if not whole or tree.root([tree.leaf(x) for x in leaves]) != one.header["disclosure_root"]:
            raise Failure(9, "bad_commitment", f"row {position}: not the commitments signed")
        names = [part["name"] for part in value["compartments"]]
        indexes = {part["index"] for part in value["compartments"]}
        categories = sorted({name.partition("/")[0] for name in names} - {"routing"})
        if (
            len(set(names)) != len(names)
            or len(indexes) != len(names)
            or not all(0 <= index < len(leaves) for index in indexes)
            or categories != list(value["categories"])
        ):
            raise Failure(9, "bad_commitment", f"row {position}: its parts are not those signed")


def disclosed(
    members: Mapping[str, memoryview],
    manifest: Manifest,
    statements: Mapping[int, Statement],
    rows: Sequence[Row],
) -> list[Content]:
    """Step 9, content: the compartments committed to, and no more than the holder holds."""
    if manifest.content and manifest.holder is None:
        raise Failure(9, "not_held", "a bundle without a holder has no content")
    found = []
    held = _held(rows, statements, manifest.holder) if manifest.holder else set()
    for position, index in manifest.content:
        one = statements.get(position)
        data = bytes(members[f"content/{place(position)}/{index:05d}"])
        leaves = one.row.value["leaves"] if one is not None else []
        if one is None or index >= len(leaves) or sha256(data).digest() != leaves[index]:
            raise Failure(9, "not_disclosed", f"content of row {position} is not the one signed")
        content = _content(position, data)
        kept = {part["index"]: part["name"] for part in one.row.value["compartments"]}
        if kept.get(index) != content.name:
            raise Failure(9, "not_disclosed", f"content of row {position} has another name")
        party = content.name.partition("/")[2]
        if (position, content.category) not in held or party not in ("", manifest.holder):
            raise Failure(
                9,
                "not_held",
                f"row {position}: {content.category} was not sent to {manifest.holder}, "
                "or was taken back",
            )
        found.append(content)
    return found


def _content(position: int, data: bytes) -> Content:
    length = data[_SALT] if len(data) > _SALT else 0
    name, body = data[_SALT + 1 : _SALT + 1 + length], data[_SALT + 1 + length :]
    try:
        if not length or len(name) != length:
            raise ValueError
        return Content(position, name.decode(), body)
    except ValueError:
        raise Failure(9, "not_disclosed", f"content of row {position} has no name") from None


def _held(
    rows: Sequence[Row], statements: Mapping[int, Statement], holder: str
) -> set[tuple[int, str]]:
    """(position of the event, category) that the deliveries here leave with the holder."""
    positions = {one.event_id: position for position, one in statements.items()}
    held: set[tuple[int, str]] = set()
    for row in rows:
        if row.topic != SENDING or row.value["agency"] != holder:
            continue
        try:
            items = row.json("items")
            if row.value["kind"] == "release":
                held |= {(row.value["event_position"], category) for category in items["bases"]}
            else:
                held -= {
                    (positions.get(event, 0), category)
                    for event, categories in items["items"]
                    for category in categories
                }
        except (Undecodable, KeyError, TypeError, ValueError):
            raise Failure(6, "bad_row", f"row {row.position} is no delivery") from None
    return held
