"""Notices as signed webhooks (Standard Webhooks): one request per item and phase.

The receiver checks the signature with its own library and drops what it has seen by `webhook-id`,
which is the same each time a notice is tried. Redirects are not followed, no proxy of the
environment is used, and the answer's body is not read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import httpx2
from standardwebhooks.webhooks import Webhook

from consumers.notices.notice import Notice, UndeliveredError
from consumers.notices.settings import Receiver
from hub.clock import wall_clock

SECONDS: Final = 10.0  # for connecting, and between two bytes


class Webhooks:
    """Sends to one receiver."""

    most = 1  # notices in one message

    def __init__(self, receiver: Receiver) -> None:
        self._url = receiver.webhook
        self._signer = Webhook(receiver.secret)

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises UndeliveredError, with a code, unless the receiver has taken it."""
        [notice] = notices
        now = wall_clock()
        body = json.dumps(notice.document(), separators=(",", ":"))
        headers = {
            "content-type": "application/json",
            "webhook-id": notice.message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(notice.message_id, now, body),
        }
        try:
            with (
                httpx2.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", self._url, content=body.encode(), headers=headers) as answer,
            ):
                status = answer.status_code
        except httpx2.HTTPError as failure:
            raise UndeliveredError(type(failure).__name__) from None
        if not 200 <= status < 300:
            raise UndeliveredError(f"status {status}")
