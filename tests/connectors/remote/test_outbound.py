"""The client for partners' systems, against servers that misbehave."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.errors import SettingsError, SinkDownError
from connectors.remote.outbound import Outbound
from connectors.secret import Secret

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@contextmanager
def answering(*answers: bytes, pause: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads a request and sends these bytes one after another, whatever it was."""
    asked: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.append(request := self.request.recv(65536))
            if request.startswith(b"POST") and not request.partition(b"\r\n\r\n")[2]:
                asked[-1] += self.request.recv(65536)
            try:
                for one in answers:
                    self.request.sendall(one)
                    time.sleep(pause)
            except OSError:
                pass  # the client has gone

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def client(url: str, **how: object) -> Iterator[Outbound]:
    outbound = Outbound(url, **how)  # type: ignore[arg-type]
    try:
        yield outbound
    finally:
        outbound.close()


def status(code: int, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Said\r\n%scontent-length: 0\r\n\r\n" % (code, more)


def test_a_good_answer() -> None:
    with answering(OK) as (url, asked), client(f"{url}/base/") as outbound:
        answer = outbound.request("POST", "/x", json_body={"a": "ä"}, params={"q": "1"})
        assert answer.good
        assert answer.json() == {}
        assert asked[0].startswith(b"POST /base/x?q=1 ")
        assert "ä".encode() in asked[0]


@pytest.mark.parametrize("code", [301, 302, 307, 308, 401, 403, 407, 408, 425, 429, 500, 503, 599])
def test_what_is_waited_out(code: int) -> None:
    with (
        answering(status(code)) as (url, _),
        client(url) as outbound,
        pytest.raises(SinkDownError, match=str(code)),
    ):
        outbound.request("GET", "")


@pytest.mark.parametrize("code", [400, 404, 409, 412, 422])
def test_what_the_caller_decides(code: int) -> None:
    with answering(status(code)) as (url, _), client(url) as outbound:
        answer = outbound.request("GET", "")
        assert (answer.status, answer.good) == (code, False)
        assert answer.refused(7).sequence == 7


def test_a_redirect_reaches_nobody() -> None:
    with answering(OK) as (elsewhere, asked):
        location = b"location: " + elsewhere.encode() + b"/\r\n"
        server = answering(status(302, location))
        refused = pytest.raises(SinkDownError, match="redirect")
        with server as (url, _), client(url) as outbound, refused:
            outbound.request("GET", "")
        assert asked == []


def test_an_endless_answer() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 1000]
    with (
        answering(*pieces) as (url, _),
        client(url, most_bytes=200_000) as outbound,
        pytest.raises(SinkDownError, match="more than 200000 bytes"),
    ):
        outbound.request("GET", "")


def test_a_header_sent_letter_by_letter() -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nx: ", *[b"y"] * 200]
    with answering(*pieces, pause=0.05) as (url, _), client(url, seconds=0.4) as outbound:
        begun = time.monotonic()
        with pytest.raises(SinkDownError, match=r"within 0\.4 seconds"):
            outbound.request("GET", "")
        assert time.monotonic() - begun < 9


@pytest.mark.parametrize(
    "said", [b"", b"what?", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nab"]
)
def test_no_http_at_all(said: bytes) -> None:
    with (
        answering(said) as (url, _),
        client(url) as outbound,
        pytest.raises(SinkDownError, match="check the address, and what stands between"),
    ):
        outbound.request("GET", "")


def test_nobody_there() -> None:
    with (
        client("http://127.0.0.1:9") as outbound,
        pytest.raises(SinkDownError, match="no connection"),
    ):
        outbound.request("GET", "")


def test_not_json() -> None:
    page = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"
    with (
        answering(page) as (url, _),
        client(url) as outbound,
        pytest.raises(SinkDownError, match="not JSON"),
    ):
        outbound.request("GET", "").json()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/",
        "https://",
        "x.example",
        "https://u:p@x.example/",
        "https://[::1/",
        "https://x.example:port/",
        "https://x.example:99999/",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SettingsError):
        Outbound(url)


def test_tls_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match=r"ca\.pem"):
        Outbound("https://x.example", ca_file=tmp_path / "ca.pem")
    with pytest.raises(SettingsError, match=r"none\.pem"):
        Outbound("https://x.example", ca_file=tmp_path / "none.pem")


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with answering(OK) as (url, _), client(url) as outbound:
        assert outbound.request("GET", "").good


def test_a_secret_from_a_file_or_a_text(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert Secret.model_validate("s3cret").read(tmp_path) == "s3cret"
    from_file = Secret.model_validate({"file": "token"})
    assert from_file.read(tmp_path) == "s3cret"
    assert "s3cret" not in repr(Secret.model_validate("s3cret"))
    with pytest.raises(SettingsError, match="none cannot be read"):
        Secret.model_validate({"file": "none"}).read(tmp_path)
