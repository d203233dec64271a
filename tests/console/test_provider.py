"""What the console takes from a provider over HTTP, and what it does not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from hub.console import provider as module
from hub.console.provider import Account, Provider, ProviderError
from hub.console.settings import OidcSettings
from hub.console.tokens import TokenError
from tests.console.hostile import Hostile, hostile

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def liar() -> Iterator[Hostile]:
    with hostile() as one:
        yield one


@pytest.fixture
def provider(liar: Hostile) -> Iterator[Provider]:
    with closing(Provider(settings(liar))) as one:
        yield one


def settings(liar: Hostile, **other: Any) -> OidcSettings:
    return OidcSettings(
        issuer=liar.url, client_id="nrm-console", **{"client_secret": "of: the/tests", **other}
    )


def finish(provider: Provider, **other: Any) -> Account:
    given: dict[str, Any] = {
        "code": "n",
        "verifier": "v",
        "nonce": "n",
        "redirect": "http://localhost/answer",
        "after": None,
    }
    return provider.finish(**{**given, **other})


def test_an_honest_provider(liar: Hostile, provider: Provider) -> None:
    assert finish(provider) == Account(liar.url, "ana")


def test_another_claim_can_name_the_person(liar: Hostile) -> None:
    liar.claims = {"oid": "7a", "sub": "pairwise"}
    with closing(Provider(settings(liar, claim="oid"))) as provider:
        assert finish(provider).subject == "7a"
    with (
        closing(Provider(settings(liar, claim="email"))) as provider,
        pytest.raises(TokenError) as found,
    ):
        finish(provider)
    assert found.value.step == 9


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ({"nonce": "other"}, 6),
        ({"aud": "another"}, 4),
        ({"iss": "https://attacker.example"}, 3),
        ({"exp": 1}, 5),
        ({"at_hash": "AAAA"}, 7),
        ({"sub": ""}, 9),
        ({"sub": "x" * 300}, 9),
        ({"sub": 7}, 9),
    ],
)
def test_a_provider_that_lies_in_its_token(
    liar: Hostile, provider: Provider, said: dict[str, Any], step: int
) -> None:
    liar.claims = said
    with pytest.raises(TokenError) as found:
        finish(provider)
    assert found.value.step == step


def test_keys_may_change(liar: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    with closing(Provider(settings(liar), steady=lambda: now[0])) as provider:
        assert finish(provider).subject == "ana"
        liar.key = RSAKey.generate_key(2048, {"kid": "k2"})
        with pytest.raises(TokenError):  # asked a moment ago: not again, whoever sends tokens
            finish(provider)
        asked = liar.asked.count("/jwks")
        now[0] = module.AGAIN + 1
        assert finish(provider).subject == "ana"
        assert liar.asked.count("/jwks") == asked + 1


def test_unknown_keys_do_not_make_us_ask_for_ever(liar: Hostile, provider: Provider) -> None:
    finish(provider)
    asked = liar.asked.count("/jwks")
    liar.key = RSAKey.generate_key(2048, {"kid": "k2"})
    for _ in range(10):
        with pytest.raises(TokenError):
            finish(provider)
    assert liar.asked.count("/jwks") == asked


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"keys": {}},
        {"keys": [1, None, "x"]},
        {"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]},
        {"keys": [OctKey.generate_key(256, {"kid": "k1"}).as_dict()]},
        {"keys": [RSAKey.generate_key(2048, {"kid": "k1"}).as_dict(private=True)]},
        {"keys": [{**RSAKey.generate_key(2048).as_dict(private=False), "use": "enc"}]},
        {"keys": [RSAKey.generate_key(2048).as_dict(private=False)] * 51},
    ],
    ids=["none", "object", "junk", "damaged", "shared", "private", "encryption", "many"],
)
def test_keys_that_are_not_taken(liar: Hostile, provider: Provider, keys: Any) -> None:
    liar.answers["/jwks"] = lambda *_: keys
    with pytest.raises(ProviderError):
        finish(provider)


def test_a_short_key_is_not_taken(liar: Hostile, provider: Provider) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    short = rsa.generate_private_key(65_537, 1_024).public_key().public_numbers()

    def number(value: int) -> str:
        import base64

        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    key = {"kty": "RSA", "kid": "k1", "n": number(short.n), "e": number(short.e)}
    liar.answers["/jwks"] = lambda *_: {"keys": [key]}
    with pytest.raises(ProviderError, match="no usable key"):
        finish(provider)


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a": "' + b"x" * 300_000 + b'"}',
        b"\xff\xfe",
        500,
        204,
        "https://attacker.example/",
    ],
    ids=["empty", "text", "list", "null", "deep", "huge", "octets", "500", "204", "redirect"],
)
def test_answers_that_are_not_taken(
    liar: Hostile, provider: Provider, path: str, answer: Any
) -> None:
    liar.answers[path] = lambda *_: answer
    with pytest.raises(ProviderError):
        finish(provider)


@pytest.mark.parametrize(
    "other",
    [
        {"issuer": "https://attacker.example"},
        {"issuer": None},
        {"token_endpoint": "http://attacker.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://user:pw@attacker.example/"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://id.example/\r\nx: y"},
    ],
    ids=str,
)
def test_a_discovery_document_of_somebody_else(
    liar: Hostile, provider: Provider, other: dict[str, Any]
) -> None:
    liar.answers[DISCOVERY] = lambda one, _: {**one.metadata(), **other}
    with pytest.raises(ProviderError):
        provider.authorize_url(state="s", nonce="n", challenge="c", redirect="r", again=False)


def test_an_answer_that_drips_is_given_up(
    liar: Hostile, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", 0.6)

    def drip(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.05)

    liar.answers[DISCOVERY] = lambda *_: drip
    began = time.monotonic()
    with pytest.raises(ProviderError, match="slowly"):
        provider.metadata()
    assert time.monotonic() - began < 4.8


def test_a_provider_that_is_away() -> None:
    away = OidcSettings(issuer="http://127.0.0.1:9", client_id="c")
    with closing(Provider(away)) as provider, pytest.raises(ProviderError, match="cannot be asked"):
        provider.metadata()


def test_the_answer_has_to_be_from_this_provider(liar: Hostile, provider: Provider) -> None:
    provider.check_answer(liar.url)
    for other in ("https://attacker.example", "", liar.url + "/", None):
        with pytest.raises(TokenError):
            provider.check_answer(other)


def test_a_provider_that_does_not_name_itself_may_still_not_name_another(liar: Hostile) -> None:
    liar.answers[DISCOVERY] = lambda one, _: {
        **one.metadata(), "authorization_response_iss_parameter_supported": False,
    }  # fmt: skip
    with closing(Provider(settings(liar))) as provider:
        provider.check_answer(None)
        with pytest.raises(TokenError):
            provider.check_answer("https://attacker.example")


def test_the_secret_goes_to_the_provider_in_the_way_it_takes(liar: Hostile) -> None:
    sent: list[dict[str, list[str]]] = []

    def token(one: Hostile, form: dict[str, list[str]]) -> Any:
        sent.append(form)
        return {"id_token": one.id_token("n"), "access_token": "at"}

    liar.answers["/token"] = token
    with closing(Provider(settings(liar))) as provider:
        finish(provider)
    assert "client_secret" not in sent[0]
    liar.answers[DISCOVERY] = lambda one, _: {
        **one.metadata(), "token_endpoint_auth_methods_supported": ["client_secret_post"],
    }  # fmt: skip
    with closing(Provider(settings(liar))) as provider:
        finish(provider)
    assert sent[1]["client_secret"] == ["of: the/tests"]
    with closing(Provider(settings(liar, client_secret=""))) as provider:
        finish(provider)
    assert "client_secret" not in sent[2]
    assert sent[2]["client_id"] == ["nrm-console"]
    assert all(form["code_verifier"] == ["v"] for form in sent)


def test_access_tokens_without_an_audience_are_not_taken(liar: Hostile, provider: Provider) -> None:
    with pytest.raises(TokenError, match="audience"):
        provider.program(json.dumps({}))
