"""Encrypted files: age, to those the settings name and to the connector's own key.

A file must be opened again when something of it is recalled. So the connector has an age key of
its own, made on first use beside its state file (mode 0600), and every file is encrypted to it too.
It opens what this machine has opened once already, nothing else. Without it, files can no longer
be rewritten, and a recall that reaches one waits until the key is put back or the file is taken.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyrage

from connectors.agency.identity import write_whole
from connectors.errors import SettingsError, SinkDownError

SUFFIX = ".age"


class Age:
    """Encrypts files and opens them again."""

    def __init__(self, recipients: Sequence[str], own_key: Path) -> None:
        """recipients: `age1…` or `ssh-ed25519 …`. SettingsError names one that is none."""
        self._recipients = [_recipient(text) for text in recipients]
        self._path = own_key
        self._own: Any = None

    def prepare(self) -> None:
        """Read the connector's own key; make it at first."""
        if not self._path.exists():
            self._make()
        try:
            self._own = pyrage.x25519.Identity.from_str(self._path.read_text("ascii").strip())
        except (OSError, ValueError, pyrage.IdentityError):
            raise SettingsError(
                f"{self._path} does not hold the age key made there: put the file back"
            ) from None
        if os.stat(self._path).st_mode & 0o077:
            raise SettingsError(f"others may read {self._path}: chmod 600 it")

    def _make(self) -> None:
        """Whole, and once: of two processes that begin together both have the first one's key."""
        made = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        write_whole(made, f"{pyrage.x25519.Identity.generate()}\n".encode())
        with contextlib.suppress(FileExistsError):
            os.link(made, self._path)
        made.unlink()

    def seal(self, data: bytes) -> bytes:
        return bytes(pyrage.encrypt(data, [*self._recipients, self._own.to_public()]))

    def open(self, name: str, data: bytes) -> bytes:
        try:
            return bytes(pyrage.decrypt(data, [self._own]))
        except pyrage.DecryptError:
            raise SinkDownError(
                f"{name} does not open with {self._path}: put back the key that was there when "
                "it was written, or take the file away"
            ) from None


def _recipient(text: str) -> Any:
    for kind in (pyrage.x25519, pyrage.ssh):
        try:
            return kind.Recipient.from_str(text)
        except pyrage.RecipientError:
            continue
    raise SettingsError(
        f"sink.options.encrypt_to: {text[:12]!r}… is no age recipient: give age1… or ssh-ed25519 …"
    )
