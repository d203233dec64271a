"""Sessions: who signed in, in this process's memory. A restart signs everybody out.

A session rests on a grant in the log and ends with it: `desk.py` asks with every request.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hub.console.viewer import Viewer

IDLE: Final = 15 * 60  # seconds without a request after which a session ends
LONGEST: Final = 8 * 3600  # seconds after which it ends in any case
FRESH: Final = 5 * 60  # seconds after signing in during which something may be changed
MOST: Final = 10_000  # sessions at once; beyond, the longest idle ends


@dataclass
class Session:
    """One sign-in. `token` is repeated by every form (against forged requests).

    granted: log position of the grant it rests on.
    """

    viewer: Viewer
    token: str
    began: float
    seen: float
    granted: int = 0

    def same(self, token: str) -> bool:
        """Whether a form was ours. In constant time."""
        return hmac.compare_digest(self.token.encode(), token.encode())


class Sessions:
    """Sessions by their secret id, which only the viewer's cookie holds. Safe between threads."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        idle: float = IDLE,
        longest: float = LONGEST,
        fresh: float = FRESH,
    ) -> None:
        """idle, longest, fresh: seconds, as the constants above."""
        self._clock = clock
        self._idle, self._longest, self._fresh = idle, longest, fresh
        self._by_id: dict[str, Session] = {}
        self._lock = threading.Lock()

    def begin(self, viewer: Viewer, granted: int = 0) -> str:
        """A new session; returns the id for the cookie."""
        now, session_id = self._clock(), secrets.token_urlsafe(32)
        with self._lock:
            if len(self._by_id) >= MOST:
                idle = min(self._by_id, key=lambda one: self._by_id[one].seen)
                del self._by_id[idle]
            self._by_id[session_id] = Session(viewer, secrets.token_urlsafe(16), now, now, granted)
        return session_id

    def find(self, session_id: str | None) -> Session | None:
        """The session of this id if it has not ended; asking keeps it from idling out."""
        if not session_id:
            return None
        with self._lock:
            session = self._by_id.get(session_id)
            now = self._clock()
            if session is None:
                return None
            if now - session.seen > self._idle or now - session.began > self._longest:
                del self._by_id[session_id]
                return None
            session.seen = now
            return session

    def end(self, session_id: str | None) -> None:
        """Sign out. Ending what has ended is fine."""
        with self._lock:
            self._by_id.pop(session_id or "", None)

    def fresh(self, session: Session) -> bool:
        """Whether the person signed in lately enough to change something."""
        return self._clock() - session.began <= self._fresh
