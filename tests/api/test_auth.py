"""Who is calling: every step of authentication refuses what it should, and nothing else does."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.agency.http_auth import b64url, body_digest, request_claims, sign_claims, target_of
from hub.api.auth import LEEWAY, Authenticator, Caller, UsedTokens
from hub.api.problems import Problem
from hub.crypto.signing import SigningKey
from hub.membership.agencies import Agencies, Agency, SigningKeyRecord

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY, OLD, STRANGER = (SigningKey.from_private(bytes([n]) * 32) for n in (1, 2, 3))
PATH = "/v1/deliveries?after=0&limit=10"


def authenticator(position: int = 50, now: datetime = NOW) -> Authenticator:
    agencies = Agencies()
    keys = {
        KEY.key_id: SigningKeyRecord(KEY.key_id, KEY.public, 10),
        OLD.key_id: SigningKeyRecord(OLD.key_id, OLD.public, 3, 10),
    }
    agencies._agencies["SH-1"] = Agency("SH-1", "Shelter", "shelter", 3, keys)
    return Authenticator("hub-a", agencies, lambda: position, UsedTokens(1_000), clock=lambda: now)


def claims(**changes: Any) -> dict[str, Any]:
    made = request_claims("SH-1", "hub-a", "GET", PATH, b"", now=NOW)
    return {**made, **changes}


def check(
    token: str, *, method: str = "GET", target: str = PATH, position: int = 50, now: datetime = NOW
) -> Caller:
    return authenticator(position, now).check([f"Bearer {token}"], method, target)


def refused(call: Callable[[], object]) -> tuple[str, int | None]:
    with pytest.raises(Problem) as problem:
        call()
    return problem.value.code, problem.value.step


def test_a_signed_request_tells_its_agency() -> None:
    caller = check(sign_claims(KEY, claims()))
    assert caller.agency == "SH-1"
    caller.check_body(__import__("hashlib").sha256(b"").digest())


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (sign_claims(KEY, claims(iat=0, exp=60)), ("token_expired", 3)),
        (sign_claims(KEY, claims(exp=claims()["iat"] + 61)), ("token_expired", 3)),
        (sign_claims(KEY, claims(exp=claims()["iat"])), ("token_expired", 3)),
        (sign_claims(KEY, claims(aud="hub-b")), ("wrong_audience", 4)),
        (sign_claims(KEY, claims(htm="POST")), ("wrong_request", 5)),
        (sign_claims(KEY, claims(target="/v1/deliveries?after=1&limit=10")), ("wrong_request", 5)),
        (sign_claims(KEY, claims(target="/v1/deliveries")), ("wrong_request", 5)),
        (sign_claims(OLD, claims()), ("revoked_key", 6)),
        (sign_claims(STRANGER, claims()), ("unauthenticated", None)),
        (sign_claims(KEY, claims(iss="SH-2")), ("unauthenticated", None)),
        (sign_claims(KEY, claims(iss=5)), ("unauthenticated", None)),
        (sign_claims(KEY, claims(jti="short")), ("unauthenticated", None)),
        (sign_claims(KEY, claims(jti="x" * 65)), ("unauthenticated", None)),
        (sign_claims(KEY, claims(exp=True)), ("unauthenticated", None)),
        (sign_claims(KEY, claims(exp=float(claims()["exp"]))), ("unauthenticated", None)),
        (
            sign_claims(KEY, {k: v for k, v in claims().items() if k != "sha256"}),
            ("unauthenticated", None),
        ),
    ],
)
def test_a_request_is_refused_at_its_step(token: str, expected: tuple[str, int | None]) -> None:
    assert refused(lambda: check(token)) == expected


def test_a_key_signs_from_its_position_up_to_its_revocation() -> None:
    token = sign_claims(OLD, claims())
    assert check(token, position=8).agency == "SH-1"  # the next event would be at 9
    assert refused(lambda: check(token, position=9)) == ("revoked_key", 6)
    young = sign_claims(KEY, claims())
    assert refused(lambda: check(young, position=8)) == ("revoked_key", 6)
    assert check(young, position=9).agency == "SH-1"


@pytest.mark.parametrize("seconds", [-(LEEWAY - 1), 60 + LEEWAY - 1])
def test_a_clock_may_be_half_a_minute_wrong(seconds: int) -> None:
    token = sign_claims(KEY, claims())
    assert check(token, now=NOW + timedelta(seconds=seconds)).agency == "SH-1"


@pytest.mark.parametrize("seconds", [-(LEEWAY + 2), 60 + LEEWAY + 2, 3_600, -86_400])
def test_and_not_more(seconds: int) -> None:
    token = sign_claims(KEY, claims())
    answer = refused(lambda: check(token, now=NOW + timedelta(seconds=seconds)))
    assert answer == ("token_expired", 3)


def remade(change: Callable[[dict[str, Any]], object], part: int) -> str:
    """A token with one part changed after signing."""
    parts = sign_claims(KEY, claims()).split(".")
    padded = parts[part] + "=" * (-len(parts[part]) % 4)
    document = json.loads(base64.urlsafe_b64decode(padded))
    change(document)
    parts[part] = b64url(json.dumps(document).encode())
    return ".".join(parts)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "a.b.c.d",
        "…",
        "e30.e30.e30",
        b64url(b"[" * 3_000) + "." + b64url(b"[" * 1_000) + ".e30",
        "x" * 5_000,
        sign_claims(KEY, claims())[:-6],
        sign_claims(KEY, claims()) + "AAAA",
        remade(lambda d: d.update(alg="none"), 0),
        remade(lambda d: d.update(alg="EdDSA"), 0),
        remade(lambda d: d.update(alg="HS256"), 0),
        remade(lambda d: d.update(typ="JWT"), 0),
        remade(lambda d: d.update(kid="AB" * 16), 0),
        remade(lambda d: d.update(kid=OLD.key_id.hex()), 0),
        remade(lambda d: d.update(jwk={"kty": "OKP"}), 0),
        remade(lambda d: d.update(crit=["exp"]), 0),
        remade(lambda d: d.update(b64=False), 0),
        remade(lambda d: d.update(iss="SH-2"), 1),
        remade(lambda d: d.update(exp=d["exp"] + 1), 1),
    ],
    ids=lambda token: token[:12],
)
def test_what_is_not_our_token_has_one_answer(token: str) -> None:
    assert refused(lambda: check(token)) == ("unauthenticated", None)


def test_there_is_one_authorization_header_and_it_is_a_bearer_token() -> None:
    token = sign_claims(KEY, claims())
    for headers in ([], [f"Bearer {token}"] * 2, [f"Basic {token}"], [token], ["Bearer"]):
        assert refused(lambda h=headers: authenticator().check(h, "GET", PATH)) == (  # type: ignore[misc]
            "unauthenticated",
            None,
        )


def test_unknown_agency_unknown_key_and_bad_signature_take_as_long() -> None:
    """Each costs one verification; an early way out would be several times as fast."""
    wrong = sign_claims(KEY, claims(iss="nobody")), sign_claims(STRANGER, claims())
    forged = sign_claims(KEY, claims())
    forged = forged[:-8] + ("AAAAAAAA" if not forged.endswith("AAAAAAAA") else "BBBBBBBB")
    door = authenticator()

    def cost(token: str) -> float:
        best = []
        for _ in range(30):
            started = time.perf_counter()
            refused(lambda: door.check([f"Bearer {token}"], "GET", PATH))
            best.append(time.perf_counter() - started)
        return min(best)

    def alike() -> bool:
        costs = [cost(token) for token in (*wrong, forged)]
        return max(costs) < 1.6 * min(costs)

    assert any(alike() for _ in range(10))  # a busy machine tells them apart now and then


def test_a_token_serves_once() -> None:
    now = [0.0]
    used = UsedTokens(3, clock=lambda: now[0])
    used.use("SH-1", "a")
    assert refused(lambda: used.use("SH-1", "a")) == ("replayed", 7)
    used.use("POL-1", "a")  # another agency's tokens are its own
    now[0] += UsedTokens.KEEP - 1
    assert refused(lambda: used.use("SH-1", "a")) == ("replayed", 7)
    now[0] += 2
    used.use("SH-1", "a")


def test_remembering_is_bounded_and_never_forgets_early() -> None:
    now = [0.0]
    used = UsedTokens(3, clock=lambda: now[0])
    for name in ("a", "b", "c"):
        used.use("SH-1", name)
    assert refused(lambda: used.use("SH-1", "d")) == ("too_many_requests", None)
    assert refused(lambda: used.use("SH-1", "a")) == ("replayed", 7)
    now[0] += UsedTokens.KEEP + 1
    used.use("SH-1", "d")


def test_a_body_is_the_one_signed() -> None:
    caller = Caller("SH-1", "j", 0, body_digest(b"as signed"))
    import hashlib

    caller.check_body(hashlib.sha256(b"as signed").digest())
    assert refused(lambda: caller.check_body(hashlib.sha256(b"another").digest())) == (
        "wrong_request",
        8,
    )


def test_the_target_is_path_and_query_as_sent() -> None:
    assert target_of("https://hub.example/v1/deliveries?after=1&wait=2.5") == (
        "/v1/deliveries?after=1&wait=2.5"
    )
    assert target_of("/v1/registry") == "/v1/registry"
    assert target_of("https://hub.example") == "/"
