"""Access: how the sink shows a FHIR server who it is.

    token      Authorization: Bearer …
    user       Authorization: Basic …
    smart      SMART backend services (HL7 SMART App Launch 2.2, "Backend Services"): a JWT signed
               with our key is exchanged at the token endpoint for a token of short life

The token endpoint is named in the settings and not read from the server, which could name another.
A token is asked for again before it ends, and after the server did not take it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from connectors.errors import SettingsError, SinkDownError
from connectors.remote.outbound import Outbound

ALGORITHMS: Final = ("ES384", "RS384")
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE: Final = 240  # of an assertion, seconds; at most 300 by the profile
_SPARE: Final = 30  # seconds before its end that a token is asked for anew
_LONGEST: Final = 3600.0
_SHORTEST: Final = 300.0  # if the server does not say; by the profile it must


class Access(Protocol):
    """headers(): what authenticates a request. forget(): what was sent was not taken."""

    def headers(self) -> Mapping[str, str]: ...

    def forget(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same header each time; "" for none."""

    authorization: str = ""

    def headers(self) -> Mapping[str, str]:
        return {"authorization": self.authorization} if self.authorization else {}

    def forget(self) -> None:
        """There is no other."""

    def close(self) -> None:
        """Nothing is open."""


def read_key(text: str) -> ECKey | RSAKey:
    """A private key as JWK or PEM. SettingsError if it is none the profile allows."""
    for kind in (ECKey, RSAKey):
        try:
            given: Any = _document(text)
            found = kind.import_key(given)
        except (ValueError, TypeError, KeyError, JoseError):
            continue
        curve = found.dict_value.get("crv") if isinstance(found, ECKey) else "P-384"
        if found.is_private and curve == "P-384":
            return found
    raise SettingsError(
        "the SMART key is no private key on P-384 (ES384) or RSA key (RS384), as JWK or PEM: "
        "make one with `openssl ecparam -genkey -name secp384r1 -noout`"
    )


def _document(text: str) -> Any:

    return json.loads(text) if text.lstrip().startswith("{") else text


class Smart:
    """Tokens from one token endpoint."""

    def __init__(
        self,
        endpoint: Outbound,
        client_id: str,
        key: ECKey | RSAKey,
        *,
        key_id: str = "",
        scope: str = "system/*.crud",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._endpoint = endpoint
        self._client = client_id
        self._key = key
        self._key_id = key_id or key.dict_value.get("kid") or key.thumbprint()
        self._scope = scope
        self._clock = clock
        self._token = ""
        self._until = 0.0

    def headers(self) -> Mapping[str, str]:
        if not self._token or self._clock() >= self._until:
            self._renew()
        return {"authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        self._token = ""

    def close(self) -> None:
        self._endpoint.close()

    def _renew(self) -> None:
        now = self._clock()
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": _ASSERTION,
            "client_assertion": self._assertion(int(now)),
        }
        answer = self._endpoint.request(
            "POST",
            "",
            content=urlencode(form).encode("ascii"),
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
            },
        )
        if not answer.good:
            raise SinkDownError(
                f"the token endpoint answered {answer.status}: check client_id, scope, and that "
                "the public half of the key is registered there"
            )
        found = answer.json()
        token = found.get("access_token") if isinstance(found, dict) else None
        kind = str(found.get("token_type", "")) if isinstance(found, dict) else ""
        if not isinstance(token, str) or not _usable(token) or kind.lower() != "bearer":
            raise SinkDownError("the token endpoint answered without a usable bearer token")
        told = found.get("expires_in")
        known = isinstance(told, int | float) and not isinstance(told, bool) and told > 0
        life = float(min(told, _LONGEST)) if known else _SHORTEST
        self._token = token
        self._until = now + max(min(life, _LONGEST) - _SPARE, 1.0)

    def _assertion(self, now: int) -> str:
        algorithm = "ES384" if isinstance(self._key, ECKey) else "RS384"
        header = {"alg": algorithm, "kid": self._key_id, "typ": "JWT"}
        claims = {
            "iss": self._client,
            "sub": self._client,
            "aud": self._endpoint.base_url,
            "iat": now,
            "exp": now + _LIFE,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(header, claims, self._key, algorithms=list(ALGORITHMS))


def _usable(token: str) -> bool:
    """Printable ASCII without spaces, as a header can carry it, and of some bounded length."""
    return token.isascii() and token.isprintable() and " " not in token and 0 < len(token) <= 16384
