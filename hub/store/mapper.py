"""Events to rows and back: a fixed topic table, Avro single-object state, nothing imported by name.

The library's mapper imports whatever module a stored topic names and writes JSON. Here a topic is
looked up in a table built from `events.EVENTS`; a row with any other topic is an error, never an
import. State is Avro single-object encoding, so each row names the schema it was written with:
a schema may change once its former text is kept in `schemas/store/former/` under any name. Rows
are never rewritten.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, cast
from uuid import UUID

import fastavro
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from hub.store.errors import StoreCorrupt
from hub.store.events import EVENTS, StoreEvent
from hub.store.writing import writer
from schemas.avro import Codec

_CLASSES: Final[Mapping[str, type[StoreEvent]]] = {one.TOPIC: one for one in EVENTS}
PREFIX = 10  # magic and 8-byte fingerprint before the body
MAX_STATE = 1 << 26  # 64 MiB: a settlement for every agency of a country fits many times over


def leaf_entry(stored: StoredEvent) -> bytes:
    """The log entry a row is committed to by: version byte, then a hash of the whole row.

    u8 1 ‖ SHA-256(originator_id 16 ‖ version u32be ‖ u8 len ‖ topic ‖ state)
    """
    return b"\x01" + hashlib.sha256(leaf_preimage(stored)).digest()


def leaf_preimage(stored: StoredEvent) -> bytes:
    """The whole row as its leaf commits to it; evidence bundles hold these bytes."""
    topic = stored.topic.encode("ascii")
    stream = cast(UUID, stored.originator_id)
    return b"".join(
        (
            stream.bytes,
            stored.originator_version.to_bytes(4, "big"),
            bytes((len(topic),)),
            topic,
            stored.state,
        )
    )


def row_schema(stored: StoredEvent) -> tuple[str, str]:
    """Fingerprint (hexadecimal) and text of the Avro schema a row was written with."""
    current, former = _texts()
    prefix = stored.state[:PREFIX]
    for text in (current[stored.topic], *former.get(stored.topic, ())):
        if _prefix(text) == prefix:
            return prefix[2:].hex(), text
    raise StoreCorrupt(f"no schema is known for a row of {stored.topic}")


class _Form:
    """How one event class is written, and how all its former writings are read. Pure."""

    def __init__(self, event_class: type[StoreEvent], current: str, former: Iterable[str]) -> None:
        self.event_class = event_class
        self.codec = Codec(current, max_bytes=MAX_STATE)
        self.former = {_prefix(text): _parsed(text) for text in former}
        self.state = writer(json.loads(current), self.codec.prefix)
        self._current = _parsed(current)

    def record(self, state: bytes) -> dict[str, Any]:
        """Our own writing, so it is not encoded again to compare; its leaf vouches for it."""
        prefix = state[:PREFIX]
        if prefix == self.codec.prefix:
            return cast(dict[str, Any], self.codec.decode(state[PREFIX:], trusted=True))
        body = io.BytesIO(state[PREFIX:])
        value = fastavro.schemaless_reader(body, self.former[prefix], self._current)
        if body.tell() != len(state) - PREFIX:
            raise ValueError("bytes left over")
        return cast(dict[str, Any], value)


@cache
def _form(topic: str, current: str, former: tuple[str, ...]) -> _Form:
    """Made once of the same texts: a process may open many logs."""
    return _Form(_CLASSES[topic], current, former)


@cache
def _prefix(text: str) -> bytes:
    return Codec(text).prefix


def _parsed(text: str) -> Any:
    return fastavro.parse_schema(json.loads(text))


@cache
def _texts() -> tuple[dict[str, str], dict[str, list[str]]]:
    """Current schema text by topic, and former ones by topic."""
    folder = resources.files("schemas") / "store"
    current = {
        file.name.removesuffix(".avsc"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".avsc")
    }
    former: dict[str, list[str]] = {}
    attic = folder / "former"
    for file in sorted(attic.iterdir(), key=lambda f: f.name) if attic.is_dir() else ():
        if file.name.endswith(".avsc"):
            text = file.read_text("utf-8")
            schema = json.loads(text)
            former.setdefault(f"{schema['namespace']}.{schema['name']}", []).append(text)
    return current, former


class _NoTranscoder(Transcoder):
    """The base class asks for one; nothing here goes through it."""

    def encode(self, obj: Any) -> bytes:  # noqa: ARG002
        raise TypeError("events are written as Avro")

    def decode(self, data: bytes) -> Any:  # noqa: ARG002
        raise TypeError("events are read as Avro")


class StoreMapper(Mapper[UUID]):
    """The log's mapper. Pure; safe to share between threads."""

    def __init__(self, former: Mapping[str, Iterable[str]] | None = None) -> None:
        """former: further former schema texts by topic, beside those shipped."""
        super().__init__(_NoTranscoder())
        texts, shipped = _texts()
        self._forms = {
            topic: _form(
                topic,
                texts[topic],
                (*shipped.get(topic, ()), *(former or {}).get(topic, ())),
            )
            for topic in _CLASSES
        }

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        event = cast(StoreEvent, domain_event)
        return StoredEvent(
            event.originator_id,
            event.originator_version,
            event.TOPIC,
            self._forms[event.TOPIC].state(event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        return self.event(stored_event)

    def event(self, stored: StoredEvent) -> StoreEvent:
        """The event in this row. `StoreCorrupt` names the row if it cannot be read."""
        try:
            form = self._forms[stored.topic]
            record = form.record(stored.state)
            return form.event_class.restore(
                cast(UUID, stored.originator_id), stored.originator_version, record
            )
        except Exception as error:
            raise StoreCorrupt(
                f"row {stored.originator_id} version {stored.originator_version} cannot be read"
                f" as {stored.topic!r}: {type(error).__name__}"
            ) from error
