"""SSH: the keys of both sides, and what to look at when a connection or a file fails."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncssh

from connectors.errors import SettingsError


def host_key(text: str) -> asyncssh.SSHKey:
    """A key that a server may have. SettingsError if the text is none."""
    try:
        return asyncssh.import_public_key(text)
    except (asyncssh.KeyImportError, ValueError):
        raise SettingsError(
            "sink.options.host_keys: give public keys as they stand in a file "
            "ssh_host_…_key.pub: ssh-ed25519 AAAA…"
        ) from None


def private_key(path: Path) -> asyncssh.SSHKey:
    """The key to log in with. SettingsError if others may read it, or it is none."""
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


def said(failure: BaseException) -> str:
    """What to look at, from the kind of failure; a server's own text may say anything."""
    for cause, what in _CAUSES:
        if isinstance(failure, cause):
            return what
    kind = type(failure).__name__
    return f"no answer to rely on ({kind}): check host and port, and what stands between"


_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (
        asyncssh.HostKeyNotVerifiable,
        "its key is not one of host_keys: ask its operator whether it was changed; if it was not, "
        "somebody stands between",
    ),
    (asyncssh.PermissionDenied, "it does not accept our user with this key or password"),
    (asyncssh.KeyExchangeFailed, "no encryption both sides know, or no key of host_keys' kinds"),
    (
        asyncssh.SFTPPermissionDenied,
        "our user may not do this there: let it read, write, rename and remove files",
    ),
    (asyncssh.SFTPNoSuchFile, "the folder is not there: make it"),
    (asyncssh.SFTPNoSpaceOnFilesystem, "its disk is full: make room there"),
    (asyncssh.SFTPQuotaExceeded, "the quota is used up: make room there"),
    (
        asyncssh.SFTPFailure,
        "it could not: its disk is full, a quota used up, or what has this name there is no file",
    ),
    (TimeoutError, "no answer in time"),
    (ConnectionRefusedError, "no connection: check the address, and that it runs"),
    (
        asyncssh.ConnectionLost,
        "the connection was cut; if always at once, check that host_keys are of a kind it has",
    ),
    (OSError, "no connection: check address, network, and that host_keys are of a kind it has"),
)
