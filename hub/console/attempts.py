"""Attempts: sign-ins under way, each in one browser, once, for a few minutes.

What ties the answer of a provider or authenticator to the browser that asked stays here; the
browser holds only a random name of it in a cookie. An attempt is taken, not read: no answer counts
twice.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

LIFE: Final = 10 * 60  # seconds
MOST: Final = 5_000  # at once; beyond, the oldest ends
LONGEST_PATH: Final = 1_000


def _random() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way. kind: "oidc", "passkey" or "register".

    then: where the person wanted to go. fresh: signing in again, for what changes something.
    """

    kind: str
    then: str = "/"
    fresh: bool = False
    code: str = ""
    state: str = field(default_factory=_random)
    nonce: str = field(default_factory=_random)
    verifier: str = field(default_factory=_random)
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    began: float = field(default_factory=time.time)


class Attempts:
    """Attempts by the secret name that one browser's cookie holds. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, tuple[float, Attempt]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, attempt: Attempt) -> str:
        """Keep it; returns the name for the cookie."""
        name = _random()
        with self._lock:
            while len(self._waiting) >= MOST:
                self._waiting.popitem(last=False)
            self._waiting[name] = (self._clock(), attempt)
        return name

    def take(self, name: str | None, kind: str) -> Attempt | None:
        """The attempt of this name, once, while it lives, and of this kind only."""
        with self._lock:
            found = self._waiting.pop(name or "", None)
        if found is None:
            return None
        began, attempt = found
        return attempt if attempt.kind == kind and self._clock() - began <= LIFE else None


def own_path(told: str | None) -> str:
    """A path of this console to go on to; "/" for anything that could lead elsewhere."""
    if not told or len(told) > LONGEST_PATH or not told.isprintable() or not told.isascii():
        return "/"
    if not told.startswith("/") or told.startswith("//") or "\\" in told:
        return "/"
    parts = urlsplit(told)
    if parts.scheme or parts.netloc or parts.path.startswith(("//", "/sign-")):
        return "/"
    return told
