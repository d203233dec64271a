"""Passkeys (WebAuthn): registered once with the officers' code, then the only thing needed.

The passkey is discoverable, so the person types no name and nobody can ask which names exist. The
authenticator has to verify the person (fingerprint, face or PIN). Attestation is not asked for: the
two officers' code says whose passkey it is, and a model's certificate would say less.
"""

from __future__ import annotations

import json
from typing import Any, Final

import webauthn
from cryptography.exceptions import InvalidSignature
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from hub.authority.granting import Granting
from hub.authority.viewers import Granted, Passkey
from hub.errors import Refused

ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
TIMEOUT: Final = 5 * 60 * 1000  # milliseconds a person may take
MOST_ID: Final = 1_023  # bytes, as WebAuthn allows
PASSKEY_FAILED: Final = Refused(
    0, "passkey_failed", "the passkey did not prove itself; try again from the sign-in page"
)


class Passkeys:
    """Passkeys of one console, bound to its domain. origin: where its pages come from."""

    def __init__(self, domain: str, origin: str, title: str) -> None:
        self.domain = domain
        self._origin = origin
        self._title = title

    def ask_to_register(self, granted: Granted, challenge: bytes) -> str:
        """Options for `navigator.credentials.create`, as JSON."""
        options = webauthn.generate_registration_options(
            rp_id=self.domain,
            rp_name=self._title,
            user_name=granted.grant.viewer,
            user_display_name=granted.grant.viewer,
            user_id=f"grant-{granted.position}".encode(),
            challenge=challenge,
            timeout=TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            supported_pub_key_algs=ALGORITHMS,
        )
        return webauthn.options_to_json(options)

    def register(self, answer: Any, challenge: bytes, code: str, granting: Granting) -> Granted:
        """Check what the authenticator made and record it. Raises Refused."""
        try:
            made = webauthn.verify_registration_response(
                credential=_object(answer),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origin,
                require_user_verification=True,
                supported_pub_key_algs=ALGORITHMS,
            )
        except _WRONG:
            raise PASSKEY_FAILED from None
        if not 0 < len(made.credential_id) <= MOST_ID:
            raise PASSKEY_FAILED
        return granting.add_passkey(
            code, made.credential_id, made.credential_public_key, made.sign_count, made.aaguid
        )

    def ask(self, challenge: bytes) -> str:
        """Options for `navigator.credentials.get`, as JSON: any passkey of this console."""
        options = webauthn.generate_authentication_options(
            rp_id=self.domain,
            challenge=challenge,
            timeout=TIMEOUT,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return webauthn.options_to_json(options)

    def check(self, answer: Any, challenge: bytes, passkey: Passkey) -> int:
        """The passkey's counter after this proof; whether it moved on is asked in the log.

        Raises Refused.
        """
        try:
            proved = webauthn.verify_authentication_response(
                credential=_object(answer),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origin,
                credential_public_key=passkey.public,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except _WRONG:
            raise PASSKEY_FAILED from None
        if proved.credential_id != passkey.credential:
            raise PASSKEY_FAILED
        return proved.new_sign_count

    @staticmethod
    def credential_of(answer: Any) -> bytes:
        """Which passkey an answer names; unproven. Raises Refused."""
        try:
            return webauthn.base64url_to_bytes(str(_object(answer)["id"])[: 2 * MOST_ID])
        except (KeyError, ValueError):
            raise PASSKEY_FAILED from None


# What the library and what it rests on raise for bytes that nobody's authenticator made.
_WRONG: Final = (
    WebAuthnException,
    InvalidSignature,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    json.JSONDecodeError,
)


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise PASSKEY_FAILED
    return answer
