"""Bodies: read whole, within a size and a time, and hashed on the way.

The declared length is believed only where it is too large; what arrives is counted, so a chunked
body ends at the same limit. No compressed body is taken: nothing here ever inflates.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from hub.api.limits import Limits
from hub.api.problems import Problem


def check_declared(request: Request, limits: Limits) -> None:
    """Refuse by the headers alone what would be refused later anyway."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("wrong_media_type")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:20]) > limits.body:
        raise Problem("body_too_large")


def check_media_type(request: Request, wanted: str) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
        raise Problem("wrong_media_type")


async def read_body(
    request: Request, limits: Limits, charge: Callable[[int], None]
) -> tuple[bytes, bytes]:
    """(body, SHA-256 of it). `charge` is told the size of each piece and may raise Problem."""
    pieces: list[bytes] = []
    size = 0
    digest = hashlib.sha256()
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > limits.body:
                    raise Problem("body_too_large")
                charge(len(piece))
                digest.update(piece)
                pieces.append(piece)
    except TimeoutError:
        raise Problem("body_too_slow") from None
    except ClientDisconnect:
        raise Problem("body_too_slow") from None  # nobody is left to read it
    return b"".join(pieces), digest.digest()
