"""The calls: what an agency can ask over HTTP. Same bytes, same keys as over topics. What it is
sent is in `deliveries.py`.

A submission is answered 200 with signed outcomes whatever became of its events: a refusal is an
answer of the hub, and evidence. Even a message the hub cannot read gets a signed outcome (with no
event id and the digest of what arrived), so that a client has one way to learn the truth. Problems
(4xx, 5xx) speak of the request only: who sends it, how large, how often.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from connectors.agency.enrolment import fingerprint
from connectors.agency.http import HUB_MESSAGE
from consumers.receipts import ReceiptError
from hub.api import examples, open_examples
from hub.api.desk import Desk
from hub.api.models import HubIdentity, SchemaList
from hub.api.problems import Problem
from hub.crypto.sealing import sealing_key_id
from hub.hub import Hub
from hub.membership.registry import signed_registry
from hub.outcomes import outcome_batch
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import Schemas

ANSWER_SECONDS: Final = 25.0  # a submission that is not committed by then is told to come again
AVRO_SCHEMA: Final = "application/vnd.apache.avro+json"


def agency_calls(desk: Desk) -> APIRouter:
    """The calls that need a signed request."""
    calls = APIRouter(prefix="/v1", tags=["agencies"])
    hub = desk.hub

    @calls.post("/submissions", **examples.SUBMIT)
    async def submit(request: Request) -> Response:
        """Submit a sealed batch of events and get a signed outcome for each.

        200 whatever became of the events: look into the outcomes. The same event again gets the
        same outcome, so after any failure send the same bytes again.
        """
        signed = await desk.signed(request, HUB_MESSAGE)
        _same_agency(signed.agency, _sender(signed.body))
        answered = await desk.submitting(
            lambda: hub.ingest.submit(signed.body, timeout=ANSWER_SECONDS)
        )
        return Response(answered.signed, media_type=HUB_MESSAGE)

    @calls.get("/outcomes/{event_id}", **examples.OUTCOME)
    async def outcome(
        request: Request,
        event_id: Annotated[str, Path(description="UUID of the caller's own event.")],
    ) -> Response:
        """The hub's answer to one of the caller's own events, signed again.

        404 for an event the hub never answered to this caller; that it may know the id from
        another agency makes no difference, not even in time.
        """
        signed = await desk.signed(request)
        try:
            wanted = UUID(event_id).bytes
        except ValueError:
            raise Problem("not_found") from None
        facts = await desk.working(lambda: hub.exchange.outcome(signed.agency, wanted))
        if facts is None:
            raise Problem("not_found")
        return Response(
            outcome_batch(hub.settings.hub_id, hub.keys.signing, [facts]), media_type=HUB_MESSAGE
        )

    @calls.post("/receipts", **examples.RECEIPT)
    async def receipt(request: Request) -> Response:
        """Hand in one SignedReceipt; recorded when this answers 204. Twice is harmless."""
        signed = await desk.signed(request, HUB_MESSAGE)
        _same_agency(signed.agency, _recipient(signed.body))
        try:
            await desk.working(lambda: hub.receipts.receive(signed.body))
        except ReceiptError as wrong:
            raise Problem("receipt_refused", reason=str(wrong)) from None
        return Response(status_code=204)

    registry_bytes = _registry_cache(hub)

    @calls.get("/registry", **examples.REGISTRY)
    async def registry(request: Request) -> Response:
        """Who takes part, with signing keys by change of the register: a SignedRegistry."""
        await desk.signed(request)
        tag, signed_bytes = await desk.working(registry_bytes)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return Response(signed_bytes, media_type=HUB_MESSAGE, headers={"ETag": tag})

    return calls


def public_calls(desk: Desk) -> APIRouter:
    """The calls that need no proof and say nothing that is not public."""
    calls = APIRouter(prefix="/v1", tags=["public"])
    hub = desk.hub

    @calls.get("/hub", response_model=HubIdentity, **open_examples.HUB)
    async def hub_identity(request: Request) -> Any:
        """Which hub this is. For comparing; what an agency trusts comes with its approval."""
        desk.public(request)
        ingest = hub.keys.ingest.public
        return {
            "hub": hub.settings.hub_id,
            "fingerprint": fingerprint(hub.keys.signing.public),
            "signing_keys": [
                {
                    "key_id": hub.keys.signing.key_id.hex(),
                    "algorithm": "Ed25519",
                    "public": hub.keys.signing.public.hex(),
                }
            ],
            "ingest_key": {
                "key_id": sealing_key_id(ingest).hex(),
                "algorithm": "HPKE-MLKEM768_X25519-HKDF_SHA256-AES_256_GCM",
                "public": ingest.hex(),
            },
            "log_verifier": str(hub.checkpoints.verifier),
        }

    @calls.get("/schemas", response_model=SchemaList, **open_examples.SCHEMAS)
    async def schemas(request: Request) -> Any:
        """Every event type's current schema, and the schemas of what travels."""
        desk.public(request)
        return _schema_list()

    @calls.get("/schemas/{schema_id}", **open_examples.SCHEMA)
    async def schema(
        request: Request,
        schema_id: Annotated[
            str, Path(description="64 hexadecimal digits (event) or 16 (what travels).")
        ],
    ) -> Response:
        """One Avro schema. For an event, SHA-256 of the body is the id."""
        desk.public(request)
        text = _schema_texts().get(schema_id)
        if text is None:
            raise Problem("not_found")
        return Response(text, media_type=AVRO_SCHEMA)

    return calls


