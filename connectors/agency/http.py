"""HTTP with the hub: one exchange, media types, and what the hub's refusals mean for the caller.

How a request proves who sends it is in `connectors/agency/http_auth.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from connectors.errors import StopError, TransportDownError
from connectors.tls import certificate_refused

if TYPE_CHECKING:
    import httpx2  # where it is needed: a tenth of a command's start, and topics need none

HUB_MESSAGE: Final = "application/vnd.nrm.message.v1"
"""One message, single-object encoded Avro."""

HUB_MESSAGES: Final = "application/vnd.nrm.messages.v1"
"""A sequence of messages, each behind its length as four bytes, big-endian."""

AGAIN: Final = "NRM-Again"
"""How many orders to send something again the caller has seen, with an answer's messages."""

AGAIN_MARK: Final = "NRM-Again-Mark"
"""What tells those orders from as many others, which a hub that was put back may have given."""

ANSWERED: Final = "NRM-Answered"
"""The last sequence up to which the hub has the caller's receipts."""

Auth = Callable[[str, str, bytes], Mapping[str, str]]
"""(method, path with query, body) → headers that authenticate the request."""

MOST_BYTES: Final = 128 * 1024 * 1024
_WAITS: Final = 10
_MOST_SAID: Final = 500  # letters
_TRY_AGAIN: Final = frozenset({408, 425, 429})


def place(url: str) -> str:
    """An address as it may be shown: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def no_auth(method: str, path: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG001
    """For a hub behind a gateway that authenticates by other means."""
    return {}


class HubCalls:
    """Calls of one agency to the hub's HTTP API. They raise TransportDownError and StopError."""

    def __init__(
        self,
        base_url: str,
        auth: Auth = no_auth,
        *,
        client: httpx2.Client | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._auth = auth
        self._timeout = timeout
        import httpx2

        self._client = client or httpx2.Client(timeout=timeout, trust_env=False)

    def _request(self, method: str, path: str, body: bytes = b"") -> httpx2.Response:
        headers = {"content-type": HUB_MESSAGE, **self._auth(method, path, body)}
        return ask(self._client, self._base, method, path, body, headers)

    def close(self) -> None:
        self._client.close()


def ask(
    client: httpx2.Client,
    base: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> httpx2.Response:
    """One exchange: status, body and NRM headers of an answer that is none of the hub's refusals.

    Whoever answers may not be the hub: no more than MOST_BYTES are kept, nothing is unpacked, and
    the whole answer has to come in the time of ten waits. TransportDownError, StopError.
    """
    import httpx2

    sent = {"accept-encoding": "identity", **(headers or {})}
    until = time.monotonic() + _WAITS * (client.timeout.read or 60.0)
    found = bytearray()
    try:
        with client.stream(method, base + path, content=body or None, headers=sent) as answer:
            for piece in answer.iter_raw():
                found += piece
                if len(found) > MOST_BYTES or time.monotonic() > until:
                    raise TransportDownError(
                        f"what answers at {place(base)} is longer or slower than a hub: check the "
                        "address, and that nothing between here and the hub answers in its place"
                    )
    except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
        raise away(base, failure) from failure
    told = {name: text for name, text in answer.headers.items() if name.startswith("nrm-")}
    response = httpx2.Response(answer.status_code, headers=told, content=bytes(found))
    check(response)
    return response


def away(base: str, failure: Exception) -> TransportDownError:
    """What to look at when there was no exchange with the hub at this address."""
    refused = certificate_refused(failure)
    if refused:
        return TransportDownError(
            f"the hub at {place(base)} shows a certificate that is refused ({refused}), so nothing "
            "was sent: check the address; a public authority is known to the system, one of your "
            "own is added to the system's. If neither is it, somebody stands between"
        )
    return TransportDownError(f"the hub does not answer at {place(base)}")


def check(response: httpx2.Response) -> None:
    """Raise what a refusal means: TransportDownError to try again, StopError for an operator.

    The hub's problem document (RFC 9457) has a stable `code` and in `next` what to do; both are
    the hub's own words and hold no content.
    """
    status = response.status_code
    if status >= 500 or status in _TRY_AGAIN:
        raise TransportDownError(f"the hub answered {status}{_problem(response)}")
    if status >= 400:
        raise StopError(f"the hub refuses this agency's request: {status}{_problem(response)}")
    if not 200 <= status < 300:  # else a receipt that nobody took would count as taken
        raise TransportDownError(
            f"the hub's address answers {status}, a redirect, which is not followed: set the "
            "address that it leads to, if that is the hub's"
        )


def _problem(response: httpx2.Response) -> str:
    try:
        problem = json.loads(response.content[:10_000])
        # It may not be the hub that answers: one line, and no longer than the hub's own.
        said = " ".join(f"{problem['code']}: {problem['next']}".split())
        return f" {said[:_MOST_SAID]}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return ": check the URL, and that nothing between here and the hub answers in its place"


def split_messages(body: bytes) -> list[bytes]:
    """The messages of a `HUB_MESSAGES` body; ValueError if it is cut short."""
    messages = []
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        message = body[at + 4 : at + 4 + size]
        if len(message) != size or at + 4 > len(body):
            raise ValueError("the response is cut short")
        messages.append(message)
        at += 4 + size
    return messages


def join_messages(messages: list[bytes]) -> bytes:
    """The counterpart of `split_messages`."""
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)
