"""Requests a real server refuses: unproven, too large, too slow, too many, of another kind."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.agency.http_auth import request_claims, sign_claims, sign_request
from hub.api.limits import Buckets, Limits, Rate
from hub.api.listening import _bind
from hub.api.problems import KINDS
from hub.crypto.signing import SigningKey
from tests.api.conftest import GENEROUS, MESSAGE, Api
from tests.patience import PATIENCE

SECURITY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


def problem_of(answer: Any) -> tuple[int, str, int | None]:
    assert answer.headers["content-type"] == "application/problem+json"
    for name, value in SECURITY.items():
        assert answer.headers[name] == value
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in answer.headers
    document = answer.json()
    kind = KINDS[document["code"]]
    assert (document["status"], document["title"], document["next"]) == (
        answer.status_code,
        kind.title,
        kind.next,
    )
    assert document["type"] == "urn:nrm:problem:" + document["code"].replace("_", "-")
    return answer.status_code, document["code"], document.get("step")


def with_token(api: Api, method: str, path: str, token: str, body: bytes = b"") -> Any:
    headers = {"content-type": MESSAGE, "authorization": f"Bearer {token}"}
    return api.client.request(method, path, content=body or None, headers=headers)


def token(api: Api, agency: str = "NGO-1", key: SigningKey | None = None, **changes: Any) -> str:
    identity = api.world.identities[agency]
    claims = request_claims(
        agency, identity.hub.hub, "GET", "/v1/registry", b"", now=datetime.now(UTC)
    )
    return sign_claims(key or identity.signing, {**claims, **changes})


def test_every_wrong_token_is_refused_on_the_wire(api: Api) -> None:
    now = int(time.time())
    stranger = SigningKey.generate()
    cases = {
        ("token_expired", 3): token(api, iat=now - 200, exp=now - 140),
        ("wrong_audience", 4): token(api, aud="another-hub"),
        ("wrong_request", 5): token(api, target="/v1/deliveries"),
        ("unauthenticated", None): token(api, key=stranger),
    }
    for (code, step), made in cases.items():
        assert problem_of(with_token(api, "GET", "/v1/registry", made)) == (401, code, step)
    good = token(api)
    assert with_token(api, "GET", "/v1/registry", good).status_code == 200
    assert problem_of(with_token(api, "GET", "/v1/registry", good)) == (401, "replayed", 7)
    posted = token(api, htm="POST", target="/v1/submissions")
    answer = with_token(api, "POST", "/v1/submissions", posted, b"another body")
    assert problem_of(answer) == (401, "wrong_request", 8)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_who_is_enrolled_cannot_be_asked(api: Api) -> None:
    """Unknown agency, unknown key, bad signature, no signature: one answer, byte for byte."""
    stranger = SigningKey.generate()
    answers = [
        with_token(api, "GET", "/v1/registry", made)
        for made in (
            token(api, iss="NOBODY-9"),
            token(api, key=stranger),
            token(api)[:-4] + "AAAA",
            "garbage",
        )
    ]
    answers.append(api.client.get("/v1/registry"))
    assert {problem_of(answer) for answer in answers} == {(401, "unauthenticated", None)}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(set(a.headers) - {"x-request-id"})) for a in answers}) == 1


def test_a_revoked_key_is_refused_from_its_position_on(api: Api) -> None:
    world = api.world
    world.enrol("TU-1", "trade_union")
    assert api.call("GET", "/v1/registry", agency="TU-1").status_code == 200
    world.hub.enrolment.revoke("TU-1", None, reason="lost", by="operator")
    for method, path in (("GET", "/v1/registry"), ("GET", "/v1/deliveries")):
        answer = api.call(method, path, agency="TU-1")
        assert problem_of(answer) == (401, "revoked_key", 6)


def test_the_agency_of_a_request_is_its_signer_whatever_else_it_says(api: Api) -> None:
    answer = api.call(
        "GET",
        "/v1/deliveries?after=0",
        agency="POL-1",
        headers={"nrm-agency": "SH-1", "from": "SH-1"},
    )
    assert answer.status_code == 204
    other = api.call("GET", "/v1/deliveries?after=0&agency=SH-1", agency="POL-1")
    assert other.status_code == 204


def raw(api: Api, data: Iterator[bytes] | bytes, seconds: float = PATIENCE) -> bytes:
    """What the server answers to these bytes on a connection of their own, until it closes."""
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=seconds) as connection:
        pieces = [data] if isinstance(data, bytes) else data
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass
        try:
            while more := connection.recv(65_536):
                answer += more
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def head(api: Api, *headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    signed = sign_request(api.world.identities["NGO-1"], method, "/v1/submissions", body)
    lines = [
        f"{method} /v1/submissions HTTP/1.1",
        "host: hub",
        f"content-type: {MESSAGE}",
        f"authorization: {signed['authorization']}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def status_and_code(answer: bytes) -> tuple[int, str]:
    first, _, _ = answer.partition(b"\r\n")
    body = answer.rpartition(b"\r\n\r\n")[2]
    return int(first.split()[1]), json.loads(body)["code"]


def test_a_body_that_says_it_is_too_large_is_not_read(api: Api) -> None:
    answer = raw(api, head(api, f"content-length: {8 * 1024 * 1024 + 1}", "connection: close"))
    assert status_and_code(answer) == (413, "body_too_large")
    huge = raw(api, head(api, "content-length: " + "9" * 18, "connection: close"))
    assert status_and_code(huge) == (413, "body_too_large")


def test_a_gibibyte_body_is_answered_and_cut_off(api: Api) -> None:
    sent = [0]

    def flood() -> Iterator[bytes]:
        yield head(api, f"content-length: {1024**3}")
        for _ in range(1024):
            yield b"\0" * 1024 * 1024
            sent[0] += 1

    answer = raw(api, flood())
    assert b" 413 " in answer[:40] or not answer
    assert sent[0] < 64


def test_a_chunked_body_ends_at_the_same_limit(serve: Any) -> None:
    api = serve(Limits(body=100_000, traffic=Rate(10**9, 10**9)))

    def chunks() -> Iterator[bytes]:
        yield head(api, "transfer-encoding: chunked")
        for _ in range(30):
            yield b"1000\r\n" + b"\0" * 0x1000 + b"\r\n"
        yield b"0\r\n\r\n"

    assert status_and_code(raw(api, chunks())) == (413, "body_too_large")


def test_the_client_sees_413_not_a_broken_connection(api: Api) -> None:
    body = b"\0" * (8 * 1024 * 1024 + 1)
    answer = api.call("POST", "/v1/submissions", body=body)
    assert problem_of(answer) == (413, "body_too_large", None)
    largest = api.call("POST", "/v1/submissions", body=body[:-1])
    assert largest.status_code == 200  # read, and told in a signed outcome that it is no message


def test_a_slow_body_is_given_up(serve: Any) -> None:
    api = serve(Limits(body_seconds=0.5))
    started = time.monotonic()

    def dripping() -> Iterator[bytes]:
        yield head(api, "content-length: 100")
        for _ in range(12):
            yield b"\0"
            time.sleep(0.1)

    assert status_and_code(raw(api, dripping())) == (408, "body_too_slow")
    assert time.monotonic() - started < PATIENCE


def test_slow_headers_are_cut_off(serve: Any) -> None:
    api = serve(Limits(head_seconds=0.5))
    started = time.monotonic()

    def dripping() -> Iterator[bytes]:
        for byte in b"GET /healthz HTTP/1.1\r\nhost: hub\r\nx: ":
            yield bytes([byte])
            time.sleep(0.05)

    assert raw(api, dripping()) == b""
    assert raw(api, b"") == b""  # nothing sent at all
    assert time.monotonic() - started < PATIENCE
    api = serve(Limits(head_seconds=2.0))
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=5) as connection:
        for _ in range(8):  # a connection that is used again in time lives on
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: hub\r\n\r\n")
            answer = b""
            while b"alive" not in answer:
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.3)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "text/plain"},
        {"content-encoding": "gzip"},
        {"content-encoding": "identity, br"},
    ],
)
def test_other_kinds_of_body_are_not_taken(api: Api, headers: dict[str, str]) -> None:
    answer = api.call("POST", "/v1/submissions", body=b"\x1f\x8b" * 10, headers=headers)
    assert problem_of(answer) == (415, "wrong_media_type", None)


def test_unknown_paths_and_methods(api: Api) -> None:
    assert problem_of(api.client.get("/v1/nothing")) == (404, "not_found", None)
    assert problem_of(api.client.get("/v1/registry/")) == (404, "not_found", None)
    answer = api.client.delete("/v1/registry")
    assert problem_of(answer) == (405, "method_not_allowed", None)
    assert answer.headers["allow"] == "GET"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which allowances fill, in seconds; it stands still."""
    now = [0.0]
    monkeypatch.setattr("hub.api.desk.Buckets", partial(Buckets, clock=lambda: now[0]))
    return now


