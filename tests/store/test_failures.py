"""What happens when a database, a disk or a connection fails at the worst moment."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.sqlite import SQLiteConnection

from hub.store.errors import StoreBusy, StoreConflict, StoreFailed, StoreRefused, StoreUnavailable
from hub.store.log import AdmissionKey, HubLog
from hub.store.sqlite import PAGE_BYTES
from tests.store.conftest import Server, postgres_url
from tests.store.samples import accepted, sending

# -- SQLite: durability is asserted ---------------------------------------------------------------


def test_every_sqlite_connection_is_durable(tmp_path: Path) -> None:
    with HubLog.open(f"sqlite:///{tmp_path}/log.db") as log:
        tables: Any = log.recorder
        held = [tables.datastore.pool.get_connection() for _ in range(4)]
        for connection in held:
            cursor = connection.cursor()
            for pragma, value in (
                ("synchronous", 2),
                ("journal_mode", "wal"),
                ("page_size", PAGE_BYTES),
            ):
                cursor.execute(f"PRAGMA {pragma}")
                assert cursor.fetchone()[0] == value
            tables.datastore.pool.put_connection(connection)


def test_a_database_that_cannot_be_durable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stubborn(sqlite3.Cursor):
        def execute(self, sql: str, *rest: Any) -> Any:  # type: ignore[override]
            return super().execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), *rest)

    plain = SQLiteConnection.cursor

    def cursor(self: SQLiteConnection) -> Any:
        made = plain(self)
        made.sqlite_cursor = self._sqlite_conn.cursor(Stubborn)
        return made

    monkeypatch.setattr(SQLiteConnection, "cursor", cursor)
    with pytest.raises(StoreRefused, match="synchronous=1"):
        HubLog.open(f"sqlite:///{tmp_path}/log.db")


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    with HubLog.open(f"sqlite:///{tmp_path}/log.db") as log:
        log.append([sending("a", 1)], expected_head=0)
        files = list(tmp_path.iterdir())
        assert len(files) >= 2
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_missing_folder_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused):
        HubLog.open(f"sqlite:///{tmp_path}/no/log.db")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"important letters" * 100)
    with pytest.raises(StoreRefused):
        HubLog.open(f"sqlite:///{path}")
    assert path.read_bytes() == b"important letters" * 100


# -- I18: after an I/O error nothing is written until the store is reopened -----------------------


def assert_closed_to_writes(log: HubLog, head: int) -> None:
    for write in (
        lambda: log.append([sending("z", 1)], expected_head=head),
        lambda: log.append([], expected_head=head, tracking={"f": 1}),
        lambda: log.put_checkpoint(head, "note"),
        lambda: log.write_tile("tile", b"x"),
        lambda: log.track("f", 1),
    ):
        with pytest.raises(StoreFailed, match="reopen"):
            write()


def test_a_full_disk_closes_the_store_until_it_is_reopened(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    acked = 0
    with HubLog.open(url) as log:
        tables: Any = log.recorder
        connection = tables.datastore.pool.get_connection()
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count=40")  # the next pages do not fit
        cursor.fetchall()
        tables.datastore.pool.put_connection(connection)
        with pytest.raises(StoreFailed, match="SQLITE_FULL"):
            for turn in range(1000):
                log.append([accepted((turn, n), 1) for n in range(20)], expected_head=acked)
                acked += 20
        assert acked > 0
        assert_closed_to_writes(log, acked)
        assert log.head == acked  # reading goes on
        assert len(log.read(0, 10_000)) == acked
    with HubLog.open(url) as log:
        assert log.head == acked
        log.append([sending("a", 1)], expected_head=acked)
        assert log.head == acked + 1


@contextmanager
def commit_that_fails(after: bool) -> Iterator[None]:
    """The disk answers a commit with an I/O error, before or after the bytes were stored."""
    plain = SQLiteConnection.commit

    def commit(self: SQLiteConnection) -> None:
        if after:
            plain(self)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLiteConnection, "commit", commit)
        yield


@pytest.mark.parametrize("stored", [False, True], ids=["lost", "stored"])
def test_a_failed_sync_is_never_acknowledged_and_never_retried(
    tmp_path: Path, stored: bool
) -> None:
    """Whether the row is there is found out by reopening; the idempotency index answers then."""
    url = f"sqlite:///{tmp_path}/log.db"
    event = accepted("c", 1)
    admission = AdmissionKey("police-1", event.event_id, event.digest, 2)
    with HubLog.open(url) as log:
        log.append([sending("a", 1)], expected_head=0)
        with commit_that_fails(after=stored), pytest.raises(StoreFailed, match="FSYNC"):
            log.append([event], expected_head=1, admissions=[admission])
        assert_closed_to_writes(log, 1)
    with HubLog.open(url) as log:
        assert log.head == (2 if stored else 1)
        found = log.admission("police-1", [event.event_id])
        assert found == ({event.event_id: admission} if stored else {})


def test_another_process_writing_is_waited_for_and_then_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.sqlite.LOCK_SECONDS", 1)
    path = tmp_path / "log.db"
    with HubLog.open(f"sqlite:///{path}") as log:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            log.append([sending("a", 1)], expected_head=0)
        other.execute("ROLLBACK")
        other.close()
        log.append([sending("a", 1)], expected_head=0)  # busy is not failed
        assert log.head == 1


CRASH = """
import sys
from hub.store.log import AdmissionKey, HubLog
from tests.store.samples import accepted
url = sys.argv[1]
with HubLog.open(url) as log:
    events = [accepted(n, 1) for n in range(50)]
    keys = [AdmissionKey(e.emitter, e.event_id, e.digest, n) for n, e in enumerate(events, 1)]
    log.append(events, expected_head=0, admissions=keys, tracking={"publisher": 50})
