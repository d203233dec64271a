"""Outbound: the HTTP client for partners' systems, which may be slow, broken or hostile.

One origin and no other: a redirect is not followed, no proxy of the environment is used. Off this
machine there is no way but TLS, and it is verified. A whole exchange, name lookup and headers
included, ends after `seconds`; no more than `most_bytes` of an answer are kept. What an answer
means for the runner:

    no connection, no answer in time, too long, 3xx, 401, 403, 407, 408, 425, 429, 5xx
                                    → SinkDownError: waited out, nothing is quarantined
    any other 4xx                   → an Answer; `refused()` makes it a SinkRefusedError
    2xx                             → an Answer

A wrong credential is an outage on purpose: it says nothing about the delivery, and deliveries
wait until it is mended. Errors name the status and the address without its query, never a body.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.loopback import is_here
from connectors.strict_json import read_json
from connectors.tls import certificate_remedy

SECONDS: Final = 30.0
MOST_BYTES: Final = 8 * 1024 * 1024
_WAIT: Final[Mapping[int, str]] = {
    401: "it does not accept our credentials: check them",
    403: "our credentials may not do this: check the rights they have there",
    407: "a proxy stands between: connect directly",
    408: "it gave up waiting",
    425: "it asks to try later",
    429: "it asks to slow down",
}

_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")  # half of a character, perhaps a lone one

Headers = Callable[[], Mapping[str, str]]
"""What authenticates a request; called for each, so that a token can be renewed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the partner's system answered, with the body as far as it was let in."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; SinkDownError if it is none: whatever answered is not the system."""
        try:
            found = read_json(self.body)
            if _HALF.search(self.body):  # what is carried over has to be written again
                json.dumps(found, ensure_ascii=False).encode()
            return found
        except ValueError:
            raise SinkDownError(
                f"the partner's system answered {self.status} with what is not JSON: check that "
                "nothing stands between, and the address"
            ) from None

    def refused(self, sequence: int | None, detail: str = "") -> SinkRefusedError:
        """This answer as what is wrong with a delivery. detail: without content."""
        told = f"the partner's system answered {self.status}"
        return SinkRefusedError("sink_refused", f"{told} {detail}".strip(), sequence)


class Outbound:
    """Requests to one origin. Not for several threads at once."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Headers = dict,
        ca_file: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        public: bool = False,
    ) -> None:
        """base_url: scheme, host, port and path that all requests begin with. certificate: the
        client's, with its key. public: nothing that is said either way is secret, so http:// may
        lead off this machine. SettingsError if the address or a file is unusable."""
        try:
            parts = urlsplit(base_url)
            _ = parts.port  # which is read only when it is asked for
        except ValueError:
            raise SettingsError("the address has no such host or port: https://host:443/") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError("the address must begin with https:// and name a host")
        if parts.username or parts.password:
            raise SettingsError("the address must not hold credentials: they have settings")
        if parts.scheme == "http" and not public and not is_here(parts.hostname):
            # What people's lives hang on is not sent in the clear, nor what lets us in.
            raise SettingsError("the address must begin with https:// outside this machine")
        self.base_url = base_url.rstrip("/")
        self.encrypted = parts.scheme == "https"
        self._where = f"{parts.scheme}://{parts.netloc}"
        self._headers = headers
        self._seconds = seconds
        self._most = most_bytes
        # Without TLS a context that trusts nobody: httpx2 would load every CA for nothing.
        unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls = _tls(ca_file, certificate) if self.encrypted else unused
        self._runner: asyncio.Runner | None = None
        self._client: httpx2.AsyncClient | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange. SinkDownError as told above; else the answer."""
        sent = {"accept-encoding": "identity", **self._headers(), **(headers or {})}
        if json_body is not None:
            content = json.dumps(json_body, ensure_ascii=False).encode()
            sent.setdefault("content-type", "application/json")
        url = f"{self.base_url}/{path.lstrip('/')}" if path else self.base_url
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            answer = self._runner.run(self._exchange(method, url, content, params, sent))
        except TimeoutError:
            raise self._down(f"no whole answer within {self._seconds:g} seconds") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as failure:
            raise self._down(_said(failure)) from None
        return self._passed(answer)

    def close(self) -> None:
        if self._runner is None:
            return
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()
        self._runner = self._client = None

    async def _exchange(
        self,
        method: str,
        url: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> Answer:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                timeout=self._seconds,
                follow_redirects=False,
                trust_env=False,
                verify=self._tls,
            )
        async with (
            asyncio.timeout(self._seconds),
            self._client.stream(
                method, url, content=content, params=params, headers=headers
            ) as answer,
        ):
            body = bytearray()
            async for piece in answer.aiter_raw():
                body += piece
                if len(body) > self._most:
                    raise self._down(f"an answer of more than {self._most} bytes")
            self._client.cookies.clear()  # nothing of theirs is kept or sent back
            return Answer(answer.status_code, dict(answer.headers), bytes(body))

    def _passed(self, answer: Answer) -> Answer:
        status = answer.status
        if 300 <= status < 400:
            raise self._down(f"{status}, a redirect, which is not followed: set the final address")
        if status in _WAIT:
            raise self._down(f"{status}: {_WAIT[status]}")
        if not 200 <= status < 500:
            raise self._down(f"{status}")
        return answer

    def _down(self, what: str) -> SinkDownError:
        return SinkDownError(f"the partner's system at {self._where}: {what}")


def basic(username: str, password: str) -> str:
    """Name and password as an "authorization" header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _tls(ca_file: Path | None, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        if certificate is not None:
            context.load_cert_chain(*map(str, certificate))
    except (OSError, ssl.SSLError) as wrong:
        files = ", ".join(str(one) for one in (ca_file, *(certificate or ())) if one is not None)
        why = getattr(wrong, "strerror", None) or "is no certificate or key"
        raise SettingsError(f"the TLS files {files} cannot be used ({why})") from None
    return context


def _said(failure: BaseException) -> str:
    """What to look at, from the kind of failure; its own text can hold an address or a body."""
    refused = certificate_remedy(failure)
    if refused:
        return refused
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"no TLS with it ({cause.reason})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx2.LocalProtocolError | UnicodeEncodeError):
        return (
            "nothing was sent: a token, user or password of the settings holds a line end or a "
            "letter that no header can have"
        )
    if isinstance(failure, httpx2.ConnectError):
        return "no connection: check the address, and that it runs"
    if isinstance(failure, httpx2.RemoteProtocolError):
        return (
            "it hung up, or its answer is no HTTP, or has headers without end: check the address, "
            "and what stands between"
        )
    if isinstance(failure, httpx2.NetworkError | OSError):
        return (
            "the connection was cut before there was an answer. If always at once, it may want a "
            "certificate of ours; if always for the same delivery, it takes no request of that size"
        )
    return type(failure).__name__
