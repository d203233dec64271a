"""Encrypted files: to those the settings name, and to a key of the connector's own.

A file must be opened again when something of it is recalled. So each way of encrypting has a key
of the connector's own, made on first use beside its state file (mode 0600), and every file is
encrypted to it too. It opens what this machine has opened once already, nothing else. Without it,
files can no longer be rewritten, and a recall that reaches one waits until the key is put back or
the file is taken.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final, Protocol

from connectors.agency.identity import write_whole
from connectors.errors import SettingsError, SinkDownError
from connectors.findings import Finding

WAYS: Final[Mapping[str, tuple[str, str]]] = {
    ".age": ("age", "encrypt_to"),
    ".pgp": ("openpgp", "openpgp_certificates"),
}
"""The end of a file's name → how it is encrypted, and the setting that says to whom."""


class Seal(Protocol):
    """One way of encrypting. suffix: the end of the names of its files, one of `WAYS`.

    seal() raises SinkDownError while somebody who is named cannot be encrypted to; nobody is left
    out instead. open() raises it when the connector's own key does not open the file.
    """

    suffix: str

    def prepare(self) -> None:
        """Read the connector's own key; make it at first. SettingsError if it is damaged."""

    def seal(self, data: bytes) -> bytes: ...

    def open(self, name: str, data: bytes) -> bytes: ...

    def check(self) -> list[Finding]: ...


class Seals:
    """How new files are encrypted, and how each that lies there already is: by its name."""

    def __init__(self, seals: Sequence[Seal] = ()) -> None:
        """The first is for new files, the others for what lies there. None: not encrypted."""
        self._seals = {seal.suffix: seal for seal in seals}
        self.new = seals[0].suffix if seals else ""

    def prepare(self) -> None:
        for seal in self._seals.values():
            seal.prepare()

    def check(self) -> list[Finding]:
        return [finding for seal in self._seals.values() for finding in seal.check()]

    def seal(self, name: str, data: bytes) -> bytes:
        """The bytes of a file of this name."""
        return data if encryption(name) is None else self._of(name).seal(data)

    def open(self, name: str, data: bytes) -> bytes:
        """What is in a file of this name."""
        return data if encryption(name) is None else self._of(name).open(name, data)

    def _of(self, name: str) -> Seal:
        suffix = PurePath(name).suffix
        if suffix not in self._seals:
            raise SinkDownError(
                f"{name} is encrypted: put {WAYS[suffix][1]} back, so that it is opened"
            )
        return self._seals[suffix]


def encryption(name: str) -> str | None:
    """How a file of this name is encrypted; None if it is not."""
    way = WAYS.get(PurePath(name).suffix)
    return None if way is None else way[0]


def plain_name(name: str) -> str:
    """The name less what says that it is encrypted."""
    return name if encryption(name) is None else name.removesuffix(PurePath(name).suffix)


def own_key(path: Path, make: Callable[[], bytes]) -> bytes:
    """The connector's own key, made at first. SettingsError if it cannot be read, or others can."""
    if not path.exists():
        # Whole, and once: of two processes that begin together both have the first one's key.
        made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        write_whole(made, make())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        made.unlink()
    try:
        held = path.read_bytes()
    except OSError:
        raise damaged(path) from None
    if os.stat(path).st_mode & 0o077:
        raise SettingsError(f"others may read {path}: chmod 600 it")
    return held


def damaged(path: Path) -> SettingsError:
    return SettingsError(f"{path} does not hold the key made there: put the file back")


def unopened(name: str, key: Path) -> SinkDownError:
    return SinkDownError(
        f"{name} does not open with {key}: put back the key that was there when it was written, "
        "or take the file away"
    )
