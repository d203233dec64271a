"""Files encrypted with age, by its Rust implementation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyrage

from connectors.errors import SettingsError
from connectors.files.seal import damaged, own_key, unopened
from connectors.findings import Finding


class Age:
    """Encrypts files and opens them again."""

    suffix = ".age"

    def __init__(self, recipients: Sequence[str], own_key: Path) -> None:
        """recipients: `age1…` or `ssh-ed25519 …`. SettingsError names one that is none."""
        self._recipients = [_recipient(text) for text in recipients]
        self._path = own_key
        self._own: Any = None

    def prepare(self) -> None:
        held = own_key(self._path, _made)
        try:
            self._own = pyrage.x25519.Identity.from_str(held.decode("ascii").strip())
        except (ValueError, pyrage.IdentityError):
            raise damaged(self._path) from None

    def seal(self, data: bytes) -> bytes:
        return bytes(pyrage.encrypt(data, [*self._recipients, self._own.to_public()]))

    def open(self, name: str, data: bytes) -> bytes:
        try:
            return bytes(pyrage.decrypt(data, [self._own]))
        except pyrage.DecryptError:
            raise unopened(name, self._path) from None

    def check(self) -> list[Finding]:
        return []  # a recipient of age's has no end and no state


def _made() -> bytes:
    return f"{pyrage.x25519.Identity.generate()}\n".encode()


def _recipient(text: str) -> Any:
    for kind in (pyrage.x25519, pyrage.ssh):
        try:
            return kind.Recipient.from_str(text)
        except pyrage.RecipientError:
            continue
    raise SettingsError(
        f"sink.options.encrypt_to: {text[:12]!r}… is no age recipient: give age1… or ssh-ed25519 …"
    )
