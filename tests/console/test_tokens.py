"""Tokens nobody should believe, each with the step that says so."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from hub.console.settings import ALGORITHMS
from hub.console.tokens import Expected, TokenError, UnknownKey, access_token, id_token

NOW = 1_800_000_000
KEY = RSAKey.generate_key(2048, {"kid": "k1"})
PUBLIC = RSAKey.import_key(KEY.as_dict(private=False))
OTHER = RSAKey.generate_key(2048, {"kid": "k1"})
EXPECTED = Expected(
    "https://id.example.org",
    "console",
    frozenset(ALGORITHMS),
    NOW,
    60,
    nonce="n",
    access_token="at",
)
PROGRAM = replace(EXPECTED, audience="urn:nrm:console", nonce=None, access_token=None)


def claims(**other: Any) -> dict[str, Any]:
    said = {
        "iss": "https://id.example.org",
        "aud": "console",
        "sub": "5f2c",
        "exp": NOW + 300,
        "iat": NOW - 1,
        "nonce": "n",
        **other,
    }
    return {name: value for name, value in said.items() if value is not None}


def signed(said: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    named = {"alg": "RS256", "kid": "k1", "typ": "JWT", **header}
    named = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(named, said, key, algorithms=[named["alg"]])


def step(
    token: str, expected: Expected = EXPECTED, keys: Any = (PUBLIC,), check: Any = id_token
) -> int:
    with pytest.raises(TokenError) as found:
        check(token, keys, expected)
    return found.value.step


def test_a_sound_token() -> None:
    half = hashlib.sha256(b"at").digest()[:16]
    at_hash = base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert id_token(signed(claims(at_hash=at_hash)), [PUBLIC], EXPECTED)["sub"] == "5f2c"
    assert id_token(signed(claims(aud=["console"])), [PUBLIC], EXPECTED)
    assert id_token(signed(claims(aud=["console", "b"], azp="console")), [PUBLIC], EXPECTED)
    assert id_token(signed(claims(), kid=None), [PUBLIC], EXPECTED)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ECKey.generate_key("P-256", {"kid": "k1"}), "ES256"),
        (OKPKey.generate_key("Ed25519", {"kid": "k1"}), "Ed25519"),
        (RSAKey.generate_key(2048, {"kid": "k1"}), "PS256"),
    ],
)
def test_other_kinds_of_key(key: Any, algorithm: str) -> None:
    public = type(key).import_key(key.as_dict(private=False))
    token = signed(claims(), key, alg=algorithm)
    assert id_token(token, [public], EXPECTED)["sub"] == "5f2c"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(algorithm: str) -> str:
    head = b64(json.dumps({"alg": algorithm, "kid": "k1", "typ": "JWT"}).encode())
    return f"{head}.{b64(json.dumps(claims()).encode())}."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_alg_none(algorithm: str) -> None:
    assert step(unsigned(algorithm)) == 1


def test_a_shared_secret_made_of_the_public_key() -> None:
    pem = PUBLIC.as_pem(private=False)
    for secret in (pem, pem.strip(), json.dumps(PUBLIC.as_dict(private=False)).encode()):
        head = b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode())
        body = f"{head}.{b64(json.dumps(claims()).encode())}"
        token = f"{body}.{b64(hmac.new(secret, body.encode(), 'sha256').digest())}"
        assert step(token) == 1
        everything = replace(EXPECTED, algorithms={*ALGORITHMS, "HS256"})
        assert step(token, everything) == 2  # not even if it were allowed: no key of that type


@pytest.mark.parametrize(
    ("token", "at"),
    [
        ("", 1),
        ("a.b", 1),
        ("a.b.c.d", 1),
        ("....", 1),
        ("x" * 20_000 + ".a.b", 1),
        ("[].e30.", 1),
        (signed(claims(), typ="at+jwt"), 1),
        (signed(claims(), OTHER), 2),
        (signed(claims(), KEY, kid="k9"), 2),
        (signed(claims(iss="https://id.attacker.example")), 3),
        (signed(claims(iss="https://id.example.org/")), 3),
        (signed(claims(iss=None)), 3),
        (signed(claims(aud="another")), 4),
        (signed(claims(aud=None)), 4),
        (signed(claims(aud=["another"])), 4),
        (signed(claims(aud=["console", "another"])), 4),
        (signed(claims(aud=["console", "another"], azp="another")), 4),
        (signed(claims(azp="another")), 4),
        (signed(claims(aud={"console": 1})), 4),
        (signed(claims(exp=NOW - 61)), 5),
        (signed(claims(exp=None)), 5),
        (signed(claims(exp="soon")), 5),
        (signed(claims(exp=True)), 5),
        (signed(claims(exp=1e300)), 5),
        (signed(claims(iat=None)), 5),
        (signed(claims(iat=NOW + 100)), 5),
        (signed(claims(nbf=NOW + 100)), 5),
        (signed(claims(nonce="m")), 6),
        (signed(claims(nonce=None)), 6),
        (signed(claims(nonce=["n"])), 6),
        (signed(claims(at_hash="AAAA")), 7),
        (signed(claims(at_hash=7)), 7),
    ],
)
def test_what_is_not_believed(token: str, at: int) -> None:
    assert step(token) == at


def test_clocks_may_differ_a_little() -> None:
    assert id_token(signed(claims(exp=NOW - 59)), [PUBLIC], EXPECTED)
    assert id_token(signed(claims(iat=NOW + 59)), [PUBLIC], EXPECTED)


def test_an_unknown_key_is_told_apart_so_that_keys_may_change() -> None:
    with pytest.raises(UnknownKey):
        id_token(signed(claims(), kid="new"), [PUBLIC], EXPECTED)


def test_a_token_that_names_no_key_and_could_be_of_several() -> None:
    second = RSAKey.generate_key(2048, {"kid": "k2"})
    assert step(signed(claims(), kid=None), keys=[PUBLIC, second]) == 2


def test_a_key_for_another_algorithm_is_not_used() -> None:
    only = RSAKey.import_key({**KEY.as_dict(private=False), "alg": "PS256"})
    assert step(signed(claims()), keys=[only]) == 2


def test_an_extension_that_must_be_understood() -> None:
    head = b64(json.dumps({"alg": "RS256", "kid": "k1", "crit": ["b64"], "b64": False}).encode())
    assert step(f"{head}.{b64(json.dumps(claims()).encode())}.AAAA") == 1


def test_signing_in_again_has_to_be_just_now() -> None:
    again = replace(EXPECTED, signed_in_after=NOW - 10)
    assert id_token(signed(claims(auth_time=NOW - 5)), [PUBLIC], again)
    assert step(signed(claims(auth_time=NOW - 600)), again) == 8
    assert step(signed(claims()), again) == 8


def test_a_demanded_context_or_method() -> None:
    strong = replace(EXPECTED, acr=("urn:gold",), amr=("mfa", "hwk"))
    assert id_token(signed(claims(acr="urn:gold", amr=["pwd", "mfa"])), [PUBLIC], strong)
    assert step(signed(claims(amr=["mfa"])), strong) == 9
    assert step(signed(claims(acr="urn:gold")), strong) == 9
    assert step(signed(claims(acr="urn:gold", amr="mfa")), strong) == 9


def program(**other: Any) -> dict[str, Any]:
    return claims(aud="urn:nrm:console", sub="programs", client_id="programs", nonce=None, **other)


def test_access_tokens_of_programs() -> None:
    assert access_token(signed(program(), typ="at+jwt"), [PUBLIC], PROGRAM)["sub"] == "programs"
    assert step(signed(program(), typ="JWT"), PROGRAM, check=access_token) == 1
    assert step(signed(program(), typ=None), PROGRAM, check=access_token) == 1
    # An ID token is no access token, and an access token of another service is not ours.
    assert step(signed(claims()), PROGRAM, check=access_token) == 1
    other = program() | {"aud": "urn:other"}
    assert step(signed(other, typ="at+jwt"), PROGRAM, check=access_token) == 4
    assert step(signed(program(exp=NOW - 100), typ="at+jwt"), PROGRAM, check=access_token) == 5


def test_a_persons_access_token_does_not_get_round_a_demanded_method() -> None:
    strong = replace(PROGRAM, amr=("mfa",))
    assert access_token(signed(program(), typ="at+jwt"), [PUBLIC], strong)
    persons = program() | {"sub": "5f2c"}
    assert step(signed(persons, typ="at+jwt"), strong, check=access_token) == 9
    assert access_token(signed(persons | {"amr": ["mfa"]}, typ="at+jwt"), [PUBLIC], strong)


SOUND = signed(claims())


@settings(deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.characters(codec="ascii"))
def test_one_character_changed_is_another_token(at: int, character: str) -> None:
    changed = SOUND[:at] + character + SOUND[at + 1 :]
    if _bytes(changed) == _bytes(SOUND):
        return  # the spare bits of a last character say nothing
    with pytest.raises(TokenError):
        id_token(changed, [PUBLIC], EXPECTED)


def _bytes(token: str) -> list[bytes] | None:
    try:
        return [base64.urlsafe_b64decode(part + "===") for part in token.split(".")]
    except ValueError:
        return None
