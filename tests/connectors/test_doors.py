"""What listens on this machine, and whom a connector speaks to.

A browser here runs pages of others, whose names may be made to lead to loopback. Other users of the
machine see the list of processes. Whoever answers in a hub's or a partner's place has perhaps a
certificate, but not the right one.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import typer
import uvicorn
from pydantic import SecretStr
from typer.testing import CliRunner

from connectors.agency import http as hub_http
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox
from connectors.agency.transport import HttpTransport
from connectors.database.engines import is_local, postgresql_tls
from connectors.errors import SettingsError, SinkDownError, TransportDownError
from connectors.form import cli as form_cli
from connectors.loopback import is_here
from connectors.remote.outbound import Outbound
from connectors.secret import Secret
from connectors.sql import SqlSink
from connectors.telling.metrics import ConnectorMetrics, MetricsServer
from connectors.telling.notice import Notices, NoticeSettings
from hub.topics import TopicUnavailable, open_topics
from tests.certificates import Authority

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(
    answer: Answer, tls: tuple[Path, Path] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """A server by script. Yields its port, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            asked.append(f"{self.command} {self.path}")
            answer(self)

        do_GET = do_POST = do_PUT = do

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[assignment] - clients hang up here
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*map(str, tls))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def empty(to: BaseHTTPRequestHandler) -> None:
    to.send_response(204)
    to.end_headers()


# -- metrics -----------------------------------------------------------------------------------


