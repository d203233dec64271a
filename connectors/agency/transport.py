"""Transport: how a sealed submission reaches the hub, and how the answers come back.

`TopicTransport` goes through the hub's topics, `HttpTransport` through its HTTP API; what travels
is the same, sealed and signed, so neither has to be trusted with content.
"""

from __future__ import annotations

import time
from typing import Protocol

from connectors.agency.http import HubCalls
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


class HttpTransport(HubCalls):
    """Over HTTP: POST the sealed bytes; the response is the signed OutcomeBatch."""

    _answers: tuple[bytes, ...] = ()

    def send(self, sealed: bytes) -> None:
        response = self._request("POST", SUBMISSIONS_PATH, sealed)
        self._answers = (*self._answers, response.content)

    def outcomes(self, timeout: float) -> list[bytes]:
        if not self._answers:  # answers come with send(), so waiting longer brings none
            time.sleep(min(timeout, 0.05))
        answers, self._answers = self._answers, ()
        return list(answers)
