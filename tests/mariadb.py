"""A real MariaDB for tests, started once for the whole run, as `tests/servers.py` does PostgreSQL.

It listens on a socket and on a free TCP port, offers TLS under an authority of its own, flushes at
every commit, and overwrites what it deletes (innodb_immediate_scrub_data_uncompressed), as
docs/connect-mariadb.md asks of a server. Tests that use one of its fixtures get the marker
`mariadb`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from hub.scenario.local_postgres import other_user
from hub.topics.local_ports import free_port
from tests.certificates import Authority
from tests.patience import PATIENCE, until


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    with tempfile.TemporaryDirectory(prefix="nrm-mariadb-") as home:
        server = MariadbServer(Path(home))
        try:
            server.start()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            server.stop()
            pytest.fail(
                f"These tests need a real MariaDB: {error}\n"
                "Install it with `make test-services` (the package `mariadb-server`)."
            )
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def new_mariadb_database(mariadb: MariadbServer) -> Callable[[], str]:
    """Call it for the URL of a fresh, empty database."""
    return mariadb.new_database


class MariadbServer:
    """A MariaDB server in a temporary folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.socket = home / "mariadb.sock"
        self._data = home / "data"
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def start(self) -> None:
        install, server = _program("mariadb-install-db"), _program("mariadbd")
        self.authority = Authority(self.home)
        certificate, key = self.authority.server("localhost", "127.0.0.1")
        first = self.home / "first.sql"
        first.write_text(
            f"CREATE USER nrm@localhost IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO nrm@localhost WITH GRANT OPTION;\n",
            encoding="ascii",
        )
        as_user = other_user("mysql")
        if as_user is not None:  # it refuses to run as root
            for path in (self.home, certificate, key, first):
                shutil.chown(path, as_user)
        owner = [] if as_user is None else [f"--user={as_user}"]
        done = subprocess.run(
            [install, "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
             "--auth-root-authentication-method=normal", *owner],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.home, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(done.stdout.decode("utf-8", "replace")[-1500:])
        self.port = free_port()
        with (self.home / "mariadb.log").open("wb") as log:
            self._process = subprocess.Popen(
                [server, "--no-defaults", f"--datadir={self._data}", f"--socket={self.socket}",
                 f"--port={self.port}", "--bind-address=127.0.0.1", f"--init-file={first}",
                 f"--pid-file={self.home}/pid", f"--ssl-cert={certificate}", f"--ssl-key={key}",
                 "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M",
                 "--innodb-flush-log-at-trx-commit=1",
                 "--innodb-immediate-scrub-data-uncompressed=ON", *owner],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=self.home, start_new_session=True,
            )  # fmt: skip
        self._wait(self._process)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def url(self, database: str) -> str:
        return f"mariadb://nrm:{self._password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """As administrator; the rows of the last statement."""
        rows: list[tuple[Any, ...]] = []
        with self._connect() as connection, connection.cursor() as cursor:
            for one in statements:
                cursor.execute(one)
                rows = list(cursor.fetchall())
        return rows

    def table_files(self, database: str) -> bytes:
        """Every byte of a database's tables, once what was deleted is purged and all is written."""
        self._purged()
        tables = [name for (name,) in self.execute(f"SHOW TABLES FROM {database}")]
        found = b""
        if tables:
            named = ", ".join(f"{database}.`{one}`" for one in tables)
            with self._connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"FLUSH TABLES {named} FOR EXPORT")
                files = sorted((self._data / database).glob("*.ibd"))
                found = b"".join(path.read_bytes() for path in files)
                cursor.execute("UNLOCK TABLES")
        return found

    def log_files(self) -> bytes:
        """Every byte of redo log, undo log and system tablespace."""
        names = ("ib_logfile*", "undo*", "ibdata*")
        files = [path for name in names for path in sorted(self._data.glob(name))]
        return b"".join(path.read_bytes() for path in files)

    def _purged(self) -> None:
        def purged() -> bool:
            [(_, _, status)] = self.execute("SHOW ENGINE INNODB STATUS")
            return "History list length 0" in status

        until(purged, "InnoDB did not purge", every=0.005)

    def _connect(self) -> Any:
        return pymysql.connect(
            unix_socket=str(self.socket), user="nrm", password=self._password, autocommit=True
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError((self.home / "mariadb.log").read_text("utf-8")[-1500:])
            try:
                [(data,)] = self.execute("SELECT @@datadir")
            except pymysql.err.OperationalError:
                time.sleep(0.05)
                continue
            if Path(data) != self._data:
                raise RuntimeError(f"another server answers at {self.socket}")
            return
        raise RuntimeError("MariaDB did not answer")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(f"no MariaDB server programs ({name}) were found")
    return found
