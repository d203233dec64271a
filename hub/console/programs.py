"""Programs: who an access token stands for. The same grants as for people, by issuer and subject.

A token is checked like any other proof (`tokens.py`); what failed is in the hub's own log and not
in the answer. Failed proofs of one address are few per minute, so nobody tries tokens for long.
"""

from __future__ import annotations

import threading
from typing import Final

import structlog

from hub.api.limits import Buckets, Rate, network_of
from hub.console.desk import CallerUnknown
from hub.console.grants import GrantsOnRecord, viewer_of
from hub.console.provider import Provider, ProviderError
from hub.console.tokens import TokenError
from hub.console.viewer import Viewer

log = structlog.get_logger("hub.console")

FAILURES: Final = Rate(0.5, 30)  # failed proofs of one address


class ProgramTokens:
    """Access tokens of one OpenID provider. Safe between threads."""

    def __init__(self, provider: Provider, grants: GrantsOnRecord) -> None:
        self._provider = provider
        self._grants = grants
        self._failures = Buckets(FAILURES, 10_000)
        self._lock = threading.Lock()

    def viewer(self, token: str, address: str) -> Viewer:
        """Raises CallerUnknown."""
        try:
            account = self._provider.program(token)
        except TokenError as wrong:
            log.warning("program_refused", at=str(wrong))
            raise self._failed(address, "token_refused") from None
        except ProviderError as away:
            log.error("provider_failed", at=str(away))
            raise CallerUnknown("provider_away", 503) from None
        granted = self._grants.viewers().by_account(account.issuer, account.subject)
        if granted is None:
            raise self._failed(address, "not_granted")
        return viewer_of(granted)

    def _failed(self, address: str, code: str) -> CallerUnknown:
        with self._lock:
            wait = self._failures.take(network_of(address))
        return CallerUnknown("too_many_attempts", 429) if wait else CallerUnknown(code)
