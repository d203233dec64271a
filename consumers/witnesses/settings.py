"""Who cosigns this hub's checkpoints, and whether its log is public: read from hub.toml.

    [log]
    public = true                       # serve the log at /log/ to anybody; false if left out

    [[witnesses]]
    name = "Ministry of Justice"        # as `status` and the work list call it
    url = "https://witness.example/nrm" # /add-checkpoint is below it
    vkey = "witness.example/nrm+6a1b…+BAb…"

Only public things stand here: a witness's vkey, never a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from hub.errors import NotReady
from hub.tlog.note import COSIGNATURE_V1, NoteError, VerifierKey

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_WITNESS: Final = frozenset({"name", "url", "vkey"})
_LOG: Final = frozenset({"public"})


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """One witness: what it is called here, where it is, and the key it cosigns with."""

    name: str
    url: str
    key: VerifierKey

    @property
    def follower(self) -> str:
        """Under this name the log keeps how far it has cosigned."""
        return f"witness/{self.key.name}"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the audit log is shown, and to whom it is sent."""

    public: bool = False
    witnesses: tuple[WitnessSettings, ...] = ()

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        return tuple(one.key for one in self.witnesses)


def read_log(log: Mapping[str, Any], witnesses: Sequence[Any]) -> LogSettings:
    """Check what hub.toml says. Raises NotReady, naming what to change."""
    if not isinstance(log, Mapping) or set(log) - _LOG:
        raise NotReady("[log]: the settings are public and no others")
    public = log.get("public", False)
    if not isinstance(public, bool):
        raise NotReady("[log]: public is true or false")
    read = tuple(_witness(number, one) for number, one in enumerate(witnesses, start=1))
    for what, said in (
        ("name", [one.name for one in read]),
        ("url", [one.url for one in read]),
        ("vkey", [one.key.name for one in read]),
    ):
        if len(set(said)) != len(said):
            raise NotReady(f"[[witnesses]]: each has a {what} of its own")
    return LogSettings(public, read)


def _witness(number: int, told: Any) -> WitnessSettings:
    place = f"[[witnesses]] number {number}"
    if not isinstance(told, Mapping) or set(told) != _WITNESS:
        raise NotReady(f"{place}: the settings are name, url and vkey, all three")
    if any(not isinstance(value, str) for value in told.values()):
        raise NotReady(f"{place}: every setting is a text")
    if not _NAME.fullmatch(told["name"]):
        raise NotReady(f"{place}: name has letters, digits, spaces, at most 40")
    try:
        parts = urlsplit(told["url"])
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("https", "http") or parts.query or parts.fragment:
        raise NotReady(f"{place}: url is the address above /add-checkpoint, https:// or http://")
    try:
        key = VerifierKey.parse(told["vkey"])
    except NoteError as wrong:
        raise NotReady(f"{place}: vkey: {wrong}") from None
    if key.type != COSIGNATURE_V1:
        raise NotReady(f"{place}: vkey is not a witness's but a log's; ask the witness for its own")
    return WitnessSettings(told["name"], told["url"].rstrip("/"), key)
