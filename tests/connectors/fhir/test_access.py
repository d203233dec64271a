"""Who the sink says it is: SMART backend services at a certified provider, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from connectors.errors import SettingsError, SinkDownError
from connectors.fhir import Options, open_sink
from connectors.fhir.access import Fixed, Smart, read_key
from connectors.kinds import Place, open_kind
from connectors.remote.outbound import Outbound, basic
from connectors.sink import RecallPolicy
from tests.connectors.remote.test_outbound import answering
from tests.console.certified import provider

KEY = ECKey.generate_key("P-384", {"kid": "key-1"})


@pytest.fixture(scope="module")
def token_url() -> Iterator[str]:
    public = json.dumps(KEY.as_dict(private=False) | {"use": "sig", "alg": "ES384"})
    with provider("backend.mjs", public) as url:
        yield url


class Clock:
    """Moves only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@contextmanager
def smart(url: str, key: ECKey | RSAKey = KEY, **how: Any) -> Iterator[Smart]:
    access = Smart(Outbound(url), "nrm-connector", key, **how)
    try:
        yield access
    finally:
        access.close()


@pytest.mark.oidc
def test_a_signed_assertion_gets_a_token_which_is_kept_until_it_ends(token_url: str) -> None:
    clock = Clock(time.time())
    with smart(token_url, clock=clock) as access:
        first = access.headers()["authorization"]
        assert first.startswith("Bearer ")
        assert access.headers()["authorization"] == first
        clock.now += 80
        assert access.headers()["authorization"] == first
        clock.now += 15  # 120 seconds of life less 30 to spare
        second = access.headers()["authorization"]
        assert second != first
        access.forget()
        assert access.headers()["authorization"] != second


@pytest.mark.oidc
def test_a_key_that_is_not_registered_is_an_outage(token_url: str) -> None:
    other = ECKey.generate_key("P-384")
    with smart(token_url, other) as access, pytest.raises(SinkDownError, match="401"):
        access.headers()


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"access_token": 7, "token_type": "bearer"}',
        b'{"access_token": "a b", "token_type": "bearer"}',
        b'{"access_token": "a\\r\\nx: y", "token_type": "bearer"}',
        b'{"access_token": "a", "token_type": "mac"}',
        b"no json",
    ],
)
def test_an_answer_that_is_no_token(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    answer = head % len(body) + body
    with answering(answer) as (url, _), smart(url) as access, pytest.raises(SinkDownError):
        access.headers()


def test_a_refused_assertion_says_what_to_check() -> None:
    answer = b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n"
    with (
        answering(answer) as (url, _),
        smart(url) as access,
        pytest.raises(SinkDownError, match="public half of the key"),
    ):
        access.headers()


def test_the_assertion_goes_to_the_endpoint_named_and_nowhere_else() -> None:
    body = b'{"access_token": "t", "token_type": "Bearer", "expires_in": 99999999}'
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    answer = head % len(body) + body
    clock = Clock(1_000_000.0)
    with answering(answer) as (url, asked), smart(f"{url}/token", clock=clock) as access:
        assert access.headers() == {"authorization": "Bearer t"}
        assert asked[0].startswith(b"POST /token HTTP")
        assert b"client_assertion=" in asked[0]
        clock.now += 3600  # however long the server says it lives
        access.headers()
        assert len(asked) == 2


def test_which_keys_are_taken() -> None:
    assert isinstance(read_key(json.dumps(KEY.as_dict(private=True))), ECKey)
    assert isinstance(read_key(KEY.as_pem(private=True).decode()), ECKey)
    rsa = RSAKey.generate_key(2048)
    assert isinstance(read_key(rsa.as_pem(private=True).decode()), RSAKey)
    small = ECKey.generate_key("P-256")
    for text in (
        "", "nothing", "{}", "{",
        small.as_pem(private=True).decode(),
        KEY.as_pem(private=False).decode(),
        json.dumps(KEY.as_dict(private=False)),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match="P-384"):
            read_key(text)


def test_basic() -> None:
    assert Fixed(basic("Aladdin", "open sesame")).headers() == {
        "authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    }


def place(folder: Path) -> Place:
    return Place("POL-1", "test-hub", folder, folder, RecallPolicy())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "url"),
        ({"url": "http://fhir.example.org/fhir"}, "https"),
        ({"url": "ftp://fhir.example.org"}, "https"),
        ({"url": "https://u:p@fhir.example.org"}, "credentials"),
        ({"url": "https://x", "token": "t", "user": "u", "password": "p"}, "choose one"),
        ({"url": "https://x", "user": "u"}, "belong together"),
        ({"url": "https://x", "certificate": "c.pem"}, "belong together"),
        ({"url": "https://x", "purge": "redact"}, "purged_by"),
        ({"url": "https://x", "purge": "never"}, "purge"),
        ({"url": "https://x", "token": {"file": "missing"}}, "missing"),
        ({"url": "https://x", "unknown": 1}, "unknown"),
        (
            {"url": "https://x", "smart": {"token_url": "http://auth.example.org/token",
                                           "client_id": "c", "key": "k"}},
            "https",
        ),
    ],
)  # fmt: skip
def test_settings_that_are_wrong(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_kind("fhir", options, place(tmp_path))


def test_a_token_from_a_file_is_sent(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    with answering(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n") as (url, asked):
        options = Options.model_validate({"url": url, "token": {"file": "token"}})
        sink = open_sink(options, place(tmp_path))
        with pytest.raises(SinkDownError):
            sink.prepare()
        sink.close()
    assert b"authorization: Bearer from-a-file" in asked[0]
    assert "from-a-file" not in repr(options)