"""


@pytest.mark.parametrize(
    ("place", "head"), [("store_before_commit:2", 0), ("store_after_commit:2", 50)]
)
def test_a_process_killed_at_the_commit_leaves_all_or_nothing(
    url: str, place: str, head: int
) -> None:
    """The second transaction of the process is the append; the first stamps the new file."""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, url],
        env={"NRM_CRASH_AT": place, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 137, done.stderr.decode()
    with HubLog.open(url) as log:
        assert log.head == head
        assert len(log.leaves(1, 1000)) == len(log.read(0, 1000)) == head
        ids = [accepted(n, 1).event_id for n in range(50)]
        assert len(log.admission("police-1", ids)) == head
        assert log.tracking("publisher") == head
        log.append([sending("a", 1)], expected_head=head)


OPEN = """
import sys
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
log, keys = sys.argv[1:3]
print("ready", flush=True)
sys.stdin.readline()
HubLog.open(log).close()
KeyStore.open(keys).close()
"""


def test_processes_that_open_a_new_store_at_once_all_get_it(url: str, tmp_path: Path) -> None:
    keys = f"sqlite:///{tmp_path}/secrets.db"
    if url.startswith("postgresql"):
        keys = f"{url}&epoch_key={tmp_path}/epoch.key"
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url, keys],
            env={"PYTHONPATH": ":".join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == b"ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write(b"go\n")
        opener.stdin.flush()
    for opener in openers:
        _, errors = opener.communicate()
        assert opener.returncode == 0, errors.decode()


# -- PostgreSQL: a connection lost around the commit ----------------------------------------------


class Proxy:
    """Between client and server. `swallow`: deliver COMMIT, then cut before its answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.swallow = False
        self.refuse = False
        self.swallowed = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open += [client, server]
            cut = threading.Event()
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, sink, up, cut), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, up: bool, cut: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if up and self.swallow and b"COMMIT" in data:
                    self.swallow = False
                    self.swallowed += 1
                    cut.set()
                    if self.refuse:
                        self._cut_all(but=(source, sink))
                if cut.is_set() and not up:
                    break
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _cut_all(self, but: tuple[socket.socket, ...]) -> None:
        for one in self._open:
            if one not in but:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            one.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    made = Proxy(server.port)
    yield made
    made.close()


def through(proxy: Proxy, server: Server) -> str:
    return postgres_url(server).replace(f":{server.port}/", f":{proxy.port}/")


