"""Real servers for tests: one Kafka, PostgreSQL and FHIR server for the whole run, on free ports.

A server that cannot be started fails the tests that need it, and says what to install;
nothing is skipped. `make test` installs both where it may. Each server is proved to be
the one started here before anything is sent to it, and stopped at the end, however the
run ends.

Tests that use one of these fixtures get the marker `kafka` or `postgres`, so that
`make check` can leave them out.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhir_server import FhirServer, FhirServerError
from hub.scenario.local_postgres import LocalPostgres, LocalPostgresError
from hub.topics.broker import BrokerError, LocalBroker
from hub.topics.jars import JarsError

KAFKA_USERS = {"shelter": "shelter-secret", "police": "police-secret"}

_NEEDS = {"kafka_broker": "kafka", "kafka_url": "kafka"}
_NEEDS |= {"fhir_server": "fhir", "empty_fhir_url": "fhir"}
_NEEDS |= dict.fromkeys(("postgres", "postgres_url", "new_postgres_database"), "postgres")
_NEEDS |= dict.fromkeys(("mariadb", "new_mariadb_database"), "mariadb")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _NEEDS:
                item.add_marker(_NEEDS[fixture])
        # Chosen by request.getfixturevalue(): named by the parameter instead.
        for value in getattr(getattr(item, "callspec", None), "params", {}).values():
            for name in str(value).split() if isinstance(value, str) else ():
                if name in ("kafka", "postgres", "mariadb"):  # also "postgres and kafka"
                    item.add_marker(name)


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[LocalBroker]:
    """A running broker with the SASL users KAFKA_USERS; `ca.pem` in its home signs its TLS."""
    with tempfile.TemporaryDirectory(prefix="nrm-kafka-") as home:
        tls = broker_certificate(Path(home))
        broker = LocalBroker(home, users=KAFKA_USERS, tls=tls)
        try:
            broker.start()
        except (BrokerError, JarsError) as error:
            pytest.fail(
                f"These tests need a real Kafka: {error}\n"
                "Install what it needs with `make test-services`, or"
                ' `pip install "nrm-hub[kafka-dev]"`.'
            )
        try:
            yield broker
        finally:
            broker.stop()


def broker_certificate(folder: Path) -> Path:
    """`ca.pem` and, signed by it, `broker.pem`: key and certificate of localhost."""
    now, key, ca_key = datetime.now(UTC), *(ec.generate_private_key(ec.SECP256R1()) for _ in "12")
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def signed(subject: x509.Name, public: ec.EllipticCurvePublicKey, ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(signed(issuer, ca_key.public_key(), True).public_bytes(pem))
    path = folder / "broker.pem"
    path.write_bytes(private + signed(subject, key.public_key(), False).public_bytes(pem))
    return path


@pytest.fixture(scope="session")
def kafka_url(kafka_broker: LocalBroker) -> str:
    """For open_topics(). All tests share it: use topic names of your own."""
    return kafka_broker.url


@pytest.fixture(scope="session")
def fhir_server_of_this_run() -> Iterator[FhirServer]:
    """Not started: see fhir_server."""
    with tempfile.TemporaryDirectory(prefix="nrm-fhir-") as home:
        server = FhirServer(Path(home), bench=True)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def fhir_server(fhir_server_of_this_run: FhirServer) -> FhirServer:
    """HAPI FHIR's JPA server, started unless it runs. What a test leaves there may be there."""
    server = fhir_server_of_this_run
    if not server.running:
        try:
            server.start()
        except FhirServerError as error:
            pytest.fail(f"These tests need a real FHIR server: {error}\nTry `make test-services`.")
    return server


@pytest.fixture
def empty_fhir_url(fhir_server: FhirServer) -> str:
    """Its FHIR base, with nothing in it."""
    fhir_server.empty()
    return fhir_server.url


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="nrm-postgres-") as home:
        server = PostgresServer(Path(home))
        try:
            server.start()
        except (OSError, LocalPostgresError, subprocess.SubprocessError) as error:
            server.stop()
            pytest.fail(
                f"These tests need a real PostgreSQL: {error}\n"
                "Install it with `make test-services` (the package `postgresql`)."
            )
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def new_postgres_database(postgres: PostgresServer) -> Callable[[], str]:
    """Call it for the URL of a fresh, empty database."""
    return postgres.new_database


@pytest.fixture(scope="session")
def postgres_url(new_postgres_database: Callable[[], str]) -> str:
    """One database for all who ask by this name; for your own, call new_postgres_database()."""
    return new_postgres_database()


class PostgresServer(LocalPostgres):
    """A PostgreSQL cluster in a temporary folder, with fsync on as in production."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, ("fsync=on", "synchronous_commit=on", "wal_level=logical"))
        self.folder = home
        """Where every file of the cluster lies, its write-ahead log included."""
        self._count = 0

    def new_database(self) -> str:
        self._count += 1
        name = f"test_{self._count}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)
