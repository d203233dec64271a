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
(posix-rename@openssh.com). Where a server has no such rename, the old file is hidden first: there
is none of that name for a moment, never half a one.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import asyncssh
from asyncssh import SFTPClient
from pydantic import Field, model_validator

from connectors import crash
from connectors.errors import SinkDownError
from connectors.files.drop import LITTLE_SPACE, MOST_BYTES, NO_FILE, held_name, part_name
from connectors.files.folder import FileOptions, open_files
from connectors.files.sink import FilesSink
from connectors.files.ssh import host_key, private_key, said
from connectors.findings import Finding
from connectors.given import beside
from connectors.kinds import Place
from connectors.secret import Secret

T = TypeVar("T")

MOST_NAMES: Final = 1_000_000  # in the folder
_SLOWEST: Final = 16_384  # bytes a second; a slower server counts as down
_SLOWEST_NAMES: Final = 500  # a second, of a listing


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
        self._host_keys = [host_key(text) for text in options.host_keys]
        self._keys: list[asyncssh.SSHKey] = []
        if options.key_file is not None:
            self._keys = [private_key(beside(folder, options.key_file))]
        self._password = None if options.password is None else options.password.read(folder)
        self._runner: asyncio.Runner | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: SFTPClient | None = None
        self._until: asyncio.Timeout | None = None  # of the exchange under way

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
            try:
                async with client.open(part, "xb") as file:
                    await file.write(data)
                    with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                        await file.fsync()
            except asyncssh.SFTPError:
                with contextlib.suppress(asyncssh.SFTPError):
                    await client.remove(part)  # a full disk is not kept full by half a file
                raise
            crash.point("before_rename")
            try:
                await client.posix_rename(part, final)
            except asyncssh.SFTPOpUnsupported:
                await self._replace(client, name)

        self._run(put, name, len(data))
        crash.point("after_rename")
        self.replaced(name)

    def get(self, name: str) -> bytes | None:
        async def size(client: SFTPClient) -> int | None:
            try:
                with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                    return await self._size(client, name)
                await client.rename(self._path(held_name(name)), self._path(name))
                return await self._size(client, name)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await self._there(client)
                return None

        bytes_ = self._run(size, name)
        if bytes_ is None:
            return None

        async def get(client: SFTPClient) -> bytes | None:
            try:
                async with client.open(self._path(name), "rb") as file:
                    data: bytes = await file.read(bytes_)
                    return data
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None  # taken in between

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

    def replaced(self, name: str) -> None:
        async def replaced(client: SFTPClient) -> None:
            with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await client.remove(self._path(held_name(name)))

        self._run(replaced, name)

    def remove(self, name: str) -> None:
        async def remove(client: SFTPClient) -> None:
            for one in (part_name(name), held_name(name), name):
                with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                    await client.remove(self._path(one))

        self._run(remove, name)

    def names(self) -> set[str]:
        async def names(client: SFTPClient) -> set[str]:
            found: set[str] = set()
            async for one in client.scandir(self._path("")):
                found.add(str(one.filename))
                self._more_time(1 / _SLOWEST_NAMES)
                if len(found) > MOST_NAMES:
                    raise self._down(
                        f"more than {MOST_NAMES} files are in {self._options.path!r}: take away "
                        "what was read, or use a folder of its own"
                    )
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
            # What was under way on a line that was cut; the exchange itself has told it.
            self._runner.get_loop().set_exception_handler(lambda *_: None)
        seconds = self._options.seconds + size / _SLOWEST

        async def timed() -> T:
            async with asyncio.timeout(seconds) as self._until:
                return await do(await self._connected())

        try:
            return self._runner.run(timed())
        except SinkDownError:
            self._hang_up()
            raise
        except (asyncssh.Error, OSError, TimeoutError, ValueError) as failure:
            self._hang_up()
            raise self._down(f"{name}: {said(failure)}" if name else said(failure)) from None

    def _more_time(self, seconds: float) -> None:
        """The server has sent some of a long answer: the exchange may take so much longer."""
        assert self._until is not None  # an exchange is under way
        self._until.reschedule((self._until.when() or 0.0) + seconds)

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

    async def _size(self, client: SFTPClient, name: str) -> int:
        """Of a plain file: a link leads to anything our user may read there, a pipe never ends."""
        seen = await client.lstat(self._path(name))
        if seen.permissions is not None and not stat.S_ISREG(seen.permissions):
            raise self._down(f"{name} {NO_FILE}")
        size = int(seen.size or 0)
        if size > MOST_BYTES:
            raise self._down(f"{name} is larger than anything that was put there")
        return size

    async def _replace(self, client: SFTPClient, name: str) -> None:
        """Without a rename that replaces. Refused on the way, what was there is there again."""
        part, held, final = (
            self._path(part_name(name)),
            self._path(held_name(name)),
            self._path(name),
        )
        hidden = await client.exists(final)
        if hidden:
            with contextlib.suppress(asyncssh.SFTPNoSuchFile):
                await client.remove(held)
            await client.rename(final, held)
        try:
            await client.rename(part, final)
        except asyncssh.SFTPError:
            if hidden:
                await client.rename(held, final)
            raise

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
