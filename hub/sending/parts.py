"""Parts: what may be handed out of one recorded event, encoded once for all its recipients.

A part is a compartment as it was sealed at admission, with its key and its place under the signed
root: chosen, never re-encoded. A hub-attested recipient gets the same content sealed afresh, so
that nothing (ciphertext, event id, signature) can be matched with what another was given.
"""

from __future__ import annotations

import secrets as randomness
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from hub.crypto import compartment
from hub.recording.accepted import key_context
from hub.store import events as stored
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
from hub.tlog import merkle
from schemas import wire
from schemas.registry import Schemas

KEPT = 4_000  # events whose parts are kept in memory

Told = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]  # compartments; categories with bases


class Parts:
    """The parts of one event. `secret` is None once the person was erased: nothing opens."""

    __slots__ = ("_about", "_disclosed", "_told", "_tree", "event", "secret")

    def __init__(self, event: stored.EventAccepted, secret: bytes | None) -> None:
        self.event = event
        self.secret = secret
        self._tree: merkle.Tree | None = None
        self._about: bytes | None = None
        self._disclosed: dict[str, bytes] = {}
        self._told: dict[Told, bytes] = {}

    @property
    def event_id(self) -> str:
        return str(UUID(bytes=self.event.event_id))

    def about(self, change: int) -> bytes:
        """The middle of a Delivery: what was stated, as the agency signed it, for all alike.

        change: of the register, the last one before the event was recorded.
        """
        if self._about is None:
            event = self.event
            evidence = {
                "header": event.header,
                "head": event.head,
                "signature": event.signature,
                "index": event.index,
                "path": b"".join(event.path),
            }
            self._about = wire.DELIVERY_ABOUT.encode(
                {
                    "recorded": change,
                    "event_ref": self.event_id,
                    "event_type": event.event_type,
                    "schema": event.schema_id,
                    "agency": event.emitter,
                    "occurred_at": event.occurred_at,
                    "evidence": wire.AGENCY_EVIDENCE.single(evidence),
                }
            )
        return self._about

    def about_attested(self, event_ref: str) -> bytes:
        """The same on the hub's word: nobody's signature, the day and not the hour."""
        event = self.event
        return wire.DELIVERY_ABOUT.encode(
            {
                "recorded": 0,
                "event_ref": event_ref,
                "event_type": event.event_type,
                "schema": event.schema_id,
                "agency": None,
                "occurred_at": event.occurred_at.replace(hour=0, minute=0, second=0, microsecond=0),
                "evidence": None,
            }
        )

    def told(self, bases: Mapping[str, str], agency: str) -> bytes:
        """The end of a Delivery: these categories as they were sealed at admission, on these bases.

        Encoded once for all recipients that are told the same on the same bases: what is kept is
        found by everything it is made of, and decides nothing.
        """
        assert self.secret is not None
        sealed = [one for one in self.event.compartments if released(one.name, bases, agency)]
        key = (tuple(one.name for one in sealed), tuple(sorted(bases.items())))
        encoded = self._told.get(key)
        if encoded is None:
            encoded = self._told[key] = what(map(self.disclose, sealed), bases)
        return encoded

    def disclose(self, sealed: stored.SealedCompartment) -> bytes:
        """DeliveredCompartment: the stored ciphertext, its key, its path to the signed root."""
        encoded = self._disclosed.get(sealed.name)
        if encoded is None:
            if self._tree is None:
                leaves = [merkle.leaf_hash(leaf) for leaf in self.event.leaves]
                self._tree = merkle.Tree(leaves)
            encoded = self._disclosed[sealed.name] = wire.DELIVERED_COMPARTMENT.single(
                {
                    "name": sealed.name,
                    "ciphertext": sealed.ciphertext,
                    "key": self._key(sealed.name),
                    "index": sealed.index,
                    "path": b"".join(self._tree.path(sealed.index)),
                },
            )
        return encoded

    def attest(self, sealed: stored.SealedCompartment, rename: Callable[[str], str]) -> bytes:
        """DeliveredCompartment: the same content under a fresh key, on the hub's word.

        rename: a reference as stated → what the recipient calls that event. References to other
        events are renamed in the content too: the agency's ids would let two recipients compare.
        """
        event = self.event
        body = self.body(sealed, rename)
        key = randomness.token_bytes(32)
        ciphertext = compartment.seal_compartment(
            key,
            event_id=compartment.ATTESTED_ID,
            name=sealed.name,
            schema_id=event.schema_id,
            salt=randomness.token_bytes(16),
            body=body,
        )
        return wire.DELIVERED_COMPARTMENT.single(
            {"name": sealed.name, "ciphertext": ciphertext, "key": key, "index": -1, "path": b""}
        )

    def body(
        self, sealed: stored.SealedCompartment, rename: Callable[[str], str] | None = None
    ) -> bytes:
        """The compartment opened, for a recipient it was released to; references renamed if its
        deliveries are on the hub's word."""
        event = self.event
        _, body = compartment.open_compartment(
            self._key(sealed.name),
            sealed.ciphertext,
            event_id=event.event_id,
            name=sealed.name,
            schema_id=event.schema_id,
        )
        return body if rename is None else _renamed(event.schema_id, sealed.name, body, rename)

    def _key(self, name: str) -> bytes:
        assert self.secret is not None
        return compartment.compartment_key(self.secret, key_context(self.event.digest), name)


class PartsCache:
    """Parts of events lately recorded or sent. Any thread."""

    def __init__(self, log: HubLog, keys: KeyStore) -> None:
        self._log = log
        self._keys = keys
        self._kept: OrderedDict[int, Parts] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, position: int) -> Parts:
        """The parts of the event recorded at this position."""
        parts = self._kept.get(position)
        if parts is None:
            recorded = self._log.read(position - 1, 1)[0].event
            assert isinstance(recorded, stored.EventAccepted)
            return self.remember(position, recorded)
        return parts

    def remember(
        self, position: int, event: stored.EventAccepted, secret: bytes | None = None
    ) -> Parts:
        """Keep an event's parts; the secret is looked up unless it is at hand."""
        if secret is None:
            secret_id = UUID(bytes=event.secret_id)
            secret = self._keys.secrets({secret_id}).get(secret_id)
        parts = Parts(event, secret)
        with self._lock:
            self._kept[position] = parts
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return parts

    def forget(self) -> None:
        """A person was erased: no secret of theirs stays behind in memory."""
        with self._lock:
            self._kept.clear()


def _renamed(schema_id: bytes, name: str, body: bytes, rename: Callable[[str], str]) -> bytes:
    schema = Schemas.load().by_id(schema_id)
    if schema is None:
        return body
    references = [field.name for field in schema.fields if field.ref == "event"]
    if not references:
        return body
    codec = schema.compartments(name)
    record = codec.decode(body, trusted=True)
    for reference in references:
        value = record.get(reference)
        if isinstance(value, str):
            record[reference] = rename(value)
        elif isinstance(value, list):
            record[reference] = [rename(one) for one in value]
    return codec.encode(record)


def what(compartments: Iterable[bytes], bases: Mapping[str, str]) -> bytes:
    """The end of a Delivery that releases these DeliveredCompartments on these bases."""
    return wire.DELIVERY_WHAT.encode(
        {
            "compartments": list(compartments),
            "bases": [{"category": name, "basis": basis} for name, basis in sorted(bases.items())],
            "recall": None,
        }
    )


def released(name: str, bases: Mapping[str, str], agency: str) -> bool:
    """Whether a compartment goes out: its category is released, its party is the recipient."""
    category, _, party = name.partition("/")
    return category in bases and (not party or party == agency)