@pytest.fixture
def metrics() -> Iterator[int]:
    server = MetricsServer(ConnectorMetrics(), "127.0.0.1:0", None)
    yield server.port
    server.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{}", 200),
        ("localhost:{}", 200),
        ("[::1]:{}", 200),
        ("evil.example:{}", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("a@evil.example", 403),
    ],
)
def test_metrics_are_told_to_no_site_whose_name_leads_here(
    metrics: int, host: str, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", metrics, timeout=5)
    connection.request("GET", "/metrics", headers={"host": host.format(metrics)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == status
    assert (b"nrm_connector_position" in body) == (status == 200)
    assert answer.getheader("access-control-allow-origin") is None


# -- the form ----------------------------------------------------------------------------------


def test_the_forms_secret_is_in_no_list_of_processes(
    tmp_path: Path, shelter: AgencyIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    pages: list[tuple[str, int]] = []

    def run(_server: uvicorn.Server, **_: Any) -> None:
        page = Path(started[0].removeprefix("file://"))
        pages.append((page.read_text("utf-8"), page.stat().st_mode & 0o777))

    monkeypatch.setattr("webbrowser.open", started.append)
    monkeypatch.setattr(uvicorn.Server, "run", run)
    program = typer.Typer()
    form_cli.mount(program)
    done = CliRunner().invoke(
        program, ["--home", str(shelter.home), "--url", "http://127.0.0.1:1", "--open"]
    )
    assert done.exit_code == 0, done.output
    [place] = [word for word in done.output.split() if word.startswith("http://127.0.0.1:")]
    secret = place.rstrip("/").rpartition("/")[2]
    assert secret not in started[0]
    [(text, mode)] = pages
    assert secret in text
    assert mode == 0o600
    assert not Path(started[0].removeprefix("file://")).exists()


# -- the hub's address -------------------------------------------------------------------------


@pytest.fixture
def box() -> Iterator[Callable[[str], HttpInbox]]:
    made: list[HttpInbox] = []

    def open_box(url: str) -> HttpInbox:
        made.append(HttpInbox(url, timeout=5))
        return made[-1]

    yield open_box
    for one in made:
        one.close()


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_no_receipt_is_taken_by_a_redirect(box: Callable[[str], HttpInbox], status: int) -> None:
    """As where http:// was written and a proxy leads to https://: the hub never had it."""

    def elsewhere(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("location", "http://127.0.0.1:9/")
        to.end_headers()

    with serving(elsewhere) as (port, asked):
        inbox = box(f"http://127.0.0.1:{port}")
        with pytest.raises(TransportDownError, match="redirect"):
            inbox.send_receipts([b"receipt"])
        with pytest.raises(TransportDownError, match="redirect"):
            inbox.registry()
        with pytest.raises(TransportDownError, match="redirect"):
            HttpTransport(f"http://127.0.0.1:{port}").send(b"sealed")
    assert asked == ["POST /v1/receipts", "GET /v1/registry", "POST /v1/submissions"]


def test_an_answer_without_end_is_given_up(
    box: Callable[[str], HttpInbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_http, "MOST_BYTES", 1 << 20)

    def endless(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        for _ in range(1000):
            to.wfile.write(bytes(1 << 16))

    with serving(endless) as (port, _), pytest.raises(TransportDownError, match="longer or slower"):
        box(f"http://127.0.0.1:{port}").read(10, 0)


def test_an_answer_that_drips_is_given_up(
    box: Callable[[str], HttpInbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_http, "_WAITS", 0.04)  # of five seconds

    def dripping(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        for _ in range(100):
            to.wfile.write(b"\0")
            time.sleep(0.05)

    with (
        serving(dripping) as (port, _),
        pytest.raises(TransportDownError, match="longer or slower"),
    ):
        box(f"http://127.0.0.1:{port}").read(10, 0)


def test_what_is_packed_is_not_unpacked(box: Callable[[str], HttpInbox]) -> None:
    packed = zlib.compress(bytes(64 << 20), 9)

    def bomb(to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("content-encoding", "deflate")
        to.send_header("content-length", str(len(packed)))
        to.end_headers()
        to.wfile.write(packed)

    with serving(bomb) as (port, _):
        assert box(f"http://127.0.0.1:{port}").registry() == packed


@pytest.mark.parametrize("token", ["a\r\nx-evil: 1", "a\nb", "a\0", "é", "a\u2028b"])
def test_a_secret_makes_no_header_of_its_own(token: str) -> None:
    with serving(empty) as (port, asked):
        outbound = Outbound(
            f"http://127.0.0.1:{port}", headers=lambda: {"authorization": f"Bearer {token}"}
        )
        with pytest.raises(SinkDownError, match="no header can have") as caught:
            outbound.request("GET", "")
        outbound.close()
    assert asked == []
    assert token not in str(caught.value)


# -- certificates ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_between_the_hub_and_a_connector_nobody_stands_unseen(
    box: Callable[[str], HttpInbox], authority: Authority
) -> None:
    with serving(empty, authority.server("localhost")) as (port, asked):
        inbox = box(f"https://localhost:{port}")  # of an authority that the system does not know
        for call in (lambda: inbox.read(1, 0), lambda: inbox.send_receipts([b"r"]), inbox.registry):
            with pytest.raises(TransportDownError) as caught:
                call()
            assert "certificate that is refused" in str(caught.value)
            assert "somebody stands between" in str(caught.value)
    assert asked == [], "and nothing was sent"


def test_a_good_certificate_of_another_name_is_refused(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has a certificate of the same authority for a name of their own."""
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    with serving(empty, authority.server("other.example")) as (port, asked):
        client = httpx2.Client(verify=trusting, trust_env=False)
        with pytest.raises(TransportDownError, match="certificate that is refused"):
            HttpInbox(f"https://localhost:{port}", client=client).registry()
        client.close()
        outbound = Outbound(f"https://localhost:{port}", ca_file=authority.certificate)
        with pytest.raises(SinkDownError, match="certificate is refused"):
            outbound.request("GET", "")
        outbound.close()
        named = Outbound(f"https://127.0.0.1:{port}", ca_file=authority.certificate)
        with pytest.raises(SinkDownError, match="certificate is refused"):
            named.request("GET", "")
        named.close()
    assert asked == []


@pytest.mark.parametrize("name", ["other.example", "localhost"])
def test_a_broker_with_the_wrong_certificate_is_named_so(authority: Authority, name: str) -> None:
    """Of another name, though its authority is trusted; of an authority nobody knows."""
    trusted = f"&ca={authority.certificate}" if name != "localhost" else ""
    with (
        serving(empty, authority.server(name)) as (port, asked),
        pytest.raises(TopicUnavailable, match="certificate of Kafka is refused") as caught,
    ):
        open_topics(f"kafka://localhost:{port}?security=ssl&timeout=1{trusted}")
    assert "somebody stands between" in str(caught.value)
    assert asked == []


# A server, or somebody before it, that says it has no TLS: to PostgreSQL's SSLRequest one letter,
# in MariaDB's greeting a bit that is missing.
_GREETING = (
    b"\x0a10.11.6-MariaDB\x00\x01\x00\x00\x00" + b"s" * 8 + b"\x00\xfe\xf7\x2d\x02\x00\xff\x81"
    b"\x15" + bytes(10) + b"t" * 12 + b"\x00mysql_clear_password\x00"
)
STRIPPED = {
    "postgresql": (b"", b"N", 8),
    "mariadb": (len(_GREETING).to_bytes(3, "little") + b"\x00" + _GREETING, b"", 0),
}


@pytest.mark.parametrize("kind", STRIPPED)
def test_who_strips_the_encryption_gets_no_password(authority: Authority, kind: str) -> None:
    first, answer, most = STRIPPED[kind]
    heard: list[bytes] = []

    def strip(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client:
            client.settimeout(5)
            client.sendall(first)
            heard.append(client.recv(4096))
            if answer:
                client.sendall(answer)
                heard.append(client.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=strip, args=(listening,), daemon=True)
        thread.start()
        option = {"postgresql": "sslmode=verify-full&sslrootcert", "mariadb": "ssl_ca"}[kind]
        place = f"nrm:CANARY@127.0.0.1:{listening.getsockname()[1]}/x"
        sink = SqlSink(f"{kind}://{place}?{option}={authority.certificate}", "POL-1", "test-hub")
        [found] = sink.check()
        sink.close()
        thread.join(5)
    assert (found.level, "does not offer TLS" in found.text) == ("wrong", True), found
    assert b"CANARY" not in b"".join(heard)
    assert len(b"".join(heard)) == most, "not even who we are"


def test_a_mail_server_without_encryption_gets_no_password(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def strip(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client, client.makefile("rb") as lines:
            client.settimeout(5)
            client.sendall(b"220 mail\r\n")
            for line in lines:
                heard.append(line)
                client.sendall(b"250-mail\r\n250 AUTH PLAIN LOGIN\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=strip, args=(listening,), daemon=True)
        thread.start()
        settings = NoticeSettings(
            to=("a@b.c",), sender="d@e.f", host="127.0.0.1", port=listening.getsockname()[1],
            user="nrm", password=Secret(text=SecretStr("CANARY")),
        )  # fmt: skip
        [found] = Notices(settings, "POL-1", "test-hub", tmp_path).check()
        thread.join(5)
    assert (found.level, "offers no STARTTLS" in found.text) == ("wrong", True), found
    assert [line[:4].upper() for line in heard] == [b"EHLO"]


def test_an_old_protocol_is_not_spoken(authority: Authority) -> None:
    outbound = Outbound("https://localhost:1", ca_file=authority.certificate)
    assert outbound._tls.minimum_version >= ssl.TLSVersion.TLSv1_2
    outbound.close()


# -- this machine, and what only looks like it -------------------------------------------------

ELSEWHERE = ["127.evil.example", "127.0.0.1.nip.example", "localhost.evil.example", "10.0.0.1",
             "example", "0177.0.0.1.x", "::ffff:10.0.0.1", ""]  # fmt: skip


@pytest.mark.parametrize("host", ELSEWHERE)
def test_a_name_is_not_this_machine_because_it_begins_so(host: str) -> None:
    assert not is_here(host)
    if host and ":" not in host:
        assert not is_local(sa.make_url(f"postgresql://u@{host}/x"))
        assert not is_local(sa.make_url(f"mariadb://u@{host}/x"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@localhost/x?hostaddr=10.0.0.1",
        "postgresql://u@/x?host=db.example",
        "postgresql://u@/x?host=localhost:5432&host=db.example:5432",
        "postgresql://u@/x?host=localhost,db.example",
        "postgresql://u@localhost/x?service=casework",
    ],
)
def test_where_libpq_goes_is_what_counts(url: str) -> None:
    assert not is_local(sa.make_url(url))
    assert postgresql_tls(sa.make_url(url))["sslmode"] == "verify-full"


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGSERVICE"])
def test_what_the_environment_says_to_libpq_counts_too(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "10.0.0.1")
    assert not is_local(sa.make_url("postgresql:///x"))


@pytest.mark.parametrize(
    "url",
    ["postgresql://u@localhost/x", "postgresql://u@127.0.0.2:5/x", "postgresql:///x",
     "postgresql://u@[::1]:5/x", "postgresql://u@/x?host=/var/run/postgresql",
     "postgresql://u@/x?host=localhost:5432", "mariadb://u@localhost/x",
     "mariadb://u@h/x?unix_socket=/run/s", "sqlite:////x"],
)  # fmt: skip
def test_this_machine_needs_no_certificate(url: str) -> None:
    assert is_local(sa.make_url(url))


@pytest.mark.parametrize("host", [*filter(None, ELSEWHERE[:5]), "[2001:db8::1]"])
def test_nothing_is_sent_to_another_machine_in_the_clear(host: str) -> None:
    with pytest.raises(SettingsError, match="https:// outside this machine"):
        Outbound(f"http://{host}/api")
    Outbound(f"https://{host}/api").close()
    Outbound(f"http://{host}/schemas", public=True).close()  # as of a schema registry
