"""Partners' services that are hostile, slow or behind a certificate nobody should trust.

A sink over HTTP as all are made: `RemoteSink`, `Messages`, and the one client. Whatever the service
does, nothing is lost and nothing is set aside that is not the delivery's own fault.
"""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.agency.identity import AgencyIdentity
from connectors.errors import SettingsError
from connectors.remote.messages import Message, Messages
from connectors.remote.outbound import Outbound
from connectors.remote.sink import RemoteSink
from connectors.sink import Sink
from tests.connectors.bad_input.site import TO, Site
from tests.connectors.builder import MiniHub

GOOD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
SECONDS = 0.6
MOST = 20_000


class Service:
    """Answers each request with these pieces, `pause` seconds between them; keeps what it took."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pieces: Sequence[bytes] = (GOOD,)
        self.pause = 0.0
        self.took: dict[str, str] = {}
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    channel = self.request
                    if context is not None:
                        channel = context.wrap_socket(channel, server_side=True)
                    body = _body(channel)
                    if outer.pieces == (GOOD,) and body:
                        told = json.loads(body)
                        outer.took[told["id"]] = told["event_ref"]
                    for piece in outer.pieces:
                        channel.sendall(piece)
                        time.sleep(outer.pause)
                    channel.close()
                except OSError:
                    pass

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def _body(channel: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := channel.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += channel.recv(65536)
    return body


class Poster:
    """A message system of one POST per message."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def prepare(self) -> None:
        """Reached with the first message."""

    def send(self, messages: Sequence[Message]) -> None:
        for one in messages:
            told = {"id": one.id, "event_ref": one.event_ref, "kind": one.kind}
            answer = self._outbound.request("POST", "inbox", json_body=told)
            if not answer.good:
                raise answer.refused(one.sequence)
            answer.json()

    def close(self) -> None:
        self._outbound.close()


@dataclass
class Target:
    """Where the sink sends; changed, it holds from the next start on."""

    url: str
    ca_file: Path | None = None
    certificate: tuple[Path, Path] | None = None


@contextmanager
def partner_site(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, folder: Path, target: Target
) -> Iterator[Site]:
    def sink() -> Sink:
        outbound = Outbound(
            target.url,
            ca_file=target.ca_file,
            certificate=target.certificate,
            seconds=SECONDS,
            most_bytes=MOST,
        )
        books = folder / "state.db"
        metadata = sa.MetaData()
        messages = Messages(Poster(outbound), metadata)
        return RemoteSink(books, TO, "test-hub", messages, metadata)

    site = Site(hub, police, shelter, folder, sink)
    try:
        yield site
    finally:
        site.close()


def answer(status: str, body: bytes = b"", more: bytes = b"") -> tuple[bytes, ...]:
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n".encode()
    return (head + more + b"\r\n" + body,)


ENDLESS = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    *[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 64,
)


@pytest.mark.parametrize(
    ("pieces", "pause", "told"),
    [
        (ENDLESS, 0.0, "more than"),
        (tuple(b"HTTP/1.1 200 OK\r\n"[n : n + 1] for n in range(17)) * 9, 0.1, "no whole answer"),
        ((GOOD[:20], b"", b""), 0.5, "no whole answer"),
        (answer("302 Found", more=b"location: http://127.0.0.1:1/elsewhere\r\n"), 0.0, "redirect"),
        (answer("200 OK", b"<html>Sign in to the hotel network</html>"), 0.0, "not JSON"),
        (answer("200 OK", b"[" * 15_000), 0.0, "not JSON"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{}",), 0.0, "the partner's system"),
        ((b"\x16\x03\x01 what is this",), 0.0, "the partner's system"),
        ((b"",), 0.0, "the partner's system"),
        (answer("401 Unauthorized", b"{}"), 0.0, "check them"),
        (answer("403 Forbidden", b"{}"), 0.0, "check the rights"),
        (answer("429 Too Many Requests", b"{}"), 0.0, "slow down"),
        (answer("503 Unavailable", b"{}"), 0.0, "503"),
        ((b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"b" * 200_000 + b"\r\n\r\n{}",), 0.0, "the partner"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,) * 99, 0.01, "no whole answer"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}",), 0.0, "the partner's system"),
    ],
    ids=[
        "endless", "letter by letter", "stops midway", "redirects", "hotel network", "nested",
        "cut short", "no HTTP", "says nothing", "wrong credentials", "no rights", "too fast",
        "down", "huge header", "continues for ever", "less than nothing",
    ],
)  # fmt: skip
def test_it_is_waited_out_and_everything_comes_once(
    pieces: Sequence[bytes], pause: float, told: str,
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path,
) -> None:  # fmt: skip
    service = Service()
    service.pieces, service.pause = pieces, pause
    try:
        with partner_site(
            hub, police, shelter, tmp_path, Target(f"http://127.0.0.1:{service.port}")
        ) as site:
            site.deliver(1)
            site.deliver(2)
            started = time.monotonic()
            said = site.go()
            assert time.monotonic() - started < SECONDS + 10
            assert told in said
            assert "127.0.0.1" in said or "not JSON" in said
            assert "Sign in" not in said
            assert site.said == [said]
            assert site.quarantined() == []
            assert site.answered() == set()
            service.pieces, service.pause = (GOOD,), 0.0
            assert site.go() == ""
            assert site.answered() == {1, 2}
            assert len(service.took) == len(set(service.took.values())) == 2
    finally:
        service.close()


