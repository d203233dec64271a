"""Bundles of a road's hub, and nrm-verify on them in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hub.audit.evidence import Asked, absence, bundle
from hub.audit.evidence.bundle import Signing
from hub.audit.evidence.file import written
from hub.crypto.signing import SigningKey
from hub.hub import Hub
from hub.store.mapper import StoreMapper, leaf_preimage
from hub.tlog import merkle
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.note import NoteSigner
from nrm_verify import container
from nrm_verify.cli import main
from nrm_verify.failure import Failure
from nrm_verify.log import Key, Trust
from nrm_verify.verify import Report, verify


def by(hub: Hub) -> Signing:
    return Signing(hub.settings.hub_id, hub.checkpoints.verifier, hub.keys.signing)


def made(hub: Hub, **asked: Any) -> bytes:
    """A bundle, everything recorded so far under a checkpoint."""
    hub.checkpoints.step(now=True)
    return bundle(hub.exchange, Asked(**asked), by(hub)).content


def made_absence(hub: Hub, **asked: Any) -> bytes:
    hub.checkpoints.step(now=True)
    return absence(hub.exchange, Asked(**asked), by(hub)).content


def checked(data: bytes, hub: Hub | None = None, **trust: Any) -> Report:
    """The report, or Failure. With a hub, its log key is given from outside."""
    if hub is not None:
        trust["log_key"] = Key.parse(str(hub.checkpoints.verifier))
    return verify(data, Trust(**trust))


def failing(data: bytes, **trust: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        verify(data, Trust(**trust))
    return caught.value


def members(data: bytes) -> dict[str, bytes]:
    return {name: bytes(part) for name, part in container.read(data).items()}


def program(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code of nrm-verify, and all it printed."""
    code = main([str(one) for one in arguments])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def resigned(data: bytes, changes: Mapping[str, bytes | None], key: SigningKey) -> bytes:
    """The bundle with members changed (None: removed), manifest and signature made to fit.

    What an attacker can do who holds this key: if it is the hub's own, only the log is left to
    tell.
    """
    parts = members(data)
    manifest = json.loads(parts.pop("manifest.json"))
    del parts["manifest.sig"]
    for name, content in changes.items():
        if content is None:
            parts.pop(name)
        else:
            parts[name] = content
    del manifest["members"], manifest["format"]
    return written(parts, manifest, key)


def rewritten(hub: Hub, position: int, /, **fields: Any) -> bytes:
    """A row of the log saying something else, as the hub would have recorded that."""
    [row] = hub.exchange.log.rows(position - 1, 1)
    event = replace(hub.exchange.log.decoded(row), **fields)
    return leaf_preimage(StoreMapper().to_stored_event(event))


def lied(hub: Hub, data: bytes, rows: Mapping[int, bytes]) -> bytes:
    """The bundle of a hub that recorded these rows instead: tree, checkpoint and manifest fit.

    Everything a hub can sign is signed; what agencies and partners signed it cannot mend.
    """
    manifest = json.loads(members(data)["manifest.json"])
    size = manifest["tree_size"]
    entries = dict(hub.exchange.log.leaves(1, size))
    for position, row in rows.items():
        entries[position] = b"\x01" + sha256(row).digest()
    tree = merkle.Tree([merkle.leaf_hash(entries[number]) for number in range(1, size + 1)])
    paths = b""
    for position, _ in manifest["rows"]:
        path = tree.path(position - 1)
        paths += bytes([len(path)]) + b"".join(path)
    changes: dict[str, bytes | None] = {
        f"rows/{position:012d}": row for position, row in rows.items()
    }
    changes["log/paths"] = paths
    changes["log/checkpoint"] = head(hub, size, tree.root)
    return resigned(data, changes, hub.keys.signing)


def head(hub: Hub, size: int, root: bytes) -> bytes:
    """A checkpoint signed by the hub's log key."""
    origin = hub.settings.hub_id
    return Checkpoint(origin, size, root).sign([NoteSigner(origin, hub.keys.log)])


def claiming(data: bytes, key: SigningKey, **claims: Any) -> bytes:
    """The bundle with another manifest over the same members, signed."""
    parts = members(data)
    manifest = json.loads(parts.pop("manifest.json"))
    del parts["manifest.sig"], manifest["members"], manifest["format"]
    return written(parts, {**manifest, **claims}, key)
