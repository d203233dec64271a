"""The home directory: everything an embedded hub has, and where the rest is.

    HOME/
      hub.toml              identity, store, topics, API address (written by `init`, then yours)
      keys/                 signing.key, ingest.key, log.key, pseudonym.key (0600; back them up)
      keys/own/             the identity the hub states its own events with (consumers/own_desk.py)
      events.db             the event store, when embedded
      secrets.db, epoch.key the key store, when embedded: apart from the events on purpose
      topics.db             the topics, when embedded
      upcoming/             schema files that are to come, if you announce any (docs/questions.md)

Every command takes `--home`. Keys are raw bytes in files of mode 0600; nothing secret is in
`hub.toml`, except that a database URL may hold a password: then name an environment variable in
it, `postgresql://hub:${NRM_DB_PASSWORD}@db/hub`.
"""

from __future__ import annotations

import os
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hub.crypto.sealing import SealingKey
from hub.crypto.signing import SigningKey
from hub.errors import NotReady

VERSION = 1
_VARIABLE = re.compile(r"\$\{(\w+)\}", re.ASCII)

# Options of the first run → where `hub.toml` has them.
_OPTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "hub-id": ("hub", "id"),
    "store": ("store", "url"),
    "keys": ("store", "keys"),
    "topics": ("topics", "url"),
    "profile": ("hub", "profile"),
}

_TEMPLATE = """\
# NRM Hub settings. Docs: docs/settings.md
version = {version}

[hub]
# Public identifier of this hub. Signatures are bound to it: never change it later.
id = "{hub_id}"
# Release matrix, timers and firewall rules in force at first start: coe, uk or a file. Later
# versions are proposed and approved by two officers: docs/policy.md.
profile = "{profile}"

[store]
# sqlite:///relative-or-absolute.db or postgresql://user:${{PASSWORD_VARIABLE}}@host/db
url = "{store}"
# Where subject secrets live: another file or another database, on purpose.
keys = "{keys}"

[topics]
# embedded:///relative-or-absolute.db or kafka://host:port[,host:port]
url = "{topics}"

[api]
host = "{host}"
port = {port}

# What approvals tell agencies, if they reach the hub at other addresses than it uses itself:
# [agencies]
# http = "https://hub.example.org"
# topics = "kafka://broker.example.org:9093?security=ssl"

# Notices of the work list by signed webhook or mail, [[notices]] and [mail]: docs/work.md
# Who else may read the audit log, and who cosigns it, [log] and [[witnesses]]: docs/transparency.md
# OpenTelemetry traces and metrics of the hub's own work, [telemetry]: docs/settings.md

# The console for auditors, operators, agency officers and the rapporteur: docs/console.md
# [console]
# url = "https://console.example.org"
# certificate = "/etc/nrm/console.pem"   # or behind_tls_proxy = true
# private_key = "/etc/nrm/console.key"
# [console.oidc]
# issuer = "https://id.example.org/realms/nrm"
# client_id = "nrm-console"
# client_secret = "${{NRM_CONSOLE_SECRET}}"
"""


@dataclass(frozen=True)
class Settings:
    """What `hub.toml` says, with paths made absolute and variables filled in."""

    hub_id: str
    profile: str
    store_url: str
    keys_url: str
    topics_url: str
    host: str
    port: int
    agencies_http: str
    agencies_topics: str
    notices: tuple[Mapping[str, Any], ...] = ()  # read by consumers/notices/settings.py
    mail: Mapping[str, Any] = field(default_factory=dict)
    log: Mapping[str, Any] = field(default_factory=dict)  # read by consumers/witnesses/settings.py
    upcoming: Path | None = None  # folder of schema files that are to come (question Q24)
    witnesses: tuple[Mapping[str, Any], ...] = ()  # likewise
    telemetry: Mapping[str, Any] | None = None  # read by hub/telemetry.py; None: no such section
    console: Mapping[str, Any] = field(default_factory=dict)  # read by hub/console/settings.py


@dataclass(frozen=True)
class HubKeys:
    """The hub's own secrets. `log` signs checkpoints and nothing else."""

    signing: SigningKey
    log: SigningKey
    ingest: SealingKey
    pseudonym: bytes


