"""The kind `sftp`: files onto a server over SFTP, as `connectors/files/sink.py` has them.

    [sink]
    kind = "sftp"
    [sink.options]
    host = "files.example"
    user = "nrm"
    key_file = "id_ed25519"
    host_keys = ["ssh-ed25519 AAAA…"]
    path = "drop"

The server's key is the one in the settings or there is no connection: none is taken on trust, and
no file of the user's (known_hosts, config, agent) is asked. A file is written under a hidden name,
made durable (fsync@openssh.com, where the server has it) and renamed over what was there
(posix-rename@openssh.com). Where a server has no such rename, the old file goes first: there is
none of that name for a moment, never half a one.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import asyncssh
from asyncssh import SFTPClient
from pydantic import Field, model_validator

from connectors import crash
from connectors.errors import SettingsError, SinkDownError
from connectors.files.drop import LITTLE_SPACE, held_name, part_name
from connectors.files.folder import FileOptions, open_files
from connectors.files.sink import FilesSink
from connectors.findings import Finding
from connectors.given import beside
from connectors.kinds import Place
from connectors.secret import Secret

T = TypeVar("T")

MOST_BYTES: Final = 1 << 30  # of a file read back: more was never written here
_SLOWEST: Final = 16_384  # bytes a second; a slower server counts as down


class Options(FileOptions):
    """Settings of the kind `sftp`."""

    host: str
    """The server's name or address."""

    port: int = Field(default=22, ge=1, le=65535)
    """Its port."""

    user: str
    """Whom to log in as."""

    host_keys: tuple[str, ...] = Field(min_length=1)
    """The server's public keys, as in its /etc/ssh/ssh_host_…_key.pub; two while one is changed."""

    key_file: Path | None = None
    """The private key to log in with: this or `password`."""

    password: Secret | None = None
    """The password to log in with."""

    path: str = "."
    """The folder there, from where the login begins; it must be there."""

    seconds: float = Field(default=30.0, gt=0, le=600)
    """Longest wait for an answer; a large file gets as much more as 16 kB a second take."""

    @model_validator(mode="after")
    def one_way_in(self) -> Options:
        if (self.key_file is None) == (self.password is None):
            raise ValueError("give one of key_file and password")
        return self


