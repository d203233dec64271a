"""Tokens of an OpenID provider, checked in numbered steps; docs/console.md has the same numbers.

    (1) three parts, not large; an algorithm that is allowed here, never none or a shared secret
    (2) its signature, under the one key of the provider it names
    (3) `iss` is the provider the settings name, to the letter
    (4) `aud` is this console; with several audiences `azp` is this console
    (5) not before and not after its time
    (6) `nonce` is that of this very sign-in
    (7) `at_hash` is that of the access token that came with it
    (8) signed in just now, where that was asked (`auth_time`)
    (9) by a context or method that the settings demand (`acr`, `amr`)

Access tokens of programs (RFC 9068) pass (1) to (5) with their own type and audience, and (9) where
they stand for a person and not for the program itself.

Pure: bytes, keys and the time in; claims out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

MAX_TOKEN: Final = 16 * 1024  # characters
PublicKey = RSAKey | ECKey | OKPKey
_TYPES: Final = {"R": "RSA", "P": "RSA", "E": "EC"}  # key type by the first letter of an algorithm
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class TokenError(Exception):
    """The token is not to be trusted. `step`: number of the check it failed."""

    def __init__(self, step: int, text: str) -> None:
        super().__init__(f"step {step}: {text}")
        self.step = step


class UnknownKey(TokenError):
    """No key of this id: the provider may have changed its keys; ask it once more."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. times: seconds since 1970."""

    issuer: str
    audience: str
    algorithms: Collection[str]
    now: float
    leeway: float
    nonce: str | None = None
    access_token: str | None = None
    signed_in_after: float | None = None
    acr: Collection[str] = ()
    amr: Collection[str] = ()


def id_token(token: str, keys: Sequence[PublicKey], expected: Expected) -> Mapping[str, Any]:
    """The claims of an ID token. Raises TokenError."""
    header, claims = _signed(token, keys, expected)
    if str(header.get("typ", "JWT")).lower() not in ("jwt", "application/jwt"):
        raise TokenError(1, "another kind of token")
    _for_us(claims, expected, several=True)
    _in_time(claims, expected)
    if expected.nonce is None or not _same(claims.get("nonce"), expected.nonce):
        raise TokenError(6, "the nonce is not of this sign-in")
    if "at_hash" in claims and expected.access_token is not None:
        digest = _hash_of(header["alg"])(expected.access_token.encode()).digest()
        if not _same(claims["at_hash"], _b64(digest[: len(digest) // 2])):
            raise TokenError(7, "at_hash is of another access token")
    if expected.signed_in_after is not None:
        moment = claims.get("auth_time")
        if not _number(moment) or moment + expected.leeway < expected.signed_in_after:
            raise TokenError(8, "the provider did not ask the person to sign in again")
    _by_what(claims, expected)
    return claims


def access_token(token: str, keys: Sequence[PublicKey], expected: Expected) -> Mapping[str, Any]:
    """The claims of a program's access token (RFC 9068). Raises TokenError."""
    header, claims = _signed(token, keys, expected)
    if str(header.get("typ", "")).lower().removeprefix("application/") != "at+jwt":
        raise TokenError(1, "not an access token (typ at+jwt)")
    _for_us(claims, expected, several=False)
    _in_time(claims, expected)
    if claims.get("sub") != claims.get("client_id"):  # a person's, not the program's own
        _by_what(claims, expected)
    return claims


def _signed(
    token: str, keys: Sequence[PublicKey], expected: Expected
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    header = _header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:  # (1)
        raise TokenError(1, "the algorithm is not allowed here")
    if "crit" in header or "b64" in header:
        raise TokenError(1, "the header demands an extension")
    key = _key(header, algorithm, keys)
    try:  # (2)
        found = jwt.decode(token, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, KeyError):
        raise TokenError(2, "the signature does not verify") from None
    if not isinstance(found.claims, dict):
        raise TokenError(2, "no claims")
    return header, found.claims


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > MAX_TOKEN or token.count(".") != 2:
        raise TokenError(1, "not a signed token, or a large one")
    part = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        raise TokenError(1, "the header cannot be read") from None
    if not isinstance(header, dict):
        raise TokenError(1, "the header cannot be read")
    return header


def _key(header: Mapping[str, Any], algorithm: str, keys: Sequence[PublicKey]) -> PublicKey:
    kind = _TYPES.get(algorithm[0], "EC") if algorithm[:2] != "Ed" else "OKP"
    usable = [
        one
        for one in keys
        if one.key_type == kind and one.as_dict(private=False).get("alg", algorithm) == algorithm
    ]
    kid = header.get("kid")
    if kid is not None:
        usable = [one for one in usable if one.kid == kid]
    if not usable:
        raise UnknownKey(2, "the provider has no such key")
    if len(usable) > 1:
        raise TokenError(2, "several keys could have signed it: the token has to name one")
    return usable[0]


def _for_us(claims: Mapping[str, Any], expected: Expected, *, several: bool) -> None:
    if claims.get("iss") != expected.issuer:
        raise TokenError(3, "from another provider")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or expected.audience not in audiences:
        raise TokenError(4, "for another audience")
    if (
        several
        and (len(audiences) > 1 or "azp" in claims)
        and (claims.get("azp") != expected.audience)
    ):
        raise TokenError(4, "given to another client (azp)")


def _in_time(claims: Mapping[str, Any], expected: Expected) -> None:
    ends, issued = claims.get("exp"), claims.get("iat")
    begins = claims.get("nbf", issued)
    if not _number(ends) or not _number(issued) or not _number(begins):
        raise TokenError(5, "exp or iat is missing")
    if ends + expected.leeway <= expected.now:
        raise TokenError(5, "it has expired")
    if issued - expected.leeway > expected.now or begins - expected.leeway > expected.now:
        raise TokenError(5, "it is of the future: compare the clocks")


def _by_what(claims: Mapping[str, Any], expected: Expected) -> None:
    if expected.acr and claims.get("acr") not in expected.acr:
        raise TokenError(9, "acr is none of those demanded")
    methods = claims.get("amr")
    methods = set(map(str, methods)) if isinstance(methods, list) else set()
    if expected.amr and not methods & set(expected.amr):
        raise TokenError(9, "amr is none of those demanded")


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def _hash_of(algorithm: str) -> Any:
    return _HASHES.get(algorithm[-3:], hashlib.sha512)  # EdDSA with Ed25519: SHA-512


def _same(told: Any, wanted: str) -> bool:
    return isinstance(told, str) and hmac.compare_digest(told.encode(), wanted.encode())


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
