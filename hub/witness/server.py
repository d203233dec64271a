"""The witness over HTTP: two calls, plain text, the same defences as the hub's API.

POST /add-checkpoint            a log asks for a cosignature
GET  /<origin hash>/checkpoint  the last cosigned checkpoint of a log, for whoever compares
"""

from __future__ import annotations

from typing import Any, Final

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response

from hub.api.app import NO_TELEMETRY
from hub.api.edge import Edge
from hub.api.limits import Buckets, Limits, Rate, network_of
from hub.api.server import ApiServer, serve_app
from hub.errors import RetryLater
from hub.tlog.cosigning import MOST_BYTES
from hub.witness.witness import TEXT, Reply, Witness

LIMITS: Final = Limits(
    body=MOST_BYTES, body_seconds=10.0, answer_seconds=30.0, connections=200, public=Rate(20, 200)
)
_BUSY: Final = Reply(503, b"the witness cannot write; ask again\n")


def witness_app(witness: Witness, limits: Limits = LIMITS) -> FastAPI:
    """The application. Nothing of a request is ever logged but its route and status."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    allowance = Buckets(limits.public, limits.addresses)
    working: list[CapacityLimiter] = []

    def wait(request: Request) -> Response | None:
        network = network_of(request.client.host if request.client else "")
        seconds = allowance.take(network)
        if not seconds:
            return None
        return Response(
            "too many requests\n", 429, {"Retry-After": str(int(seconds) + 1)}, media_type=TEXT
        )

    async def run(work: Any, *arguments: Any) -> Any:
        if not working:
            working.append(CapacityLimiter(8))
        return await to_thread.run_sync(work, *arguments, limiter=working[0])

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        if (late := wait(request)) is not None:
            return late
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                return Response("the request is too long\n", 413, media_type=TEXT)
        try:
            reply = await run(witness.add_checkpoint, body)
        except RetryLater:
            reply = _BUSY
        # As a header: as a media type it would be given a charset, which the protocol has not.
        return Response(reply.body, reply.status, {"Content-Type": reply.media_type})

    @app.get("/{origin_hash}/checkpoint")
    async def checkpoint(request: Request, origin_hash: str) -> Response:
        if (late := wait(request)) is not None:
            return late
        try:
            note = await run(witness.checkpoint, origin_hash)
        except RetryLater:
            return Response(_BUSY.body, _BUSY.status, media_type=TEXT)
        if note is None:
            return Response("no checkpoint of such a log\n", 404, media_type=TEXT)
        return Response(note, headers={"Cache-Control": "public, max-age=5"}, media_type=TEXT)

    app.add_middleware(Edge, limits=limits, observe=lambda *_: None)
    return app


def serve_witness(
    witness: Witness,
    host: str,
    port: int,
    *,
    limits: Limits = LIMITS,
    certificate: tuple[str, str] | None = None,
) -> ApiServer:
    """Serve it; port 0 takes any free one. Raises NotReady if the address cannot be bound."""
    return serve_app(
        witness_app(witness, limits), host, port, limits=limits, certificate=certificate
    )
