"""Authentication: which agency sends this request? Numbered, as in docs/api.md.

    (1) one bearer token of our type and algorithm, small, with every claim of the right type
    (2) its signature, under the key `kid` of the agency `iss`
    (3) it is valid now, for at most a minute
    (4) it is for this hub
    (5) it is for this method and this path with query
    (6) the key is valid at this log position
    (7) it was not used before
    (8) it is for this body (asked once the body is here: `Caller.check_body`)

Up to (2) every failure has the same answer, and an unknown agency or key costs a verification like
any other, so nobody learns who is enrolled here by asking. From (3) on the caller has shown that it
holds an enrolled key and is told what is wrong. The agency of a request is the one that signed it;
nothing else in a request says who is calling.

Validity is by the wall clock, which is what a partner can compare its own with. Used tokens are
remembered in memory: after a restart one could serve twice within its minute, which changes
nothing, since submissions and receipts are idempotent and deliveries are sealed.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import extract_compact, validate_compact

from connectors.agency.http_auth import ALGORITHM, LIFE, TOKEN_TYPE, b64url
from hub.api.problems import Problem
from hub.clock import wall_clock
from hub.crypto.signing import SigningKey
from hub.membership.agencies import Agencies, SigningKeyRecord

MAX_TOKEN: Final = 4_096  # characters; a token with the longest agency id and path has under 1,500
LEEWAY: Final = 30  # seconds a sender's clock may be wrong
_KID = re.compile(r"[0-9a-f]{32}")
_JTI = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TEXTS: Final = ("iss", "aud", "jti", "htm", "target", "sha256")


@dataclass(frozen=True, slots=True)
class Caller:
    """An agency that has proven to have made this request, all but its body."""

    agency: str
    jti: str
    ends: int
    sha256: str

    def check_body(self, digest: bytes) -> None:
        """(8) The body is the one that was signed."""
        if not hmac.compare_digest(self.sha256.encode(), b64url(digest).encode()):
            raise Problem("wrong_request", step=8)


@lru_cache(maxsize=4_096)
def _jwk(public: bytes) -> OKPKey:
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64url(public)})


class UsedTokens:
    """Tokens that were accepted and may not come again while they are valid.

    Forgetting is by a clock that cannot be set, one bounded queue per agency; a full one refuses
    (429), so no flood can make the hub forget a token early.
    """

    KEEP = LIFE + 2 * LEEWAY + 10  # seconds: longer than any token can still be accepted

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._clock = clock
        self._used: dict[str, set[str]] = {}
        self._order: dict[str, deque[tuple[float, str]]] = {}

    def use(self, agency: str, jti: str) -> None:
        """(7) Raises Problem if the token was used before."""
        now = self._clock()
        used = self._used.setdefault(agency, set())
        order = self._order.setdefault(agency, deque())
        while order and order[0][0] < now - self.KEEP:
            used.discard(order.popleft()[1])
        if jti in used:
            raise Problem("replayed", step=7)
        if len(used) >= self._size:
            raise Problem("too_many_requests", retry_after=order[0][0] + self.KEEP - now)
        used.add(jti)
        order.append((now, jti))


class Authenticator:
    """Checks requests against the agencies enrolled at one hub."""

    def __init__(
        self,
        hub_id: str,
        agencies: Agencies,
        position: Callable[[], int],
        used: UsedTokens,
        *,
        clock: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._hub_id = hub_id
        self._agencies = agencies
        self._position = position
        self.used = used
        self._clock = clock
        self._nobody = SigningKey.generate().public  # verified against when there is no such key

    def check(self, authorization: list[str], method: str, target: str) -> Caller:
        """Steps 1 to 6; the caller has yet to pass `used.use` (7) and `check_body` (8).

        authorization: every such header, as received. Raises Problem.
        """
        token, kid, claims = self._read(authorization)
        key = self._verified(token, kid, claims["iss"])
        self._times(claims)
        if claims["aud"] != self._hub_id:  # (4)
            raise Problem("wrong_audience", step=4)
        if claims["htm"] != method or claims["target"] != target:  # (5)
            raise Problem("wrong_request", step=5)
        if not key.valid_at(self._position() + 1):  # (6)
            raise Problem("revoked_key", step=6)
        return Caller(claims["iss"], claims["jti"], claims["exp"], claims["sha256"])

    @staticmethod
    def _read(authorization: list[str]) -> tuple[Any, bytes, dict[str, Any]]:
        # (1) Form, before anything is computed.
        if len(authorization) != 1 or len(authorization[0]) > MAX_TOKEN:
            raise Problem("unauthenticated")
        scheme, _, text = authorization[0].partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise ValueError
            token = extract_compact(text.strip().encode("ascii"))
            header = token.headers()
            claims = json.loads(token.payload)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Problem("unauthenticated") from None
        fits = (
            isinstance(claims, dict)
            and set(header) == {"alg", "typ", "kid"}
            and header["alg"] == ALGORITHM
            and header["typ"] == TOKEN_TYPE
            and isinstance(header["kid"], str)
            and _KID.fullmatch(header["kid"])
            and all(isinstance(claims.get(name), str) for name in _TEXTS)
            and all(type(claims.get(name)) is int for name in ("iat", "exp"))
            and _JTI.fullmatch(claims["jti"])
        )
        if not fits:
            raise Problem("unauthenticated")
        return token, bytes.fromhex(header["kid"]), claims

    def _verified(self, token: Any, kid: bytes, agency: str) -> SigningKeyRecord:
        # (2) One verification whoever asks: with a key of nobody's if there is no such key.
        known = self._agencies.get(agency)
        key = known.keys.get(kid) if known is not None else None
        public = key.public if key is not None else self._nobody
        try:
            signed = validate_compact(token, _jwk(public), algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError):
            signed = False
        if not signed or key is None:
            raise Problem("unauthenticated")
        return key

    def _times(self, claims: dict[str, Any]) -> None:
        # (3) Short-lived, and now.
        now = self._clock().timestamp()
        made, ends = claims["iat"], claims["exp"]
        if not 0 < ends - made <= LIFE or made > now + LEEWAY or ends < now - LEEWAY:
            raise Problem("token_expired", step=3)
