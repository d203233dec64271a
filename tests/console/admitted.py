"""Viewers who are really granted, by two officers with keys of their own, and a console served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.authority.granting import Granting
from hub.authority.officers import OfficerKey, request
from hub.authority.viewers import PASSKEY, Grant, Granted
from hub.console.serving import ConsoleServer, serve_console
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Deciding
from tests.policy.officers import HUB_ID, of_exchange, officer


class Office:
    """Two officers of a hub, and what they sign."""

    def __init__(self, exchange: Exchange, keys: Sequence[OfficerKey] = ()) -> None:
        """keys: of the hub's two officers, if it has them already."""
        self.exchange = exchange
        self.granting = Granting(exchange, HUB_ID)
        self.first, self.second = keys or (officer("justice-1"), officer("justice-2"))
        if not keys:
            of_exchange(exchange).found([request(self.first), request(self.second)])

    def grant(self, grant: Grant) -> tuple[Granted, str]:
        """The grant, signed by both, and the whole one-time code (empty for oidc)."""
        proposed = self.granting.propose(grant, self.first)
        step = self.granting.approve(proposed.position, self.second)
        return self.granting.viewers().standing[grant.viewer], proposed.half + step.half

    def passkey(self, name: str = "audit-1", role: Any = "auditor", agency: str = "") -> str:
        """Grant somebody a passkey; the code."""
        return self.grant(Grant(name, role, agency, PASSKEY))[1]

    def account(
        self, issuer: str, subject: str, name: str = "audit-1", role: Any = "auditor"
    ) -> Granted:
        """Grant an account at a provider."""
        return self.grant(Grant(name, role, "", "oidc", issuer, subject))[0]

    def revoke(self, name: str = "audit-1") -> int:
        return self.granting.revoke(name, self.second, "left")


@contextmanager
def served(home: Home, **given: Any) -> Iterator[ConsoleServer]:
    """A console on a real port, with these settings."""
    with Deciding.open(home) as deciding:
        running = serve_console(deciding, given={"port": 0, **given})
        try:
            yield running
        finally:
            running.stop()


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate for localhost that vouches for itself, and its key."""
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .sign(private, hashes.SHA256())
    )
    files = folder / "console.pem", folder / "console.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(files[0]), str(files[1])
