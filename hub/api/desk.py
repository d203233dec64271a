"""The desk: what every call of an agency goes through before the hub does anything for it.

In order: the headers alone (size, media type), the proof who is calling, the agency's allowance,
the token's first use, the body within its limits, the body's digest. Only then the call runs, in
a thread, with errors of the hub turned into documented problems.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request

from hub.api.auth import Authenticator, Caller, UsedTokens
from hub.api.bodies import check_declared, check_media_type, read_body
from hub.api.limits import Buckets, Limits, network_of
from hub.api.problems import Problem
from hub.errors import MustStop, RetryLater
from hub.hub import Hub
from hub.topics.port import TopicUnavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Signed:
    """A request as its agency signed it."""

    agency: str
    body: bytes


class Desk:
    """Checks and limits for one hub's API. Everything here runs in the server's event loop."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self.hub = hub
        self.limits = limits
        self.authenticator = Authenticator(
            hub.settings.hub_id,
            hub.exchange.agencies,
            lambda: hub.exchange.position,
            UsedTokens(limits.tokens),
        )
        self._requests = Buckets(limits.requests, limits.addresses)
        self._traffic = Buckets(limits.traffic, limits.addresses)
        self._unknown = Buckets(limits.unknown, limits.addresses)
        self._public = Buckets(limits.public, limits.addresses)
        self._submitting: CapacityLimiter | None = None
        self._working: CapacityLimiter | None = None
        self._looking: CapacityLimiter | None = None

    async def signed(self, request: Request, media_type: str | None = None) -> Signed:
        """The caller and its body, or Problem. media_type: what the body must be."""
        check_declared(request, self.limits)
        caller = self._caller(request)
        if media_type is not None:
            check_media_type(request, media_type)
        body, digest = await read_body(
            request, self.limits, partial(self._charge, self._traffic, caller.agency)
        )
        caller.check_body(digest)
        return Signed(caller.agency, body)

    def _caller(self, request: Request) -> Caller:
        scope = request.scope
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        try:
            caller = self.authenticator.check(
                request.headers.getlist("authorization"), request.method, target
            )
        except Problem as problem:
            if problem.step is None:  # whoever this is has not shown to be an agency
                self._charge(self._unknown, self._network(request), 1)
            raise
        scope["nrm.caller"] = self.hub.exchange.pseudonyms.recipient_ref(caller.agency)
        self._charge(self._requests, caller.agency, 1)
        self.authenticator.used.use(caller.agency, caller.jti)
        return caller

    def public(self, request: Request) -> None:
        """The allowance of a call that needs no proof."""
        self._charge(self._public, self._network(request), 1)

    @staticmethod
    def _network(request: Request) -> str:
        return network_of(request.client.host if request.client else "")

    @staticmethod
    def _charge(buckets: Buckets, name: str, amount: float) -> None:
        wait = buckets.take(name, amount)
        if wait:
            raise Problem("too_many_requests", retry_after=wait)

    async def submitting(self, work: Callable[[], T]) -> T:
        """Run a submission in its own pool of threads: waiting for a commit takes most of it."""
        if self._submitting is None:
            self._submitting = CapacityLimiter(self.limits.submitting)
        return await self._run(work, self._submitting)

    async def working(self, work: Callable[[], T]) -> T:
        """Run anything else that reads or writes the store."""
        if self._working is None:
            self._working = CapacityLimiter(self.limits.working)
        return await self._run(work, self._working)

    async def looking(self, work: Callable[[], T]) -> T:
        """Run what an operator asks, also when the hub has stopped; apart from agencies' calls."""
        if self._looking is None:
            self._looking = CapacityLimiter(2)
        return await to_thread.run_sync(work, limiter=self._looking)

    async def _run(self, work: Callable[[], T], limiter: CapacityLimiter) -> T:
        if self.hub.failure is not None:
            raise Problem("stopped", retry_after=30)
        try:
            return await to_thread.run_sync(work, limiter=limiter)
        except (RetryLater, TopicUnavailable):
            raise Problem("busy", retry_after=1) from None
        except MustStop:
            raise Problem("stopped", retry_after=30) from None