def test_a_commit_whose_answer_was_lost_is_success(server: Server, proxy: Proxy) -> None:
    url = through(proxy, server)
    event = accepted("c", 1)
    with HubLog.open(url) as log:
        log.append([sending("a", 1)], expected_head=0)
        proxy.swallow = True
        log.append(
            [event, sending("a", 2)],
            expected_head=1,
            admissions=[AdmissionKey("police-1", event.event_id, event.digest, 2)],
        )
        assert proxy.swallowed == 1
        assert [one.event for one in log.read(1, 10)] == [event, sending("a", 2)]
        log.append([sending("a", 3)], expected_head=3)  # and the store is still open


def test_a_connection_lost_before_the_commit_wrote_nothing_and_may_be_tried_again(
    server: Server,
) -> None:
    with HubLog.open(postgres_url(server)) as log:
        tables: Any = log.recorder
        insert = tables.insert_leaves

        def insert_and_die(c: Any, leaves: Any) -> None:
            insert(c, leaves)
            pid = c.raw.connection.info.backend_pid
            with psycopg.connect(server.url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))

        tables.insert_leaves = insert_and_die
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            log.append([sending("a", 1)], expected_head=0)
        tables.insert_leaves = insert
        assert log.head == 0
        log.append([sending("a", 1)], expected_head=0)
        assert log.head == 1


def test_when_even_the_answer_cannot_be_read_back_the_store_closes(
    server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.postgres.READ_BACK_SECONDS", 1)
    with HubLog.open(through(proxy, server)) as log:
        log.append([sending("a", 1)], expected_head=0)
        proxy.refuse = proxy.swallow = True
        with pytest.raises(StoreFailed):
            log.append([sending("a", 2)], expected_head=1)
        proxy.refuse = False
        assert_closed_to_writes(log, 2)


def test_a_duplicate_of_other_bytes_is_a_conflict_not_success(server: Server) -> None:
    url = postgres_url(server)
    with HubLog.open(url) as log:
        log.append([sending("a", 1)], expected_head=0)
        with pytest.raises(StoreConflict):
            log.append([sending("a", 1, seconds=9)], expected_head=1)


def test_a_lock_held_elsewhere_is_busy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.store.postgres.LOCK_SECONDS", 1)
    with HubLog.open(postgres_url(server)) as log:
        tables: Any = log.recorder
        with psycopg.connect(server.url) as other:
            other.execute(f"LOCK TABLE {tables.datastore.schema}.stored_events IN EXCLUSIVE MODE")
            with pytest.raises(StoreBusy):
                log.append([sending("a", 1)], expected_head=0)
        log.append([sending("a", 1)], expected_head=0)


def test_a_server_that_restarted_between_two_appends_is_not_noticed(server: Server) -> None:
    with HubLog.open(postgres_url(server)) as log:
        log.append([sending("a", 1)], expected_head=0)
        server.restart()
        assert log.head == 1
        log.append([sending("a", 2)], expected_head=1)
        assert len(log.read(0, 10)) == 2


# -- PostgreSQL: what is refused at opening -------------------------------------------------------


def test_a_server_that_is_not_there_is_said_at_once_and_without_the_password() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(StoreRefused) as raised:
        HubLog.open(f"postgresql://me:geheim@127.0.0.1:{port}/hub")
    assert time.monotonic() - started < 25
    assert f"127.0.0.1:{port}/hub" in str(raised.value)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["POSTGRES_ENABLE_DB_FUNCTIONS", "HUB_POSTGRES_ENABLE_DB_FUNCTIONS"]
)
def test_database_functions_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "yes")
    with pytest.raises(StoreRefused, match=name):
        HubLog.open(postgres_url(server))
    monkeypatch.setenv(name, "no")
    HubLog.open(postgres_url(server)).close()


def test_the_librarys_unlocked_insert_function_is_never_installed(server: Server) -> None:
    url = postgres_url(server)
    HubLog.open(url).close()
    with psycopg.connect(server.url) as admin:
        found = admin.execute(
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'es_insert%'"
        ).fetchone()
    assert found == (0,)


def test_asynchronous_commit_is_turned_back_on(server: Server) -> None:
    url = postgres_url(server) + "&options=-csynchronous_commit%3Doff"
    with HubLog.open(url) as log:
        tables: Any = log.recorder
        row = tables.query("SELECT current_setting('synchronous_commit') AS setting")[0]
        assert row["setting"] == "on"
        log.append([accepted("c", 1)], expected_head=0)
