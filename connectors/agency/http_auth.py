"""Requests over HTTP: who sends this one, proven by the agency's own signing key.

Every request carries `Authorization: Bearer <token>`. The token is a JWT (RFC 7519) in JWS compact
form, made for this one request and valid for less than a minute:

    header  {"alg": "Ed25519", "typ": "nrm-request+jwt", "kid": key id, 32 hexadecimal digits}
    claims  iss     the agency
            aud     the hub's identifier
            iat     when it was made     } seconds since 1970, at most 60 apart
            exp     when it ends         }
            jti     128 random bits, base64url; accepted once
            htm     the method, in capitals
            target  the path with its query, as it stands in the request line
            sha256  SHA-256 of the body, base64url without padding

So a token that leaks serves nowhere else, for nothing else, and not twice. It hides nothing: bodies
are sealed apart, and TLS is wanted for what addresses and sizes would tell.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import OKPKey

from connectors.agency.identity import AgencyIdentity
from hub.crypto.signing import SigningKey

ALGORITHM: Final = "Ed25519"  # RFC 9864; "EdDSA" would leave the curve open
TOKEN_TYPE: Final = "nrm-request+jwt"  # noqa: S105 - a media type, no secret
LIFE: Final = 60
"""Seconds between iat and exp, at most."""


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def b64url(data: bytes) -> str:
    """Base64url without padding, as JOSE writes it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def body_digest(body: bytes) -> str:
    """The `sha256` claim of a body; an absent body is an empty one."""
    return b64url(hashlib.sha256(body).digest())


def target_of(url: str) -> str:
    """Path and query of a URL, or of a path given as such."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def request_claims(
    agency: str, hub: str, method: str, url: str, body: bytes, *, now: datetime
) -> dict[str, Any]:
    """The claims of one request's token."""
    made = int(now.timestamp())
    return {
        "iss": agency,
        "aud": hub,
        "iat": made,
        "exp": made + LIFE,
        "jti": b64url(secrets.token_bytes(16)),
        "htm": method.upper(),
        "target": target_of(url),
        "sha256": body_digest(body),
    }


def sign_claims(key: SigningKey, claims: Mapping[str, Any]) -> str:
    """The token in JWS compact form."""
    header = {"alg": ALGORITHM, "typ": TOKEN_TYPE, "kid": key.key_id.hex()}
    jwk = OKPKey.import_key(
        {"kty": "OKP", "crv": "Ed25519", "x": b64url(key.public), "d": b64url(key.private)}
    )
    return jwt.encode(header, dict(claims), jwk, algorithms=[ALGORITHM])


def sign_request(
    identity: AgencyIdentity,
    method: str,
    url: str,
    body: bytes = b"",
    *,
    clock: Callable[[], datetime] = _wall_clock,
) -> dict[str, str]:
    """The headers that authenticate one request. `url`: whole, or its path with query."""
    claims = request_claims(identity.agency, identity.hub.hub, method, url, body, now=clock())
    return {"authorization": f"Bearer {sign_claims(identity.signing, claims)}"}


def signed_requests(identity: AgencyIdentity) -> Callable[[str, str, bytes], Mapping[str, str]]:
    """`sign_request` for one agency, as `HttpInbox` and `HttpTransport` take it."""

    def auth(method: str, path: str, body: bytes) -> Mapping[str, str]:
        return sign_request(identity, method, path, body)

    return auth


class RequestSignature(httpx2.Auth):
    """Signs every request of an httpx client: `httpx2.Client(auth=RequestSignature(identity))`."""

    requires_request_body = True

    def __init__(self, identity: AgencyIdentity) -> None:
        self._identity = identity

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        target = request.url.raw_path.decode("ascii")
        request.headers.update(
            sign_request(self._identity, request.method, target, request.content)
        )
        yield request