def test_an_agency_has_its_allowance_and_another_keeps_its_own(
    serve: Any, now: list[float]
) -> None:
    api = serve(Limits(requests=Rate(0.5, 3), unknown=GENEROUS.unknown))
    for _ in range(3):
        assert api.call("GET", "/v1/registry").status_code == 200
    answer = api.call("GET", "/v1/registry")
    assert problem_of(answer) == (429, "too_many_requests", None)
    assert int(answer.headers["retry-after"]) == 2
    assert api.call("GET", "/v1/registry", agency="SH-1").status_code == 200
    now[0] += 2.0
    assert api.call("GET", "/v1/registry").status_code == 200


@pytest.mark.usefixtures("now")
def test_an_agency_has_an_allowance_of_bytes(serve: Any) -> None:
    api = serve(Limits(traffic=Rate(1_000, 50_000)))
    assert api.call("POST", "/v1/submissions", body=b"\0" * 50_000).status_code == 200
    answer = api.call("POST", "/v1/submissions", body=b"\0" * 10_000)
    assert problem_of(answer) == (429, "too_many_requests", None)
    assert int(answer.headers["retry-after"]) == 10


@pytest.mark.usefixtures("now")
def test_strangers_share_one_allowance_that_does_not_touch_agencies(serve: Any) -> None:
    api = serve(Limits(unknown=Rate(0.1, 3), public=Rate(0.1, 3)))
    codes = [api.client.get("/v1/registry").json()["code"] for _ in range(5)]
    assert codes == ["unauthenticated"] * 3 + ["too_many_requests"] * 2
    public = [api.client.get("/v1/hub").status_code for _ in range(5)]
    assert public == [200] * 3 + [429] * 2
    lost = api.client.get("/nothing")
    assert lost.status_code == 429
    for _ in range(5):
        assert api.call("GET", "/v1/registry").status_code == 200
    expired = token(api, iat=int(time.time()) - 300, exp=int(time.time()) - 290)
    assert with_token(api, "GET", "/v1/registry", expired).json()["code"] == "token_expired"


