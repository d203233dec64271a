"""Everything that comes out of a hub to one caller, opened with every key the caller holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx2

from connectors.agency.http import HUB_MESSAGES, split_messages
from connectors.agency.http_auth import sign_request
from connectors.agency.identity import AgencyIdentity
from hub.crypto.compartment import ATTESTED_ID, CompartmentError, open_compartment
from hub.crypto.sealing import SealError
from schemas import wire
from schemas.avro import AvroError
from schemas.codelists import alternatives, load
from schemas.registry import EventSchema, Field


@dataclass
class Caller:
    """One agency, what it has collected, and what it can read of it."""

    identity: AgencyIdentity
    role: str
    client: httpx2.Client
    read: list[bytes] = field(default_factory=list)
    opened: int = 0
    statuses: list[int] = field(default_factory=list)

    @property
    def agency(self) -> str:
        return self.identity.agency

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        media: str = "application/vnd.nrm.message.v1",
    ) -> httpx2.Response:
        """One request, signed unless other headers are given; whatever comes is collected."""
        signed = sign_request(self.identity, method, path, body) if headers is None else headers
        answer = self.client.request(
            method, path, content=body or None, headers={"content-type": media, **signed}
        )
        self.statuses.append(answer.status_code)
        self.collect(repr(sorted(answer.headers.items())).encode())
        if answer.headers.get("content-type") == HUB_MESSAGES:
            for message in split_messages(answer.content):
                self.collect(message)
        else:
            self.collect(answer.content)
        return answer

    def collect(self, raw: bytes) -> None:
        """Keep the bytes, and everything in them that one of our keys opens."""
        self.read.append(raw)
        self.read += self._opened(raw)

    def unsealed(self, raw: bytes) -> bytes:
        """What is in a message of deliveries; empty if it is none, or none of our keys opens it."""
        try:
            sealed = wire.SEALED_DELIVERIES.unsingle(raw)
        except AvroError:
            return b""
        info = (
            f"nrm.deliveries.v1\n{sealed['hub']}\n{sealed['recipient']}"
            f"\n{sealed['first_sequence']}\n{sealed['last_sequence']}"
        ).encode()
        for key in self.identity.sealing_keys.values():
            with suppress(SealError):
                return key.open(sealed["box"], info)
        return b""

    def _opened(self, raw: bytes) -> Iterator[bytes]:
        plain = self.unsealed(raw)
        if not plain:
            return
        self.opened += 1
        yield plain
        for delivery in wire.DELIVERY_BATCH.unsingle(plain)["deliveries"]:
            yield from _compartments(wire.DELIVERY.unsingle(delivery))

    def finds(self, words: Iterable[str]) -> set[str]:
        everything = b"\0".join(self.read)
        return {word for word in words if word.encode() in everything}


def _compartments(delivery: dict[str, Any]) -> Iterator[bytes]:
    for raw in delivery["compartments"]:
        one = wire.DELIVERED_COMPARTMENT.unsingle(raw)
        ids = [ATTESTED_ID]
        with suppress(ValueError):
            ids.append(UUID(delivery["event_ref"]).bytes)
        for event_id in ids:
            try:
                _, body = open_compartment(
                    one["key"],
                    one["ciphertext"],
                    event_id=event_id,
                    name=one["name"],
                    schema_id=delivery["schema"],
                )
            except CompartmentError:
                continue
            yield body


def plausible(schema: EventSchema, now: datetime, known: dict[str, str]) -> dict[str, Any]:
    """Data an event of this type could have: every field, as far as it can be told from schema.

    known: values of fields by name, for whoever wants to hit something.
    """
    return {
        one.name: known.get(one.name, _value(one, now, known))
        for one in schema.fields
        if one.required or one.name in known
    }


def _value(one: Field, now: datetime, known: dict[str, str]) -> Any:
    kind = one.avro
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    return _of(kind, one, now, known)


def _of(kind: Any, one: Field, now: datetime, known: dict[str, str]) -> Any:
    if kind == "string":
        if one.form == "json":
            return {}
        if one.codelist:
            return next(iter(load(alternatives(one.codelist)[0]).labels), "x")
        return known.get(f"ref:{one.ref}", "break_glass")
    if kind == "boolean":
        return True
    if kind == "long":
        return 1
    if kind["type"] == "enum":
        return kind["symbols"][0]
    if kind["type"] == "array":
        return [_of(kind["items"], one, now, known)]
    if kind["type"] == "map":
        return {known["ref:agency"]: ["identity", "health", "location_safe"]}
    if kind["type"] == "record":
        return {"amount": "1.00", "currency": "EUR"}
    return "2027-01-01" if kind.get("logicalType") == "date" else now.isoformat()
