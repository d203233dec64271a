"""Asking one witness over HTTP: one request, within a time and a size, whatever it answers.

A witness may be slow, broken or hostile. The whole exchange, name lookup and headers included, ends
after `SECONDS`; no more than `MOST_ANSWER` bytes of an answer are read; redirects are not followed,
no proxy of the environment is used, nothing is decompressed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import httpx2

SECONDS: Final = 5.0
MOST_ANSWER: Final = 64 * 1024
MEDIA_TYPE: Final = "text/plain; charset=utf-8"


class UnansweredError(Exception):
    """The witness gave no answer that can be read; its text is a code. It is asked again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body as they came."""

    status: int
    media_type: str
    body: bytes


def ask(url: str, request: bytes, seconds: float = SECONDS) -> Answer:
    """POST to <url>/add-checkpoint. Raises UnansweredError."""
    try:
        return asyncio.run(_ask(f"{url}/add-checkpoint", request, seconds))
    except TimeoutError:
        raise UnansweredError("timeout") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as failure:
        raise UnansweredError(type(failure).__name__) from None


async def _ask(url: str, request: bytes, seconds: float) -> Answer:
    headers = {"content-type": MEDIA_TYPE, "accept-encoding": "identity"}
    async with (
        asyncio.timeout(seconds),
        httpx2.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, content=request, headers=headers) as answer,
    ):
        body = b""
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > MOST_ANSWER:
                raise UnansweredError("too_long")
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        return Answer(answer.status_code, media_type, body)
