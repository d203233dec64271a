"""Transport: how a sealed submission reaches the hub, and how the answers come back.

`TopicTransport` goes through the hub's topics, `HttpTransport` through its HTTP API; what travels
is the same, sealed and signed, so neither has to be trusted with content.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

import httpx2

from connectors.agency.http import HUB_MESSAGE, Auth, ask, no_auth
from connectors.agency.identity import AgencyIdentity
from connectors.errors import StopError, TransportDownError
from hub.topics import Message, TopicError, Topics, TopicUnavailable

SUBMISSIONS_PATH = "/v1/submissions"


class Transport(Protocol):
    """Carries submissions to the hub and outcomes back.

    send() may be called again with the same bytes and raises TransportDownError when it is
    unknown whether they arrived. outcomes() returns OutcomeBatch messages not returned before,
    waiting up to `timeout` seconds for the first; they are unverified and may be of anything.
    """

    def send(self, sealed: bytes) -> None: ...

    def outcomes(self, timeout: float) -> list[bytes]: ...


class TopicTransport:
    """Through topics: append to the hub's ingest topic, read this agency's outcome topic.

    Only outcomes that come after this object was made are read; what is sent again is answered
    again, so none is needed from before.
    """

    def __init__(self, topics: Topics, identity: AgencyIdentity) -> None:
        self._topics = topics
        self._ingest = identity.hub.topics["ingest"]
        self._outcomes = identity.hub.topics["outcomes"]
        self._offset: int | None = None

    def send(self, sealed: bytes) -> None:
        try:
            if self._offset is None:
                self._offset = self._topics.end(self._outcomes)
            self._topics.append(self._ingest, [Message(sealed)])
        except TopicUnavailable as down:
            raise TransportDownError(f"the hub's topics cannot be reached: {down}") from down
        except TopicError as wrong:
            raise StopError(str(wrong)) from wrong

    def outcomes(self, timeout: float) -> list[bytes]:
        try:
            if self._offset is not None and self._topics.end(self._outcomes) < self._offset:
                self._offset = None  # the topic was lost and made again
            messages = self._topics.read(self._outcomes, self._offset, 100, timeout)
        except TopicUnavailable as down:
            raise TransportDownError(f"the hub's topics cannot be reached: {down}") from down
        if messages:
            self._offset = messages[-1].offset + 1
        return [message.value for message in messages]


class HttpTransport:
    """Over HTTP: POST the sealed bytes; the response is the signed OutcomeBatch."""

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
        self._client = client or httpx2.Client(timeout=timeout, trust_env=False)
        self._answers: deque[bytes] = deque()

    def send(self, sealed: bytes) -> None:
        headers = {
            "content-type": HUB_MESSAGE,
            **self._auth("POST", SUBMISSIONS_PATH, sealed),
        }
        response = ask(self._client, self._base, "POST", SUBMISSIONS_PATH, sealed, headers)
        self._answers.append(response.content)

    def outcomes(self, timeout: float) -> list[bytes]:
        if not self._answers:  # answers come with send(), so waiting longer brings none
            time.sleep(min(timeout, 0.05))
        answers = list(self._answers)
        self._answers.clear()
        return answers
