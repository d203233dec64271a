"""Who is sent notices, and how: `[[notices]]` and `[mail]` of hub.toml, checked when it is read.

    [[notices]]
    name = "night desk"                 # says in the work list who could not be reached
    role = "auditor"                    # or agency = "SH-1"
    webhook = "https://desk.example/nrm"
    secret = "whsec_${DESK_SECRET}"     # Standard Webhooks; at least 24 bytes
    # or: mail = ["duty@example.org"]
    low = false                         # also kinds of low urgency
    kinds = ["recall_open"]             # only these; all if left out

    [mail]
    host = "mail.example.org"
    port = 587
    tls = "starttls"                    # or "tls"; "none" to this machine only
    sender = "nrm-hub@example.org"
    user = "nrm-hub"
    password = "${MAIL_PASSWORD}"
    ca = "/etc/ssl/our-ca.pem"          # if not the system's

Messages name the setting that is wrong and never its value.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hub.domain.work_kinds import KINDS
from hub.errors import NotReady

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_ADDRESS: Final = re.compile(r"[^@\s<>,;\"]{1,64}@[A-Za-z0-9.-]{1,253}")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_RECEIVER: Final = frozenset(
    {"name", "role", "agency", "webhook", "secret", "mail", "low", "kinds"}
)
_MAIL: Final = frozenset({"host", "port", "tls", "sender", "user", "password", "ca"})
_TLS: Final = {"starttls": 587, "tls": 465, "none": 25}
LEAST_SECRET: Final = 24  # bytes, as Standard Webhooks asks


@dataclass(frozen=True, slots=True, repr=False)
class Receiver:
    """One place notices are sent to. Exactly one of role and agency, and of webhook and mail."""

    name: str
    role: str = ""
    agency: str = ""
    webhook: str = ""
    secret: str = ""
    mail: tuple[str, ...] = ()
    low: bool = False
    kinds: frozenset[str] = frozenset()

    def wants(self, kind: str) -> bool:
        known = KINDS.get(kind)
        if known is None or (known.urgency == "low" and not self.low):
            return False
        return not self.kinds or kind in self.kinds


@dataclass(frozen=True, slots=True, repr=False)
class MailServer:
    """Where mail is handed in."""

    host: str
    port: int
    tls: str
    sender: str
    user: str = ""
    password: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class NoticeSettings:
    receivers: tuple[Receiver, ...] = ()
    mail: MailServer | None = None


def read_notices(listed: Sequence[Mapping[str, Any]], mail: Mapping[str, Any]) -> NoticeSettings:
    """Check what hub.toml says. Raises NotReady, naming what to change."""
    server = _server(mail) if mail else None
    receivers = tuple(_receiver(number, one) for number, one in enumerate(listed, start=1))
    names = [one.name for one in receivers]
    if len(set(names)) != len(names):
        raise NotReady("[[notices]]: each receiver needs a name of its own")
    if server is None and any(one.mail for one in receivers):
        raise NotReady("[mail] is missing: notices by mail need a server")
    return NoticeSettings(receivers, server)


def _receiver(number: int, told: Mapping[str, Any]) -> Receiver:
    place = f"[[notices]] number {number}"

    def text(name: str) -> str:
        value = told.get(name, "")
        if not isinstance(value, str):
            raise NotReady(f"{place}: {name} is a text")
        return value

    if not isinstance(told, Mapping) or set(told) - _RECEIVER:
        raise NotReady(f"{place}: the settings are {', '.join(sorted(_RECEIVER))} and no others")
    name, role, agency = text("name"), text("role"), text("agency")
    webhook, secret, low = text("webhook"), text("secret"), told.get("low", False)
    mail, kinds = _texts(place, told, "mail"), _texts(place, told, "kinds")
    if not _NAME.fullmatch(name):
        raise NotReady(f"{place}: name is needed: letters, digits, spaces, at most 40")
    if bool(role) == bool(agency):
        raise NotReady(f"{place}: give either role or agency")
    if bool(webhook) == bool(mail):
        raise NotReady(f"{place}: give either webhook or mail")
    if not isinstance(low, bool):
        raise NotReady(f"{place}: low is true or false")
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise NotReady(f"{place}: kinds: {unknown[0]} is not one of docs/work.md")
    if webhook:
        _check_webhook(place, webhook, secret)
    if any(not _ADDRESS.fullmatch(one) for one in mail):
        raise NotReady(f"{place}: mail is a list of plain addresses")
    return Receiver(name, role, agency, webhook, secret, mail, low, frozenset(kinds))


def _texts(place: str, told: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = told.get(name, [])
    if not isinstance(value, list) or any(not isinstance(one, str) for one in value):
        raise NotReady(f"{place}: {name} is a list of texts")
    return tuple(value)


def _check_webhook(place: str, webhook: str, secret: str) -> None:
    try:
        parts = urlsplit(webhook)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise NotReady(f"{place}: webhook is not an address") from None
    plain = parts.scheme == "http" and host in _LOOPBACK
    if not host or (parts.scheme != "https" and not plain) or parts.username or parts.fragment:
        raise NotReady(
            f"{place}: webhook starts with https:// (http:// to this machine only) and names "
            "neither a user nor a fragment"
        )
    try:
        raw = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        raw = b""
    if not secret.startswith("whsec_") or len(raw) < LEAST_SECRET:
        raise NotReady(
            f"{place}: secret is whsec_ and base64 of at least {LEAST_SECRET} random bytes, e.g. "
            'of: python -c "import base64, secrets; '
            "print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
        )


def _server(told: Mapping[str, Any]) -> MailServer:
    if set(told) - _MAIL:
        raise NotReady(f"[mail]: the settings are {', '.join(sorted(_MAIL))} and no others")
    for name in _MAIL - {"port"}:
        if not isinstance(told.get(name, ""), str):
            raise NotReady(f"[mail]: {name} is a text")
    host, tls, sender = told.get("host", ""), told.get("tls", "starttls"), told.get("sender", "")
    if not host:
        raise NotReady("[mail]: host is needed")
    if tls not in _TLS:
        raise NotReady(f"[mail]: tls is one of {', '.join(_TLS)}")
    if tls == "none" and host not in _LOOPBACK:
        raise NotReady("[mail]: without tls only to this machine")
    if not _ADDRESS.fullmatch(sender):
        raise NotReady("[mail]: sender is needed, a plain address")
    port = told.get("port", _TLS[tls])
    if not isinstance(port, int) or not 0 < port < 65_536:
        raise NotReady("[mail]: port is a number from 1 to 65535")
    user, password, ca = (told.get(name, "") for name in ("user", "password", "ca"))
    if bool(user) != bool(password):
        raise NotReady("[mail]: give both user and password, or neither")
    if ca and not Path(ca).is_file():
        raise NotReady("[mail]: ca names no file")
    return MailServer(host, port, tls, sender, user, password, ca)
