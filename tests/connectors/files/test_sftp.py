"""Files over SFTP, when server, line or key are not as they should be: nothing is lost or half."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from connectors import crash
from connectors.conformance import batch, claimed, identity, recalled
from connectors.errors import SettingsError, SinkDownError
from connectors.files.drop import part_name
from connectors.files.sftp import Options, SftpDrop
from tests.connectors.files.sshd import SshServer, ssh_server
from tests.connectors.files.test_sftp_conformance import options, server, sftp_bench
from tests.connectors.middle import middle

__all__ = ["server"]  # a fixture
pytestmark = pytest.mark.sftp
_names = count(1)


def folder(server: SshServer) -> Path:
    return server.folder(f"place-{next(_names)}")


class Opened:
    """Drops that are closed at the end."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._drops: list[SftpDrop] = []

    def __call__(self, server: SshServer, path: Path, **more: Any) -> SftpDrop:
        drop = SftpDrop(options(server, path, **more), self._home)
        self._drops.append(drop)
        return drop

    def close(self) -> None:
        for drop in self._drops:
            drop.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path)
    yield made
    made.close()


def test_put_get_replace_remove(server: SshServer, opened: Opened) -> None:
    path = folder(server)
    drop = opened(server, path)
    drop.prepare()
    large = os.urandom(3_000_000)
    drop.put("a.csv", b"first")
    drop.put("a.csv", large)
    assert drop.get("a.csv") == large == (path / "a.csv").read_bytes()
    assert drop.names() == {"a.csv"}
    assert drop.has("a.csv")
    drop.remove("a.csv")
    drop.remove("a.csv")
    assert drop.get("a.csv") is None
    assert drop.names() == set()
    assert [one.level for one in drop.check()] == ["ok"]


def test_names_that_others_gave_in_another_encoding(server: SshServer, opened: Opened) -> None:
    """One such name made every listing fail, and so every start of the connector."""
    path = folder(server)
    with open(os.fsencode(path) + b"/caf\xe9\n.csv", "wb"):
        pass
    drop = opened(server, path)
    drop.prepare()
    drop.put("a.csv", b"ours")
    assert drop.names() == {"a.csv", "caf\udce9\n.csv"}


# -- who is there --------------------------------------------------------------------------


def test_another_host_key_gets_nothing(server: SshServer, opened: Opened) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    drop = opened(server, folder(server), host_keys=[other])
    with pytest.raises(SinkDownError, match="not one of host_keys"):
        drop.prepare()
    [finding] = drop.check()
    assert finding.level == "wrong"
    of_other_kind = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key()
    drop = opened(server, folder(server), host_keys=[of_other_kind.decode()])
    with pytest.raises(SinkDownError, match="host_keys"):
        drop.prepare()


