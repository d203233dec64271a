"""Nothing a caller sends comes back in an answer to somebody or stays in a log.

Canaries are planted wherever bytes of a request can stand, in requests that are refused in every
way there is, and in one that makes the hub itself fail.
"""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from connectors.agency.http_auth import sign_claims
from hub.api.limits import Limits, Rate
from tests.api.conftest import GENEROUS, MESSAGE, Api, World
from tests.api.test_refusals import raw, token
from tests.patience import until

WORD = "KanarieVogel7Zz"
BYTES = WORD.encode()


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything logged, by whichever library, fields and tracebacks included."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name.startswith(("httpx", "httpcore")):
                return  # the test's own client
            lines.append(logging.Formatter().format(record) + repr(record.__dict__))

    def listen(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
        lines.append(repr(event))
        raise structlog.DropEvent

    ear, before = Ear(), structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, listen],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    names = ("uvicorn", "uvicorn.error", "uvicorn.access", "fastapi", "asyncio")
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    root.removeHandler(ear)
    root.setLevel(level)
    for name in names:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.configure(**before)


def silent(heard: list[str], answers: list[Any]) -> None:
    shapes = [
        BYTES,
        BYTES.hex().encode(),
        *(base64.b64encode(b"\0" * n + BYTES)[4:-4] for n in range(3)),
    ]
    for answer in answers:
        everything = answer if isinstance(answer, bytes) else answer.content
        if not isinstance(answer, bytes):
            everything += repr(answer.headers.raw).encode()
        for shape in shapes:
            assert shape.lower() not in everything.lower(), everything
    until(lambda: heard)  # a request is logged after it was answered
    text = "\n".join(heard).encode().lower()
    for shape in shapes:
        assert shape.lower() not in text


def test_refused_requests_leave_nothing(api: Api, heard: list[str]) -> None:
    here, there = {"x-canary": WORD, "user-agent": WORD}, WORD
    identity = api.world.identities["NGO-1"]
    unsigned = api.client.request
    answers = [
        unsigned("GET", f"/{there}", headers=here),
        unsigned("GET", f"/v1/outcomes/{there}", headers=here),
        unsigned("GET", f"/v1/schemas/{there}?q={there}", headers=here),
        unsigned("GET", f"/v1/deliveries?after={there}", headers=here),
        unsigned("GET", "/v1/registry", headers={"authorization": f"Bearer {there}", **here}),
        unsigned("GET", "/v1/registry", headers={"authorization": there, **here}),
        unsigned("POST", "/v1/submissions", content=BYTES, headers=here),
        unsigned("OPTIONS", f"/v1/submissions?{there}", headers={"origin": there}),
        unsigned(there.upper(), "/v1/registry", headers=here),
        api.call("GET", f"/v1/outcomes/{there}", headers=here),
        api.call("GET", f"/v1/deliveries?after={there}&{there}=1", headers=here),
        api.call("GET", f"/v1/deliveries?after=-1&limit={there}", headers=here),
        api.call("POST", "/v1/submissions", body=BYTES, headers=here),
        api.call("POST", "/v1/submissions", body=BYTES, headers={"content-type": there}),
        api.call("POST", "/v1/submissions", body=BYTES, headers={"content-encoding": there}),
        api.call("POST", "/v1/receipts", body=BYTES, headers=here),
        api.call("GET", "/v1/registry", headers={"if-none-match": there, "accept": there}),
        raw(api, f"GET /{there} HTTP/9.9\r\n{there}\r\n\r\n".encode()),
        raw(api, f"{there} {there}\r\n\r\n".encode()),
        raw(api, b"GET /" + BYTES * 5_000 + b" HTTP/1.1\r\n\r\n"),
        raw(api, f"GET / HTTP/1.1\r\nhost: {there}\r\ncontent-length: {there}\r\n\r\n".encode()),
    ]
    for changes in ({"iss": there}, {"aud": there}, {"target": there}, {"jti": there + "x" * 9}):
        made = sign_claims(identity.signing, {**claims_of(api), **changes})
        answers.append(api.client.get("/v1/registry", headers={"authorization": f"Bearer {made}"}))
    silent(heard, answers)


def claims_of(api: Api) -> dict[str, Any]:
    import json

    part = token(api).split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_failure_of_the_hub_itself_is_told_without_its_text(
    world: World, serve: Any, heard: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks inside, its message may quote content: neither answer nor log holds it."""
    api = serve(GENEROUS)

    def broken(raw: bytes, timeout: float) -> None:
        raise ValueError(f"cannot read {raw!r}") from KeyError(WORD)

    monkeypatch.setattr(world.hub.ingest, "submit", broken)
    answer = api.call("POST", "/v1/submissions", body=BYTES)
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert answer.headers["x-request-id"] in "\n".join(heard)
    assert "ValueError" in "\n".join(heard)
    silent(heard, [answer])


def test_metrics_and_limits_name_nobody(serve: Any, heard: list[str]) -> None:
    api = serve(Limits(requests=Rate(1, 2)))
    answers = [api.call("GET", f"/v1/outcomes/{WORD}?{WORD}") for _ in range(4)]
    assert answers[-1].status_code == 429
    metrics = api.client.get(f"/metrics?{WORD}", headers={"x-forwarded-for": WORD})
    assert metrics.status_code == 200
    for name in ("NGO-1", "SH-1", "POL-1", "ngo_support", "outreach", "CaseOpened"):
        assert name not in metrics.text
    silent(heard, [*answers, metrics])
    assert "NGO-1" not in "\n".join(heard)


def test_a_caller_that_hangs_up_leaves_nothing(api: Api, heard: list[str]) -> None:
    head = f"POST /v1/submissions HTTP/1.1\r\nhost: {WORD}\r\ncontent-type: {MESSAGE}\r\n"
    for more in ("", "content-length: 100\r\n\r\n" + WORD):
        with socket.create_connection(("127.0.0.1", api.server.port), timeout=5) as connection:
            connection.sendall((head + more).encode())
    answer = api.call("GET", "/v1/registry")
    silent(heard, [answer])
