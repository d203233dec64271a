"""The schema registry at the partner's site: where readers of a relayed topic find its schemas.

Needs nothing but this program: no hub, no broker, no file is written. The answers are the hub's own
(`schemas/confluent.py`), so a reader may be pointed to either. Beside Confluent's API it answers
the one call of Apicurio's that its deserialisers and Connect converter make for an id:

    GET /apis/registry/v2/ids/{globalIds|contentIds}/{id}[/references]

Schemas are public; nobody is asked who they are. It listens where it is told, this machine only if
nothing is said.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.errors import SettingsError
from schemas.confluent import CONTENT_TYPE, LONGEST_BODY, Answer, ConfluentRegistry
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas

_BODY_SECONDS: Final = 10.0
_CONNECTIONS: Final = 200
_APICURIO: Final = re.compile(
    r"/apis/registry/v2/ids/(?:globalIds|contentIds)/([0-9]{1,10})(/references)?", re.ASCII
)


def registry_app(prefix: str | None = None) -> Starlette:
    """prefix: of the partner's topics, whose subjects are listed then."""
    registry = ConfluentRegistry(PartnerSchemas(Schemas.load()), prefix)

    async def answered(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            answer = Answer(
                413, {"error_code": 413, "message": "The body is too large or too slow."}
            )
            return Response(answer.body, answer.status, media_type=CONTENT_TYPE)
        path = request.url.path
        if found := _APICURIO.fullmatch(path):
            return _apicurio(registry, found.group(1), found.group(2) is not None)
        query = dict(request.query_params)
        answer = await asyncio.to_thread(registry.answer, request.method, path, body, query)
        return Response(answer.body, answer.status, media_type=CONTENT_TYPE)

    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return Starlette(routes=[Route("/{path:path}", answered, methods=methods)])


def _apicurio(registry: ConfluentRegistry, number: str, references: bool) -> Response:
    answer = registry.answer("GET", f"schemas/ids/{number}")
    if answer.status != 200:
        told = Answer(404, {"error_code": 404, "message": answer.document["message"]})
        return Response(told.body, 404, media_type="application/json")
    if references:
        return Response(b"[]", media_type="application/json")
    return Response(
        answer.document["schema"].encode(),
        headers={"X-Registry-ArtifactType": "AVRO"},
        media_type="application/json",
    )


async def _body(request: Request) -> bytes | None:
    """The whole body; None if there is too much of it, or it does not come."""
    found = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                found += piece
                if len(found) > LONGEST_BODY:
                    return None
    except (TimeoutError, ClientDisconnect):
        return None
    return bytes(found)


class RegistryServer:
    """The registry, answering in a thread until stop(). Port 0 takes any free one."""

    def __init__(self, host: str, port: int, prefix: str | None = None) -> None:
        """SettingsError if the address cannot be had."""
        try:
            self._socket = socket.create_server(
                (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
            )
        except OSError as wrong:
            raise SettingsError(
                f"cannot listen at {host}:{port} ({wrong.strerror}): choose another with --listen"
            ) from None
        name = f"[{host}]" if ":" in host else host
        self.url = f"http://{name}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                registry_app(prefix),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=15,
                ws="none",
            )
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def start(self) -> RegistryServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()

    def wait(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        stop.wait()
        self.stop()