def test_an_answer_that_is_not_taken_is_given_up(serve: Any) -> None:
    api = serve(Limits(answer_seconds=0.5, public=GENEROUS.public))
    asked = 400
    with socket.create_connection(("127.0.0.1", api.server.port), timeout=10) as connection:
        connection.settimeout(1)
        with pytest.raises(ConnectionError):
            for _ in range(asked):
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: hub\r\n\r\n")
                time.sleep(0.02)
    assert api.client.get("/healthz").status_code == 200


def test_answers_are_not_held_back_for_acknowledgements() -> None:
    """asyncio turns Nagle's algorithm off only for sockets that name TCP."""
    with _bind("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_addresses_are_taken_from_trusted_proxies_only(serve: Any) -> None:
    one = Limits(unknown=Rate(0.01, 1))
    believed, alone = serve(one, trusted_proxies="127.0.0.1"), serve(one)
    for api, expected in ((believed, [401, 401, 429]), (alone, [401, 429, 429])):
        asked = [("192.0.2.1"), ("192.0.2.2"), ("192.0.2.2")]
        codes = [
            api.client.get("/v1/registry", headers={"x-forwarded-for": address}).status_code
            for address in asked
        ]
        assert codes == expected


def test_tls_without_a_proxy(serve: Any, tmp_path: Path) -> None:
    certificate, key = _self_signed(tmp_path)
    api = serve(GENEROUS, certificate=(str(certificate), str(key)))
    assert api.server.url.startswith("https://")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with httpx2.Client(
        base_url=api.server.url, verify=trusting, auth=api.signature("NGO-1")
    ) as client:
        answer = client.get("/v1/registry")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def _self_signed(folder: Path) -> tuple[Path, Path]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "hub.pem", folder / "hub.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, key
