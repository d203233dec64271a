"""Steps 5 and 6: every row stands in the log; what it says; and that the hub signed the manifest.

Rows are decoded with the schemas shipped here, found by fingerprint. CRC-64 binds nothing, so a
schema that came with the bundle is never used.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any, Final
from uuid import UUID, uuid5

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from nrm_verify import __version__, signature, tree
from nrm_verify.failure import Failure
from nrm_verify.log import Checkpoint
from nrm_verify.manifest import Manifest, place
from nrm_verify.strict_json import read_json

_MAGIC: Final = b"\xc3\x01"
_DEEPEST_PATH: Final = 63
_LARGEST_ROW: Final = 16 * 1024 * 1024
_LARGEST_EVENT: Final = 1024 * 1024
_MOST_PARTS, _MOST_LEAVES = 64, 256  # of one event, as admitted

STREAMS: Final = UUID("6f1a3f5e-2f0e-5d6c-9a31-6a5f5a1c0b7e")
HUB = "nrm.Hub.Initialised"
ACCEPTED, SETTLED = "nrm.Case.EventAccepted", "nrm.Case.Settled"
HELD_BACK, IN_FLIGHT = "nrm.Case.HeldBack", "nrm.Case.InFlight"
SENDING, RECEIVED = "nrm.DeliveryLog.Sending", "nrm.ReceiptLog.Received"
PUBLISHED = "nrm.PolicyProfile.Published"
REGISTER: Final = (
    "nrm.Agency.Enrolled",
    "nrm.Agency.KeyAdded",
    "nrm.Agency.KeyRevoked",
    "nrm.Agency.SealingKeyChanged",
    "nrm.Agreement.Signed",
    "nrm.Agreement.Ended",
)
WHY: Final[Mapping[str, tuple[str, ...]]] = {
    HUB: ("hub",),
    **dict.fromkeys(REGISTER, ("register",)),
    PUBLISHED: ("policy",),
    "nrm.PolicyProfile.Proposed": ("policy",),
    "nrm.PolicyProfile.Approved": ("policy",),
    ACCEPTED: ("case", "event"),
    SETTLED: ("case",),
    HELD_BACK: ("case",),
    IN_FLIGHT: ("case",),
    SENDING: ("delivery",),
    RECEIVED: ("receipt",),
}

_STREAM_OF: Final = {
    "hub": "hub",
    "policy": "policy",
    "register": "agency",
    "delivery": "deliveries",
    "receipt": "receipts",
}


class Undecodable(Exception):
    """Bytes are not what their schema says. newer: their schema is not known here."""

    def __init__(self, text: str, *, newer: bool = False) -> None:
        super().__init__(text)
        self.newer = newer


@dataclass(frozen=True)
class Row:
    """One row of the log, decoded."""

    position: int
    stream: bytes
    version: int
    topic: str
    why: str
    value: Mapping[str, Any]

    def json(self, name: str) -> Any:
        """A field that holds JSON. Undecodable if it does not."""
        try:
            return read_json(self.value[name])
        except ValueError:
            raise Undecodable(f"{name} is not JSON") from None


class Form:
    """One Avro schema in single-object encoding."""

    def __init__(self, text: str) -> None:
        schema = json.loads(text)
        self.name = f"{schema['namespace']}.{schema['name']}"
        self.prefix = _MAGIC + crc(schema)
        self._schema = fastavro.parse_schema(schema)

    def decode(self, data: bytes) -> dict[str, Any]:
        """The value, if this is its one proper encoding (docs/formats.md 1). Else Undecodable."""
        if data[: len(self.prefix)] != self.prefix:
            raise Undecodable("of another schema", newer=data[:2] == _MAGIC)
        body, again = io.BytesIO(data[len(self.prefix) :]), io.BytesIO()
        try:
            value = fastavro.schemaless_reader(body, self._schema, None)
            fastavro.schemaless_writer(again, self._schema, value)
        except Exception:  # whatever the library makes of bytes that nobody wrote
            raise Undecodable("it does not decode") from None
        if body.read(1):
            raise Undecodable("bytes are left over")
        if again.getvalue() != body.getvalue():
            raise Undecodable("it is not written as Avro has to be (formats.md 1)")
        assert isinstance(value, dict)
        return value


def crc(schema: Any) -> bytes:
    """CRC-64-AVRO of the Parsing Canonical Form, as it stands on the wire."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@cache
def forms() -> dict[str, list[Form]]:
    """Every schema shipped here, by the full name of its record."""
    found: dict[str, list[Form]] = {}
    for file in resources.files("nrm_verify").joinpath("schemas").iterdir():
        if file.name.endswith(".avsc"):
            form = Form(file.read_text("utf-8"))
            found.setdefault(form.name, []).append(form)
    return found


def decode(name: str, data: bytes) -> dict[str, Any]:
    """A message of this name in any version known here. Undecodable otherwise."""
    known = forms()[name]
    return next((one for one in known if data.startswith(one.prefix)), known[0]).decode(data)


