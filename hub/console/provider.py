"""The OpenID provider over HTTP: discovery, its keys, and the exchange of a code.

The provider is trusted to say who signed in and for nothing else: answers are small, quick and of
the right type or they are refused; redirects are not followed; addresses come from its discovery
document, which must name the very issuer of the settings. Keys are asked for again when a token
names one we do not know, at most every ten seconds, and every hour.

`httpx2` and `joserfc` do this, both used elsewhere in the hub: what a client library would add is
two requests and a redirect, and each check of the token is to be seen and tested here.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from hub.console import tokens
from hub.console.settings import OidcSettings, safe_url
from hub.console.tokens import Expected, PublicKey, TokenError, UnknownKey

MOST_BYTES: Final = 256 * 1024
MOST_KEYS: Final = 50
CONNECT, READ, WHOLE = 5.0, 5.0, 10.0  # seconds
FRESH: Final = 3_600.0  # seconds discovery and keys are believed
AGAIN: Final = 10.0  # seconds before an unknown key makes us ask again
LEAST_RSA: Final = 2_048  # bits


class ProviderError(Exception):
    """The provider did not answer as one does; the text is for the log, not for the person."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is used of a provider's discovery document."""

    authorize: str
    token: str
    jwks: str
    end_session: str
    names_itself: bool  # RFC 9207: the answer carries `iss`
    basic: bool  # takes the client's secret in the Authorization header


@dataclass(frozen=True, slots=True)
class Account:
    """Who signed in at the provider."""

    issuer: str
    subject: str


