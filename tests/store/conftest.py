"""Real databases for the store's tests: SQLite files, and a PostgreSQL server started here.

The server is not the one other tests share: these restart it, cut its connections and search its
files.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub.store.log import HubLog


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of our own. Durable settings, on an ephemeral port, gone with the session."""

    folder: Path
    port: int
    run: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"postgresql://tests@127.0.0.1:{self.port}/postgres"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def restart(self) -> None:
        log = str(self.folder / "log")
        self.pg("pg_ctl", "-D", str(self.data), "-w", "-m", "fast", "-l", log, "restart")

    def pg(self, program: str, *arguments: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        path = str(found[-1]) if found else shutil.which(program)
        assert path, f"{program} not found: install PostgreSQL (apt install postgresql)"
        done = subprocess.run(
            [*self.run, path, *arguments], capture_output=True, text=True, cwd="/", check=False
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="store-tests-pg-"))
    run: tuple[str, ...] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = next(u.pw_name for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))
        run = ("runuser", "-u", user, "--")
        shutil.chown(folder, user)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    made = Server(folder, port, run)
    data = str(made.data)
    made.pg("initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-locale")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c shared_buffers=32MB"
    made.pg("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
    try:
        yield made
    finally:
        made.pg("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store: each test of the contract runs on both databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    return postgres_url(request.getfixturevalue("server"))


def postgres_url(server: Server) -> str:
    return f"{server.url}?schema=t{uuid.uuid4().hex}"


@pytest.fixture
def log(url: str) -> Iterator[HubLog]:
    with HubLog.open(url) as opened:
        yield opened