def test_a_key_the_user_trusts_elsewhere_is_not_asked(
    server: SshServer, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither known_hosts nor the user's configuration can let another server in."""
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "known_hosts").write_text(f"* {server.host_key}\n")
    (ssh / "config").write_text(f"Host *\n  Port 9\n  User nobody\n  IdentityFile {server.key}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    opened(server, folder(server)).prepare()  # the settings' port and user, not the file's
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(SinkDownError, match="not one of host_keys"):
        opened(server, folder(server), host_keys=[other]).prepare()


def test_a_login_that_is_refused(server: SshServer, opened: Opened, tmp_path: Path) -> None:
    key = tmp_path / "other"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    key.chmod(0o600)
    with pytest.raises(SinkDownError, match="does not accept our user"):
        opened(server, folder(server), key_file=key).prepare()


class PasswordServer:
    """A server that takes a password, and notes what it was offered."""

    def __init__(self) -> None:
        self.offered: list[str] = []
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        assert self._ready.wait(10)

    def _serve(self) -> None:
        noted = self

        class Server(asyncssh.SSHServer):
            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                noted.offered.append(password)
                return (username, password) == ("nrm", "s3cret")

        async def begin() -> None:
            made = await asyncssh.create_server(
                Server, "127.0.0.1", 0, server_host_keys=[self.key], sftp_factory=True
            )
            self.port = made.sockets[0].getsockname()[1]
            self._made = made
            self._ready.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        self._made.close()
        self._loop.run_until_complete(self._made.wait_closed())
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            self._loop.run_until_complete(asyncio.wait([task]))
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def test_a_password_from_a_file_goes_to_the_pinned_server_only(tmp_path: Path) -> None:
    told = PasswordServer()
    (tmp_path / "password").write_text("s3cret\n")
    given: dict[str, Any] = {
        "host": "127.0.0.1", "port": told.port, "user": "nrm", "path": str(tmp_path),
        "password": {"file": "password"},
    }  # fmt: skip
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    try:
        wrong = SftpDrop(Options.model_validate({**given, "host_keys": [other]}), tmp_path)
        with pytest.raises(SinkDownError, match="host_keys"):
            wrong.prepare()
        wrong.close()
        assert told.offered == []
        good = told.key.export_public_key().decode()
        right = SftpDrop(Options.model_validate({**given, "host_keys": [good]}), tmp_path)
        right.prepare()
        assert told.offered == ["s3cret"]
        assert [one.level for one in right.check()] == ["ok", "warning"]
        right.close()
    finally:
        told.close()


def test_settings_that_are_none(server: SshServer, opened: Opened, tmp_path: Path) -> None:
    path = folder(server)
    with pytest.raises(ValidationError, match="one of key_file and password"):
        options(server, path, password="x")
    with pytest.raises(ValidationError, match="host_keys"):
        options(server, path, host_keys=[])
    with pytest.raises(SettingsError, match=r"ssh_host_…_key\.pub"):
        opened(server, path, host_keys=["ssh-ed25519 what"])
    with pytest.raises(SettingsError, match="cannot be read"):
        opened(server, path, key_file=tmp_path / "none")
    open_key = tmp_path / "open"
    open_key.write_bytes(server.key.read_bytes())
    open_key.chmod(0o644)
    with pytest.raises(SettingsError, match="others may read"):
        opened(server, path, key_file=open_key)
    open_key.write_text("no key")
    open_key.chmod(0o600)
    with pytest.raises(SettingsError, match="no private key"):
        opened(server, path, key_file=open_key)


# -- what does not work there --------------------------------------------------------------


def test_no_folder_and_no_rights(server: SshServer, opened: Opened) -> None:
    path = folder(server)
    with pytest.raises(SinkDownError, match="make it there"):
        opened(server, path / "none").prepare()
    path.chmod(0o555)
    drop = opened(server, path)
    with pytest.raises(SinkDownError, match="let it read, write, rename and remove"):
        drop.put("a", b"x")
    path.chmod(0o755)
    drop.put("a", b"x")
    (path / "a").chmod(0)
    with pytest.raises(SinkDownError, match="may not do this"):
        drop.get("a")


def test_a_folder_that_went_away_is_no_taken_file(server: SshServer, opened: Opened) -> None:
    path = folder(server)
    drop = opened(server, path)
    drop.put("a", b"x")
    path.rename(path.with_name("elsewhere"))
    for ask in (drop.get, drop.has):
        with pytest.raises(SinkDownError, match="make it there"):
            ask("a")


def test_a_full_disk(tmp_path: Path, opened: Opened) -> None:
    """A limit to what the server's processes may write stands for disk and quota."""
    with ssh_server(limit=20_000) as server:
        path = folder(server)
        drop = opened(server, path)
        drop.put("small", b"x" * 10_000)
        with pytest.raises(SinkDownError, match="disk is full, a quota"):
            drop.put("large", b"x" * 200_000)
        with pytest.raises(SinkDownError, match="disk is full, a quota"):
            drop.put("small", b"y" * 200_000)
        assert (path / "small").read_bytes() == b"x" * 10_000
        assert not (path / "large").exists()
        drop.put("large", b"z")
        assert (path / "large").read_bytes() == b"z"


def test_a_server_without_the_extensions(tmp_path: Path, opened: Opened) -> None:
    with ssh_server("-P posix-rename,fsync,statvfs") as server:
        path = folder(server)
        drop = opened(server, path)
        drop.put("a", b"first")
        drop.put("a", b"second")
        assert (path / "a").read_bytes() == b"second"
        assert drop.names() == {"a"}
        assert [one.level for one in drop.check()] == ["ok"]


def test_what_somebody_put_in_a_files_place(server: SshServer, opened: Opened) -> None:
    """Not followed and not read, so nothing of the server's is taken for what we wrote."""
    path = folder(server)
    drop = opened(server, path)
    (path / "other").write_bytes(b"another's")
    (path / "link").symlink_to(path / "other")
    os.mkfifo(path / "pipe")
    (path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(SinkDownError, match=f"{name} is a link or no plain file"):
            drop.get(name)
    with (path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SinkDownError, match="larger than anything"):
        drop.get("sparse")


def test_a_server_that_renames_nothing_keeps_what_it_has(opened: Opened) -> None:
    with ssh_server("-P posix-rename,fsync") as server:
        path = folder(server)
        drop = opened(server, path)
        drop.put("a", b"old")
        drop.put("a", b"newer")
        assert drop.names() == {"a"}
        drop.close()
        server.stop()
        server.start("-P posix-rename,rename")
        with pytest.raises(SinkDownError, match="let it read, write, rename and remove"):
            drop.put("a", b"newest")
        assert (path / "a").read_bytes() == b"newer"


def test_a_folder_of_more_files_than_there_is_time_for(
    server: SshServer, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has come so far gives a listing more time; but there is an end to it."""
    path = folder(server)
    for number in range(300):
        (path / str(number)).touch()
    drop = opened(server, path)
    more: list[float] = []
    monkeypatch.setattr(drop, "_more_time", more.append)
    assert len(drop.names()) == 300
    assert sum(more) == pytest.approx(300 / 500, rel=0.02)
    monkeypatch.setattr("connectors.files.sftp.MOST_NAMES", 200)
    with pytest.raises(SinkDownError, match="take away what was read"):
        drop.names()


def test_a_line_that_is_cut_on_the_way(server: SshServer, opened: Opened) -> None:
    path = folder(server)
    with middle(server.port) as line:
        drop = opened(server, path, port=line.port)
        drop.put("a", b"x" * 1000)
        line.cut_after = 1_000_000
        with pytest.raises(SinkDownError):
            drop.put("a", b"y" * 3_000_000)
        assert (path / "a").read_bytes() == b"x" * 1000
        line.cut_after = None
        drop.put("a", b"y" * 3_000_000)
        assert (path / "a").stat().st_size == 3_000_000
        assert drop.names() == {"a"}
        assert line.connections == 2


def test_a_server_that_says_nothing_any_more(server: SshServer, opened: Opened) -> None:
    path = folder(server)
    with middle(server.port) as line:
        drop = opened(server, path, port=line.port, seconds=2)
        drop.put("a", b"x")
        line.stall_after = 0
        with pytest.raises(SinkDownError, match="no answer in time"):
            drop.put("a", b"y")
        line.stall_after = None
        drop.put("a", b"z")
        assert (path / "a").read_bytes() == b"z"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 300_000, b""])
def test_what_is_no_ssh_server(
    server: SshServer, opened: Opened, tmp_path: Path, said: bytes
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with listener.accept()[0] as one, contextlib.suppress(OSError):
            one.sendall(said)
            one.recv(1000)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(SinkDownError):
        opened(server, tmp_path, port=listener.getsockname()[1], seconds=3).prepare()
    thread.join(5)
    listener.close()


def test_a_server_that_is_started_again(tmp_path: Path, opened: Opened) -> None:
    with ssh_server() as server:
        path = folder(server)
        drop = opened(server, path)
        drop.put("a", b"x")
        server.stop()
        for _ in range(2):
            with pytest.raises(SinkDownError):
                drop.put("a", b"y")
        server.start()
        drop.put("a", b"y")
        assert (path / "a").read_bytes() == b"y"


def test_killed_in_an_upload(server: SshServer, opened: Opened, tmp_path: Path) -> None:
    path = folder(server)
    opened(server, path).put("a", b"old")
    child = os.fork()
    if child == 0:
        try:
            crash.arm("before_rename")
            SftpDrop(options(server, path), tmp_path).put("a", b"n" * 500_000)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == crash.STATUS
    assert (path / "a").read_bytes() == b"old"
    drop = opened(server, path)
    assert drop.names() == {"a", part_name("a")}
    drop.remove("a")
    assert drop.names() == set()


def test_a_delivery_waits_out_an_outage(server: SshServer, tmp_path: Path) -> None:
    """Through the whole sink: nothing is applied, nothing set aside, and then it is there."""
    bench = sftp_bench(server, tmp_path)
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    bench.folder.chmod(0o555)
    for what in (batch(identity(2, "e-2")), batch(recalled(2, ("e-1", ["identity"])))):
        with pytest.raises(SinkDownError):
            sink.apply(what)
        assert (sink.position().sequence, sink.quarantine()) == (1, [])
    bench.folder.chmod(0o755)
    sink.apply(batch(recalled(2, ("e-1", ["identity"])), identity(3, "e-2")))
    assert bench.shown("e-1") is None
    assert bench.shown("e-2") is not None
    bench.close()
