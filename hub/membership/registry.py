"""The registry: who takes part, with signing keys by change, signed for connectors.

Connectors check agency evidence against it offline. It counts its own changes and names no log
position, which would tell how much the hub recorded in between (`hub/membership/agencies.py`). It
is published to the registry topic when anything in it changed, and served over HTTP as the same
bytes.
"""

from __future__ import annotations

import time

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.exchange import Exchange
from hub.topics.port import Message, Topics, UnknownTopicError
from schemas import wire

TOPIC = "nrm.registry"
LOOK_EVERY = 5.0  # seconds between looks whether the topic was lost


def signed_registry(exchange: Exchange, hub_id: str, key: SigningKey) -> bytes:
    """The SignedRegistry as of the exchange's position."""
    agencies = exchange.agencies
    change_at = agencies.change_at
    body = wire.REGISTRY.single(
        {
            "hub": hub_id,
            "position": agencies.changes,
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
                            "valid_from": change_at(one.valid_from),
                            "valid_to": (None if one.valid_to is None else change_at(one.valid_to)),
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
        self._life = ""
        self._looked_at = 0.0

    def step(self) -> int:
        """Publish if anything changed, or if the topic was lost. 1 if it was published."""
        position = self._exchange.agencies.position
        if position == self._published and not self._lost():
            return 0
        names = self._exchange.pseudonyms
        self._topics.ensure(
            [
                names.topic(prefix, agency.agency)
                for agency in self._exchange.agencies
                for prefix in ("nrm.o", "nrm.d")
            ]
        )
        self._topics.ensure([TOPIC])
        life = self._topics.identity(TOPIC)
        message = Message(signed_registry(self._exchange, self._hub_id, self._key))
        self._topics.append(TOPIC, [message])
        self._topics.trim(TOPIC, self._topics.end(TOPIC) - 1)
        self._published, self._life = position, life
        return 1

    def _lost(self) -> bool:
        """Whether the topic is another one than was published to; looked now and then."""
        if time.monotonic() - self._looked_at < LOOK_EVERY:
            return False
        self._looked_at = time.monotonic()
        try:
            return self._topics.identity(TOPIC) != self._life
        except UnknownTopicError:
            return True