def included(members: Mapping[str, memoryview], manifest: Manifest, head: Checkpoint) -> None:
    """Step 5."""
    paths = _paths(members["log/paths"], len(manifest.rows))
    for position, path in zip(manifest.rows, paths, strict=True):
        row = members[f"rows/{place(position)}"]
        hash_ = tree.leaf(b"\x01" + sha256(row).digest())
        if not tree.included(hash_, position - 1, head.size, path, head.root):
            raise Failure(5, "not_in_log", f"row {position} is not in the tree of {head.size}")


def _paths(data: memoryview, count: int) -> Iterator[list[bytes]]:
    at = 0
    for _ in range(count):
        length = data[at] if at < len(data) else _DEEPEST_PATH + 1
        end = at + 1 + length * tree.HASH
        path = tree.cut(data[at + 1 : end])
        if length > _DEEPEST_PATH or end > len(data) or path is None:
            raise Failure(5, "bad_paths", "log/paths does not fit the rows")
        yield path
        at = end
    if at != len(data):
        raise Failure(5, "bad_paths", "log/paths holds more than the rows' paths")


def read(members: Mapping[str, memoryview], manifest: Manifest) -> list[Row]:
    """Step 6: the rows in the order of the log."""
    rows = [
        _row(position, why, bytes(members[f"rows/{place(position)}"]))
        for position, why in manifest.rows.items()
    ]
    first = rows[0]
    if first.topic != HUB or first.version != 1 or sum(row.topic == HUB for row in rows) > 1:
        raise Failure(6, "bad_row", "row 1 does not say whose log it is")
    if first.value["hub"] != manifest.origin:
        raise Failure(6, "wrong_hub", "row 1 is of another hub than the manifest")
    for row in rows:
        if row.stream != (_stream(row, manifest.origin) or row.stream):
            raise Failure(6, "bad_row", f"row {row.position} is not in the stream it belongs to")
    public = bytes(first.value["public"])
    if not signature.stands_typed(public, signature.MANIFEST, manifest.raw, manifest.signature):
        raise Failure(6, "bad_hub_signature", "the manifest is not signed by the hub in row 1")
    _streams(rows)
    _schemas(members)
    return rows


def _row(position: int, why: str, data: bytes) -> Row:
    named = data[20] if len(data) > 20 else 0
    topic, state = data[21 : 21 + named], data[21 + named :]
    try:
        name = topic.decode("ascii")
    except UnicodeDecodeError:
        name = ""
    if not named or name not in WHY:
        raise Failure(6, "newer_version", f"row {position} is of a kind this program does not know")
    if len(data) > (_LARGEST_EVENT if name == ACCEPTED else _LARGEST_ROW):
        raise Failure(6, "bad_row", f"row {position} is larger than a hub would have taken")
    if why not in WHY[name]:
        raise Failure(6, "bad_row", f"row {position} is not there as {why}")
    try:
        value = decode(name, state)
    except Undecodable as wrong:
        if wrong.newer:
            text = f"row {position}: {name} of a newer schema than nrm-verify {__version__} knows"
            raise Failure(6, "newer_version", text + "; install a newer one") from None
        raise Failure(6, "bad_row", f"row {position}: {wrong}") from None
    if name == ACCEPTED and (
        len(value["compartments"]) > _MOST_PARTS or len(value["leaves"]) > _MOST_LEAVES
    ):
        raise Failure(6, "bad_row", f"row {position} has more parts than a hub would have taken")
    return Row(position, data[:16], int.from_bytes(data[16:20], "big"), name, why, value)


def _stream(row: Row, origin: str) -> bytes | None:
    """The one stream such a row can be in; None for rows of cases."""
    if row.why in ("case", "event"):
        return None
    whose = origin if row.why in ("hub", "policy") else row.value["agency"]
    return uuid5(STREAMS, f"{_STREAM_OF[row.why]}/{whose}").bytes


def _streams(rows: Sequence[Row]) -> None:
    """No version twice, none missing in between. Whole streams begin with 1."""
    last: dict[bytes, int] = {}
    for row in rows:
        if row.why in ("receipt", "delivery", "event"):
            if row.version <= last.get(row.stream, 0):
                raise Failure(6, "gap_in_stream", f"row {row.position}: a version comes twice")
        elif row.version != last.get(row.stream, 0) + 1:
            raise Failure(
                6,
                "gap_in_stream",
                f"row {row.position} is version {row.version} of its stream, "
                f"the one before is {last.get(row.stream, 0)}",
            )
        last[row.stream] = row.version


def _schemas(members: Mapping[str, memoryview]) -> None:
    """The store schemas in the file are for people, but they have to be what they are called."""
    for name in members:
        if name.startswith("schemas/store/"):
            try:
                right = crc(read_json(bytes(members[name]))).hex()
            except Exception:  # whatever the library makes of what is no schema
                right = ""
            if right != name.removeprefix("schemas/store/"):
                raise Failure(6, "bad_row", f"{name} is not the schema of that fingerprint")