def _sender(sealed: bytes) -> str | None:
    """Who the batch says has signed it; admission checks that it did. None: not readable."""
    try:
        return str(wire.SEALED_SUBMISSION.unsingle(sealed)["sender_hint"])
    except AvroError:
        return None


def _recipient(receipt: bytes) -> str | None:
    try:
        return str(
            wire.RECEIPT.unsingle(wire.SIGNED_RECEIPT.unsingle(receipt)["receipt"])["agency"]
        )
    except AvroError:
        return None


def _same_agency(caller: str, maker: str | None) -> None:
    if maker is not None and maker != caller:
        raise Problem("not_yours")


def _registry_cache(hub: Hub) -> Callable[[], tuple[str, bytes]]:
    """Entity tag and bytes, signed once for every change of who takes part."""

    @lru_cache(maxsize=1)
    def signed(change: int) -> tuple[str, bytes]:
        return f'"{change}"', signed_registry(hub.exchange, hub.settings.hub_id, hub.keys.signing)

    return lambda: signed(hub.exchange.agencies.changes)


@lru_cache(maxsize=1)
def _schema_texts() -> dict[str, bytes]:
    texts: dict[str, bytes] = {}
    known = Schemas.load()
    for name in known.types():
        for event in known.versions(name):
            texts[event.schema_id.hex()] = json.dumps(
                event.document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ).encode()
    for name, codec in _wire_codecs().items():
        path = resources.files("schemas").joinpath("wire", f"{name}.avsc")
        texts[codec.fingerprint.hex()] = path.read_bytes()
    return texts


def _wire_codecs() -> dict[str, Any]:
    folder = resources.files("schemas").joinpath("wire")
    names = sorted(one.name.removesuffix(".avsc") for one in folder.iterdir())
    codecs = {_constant(name): name for name in names}
    return {
        name: getattr(wire, constant)
        for constant, name in codecs.items()
        if hasattr(wire, constant)
    }


def _constant(name: str) -> str:
    """SealedSubmission → SEALED_SUBMISSION."""
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def _schema_list() -> dict[str, Any]:
    known = Schemas.load()
    return {
        "events": [
            {
                "type": event.type,
                "id": event.schema_id.hex(),
                "group": event.group,
                "emitters": sorted(event.emitters),
                "categories": list(event.categories),
            }
            for event in map(known.by_type, known.types())
        ],
        "messages": [
            {"name": name, "fingerprint": codec.fingerprint.hex()}
            for name, codec in _wire_codecs().items()
        ],
    }