class SftpDrop:
    """A server's folder. One connection, kept while it serves; made anew after any trouble."""

    def __init__(self, options: Options, folder: Path) -> None:
        """folder: what key and password files are relative to. SettingsError if one is unusable."""
        self._options = options
        self._where = f"{options.user}@{options.host}:{options.port}"
        self._host_keys = [_host_key(text) for text in options.host_keys]
        self._keys: list[asyncssh.SSHKey] = []
        if options.key_file is not None:
            self._keys = [_private_key(beside(folder, options.key_file))]
        self._password = None if options.password is None else options.password.read(folder)
        self._runner: asyncio.Runner | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: SFTPClient | None = None

    # -- as a drop -------------------------------------------------------------------------

    def prepare(self) -> None:
        async def look(client: SFTPClient) -> None:
            if not await client.isdir(self._path("")):
                raise self._down(f"there is no folder {self._options.path!r}: make it there")

        self._run(look)

    def put(self, name: str, data: bytes) -> None:
        async def put(client: SFTPClient) -> None:
            part, final = self._path(part_name(name)), self._path(name)
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await client.remove(part)  # may be a link of somebody's who writes there too
            async with client.open(part, "xb") as file:
                await file.write(data)
                with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()
            crash.point("before_rename")
            try:
                await client.posix_rename(part, final)
            except asyncssh.SFTPOpUnsupported:
                with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                    await client.remove(final)
                await client.rename(part, final)
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await client.remove(self._path(held_name(name)))

        self._run(put, name, len(data))

    def get(self, name: str) -> bytes | None:
        async def size(client: SFTPClient) -> int | None:
            try:
                with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                    return int((await client.stat(self._path(name))).size or 0)
                await client.rename(self._path(held_name(name)), self._path(name))
                return int((await client.stat(self._path(name))).size or 0)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._there(client)
                return None

        async def get(client: SFTPClient) -> bytes | None:
            try:
                async with client.open(self._path(name), "rb") as file:
                    data: bytes = await file.read(MOST_BYTES)
                    return data
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None  # taken in between

        bytes_ = self._run(size, name)
        if bytes_ is None:
            return None
        if bytes_ > MOST_BYTES:
            raise self._down(f"{name} is larger than anything that was put there")
        return self._run(get, name, bytes_)

    def has(self, name: str) -> bool:
        async def has(client: SFTPClient) -> bool:
            await self._there(client)
            return await client.exists(self._path(name))

        return self._run(has, name)

    def hold(self, name: str) -> bool:
        async def hold(client: SFTPClient) -> bool:
            held = self._path(held_name(name))
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await client.remove(held)  # of an attempt that was cut off after replacing it
            try:
                await client.rename(self._path(name), held)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._there(client)
                return False
            return True

        return self._run(hold, name)

    def remove(self, name: str) -> None:
        async def remove(client: SFTPClient) -> None:
            for one in (part_name(name), held_name(name), name):
                with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                    await client.remove(self._path(one))

        self._run(remove, name)

    def names(self) -> set[str]:
        async def names(client: SFTPClient) -> set[str]:
            found = {str(one) for one in await client.listdir(self._path(""))}
            return found - {".", ".."}

        return self._run(names)

    def check(self) -> list[Finding]:
        async def free(client: SFTPClient) -> int | None:
            try:
                room = await client.statvfs(self._path(""))
            except asyncssh.SFTPOpUnsupported:
                return None
            return int(room.bavail * room.frsize)

        try:
            self.prepare()
            findings = [Finding("ok", "sftp", f"{self._where}, its key is the pinned one")]
            left = self._run(free)
        except SinkDownError as down:
            return [Finding("wrong", "sftp", str(down), "see docs/connect-sftp.md")]
        if left is not None and left < LITTLE_SPACE:
            findings.append(Finding("warning", "sftp", "less than 100 MB are free", "make room"))
        if self._password is not None:
            findings.append(
                Finding("warning", "sftp", "login with a password", "a key is safer: key_file")
            )
        return findings

    def close(self) -> None:
        if self._runner is not None:
            self._hang_up()
            self._runner.close()
            self._runner = None

    # -- one exchange ----------------------------------------------------------------------

    def _run(self, do: Callable[[SFTPClient], Awaitable[T]], name: str = "", size: int = 0) -> T:
        """SinkDownError for whatever goes wrong; the connection is then a new one next time."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        seconds = self._options.seconds + size / _SLOWEST

        async def timed() -> T:
            async with asyncio.timeout(seconds):
                return await do(await self._connected())

        try:
            return self._runner.run(timed())
        except SinkDownError:
            self._hang_up()
            raise
        except (asyncssh.Error, OSError, TimeoutError, ValueError) as failure:
            self._hang_up()
            raise self._down(f"{name}: {_said(failure)}" if name else _said(failure)) from None

    async def _connected(self) -> SFTPClient:
        if self._client is None:
            options = self._options
            self._connection = await asyncssh.connect(
                options.host,
                options.port,
                username=options.user,
                password=self._password,
                client_keys=self._keys,
                known_hosts=(self._host_keys, [], []),
                config=None,
                agent_path=None,
                gss_host=None,
                disable_trivial_auth=True,
                compression_algs=None,
            )
            # Names that others gave in another encoding are still names.
            self._client = await self._connection.start_sftp_client(path_errors="surrogateescape")
        return self._client

    def _hang_up(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is None or self._runner is None:
            return

        async def end() -> None:
            connection.abort()
            with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
                async with asyncio.timeout(1):
                    await connection.wait_closed()

        self._runner.run(end())

    async def _there(self, client: SFTPClient) -> None:
        """A folder that is away must not look as if somebody had taken the files."""
        if not await client.isdir(self._path("")):
            raise self._down(f"there is no folder {self._options.path!r}: make it there")

    def _path(self, name: str) -> str:
        return posixpath.join(self._options.path, name) if name else self._options.path

    def _down(self, what: str) -> SinkDownError:
        return SinkDownError(f"the server {self._where}: {what}")


def open_sink(options: Options, place: Place) -> FilesSink:
    return open_files(options, place, SftpDrop(options, place.folder))


def _host_key(text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        raise SettingsError(
            "sink.options.host_keys: give public keys as they stand in a file "
            "ssh_host_…_key.pub: ssh-ed25519 AAAA…"
        ) from None


def _private_key(path: Path) -> asyncssh.SSHKey:
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"others may read the key {path}: chmod 600 it")
        return asyncssh.read_private_key(path)
    except OSError as missing:
        raise SettingsError(f"the key {path} cannot be read ({missing.strerror})") from None
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise SettingsError(
            f"{path} is no private key without a passphrase: make one with ssh-keygen -t ed25519 "
            "-N ''"
        ) from None


def _said(failure: BaseException) -> str:
    """What to look at, from the kind of failure; a server's own text may say anything."""
    for kind, what in _CAUSES:
        if isinstance(failure, kind):
            return what
    return f"no answer to rely on ({type(failure).__name__})"


_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (
        asyncssh.HostKeyNotVerifiable,
        "its key is not one of host_keys: ask its operator whether it was changed; if it was not, "
        "somebody stands between",
    ),
    (asyncssh.PermissionDenied, "it does not accept our user with this key or password"),
    (asyncssh.KeyExchangeFailed, "no encryption both sides know, or no key of host_keys' kinds"),
    (asyncssh.SFTPPermissionDenied, "our user may not do this there: give it write access"),
    (asyncssh.SFTPNoSuchFile, "the folder is not there: make it"),
    (asyncssh.SFTPNoSpaceOnFilesystem, "its disk is full: make room there"),
    (asyncssh.SFTPQuotaExceeded, "the quota is used up: make room there"),
    (asyncssh.SFTPFailure, "it could not: most likely its disk is full or a quota used up"),
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "no connection: check the address, and that it runs"),
    (
        asyncssh.ConnectionLost,
        "the connection was cut; if always at once, check that host_keys are of a kind it has",
    ),
    (OSError, "no connection: check address, network, and that host_keys are of a kind it has"),
)
