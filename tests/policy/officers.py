"""Two officers for tests: real keys, real statements, the one way a profile comes in force."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.authority.officers import OfficerKey, request
from hub.authority.publication import Publication
from hub.crypto.signing import SigningKey
from hub.exchange import Exchange
from hub.hub import Hub

HUB_ID = "nrm-hub"


def officer(name: str) -> OfficerKey:
    return OfficerKey(name, SigningKey.generate())


def publication(hub: Hub) -> Publication:
    return of_exchange(hub.exchange, hub.settings.hub_id)


def of_exchange(exchange: Exchange, hub_id: str = HUB_ID) -> Publication:
    return Publication(exchange, hub_id)


def founded(hub: Hub, *names: str) -> list[OfficerKey]:
    """Officers of a hub that has none yet."""
    keys = [officer(name) for name in names or ("justice-1", "justice-2")]
    publication(hub).found([request(key) for key in keys])
    return keys


def in_force(hub: Hub, document: Mapping[str, Any], reason: str = "order 12") -> int:
    """Found two officers and put a profile in force by them; returns its position."""
    first, second = founded(hub)
    votes = publication(hub)
    proposal = votes.propose(document, first, reason)
    return votes.approve(proposal.digest.hex(), second)


def changed(document: Mapping[str, Any], version: str, **cells: str) -> dict[str, Any]:
    """A profile with some cells of its matrix changed: police__identity="N"."""
    import copy

    other = copy.deepcopy(dict(document))
    other["version"] = version
    for name, mode in cells.items():
        role, _, category = name.partition("__")
        other["matrix"][role][category] = mode
    return other


def write(path: Path, document: object) -> Path:
    import json

    path.write_text(json.dumps(document), "utf-8")
    return path
