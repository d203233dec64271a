"""A secret in settings: a text (with `${NAME}` for an environment variable), or a file's content.

token = "${NRM_TOKEN}"
token = { file = "/run/secrets/token" }
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, model_validator

from connectors.errors import SettingsError
from connectors.given import beside

log = logging.getLogger(__name__)


class Secret(BaseModel):
    """Never shown: its representation is stars."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: SecretStr | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def plain(cls, given: object) -> object:
        return {"text": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def one(self) -> Secret:
        if (self.text is None) == (self.file is None):
            raise ValueError('give a text, or { file = "…" }')
        return self

    def read(self, folder: Path) -> str:
        """The secret; a file's without the line end. Relative to `folder`. SettingsError."""
        if self.text is not None:
            return self.text.get_secret_value()
        assert self.file is not None
        path = beside(folder, self.file)
        try:
            secret = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as wrong:
            why = getattr(wrong, "strerror", None) or "is no text"
            raise SettingsError(f"the secret's file {path} cannot be read ({why})") from None
        warn_if_open(path)
        return secret


def warn_if_open(path: Path) -> None:
    """Say that others may read this file of a secret. It is used all the same: where a secret comes
    in a volume, its mode may not be ours to choose."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        log.warning("%s can be read by others (mode %04o): chmod 600 %s", path, mode, path)
