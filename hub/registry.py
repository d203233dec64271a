"""The registry: who takes part, with signing keys by log position, signed for connectors.

Connectors check agency evidence against it offline. It is published to the registry topic when
anything in it changed, and served over HTTP as the same bytes.
"""

from __future__ import annotations

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.exchange import Exchange
from hub.topics.port import Message, Topics
from schemas import wire

FOLLOWER = "registry"


def signed_registry(exchange: Exchange, hub_id: str, key: SigningKey) -> bytes:
    """The SignedRegistry as of the exchange's position."""
    agencies = exchange.agencies
    body = wire.REGISTRY.single(
        {
            "hub": hub_id,
            "position": agencies.position,
            "hub_keys": [
                {"key_id": key.key_id, "public": key.public, "valid_from": 0, "valid_to": None}
            ],
            "agencies": [
                {
                    "agency": agency.agency,
                    "name": agency.name,
                    "role": agency.role,
                    "keys": [
                        {
                            "key_id": one.key_id,
                            "public": one.public,
                            "valid_from": one.valid_from,
                            "valid_to": one.valid_to,
                        }
                        for one in agency.keys.values()
                    ],
                }
                for agency in agencies
            ],
        }
    )
    return wire.SIGNED_REGISTRY.single(
        {
            "registry": body,
            "key_id": key.key_id,
            "signature": key.sign(signing.REGISTRY, body),
        }
    )


class RegistryPublisher:
    """Puts the registry on its topic whenever it changed."""

    def __init__(self, exchange: Exchange, topics: Topics, hub_id: str, key: SigningKey) -> None:
        self._exchange = exchange
        self._topics = topics
        self._hub_id = hub_id
        self._key = key
        self._published = -1

    def step(self) -> int:
        position = self._exchange.agencies.position
        if position == self._published:
            return 0
        names = self._exchange.pseudonyms
        self._topics.ensure(
            [
                names.topic(prefix, agency.agency)
                for agency in self._exchange.agencies
                for prefix in ("nrm.o", "nrm.d")
            ]
        )
        message = Message(signed_registry(self._exchange, self._hub_id, self._key))
        self._topics.append("nrm.registry", [message])
        self._topics.trim("nrm.registry", self._topics.end("nrm.registry") - 1)
        self._published = position
        return 1
