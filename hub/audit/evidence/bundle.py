"""Bundle: rows, paths, schemas and what a holder holds, put together and signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.audit.evidence.asked import Asked, Question, question
from hub.audit.evidence.file import written
from hub.audit.evidence.gathered import Gathered, Tell, gather, held_by, silent
from hub.audit.evidence.opened import may_hold, opened
from hub.crypto.signing import SigningKey
from hub.errors import Inconsistent, Refused
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.mapper import leaf_preimage, row_schema
from hub.tlog.checkpoint import CheckpointError, open_checkpoint
from hub.tlog.cosigning import cosigned_by
from hub.tlog.note import NoteError, VerifierKey
from hub.tlog.tiles import TileReader
from schemas.registry import Schemas, canonical_text


@dataclass(frozen=True)
class Signing:
    """Whose bundle it is: the log's origin and key, the hub's own signing key, its witnesses."""

    origin: str
    log_key: VerifierKey
    key: SigningKey
    witnesses: tuple[VerifierKey, ...] = ()


@dataclass(frozen=True)
class Made:
    """A bundle. left_out: events a holder was sent whose rows would tell it more."""

    content: bytes
    rows: int
    opened: int
    left_out: int
    as_of: int
    tree_size: int
    cosigned: tuple[VerifierKey, ...] = ()  # the hub's witnesses that cosigned the checkpoint


def bundle(exchange: Exchange, asked: Asked, by: Signing, tell: Tell = silent) -> Made:
    """The file for one question. Raises Refused with what to do instead."""
    if asked.holder is not None:
        may_hold(exchange, asked.holder)
    about = question(exchange, asked, by.witnesses)
    gathered = gather(exchange, by.origin, about, tell)
    content = _content(exchange, gathered, asked.holder) if asked.holder else {}
    members = members_of(exchange, gathered, about, by, asked.earlier) | content
    claims = {
        **claimed(gathered, about, by.origin, content),
        "holder": asked.holder,
        "kind": "bundle",
        "scope": about.scope(),
    }
    return Made(
        written(members, claims, by.key),
        len(gathered.rows),
        len(content),
        gathered.left_out,
        about.end,
        about.size,
        tuple(cosigned_by(about.note.decode(), by.witnesses)),
    )


def claimed(
    gathered: Gathered, about: Question, origin: str, content: Mapping[str, bytes]
) -> dict[str, Any]:
    """What every manifest says of its rows."""
    return {
        "as_of": about.end,
        "claims": {
            "content": [
                [int(position), int(index)]
                for _, position, index in (name.split("/") for name in sorted(content))
            ],
            "decisions": [one.position for one in gathered.of(stored.Settled)],
            "deliveries": [one.position for one in gathered.of(stored.Sending)],
            "receipts": [one.position for one in gathered.of(stored.Received)],
        },
        "origin": origin,
        "rows": [[position, one.why] for position, one in sorted(gathered.rows.items())],
        "tree_size": about.size,
    }


def members_of(
    exchange: Exchange, gathered: Gathered, about: Question, by: Signing, earlier: bytes | None
) -> dict[str, bytes]:
    first = gathered.rows[1].event
    if not isinstance(first, stored.HubInitialised) or first.public != by.key.public:
        raise Refused(
            0,
            "other_signing_key",
            "keys/signing.key is not the key in the log's first row: restore it from your backup",
        )
    positions = sorted(gathered.rows)
    tiles = TileReader(exchange.log.read_tile, _covered(exchange))
    paths = bytearray()
    for position in positions:
        path = tiles.inclusion_path(position - 1, about.size)
        paths += bytes([len(path)]) + b"".join(path)
    members = {
        "log/checkpoint": about.note,
        "log/paths": bytes(paths),
        "log/vkey": f"{by.log_key}\n".encode(),
    }
    if by.witnesses:
        members["log/witnesses"] = "".join(f"{one}\n" for one in by.witnesses).encode()
    if earlier is not None:
        members |= _since(earlier, about, by, tiles)
    kinds: set[tuple[str, bytes]] = set()
    for position in positions:
        row = gathered.rows[position].row
        members[f"rows/{position:012d}"] = leaf_preimage(row)
        if (row.topic, row.state[:10]) not in kinds:
            kinds.add((row.topic, row.state[:10]))
            fingerprint, text = row_schema(row)
            members[f"schemas/store/{fingerprint}"] = text.encode()
    for schema_id, canonical in _event_schemas(gathered).items():
        members[f"schemas/event/{schema_id}"] = canonical
    return members


def _covered(exchange: Exchange) -> int:
    latest = exchange.log.latest_checkpoint()
    assert latest is not None  # the question has found one
    return latest[0]


def _since(earlier: bytes, about: Question, by: Signing, tiles: TileReader) -> dict[str, bytes]:
    """That history since a checkpoint somebody kept was not rewritten."""
    try:
        kept = open_checkpoint(earlier, origin=by.origin, log_keys=[by.log_key]).checkpoint
    except (CheckpointError, NoteError):
        raise Refused(
            0, "bad_checkpoint", "--earlier is no checkpoint signed by this hub's log key"
        ) from None
    if not 0 < kept.size <= about.size:
        raise Refused(
            0,
            "bad_checkpoint",
            f"--earlier is of {kept.size} entries, later than what is asked for",
        )
    if tiles.root(kept.size) != kept.root:
        raise Inconsistent("the checkpoint given is of another history than this log has")
    proof = tiles.consistency_proof(kept.size, about.size)
    return {"log/earlier": earlier, "log/consistency": b"".join(proof)}


def _event_schemas(gathered: Gathered) -> dict[str, bytes]:
    """The schemas events were signed under, and the present one of each type."""
    schemas = Schemas.load()
    found = {}
    for one in gathered.of(stored.EventAccepted):
        assert isinstance(one.event, stored.EventAccepted)
        for schema in (schemas.by_id(one.event.schema_id), schemas.by_type(one.event.event_type)):
            assert schema is not None  # it was there when the event was admitted
            found[schema.schema_id.hex()] = canonical_text(schema.document)
    return found


def _content(exchange: Exchange, gathered: Gathered, holder: str) -> dict[str, bytes]:
    held = held_by(exchange, holder, gathered.of(stored.Sending))
    return {
        f"content/{one.position:012d}/{index:05d}": part
        for one in gathered.of(stored.EventAccepted)
        if isinstance(one.event, stored.EventAccepted)
        for index, part in opened(exchange, one.event, held.get(one.position, frozenset()), holder)
    }
