"""One real PostgreSQL server on this machine, for scenario runs and demonstrations.

Uses the programs that are installed (`initdb`, `postgres`), a folder of its own and a free port on
127.0.0.1, and is proved to be the server started here before it is used. Writes reach the disk as
in production.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from hub.errors import HubError
from hub.topics.local_ports import free_port

_START_SECONDS: Final = 60.0


class LocalPostgresError(HubError):
    """PostgreSQL could not be started here; the message says what to install or change."""


class LocalPostgres:
    """A cluster in `home`. stop() always returns. settings: of the server, `name=value`."""

    def __init__(self, home: Path, settings: Sequence[str] = ()) -> None:
        self._settings = ("shared_buffers=64MB", "max_connections=200", *settings)
        self._home = home
        self._data = home / "data"
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._user = other_user()

    def url(self, database: str) -> str:
        return f"postgresql://nrm:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> Self:
        programs = _programs()
        secret = self._home / "password"
        secret.write_text(self._password, encoding="ascii")
        secret.chmod(0o600)
        if self._user is not None:  # PostgreSQL refuses to run as root
            for path in (self._home, secret):
                shutil.chown(path, self._user)
        self._make(programs / "initdb", secret)
        self._port = free_port()
        with (self._home / "postgres.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(programs / "postgres"), "-D", str(self._data), "-p", str(self._port),
                 "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self._home}",
                 *(f"--{setting}" for setting in self._settings)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=self._home, start_new_session=True, **self._as_user(),
            )  # fmt: skip
        atexit.register(self.stop)
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast": roll back, disconnect, flush
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _make(self, initdb: Path, secret: Path) -> None:
        done = subprocess.run(
            [str(initdb), "-D", str(self._data), "-U", "nrm", "-E", "UTF8", "--locale=C",
             "--auth=scram-sha-256", f"--pwfile={secret}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self._home, check=False, timeout=_START_SECONDS * 2, **self._as_user(),
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stdout.decode("utf-8", "replace").strip()[-500:]
            raise LocalPostgresError(f"initdb failed: {said}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        import pwd

        known = pwd.getpwnam(self._user)
        return {"user": known.pw_uid, "group": known.pw_gid, "extra_groups": []}

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = (self._home / "postgres.log").read_text("utf-8", "replace")[-500:]
                raise LocalPostgresError(f"PostgreSQL ended at once: {said.strip()}")
            try:
                with psycopg.connect(self.url("postgres"), connect_timeout=5) as connection:
                    row = connection.execute("SHOW data_directory").fetchone()
            except psycopg.OperationalError:
                time.sleep(0.05)
                continue
            if row is None or Path(row[0]).resolve() != self._data.resolve():
                raise LocalPostgresError(f"another server answers at port {self._port}")
            return
        raise LocalPostgresError(f"PostgreSQL did not answer within {_START_SECONDS:.0f} seconds")


def _programs() -> Path:
    """The folder with `initdb` and `postgres`: pg_config's, Debian's newest, or PATH's."""
    candidates = []
    if (config := shutil.which("pg_config")) is not None:
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.append(Path(said.stdout.strip()))
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(debian, key=lambda path: _number(path.parent.name), reverse=True)
    if (found := shutil.which("initdb")) is not None:
        candidates.append(Path(found).resolve().parent)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise LocalPostgresError(
        "no PostgreSQL server programs (initdb, postgres) on this machine: install PostgreSQL, or "
        "give the address of a server: --store postgresql://user:password@host:port/postgres"
    )


def _number(name: str) -> int:
    return int(name) if name.isdigit() else 0


def other_user(name: str = "postgres") -> str | None:
    """As whom to run when we are root, this one if there is such a user; otherwise as ourselves."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return name if name in names else "nobody"