def test_what_it_will_never_take_is_set_aside_and_the_rest_goes_on(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> None:
    service = Service()
    service.pieces = answer("422 Unprocessable", b"name of the person is wrong")
    try:
        with partner_site(
            hub, police, shelter, tmp_path, Target(f"http://127.0.0.1:{service.port}")
        ) as site:
            site.deliver(1)
            assert site.go() == ""
            assert site.quarantined() == ["sink_refused"]
            assert site.sink is not None
            assert "name of" not in site.sink.quarantine()[0].detail
            service.pieces = (GOOD,)
            site.deliver(2)
            assert site.go() == ""
            assert site.answered() == {2}
            assert site.redrive() == (1, 0)
            assert site.answered() == {1, 2}
    finally:
        service.close()


# -- certificates ------------------------------------------------------------------------------


class Ca:
    """A certificate authority of one test, and what it signs."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key.public_key(), ca=True)))

    def issue(self, host: str = "localhost", *, expired: bool = False) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        signed = self._signed(name, key.public_key(), host=host, expired=expired)
        stem = f"{self.file.stem}-{host}-{expired}"
        certificate, private = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        certificate.write_bytes(_pem(signed))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate, private

    def _signed(
        self, name: x509.Name, public: ec.EllipticCurvePublicKey, *, host: str = "",
        expired: bool = False, ca: bool = False,
    ) -> x509.Certificate:  # fmt: skip
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3))
            .not_valid_after(now + timedelta(days=-1 if expired else 3))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.DNSName(host)])
            made = made.add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def tls(certificate: tuple[Path, Path], clients: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(clients))
    return context


@pytest.mark.parametrize(
    "wrong", ["another CA", "expired", "another host", "no client certificate"]
)
def test_a_certificate_that_does_not_fit_is_refused_and_waited_for(
    wrong: str, hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> None:
    ours, theirs = Ca(tmp_path, "ours"), Ca(tmp_path, "theirs")
    asks_for = ours.file if wrong == "no client certificate" else None
    served = {
        "another CA": theirs.issue(),
        "expired": ours.issue(expired=True),
        "another host": ours.issue("elsewhere.example"),
    }.get(wrong, ours.issue())
    service, good = Service(tls(served, asks_for)), Service(tls(ours.issue(), asks_for))
    target = Target(f"https://localhost:{service.port}", ours.file)
    try:
        with partner_site(hub, police, shelter, tmp_path, target) as site:
            site.deliver(1)
            said = site.go()
            assert "https://localhost" in said
            assert site.quarantined() == []
            assert site.answered() == set()
            assert service.took == {}
            what_to_do = {
                "another CA": "set ca_file",
                "expired": "have its operator renew it",
                "another host": "a name that stands in it",
            }
            if wrong in what_to_do:
                assert "its certificate is refused" in said
                assert what_to_do[wrong] in said
            target.url = f"https://localhost:{good.port}"
            target.certificate = ours.issue("partner") if asks_for else None
            site.start()
            assert site.go() == ""
            assert site.answered() == {1}
            assert len(good.took) == 1
    finally:
        service.close()
        good.close()


def test_nothing_that_a_service_says_is_sent_back() -> None:
    """Cookies would be kept and grow for as long as the connector runs."""
    service = Service()
    service.pieces = answer("200 OK", b"{}", b"set-cookie: a=1\r\nset-cookie: b=2; path=/\r\n")
    outbound = Outbound(f"http://127.0.0.1:{service.port}", seconds=SECONDS)
    try:
        for _ in range(2):
            assert outbound.request("POST", "x", json_body={}).good
            assert outbound._client is not None
            assert list(outbound._client.cookies.jar) == []
    finally:
        outbound.close()
        service.close()


def test_a_ca_file_that_is_none_stops_before_anything(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", "utf-8")
    with pytest.raises(SettingsError, match="cannot be used"):
        Outbound("https://localhost", ca_file=tmp_path / "ca.pem")