class Provider:
    """One OpenID provider. Safe between threads."""

    def __init__(
        self,
        settings: OidcSettings,
        *,
        steady: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self._steady, self._clock = steady, clock
        context = ssl.create_default_context(cafile=settings.ca or None)
        self._http = httpx2.Client(
            timeout=httpx2.Timeout(READ, connect=CONNECT),
            follow_redirects=False,
            trust_env=False,
            verify=context,
            headers={"accept": "application/json"},
        )
        self._lock = threading.Lock()
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, tuple[PublicKey, ...]] | None = None

    def close(self) -> None:
        self._http.close()

    # -- the flow --------------------------------------------------------------------------

    def authorize_url(
        self, *, state: str, nonce: str, challenge: str, redirect: str, again: bool
    ) -> str:
        """Where the person is sent to sign in. again: the provider has to ask them anew."""
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self.settings.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.settings.acr:
            asked["acr_values"] = " ".join(self.settings.acr)
        if again:
            asked |= {"prompt": "login", "max_age": "0"}
        where = self.metadata().authorize
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"

    def check_answer(self, issuer: str | None) -> None:
        """RFC 9207. Raises TokenError for an answer that names another provider, or none where
        the provider says it names itself."""
        if issuer is None and not self.metadata().names_itself:
            return
        if issuer != self.settings.issuer:
            raise TokenError(3, "the answer is not from this provider (iss)")

    def finish(
        self, *, code: str, verifier: str, nonce: str, redirect: str, after: float | None
    ) -> Account:
        """Exchange a code; who signed in. Raises ProviderError or TokenError."""
        metadata, settings = self.metadata(), self.settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        auth = None
        if not settings.secret:
            form["client_id"] = settings.client_id
        elif metadata.basic:  # both form-encoded first, RFC 6749 §2.3.1
            auth = httpx2.BasicAuth(quote(settings.client_id, ""), quote(settings.secret, ""))
        else:
            form |= {"client_id": settings.client_id, "client_secret": settings.secret}
        answer = self._json("POST", metadata.token, data=form, auth=auth)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise ProviderError("the token answer has no id_token")
        expected = self._expected(
            settings.client_id,
            nonce=nonce,
            access_token=access if isinstance(access, str) else None,
            signed_in_after=after,
            acr=settings.acr,
            amr=settings.amr,
        )
        return self._account(self._checked(tokens.id_token, token, expected), settings.claim)

    def program(self, token: str) -> Account:
        """Who an access token stands for. Raises ProviderError or TokenError."""
        if not self.settings.audience:
            raise TokenError(4, "access tokens are not taken here: set audience")
        expected = self._expected(
            self.settings.audience, acr=self.settings.acr, amr=self.settings.amr
        )
        return self._account(
            self._checked(tokens.access_token, token, expected), self.settings.claim
        )

    def _expected(self, audience: str, **more: Any) -> Expected:
        settings = self.settings
        return Expected(
            settings.issuer,
            audience,
            frozenset(settings.algorithms),
            self._clock(),
            settings.leeway_seconds,
            **more,
        )

    def _account(self, claims: Mapping[str, Any], claim: str) -> Account:
        subject = claims.get(claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise TokenError(9, f"the token does not name the person (claim {claim})")
        return Account(self.settings.issuer, subject)

    def _checked(
        self, check: Callable[..., Mapping[str, Any]], token: str, expected: Expected
    ) -> Mapping[str, Any]:
        try:
            return check(token, self.keys(), expected)
        except UnknownKey:
            if not self._stale_after(AGAIN):
                raise
            return check(token, self.keys(again=True), expected)

    def sign_out_url(self) -> str:
        """Where the person ends the provider's own session; empty if it has no such place."""
        try:
            where = self.metadata().end_session
        except ProviderError:
            return ""
        if not where:
            return ""
        mark = "&" if "?" in where else "?"
        return f"{where}{mark}{urlencode({'client_id': self.settings.client_id})}"

    # -- what the provider says of itself --------------------------------------------------

    def metadata(self) -> Metadata:
        """The discovery document. Raises ProviderError."""
        with self._lock:
            now = self._steady()
            if self._metadata is None or now - self._metadata[0] > FRESH:
                self._metadata = (now, self._discover())
            return self._metadata[1]

    def _discover(self) -> Metadata:
        issuer = self.settings.issuer
        found = self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise ProviderError("the discovery document is another issuer's: compare issuer")

        def address(name: str) -> str:
            told = found.get(name)
            if not isinstance(told, str) or not safe_url(told.partition("?")[0]):
                raise ProviderError(f"the discovery document has no usable {name}")
            return told

        ending = found.get("end_session_endpoint")
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Metadata(
            address("authorization_endpoint"),
            address("token_endpoint"),
            address("jwks_uri"),
            end_session=ending if isinstance(ending, str) and safe_url(ending) else "",
            names_itself=found.get("authorization_response_iss_parameter_supported") is True,
            basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )

    def keys(self, *, again: bool = False) -> Sequence[PublicKey]:
        """The provider's public keys. Raises ProviderError."""
        where = self.metadata().jwks
        with self._lock:
            now = self._steady()
            if again or self._keys is None or now - self._keys[0] > FRESH:
                self._keys = (now, _public_keys(self._json("GET", where)))
            return self._keys[1]

    def _stale_after(self, seconds: float) -> bool:
        with self._lock:
            return self._keys is not None and self._steady() - self._keys[0] > seconds

    def _json(self, method: str, url: str, **sent: Any) -> Mapping[str, Any]:
        """A small JSON object, within `WHOLE` seconds. Raises ProviderError."""
        ends, body = self._steady() + WHOLE, bytearray()
        if sent.get("auth") is None:
            sent.pop("auth", None)
        try:
            with self._http.stream(method, url, **sent) as answer:
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MOST_BYTES:
                        raise ProviderError("the provider's answer is too large")
                    if self._steady() > ends:
                        raise ProviderError("the provider answers too slowly")
                status = answer.status_code
        except httpx2.HTTPError as wrong:
            raise ProviderError(f"the provider cannot be asked: {type(wrong).__name__}") from None
        if status != 200:
            raise ProviderError(f"the provider answered {status}")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderError("the provider's answer is not JSON") from None
        if not isinstance(found, dict):
            raise ProviderError("the provider's answer is not a JSON object")
        return found


def _public_keys(document: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """Keys that sign; others, and damaged ones, are left out."""
    listed = document.get("keys")
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ProviderError("the provider's keys cannot be read, or are too many")
    found: list[PublicKey] = []
    for one in listed:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or "d" in one:
            continue
        if one.get("kty") == "RSA" and len(str(one.get("n"))) * 6 < LEAST_RSA:
            continue
        try:
            key = JWKRegistry.import_key(one)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            found.append(key)
    if not found:
        raise ProviderError("the provider publishes no usable key")
    return tuple(found)
