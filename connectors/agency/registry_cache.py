"""The registry as last published by the hub: whose key is whose.

Kept as the signed bytes in the identity's directory, so that evidence can be checked while the
hub is away. Promises: only what a known hub key has signed is taken over; an older registry never
replaces a newer one; a hub key may introduce its successor, nobody else can.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.agency.enrolment import HubKey
from connectors.agency.identity import AgencyIdentity, write_whole
from connectors.errors import UntrustedError
from hub.crypto import signing
from schemas import wire
from schemas.avro import AvroError

FILE = "registry.avro"


@dataclass(frozen=True)
class RegisteredAgency:
    """An agency as published, with its signing keys by id."""

    agency: str
    name: str
    role: str
    keys: dict[bytes, HubKey]


class RegistryCache:
    """Signing keys of agencies and hub, by key id."""

    def __init__(self, identity: AgencyIdentity) -> None:
        self._identity = identity
        self._path: Path = identity.home / FILE
        self._hub_keys: dict[bytes, HubKey] = dict(identity.hub.keys)
        self._agencies: dict[str, RegisteredAgency] = {}
        self.position = -1
        if self._path.exists():
            try:
                self._take(self._verified(self._path.read_bytes()))
            except UntrustedError as wrong:
                raise UntrustedError(
                    f"{self._path}: {wrong}. If that file was damaged, remove it: the hub is asked "
                    "for it again"
                ) from None

    def update(self, signed: bytes) -> bool:
        """Take over a SignedRegistry; False if it is not newer. UntrustedError if not the hub's."""
        registry = self._verified(signed)
        if registry["position"] <= self.position:
            return False
        write_whole(self._path, signed, mode=0o644)
        self._take(registry)
        return True

    def hub_key(self, key_id: bytes) -> HubKey | None:
        return self._hub_keys.get(key_id)

    def agency(self, agency: str) -> RegisteredAgency | None:
        return self._agencies.get(agency)

    def signing_key(self, agency: str, key_id: bytes) -> HubKey | None:
        """The key, if it is or was that agency's."""
        known = self._agencies.get(agency)
        return known.keys.get(key_id) if known else None

    def _verified(self, signed: bytes) -> dict[str, Any]:
        try:
            envelope = wire.SIGNED_REGISTRY.unsingle(signed)
            key = self._hub_keys.get(envelope["key_id"])
            if key is None:
                raise UntrustedError(
                    "the registry is signed with a hub key this identity does not know: "
                    "install a new approval from the hub"
                )
            signing.verify(
                key.public, signing.REGISTRY, envelope["registry"], envelope["signature"]
            )
            registry: dict[str, Any] = wire.REGISTRY.unsingle(envelope["registry"])
        except (AvroError, signing.SignatureError) as wrong:
            raise UntrustedError(f"the registry does not verify: {wrong}") from None
        if registry["hub"] != self._identity.hub.hub:
            raise UntrustedError("the registry is of another hub than the one pinned")
        return registry

    def _take(self, registry: dict[str, Any]) -> None:
        self.position = registry["position"]
        self._hub_keys = {**self._identity.hub.keys, **_keys(registry["hub_keys"])}
        self._agencies = {
            entry["agency"]: RegisteredAgency(
                entry["agency"], entry["name"], entry["role"], _keys(entry["keys"])
            )
            for entry in registry["agencies"]
        }


def _keys(entries: list[dict[str, Any]]) -> dict[bytes, HubKey]:
    """By key id; an entry whose id is not that of its key is left out."""
    return {
        entry["key_id"]: HubKey(
            entry["key_id"], entry["public"], entry["valid_from"], entry["valid_to"]
        )
        for entry in entries
        if signing.key_id(entry["public"]) == entry["key_id"]
    }