class Home:
    """One hub's directory. `init` makes it, `settings` and `keys` read it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    @property
    def exists(self) -> bool:
        return (self.path / "hub.toml").exists()

    def init(
        self,
        hub_id: str = "nrm-hub",
        *,
        store: str = "sqlite:///events.db",
        keys: str = "sqlite:///secrets.db",
        topics: str = "embedded:///topics.db",
        profile: str = "default",
        host: str = "127.0.0.1",
        port: int = 8441,
    ) -> None:
        """Make the home with fresh keys. Raises NotReady if there is one already.

        profile: name of a policy profile shipped with the hub, or a file's path.
        """
        if self.exists:
            raise NotReady(f"{self.path} already holds a hub; choose another --home")
        if (self.path / "agency.toml").exists():
            raise NotReady(f"{self.path} is the home of an agency; choose another --home")
        (self.path / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, secret in (
            ("signing.key", SigningKey.generate().private),
            ("log.key", SigningKey.generate().private),
            ("ingest.key", SealingKey.generate().private),
            ("pseudonym.key", secrets.token_bytes(32)),
        ):
            write_secret(self.path / "keys" / name, secret)
        text = _TEMPLATE.format(
            version=VERSION,
            hub_id=hub_id,
            profile=profile,
            store=store,
            keys=keys,
            topics=topics,
            host=host,
            port=port,
        )
        # Last: a home without hub.toml is no home, so a crash before this line leaves none.
        (self.path / "hub.toml").write_text(text, encoding="utf-8")

    def keeps_to(self, given: Mapping[str, str | None]) -> None:
        """NotReady if options of a first run are given again and say other than `hub.toml`."""
        document = self._document()
        for option, value in given.items():
            section, name = _OPTIONS[option]
            if value is not None and value != document.get(section, {}).get(name):
                raise NotReady(
                    f"--{option} is for the first run, and {self.path / 'hub.toml'} says "
                    f"otherwise: change {name} in [{section}] there, or leave the option out"
                )

    def settings(self, file: str = "hub.toml") -> Settings:
        document = self._document(file)
        try:
            if document["version"] != VERSION:
                raise NotReady(
                    f"{self.path} was made by another version of NRM Hub ({document['version']})"
                )
            told = document.get("agencies", {})
            host, port = document["api"]["host"], int(document["api"]["port"])
            return Settings(
                hub_id=document["hub"]["id"],
                profile=document["hub"]["profile"],
                store_url=self._url(document["store"]["url"]),
                keys_url=self._url(document["store"]["keys"]),
                topics_url=self._url(document["topics"]["url"]),
                host=host,
                port=port,
                agencies_http=str(told.get("http", f"http://{host}:{port}")),
                agencies_topics=self._url(told.get("topics", document["topics"]["url"])),
                notices=tuple(_filled(document.get("notices", []))),
                mail=_filled(document.get("mail", {})),
                log=document.get("log", {}),
                upcoming=self.path / "upcoming",
                witnesses=tuple(_filled(document.get("witnesses", []))),
                telemetry=_filled(document.get("telemetry")),
                console=_filled(document.get("console", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as wrong:
            raise NotReady(f"{self.path / 'hub.toml'}: missing or wrong setting {wrong}") from None

    def _document(self, file: str = "hub.toml") -> dict[str, Any]:
        """`hub.toml` as it is written."""
        if (self.path / "agency.toml").exists():
            raise NotReady(f"{self.path} is the home of an agency, not of a hub: give the hub's")
        try:
            return tomllib.loads((self.path / file).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotReady(
                f"no hub in {self.path}; run: nrm-hub serve --home {self.path}"
            ) from None
        except (ValueError, RecursionError) as wrong:  # not TOML, or not text at all
            raise NotReady(f"{self.path / 'hub.toml'}: {wrong}") from None

    def keys(self) -> HubKeys:
        folder = self.path / "keys"
        try:
            return HubKeys(
                SigningKey.from_private((folder / "signing.key").read_bytes()),
                SigningKey.from_private((folder / "log.key").read_bytes()),
                SealingKey.from_private((folder / "ingest.key").read_bytes()),
                (folder / "pseudonym.key").read_bytes(),
            )
        except FileNotFoundError as missing:
            raise NotReady(f"{missing.filename} is missing; restore it from your backup") from None

    def _url(self, text: str) -> str:
        for name in _VARIABLE.findall(text):
            if name not in os.environ:
                raise NotReady(
                    f"{self.path / 'hub.toml'}: the environment variable {name} is not set"
                )
        scheme, separator, rest = os.path.expandvars(text).partition("://")
        if not separator:
            raise NotReady(f"{self.path / 'hub.toml'}: {text!r} is not a URL")
        if scheme in {"sqlite", "embedded"}:
            return (
                f"{scheme}:///{self.path / rest.removeprefix('/')}"
                if not rest.startswith("//")
                else f"{scheme}:///{rest[1:]}"
            )
        return f"{scheme}://{rest}"


def _filled(told: Any) -> Any:
    """With `${VARIABLE}` in texts replaced from the environment."""
    if isinstance(told, str):
        return os.path.expandvars(told)
    if isinstance(told, list):
        return [_filled(one) for one in told]
    if isinstance(told, dict):
        return {name: _filled(one) for name, one in told.items()}
    return told


def with_places(text: str, places: Mapping[str, str]) -> str:
    """The text of a `hub.toml` with other addresses: "store.url", "store.keys", "topics.url"."""
    section, lines = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        name = f"{section}.{line.partition('=')[0].strip()}"
        lines.append(f'{name.partition(".")[2]} = "{places[name]}"' if name in places else line)
    return "\n".join(lines) + "\n"


def write_secret(path: Path, secret: bytes) -> None:
    """A new file that only its owner may read, on disk when this returns."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
