"""The audit log over HTTP, as C2SP tlog-tiles has it: for anybody, where hub.toml says so.

Off unless `[log] public = true`: then every path here is not found, since the size of the log tells
how much the hub records (docs/privacy.md). What is served is what `audit export-log` writes.
"""

from __future__ import annotations

import time
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from hub.api import open_examples
from hub.api.desk import Desk
from hub.api.problems import Problem
from hub.tlog.tiles import WIDTH, Tile, TileError, tile_bytes
from hub.transparency.export import published_checkpoint

CHECKPOINT_TYPE: Final = "text/plain; charset=utf-8"
TILE_TYPE: Final = "application/octet-stream"
FRESH: Final = 1.0  # seconds a checkpoint is given again; caches on the way may keep it as long
FOR_EVER: Final = "public, max-age=31536000, immutable"
PARTIAL: Final = "public, max-age=3600"


def log_calls(desk: Desk) -> APIRouter:
    """Checkpoint, tiles and entry bundles."""
    calls = APIRouter(prefix="/log", tags=["public"])
    hub = desk.hub
    shown: tuple[float, tuple[int, str] | None] = (float("-inf"), None)

    def open_to(request: Request) -> None:
        desk.public(request)
        if not hub.witnesses.settings.public:
            raise Problem("not_found")

    @calls.get("/checkpoint", **open_examples.CHECKPOINT)
    async def checkpoint(request: Request) -> Response:
        """The newest checkpoint, with the cosignatures of the hub's witnesses.

        Never smaller than one served before by this process. 404 unless the log is public.
        """
        nonlocal shown
        open_to(request)
        if time.monotonic() - shown[0] > FRESH:
            now, log = hub.exchange.clock.now().timestamp(), hub.exchange.log
            keys = hub.witnesses.settings.keys
            found = await desk.working(lambda: published_checkpoint(log, keys, now))
            if found is None or (shown[1] is not None and found[0] < shown[1][0]):
                found = shown[1]
            shown = (time.monotonic(), found)
        if shown[1] is None:
            raise Problem("not_found")
        headers = {"Cache-Control": f"public, max-age={int(FRESH)}"}
        return Response(shown[1][1].encode(), headers=headers, media_type=CHECKPOINT_TYPE)

    @calls.get("/tile/{path:path}", **open_examples.TILE)
    async def tile(
        request: Request,
        path: Annotated[
            str,
            Path(description="`<level>/<index>[.p/<width>]` or `entries/<index>[.p/<width>]`."),
        ],
    ) -> Response:
        """One tile, or one bundle of entries of 33 bytes each: hashes, nothing personal.

        A full one never changes. Only the spelling of the specification is known.
        """
        open_to(request)
        try:
            wanted = Tile.parse(f"tile/{path}")
        except TileError:
            raise Problem("not_found") from None
        data = await desk.working(lambda: tile_bytes(hub.exchange.log.read_tile, wanted))
        if data is None:
            raise Problem("not_found")
        headers = {"Cache-Control": FOR_EVER if wanted.width == WIDTH else PARTIAL}
        return Response(data, headers=headers, media_type=TILE_TYPE)

    return calls
