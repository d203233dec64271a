"""The entrance: how somebody becomes a session. Two ways in, one way to end up inside.

Either way ends in `let_in`: the grant stands, the sign-in is a row of the log, the browser gets a
new session and forgets the old one. Nothing typed or sent by a browser says who somebody is; the
provider's token or the authenticator's signature does. Why somebody was not let in goes to the
hub's own log; the page says what to do.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from hub.api.limits import Buckets, Rate, network_of
from hub.authority.granting import CODE_NOT_VALID, Granting
from hub.authority.viewers import Granted
from hub.console.attempts import LIFE, Attempt, Attempts
from hub.console.desk import SECURE, Console
from hub.console.grants import GrantsOnRecord, viewer_of
from hub.console.passkeys import PASSKEY_FAILED, Passkeys
from hub.console.provider import Account, Provider, ProviderError
from hub.console.settings import ConsoleSettings
from hub.console.tokens import TokenError
from hub.errors import Refused

log = structlog.get_logger("hub.console")

COOKIE: Final = "nrm-sign-in"
ANSWER: Final = "/sign-in/answer"
TRIES: Final = Rate(0.2, 30)  # sign-ins begun from one address


class NotLetIn(Exception):
    """The sign-in came to nothing. code: what the page explains; account: whose it would be."""

    def __init__(self, code: str, status: int = 403, account: Account | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.account = account


@dataclass
class Entrance:
    """One console's entrance. Safe between threads. url: where browsers find the console."""

    console: Console
    settings: ConsoleSettings
    url: str
    granting: Granting
    grants: GrantsOnRecord
    provider: Provider | None = None
    attempts: Attempts = field(default_factory=Attempts)
    passkeys: Passkeys | None = None
    _tries: Buckets = field(default_factory=lambda: Buckets(TRIES, 10_000))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.settings.passkeys:
            domain = urlsplit(self.url).hostname or ""
            self.passkeys = Passkeys(domain, self.url, f"NRM Hub {self.console.hub_id}")

    # -- attempts --------------------------------------------------------------------------

    @property
    def cookie(self) -> str:
        return SECURE + COOKIE if self.console.secure else COOKIE

    def begin(self, request: Request, response: Response, attempt: Attempt) -> None:
        """Keep an attempt, and its name in this browser. Raises NotLetIn."""
        self.count(request)
        self._set(response, self.cookie, self.attempts.begin(attempt), LIFE)

    def count(self, request: Request) -> None:
        """One more try from this address. Raises NotLetIn if they were too many."""
        address = network_of(request.client.host if request.client else "")
        with self._lock:
            wait = self._tries.take(address)
        if wait:
            raise NotLetIn("too_many_attempts", 429)

    def take(self, request: Request, kind: str) -> Attempt:
        """The attempt of this browser, once. Raises NotLetIn."""
        attempt = self.attempts.take(request.cookies.get(self.cookie), kind)
        if attempt is None:
            raise NotLetIn("sign_in_expired", 400)
        return attempt

    # -- by the provider -------------------------------------------------------------------

    def provider_url(self, attempt: Attempt) -> str:
        """Where the person signs in. Raises NotLetIn."""
        if self.provider is None:
            raise NotLetIn("no_provider", 404)
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        try:
            return self.provider.authorize_url(
                state=attempt.state,
                nonce=attempt.nonce,
                challenge=urlsafe_b64encode(digest).rstrip(b"=").decode(),
                redirect=self.url + ANSWER,
                again=attempt.fresh,
            )
        except ProviderError as away:
            log.error("provider_failed", at=str(away))
            raise NotLetIn("provider_away", 503) from None

    def from_provider(self, request: Request, attempt: Attempt) -> Granted:
        """Whose account the provider's answer proves. Raises NotLetIn."""
        if self.provider is None:
            raise NotLetIn("no_provider", 404)
        asked = request.query_params
        if any(len(asked.getlist(name)) > 1 for name in ("state", "code", "iss", "error")):
            raise NotLetIn("sign_in_failed", 400)
        if not hmac.compare_digest(asked.get("state", "").encode(), attempt.state.encode()):
            raise NotLetIn("sign_in_expired", 400)
        try:
            self.provider.check_answer(asked.get("iss"))
            if asked.get("error") or not asked.get("code"):
                raise NotLetIn("provider_refused", 403)
            account = self.provider.finish(
                code=asked["code"],
                verifier=attempt.verifier,
                nonce=attempt.nonce,
                redirect=self.url + ANSWER,
                after=attempt.began if attempt.fresh else None,
            )
        except TokenError as wrong:
            log.warning("sign_in_refused", at=str(wrong))
            raise NotLetIn("sign_in_failed", 403) from None
        except ProviderError as away:
            log.error("provider_failed", at=str(away))
            raise NotLetIn("provider_away", 503) from None
        granted = self.grants.viewers().by_account(account.issuer, account.subject)
        if granted is None:
            raise NotLetIn("not_granted", 403, account)
        return granted

    # -- by a passkey ----------------------------------------------------------------------

    def by_code(self, code: str) -> Granted:
        """Whose one-time code this is. Raises Refused."""
        found = self.grants.viewers().by_code(code, self.console.exchange.clock.now())
        if found is None:
            raise Refused(0, "code_not_valid", CODE_NOT_VALID)
        return found

    def from_passkey(self, answer: Any, attempt: Attempt) -> tuple[Granted, bytes, int]:
        """(grant, passkey, its counter) that an authenticator's answer proves. Raises Refused."""
        assert self.passkeys is not None
        found = self.grants.viewers().by_credential(self.passkeys.credential_of(answer))
        if found is None:
            raise PASSKEY_FAILED
        granted, passkey = found
        return granted, passkey.credential, self.passkeys.check(answer, attempt.challenge, passkey)

    # -- inside ----------------------------------------------------------------------------

    def let_in(
        self,
        request: Request,
        response: Response,
        granted: Granted,
        credential: bytes = b"",
        counter: int = 0,
    ) -> None:
        """Record the sign-in and begin a session. Raises Refused."""
        self.granting.signed_in(granted, credential, counter)
        sessions = self.console.sessions
        sessions.end(request.cookies.get(self.console.cookie))
        name = sessions.begin(viewer_of(granted), granted.position)
        self._set(response, self.console.cookie, name, None)
        self._forget(response, self.cookie)

    def let_out(self, request: Request, response: Response) -> None:
        """End the session of this browser."""
        self.console.sessions.end(request.cookies.get(self.console.cookie))
        self._forget(response, self.console.cookie)

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self.console.secure,
            httponly=True,
            samesite="lax",
        )

    def _forget(self, response: Response, name: str) -> None:
        response.delete_cookie(
            name, path="/", secure=self.console.secure, httponly=True, samesite="lax"
        )
