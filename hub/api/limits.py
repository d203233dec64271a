"""Limits: how much one caller may ask for, and what happens beyond.

A token bucket fills at a steady rate up to a burst; what finds it empty is told how long to wait.
Known agencies have a bucket for requests and one for bytes. Callers that cannot prove who they are
share one per network address; it is asked only after a proof has failed, so that an agency is never
shut out by a stranger behind the same address. Single-threaded: only the server's event loop calls.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of one request; also the largest message a topic takes."""


@dataclass(frozen=True)
class Rate:
    """`per_second` for ever, `burst` at once."""

    per_second: float
    burst: float


@dataclass(frozen=True)
class Limits:
    """What the API takes. Times are in seconds, sizes in bytes."""

    body: int = MAX_BODY
    body_seconds: float = 30.0
    """A body that is not here by then is given up (408)."""
    head_seconds: float = 10.0
    """A connection whose request line and headers are not here by then is closed."""
    answer_seconds: float = 120.0
    """A connection that has not taken what was written to it by then is closed."""
    connections: int = 1_000
    """Open connections, all callers together; more are told 503."""
    submitting: int = 64
    """Submissions in hand at once; more wait for their turn."""
    working: int = 16
    """Other calls in hand at once."""
    requests: Rate = Rate(200, 1_000)
    """Requests of one agency."""
    traffic: Rate = Rate(16 * 1024 * 1024, 64 * 1024 * 1024)
    """Bytes of bodies of one agency."""
    unknown: Rate = Rate(2, 60)
    """Failed proofs from one address (IPv6: one /64)."""
    public: Rate = Rate(20, 200)
    """Calls that need no proof, from one address."""
    addresses: int = 10_000
    """Addresses remembered at once."""
    tokens: int = 100_000
    """Used request tokens remembered per agency; they live for two minutes at most."""
    wait_seconds: float = 25.0
    """Longest `wait` for deliveries."""
    deliveries_bytes: int = MAX_BODY
    """A response with deliveries ends after the message that passes this size."""


class Bucket:
    """One caller's allowance of one thing."""

    __slots__ = ("_filled_at", "_left", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._left = rate.burst
        self._filled_at = now

    def take(self, amount: float, now: float) -> float:
        """0.0 when taken, else seconds until it could be; nothing is taken then.

        An amount beyond the burst is taken when the bucket is full and leaves a debt.
        """
        gained = max(now - self._filled_at, 0.0) * self.rate.per_second
        self._left = min(self.rate.burst, self._left + gained)
        self._filled_at = now
        wanted = min(amount, self.rate.burst)
        if self._left < wanted:
            return (wanted - self._left) / self.rate.per_second
        self._left -= amount
        return 0.0


class Buckets:
    """A bucket per name, for at most `size` names: the longest unused is forgotten first."""

    def __init__(self, rate: Rate, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._size = size
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, name: str, amount: float = 1.0) -> float:
        """As `Bucket.take`."""
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(self._rate, now)
            if len(self._buckets) > self._size:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        return bucket.take(amount, now)


def network_of(address: str) -> str:
    """What shares one allowance: an IPv4 address, an IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False).network_address)
    return str(parsed)
