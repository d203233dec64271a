"""Files: who may read the keys and secrets, and whether there is room."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from connectors.agency.identity import AgencyIdentity
from connectors.database.engines import read_url
from connectors.errors import SettingsError
from connectors.findings import Finding
from connectors.settings import PartnerSettings

LITTLE: Final = 1 << 30  # bytes free
TOO_LITTLE: Final = 50 << 20
_FILES: Final = ("url_file", "key_file", "certificate_key")


def settings_findings(path: Path) -> list[Finding]:
    """The settings file and the files of secrets it names."""
    path = path.expanduser().resolve()
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    secrets = [*_secret_files(document, path.parent), *_kafka_files(document)]
    found = [finding for one in secrets if (finding := _open_to_others(one, "secrets"))]
    if _holds_password(document) and (finding := _open_to_others(path, "secrets")):
        found.append(finding)
    if secrets and not found:
        found.append(Finding("ok", "secrets", "files of secrets are for their owner alone"))
    return found


def home_findings(identity: AgencyIdentity) -> list[Finding]:
    """The identity's directory: its keys, and what waits in it."""
    home = identity.home
    keys = [*home.glob("*.key"), *home.glob("pending/*"), *home.glob("retired/*.key")]
    found = [finding for one in keys if (finding := _open_to_others(one, "keys"))]
    if not found:
        found.append(Finding("ok", "keys", f"{len(keys)} key files, for their owner alone"))
    if any(home.glob("pending/*.key")):
        found.append(
            Finding(
                "warning", "keys", "new keys wait for the hub's approval",
                "have the request approved, then nrm-hub agency install",
            )
        )  # fmt: skip
    return found


def disk_findings(settings: PartnerSettings) -> list[Finding]:
    """Room where the keys, the books and the files of the sink are."""
    places = {settings.home: "the identity"}
    if settings.sink.path is not None:
        places[settings.sink.path.parent] = "the file"
    if settings.sink.url is not None and settings.sink.url.startswith("sqlite"):
        with suppress(SettingsError):  # which the sink tells
            database = read_url(settings.sink.url, "sink.url").database
            places[Path(str(database)).parent] = "the database"
    return [_room(place, what) for place, what in places.items() if place.is_dir()]


def _room(place: Path, what: str) -> Finding:
    free = shutil.disk_usage(place).free
    text = f"{free >> 20} MB free for {what} ({place})"
    if free < TOO_LITTLE:
        return Finding("wrong", "disk", text, "make room: nothing is taken without it")
    if free < LITTLE:
        return Finding("warning", "disk", text, "make room soon")
    return Finding("ok", "disk", text)


def _open_to_others(path: Path, subject: str) -> Finding | None:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as wrong:
        return Finding("wrong", subject, f"{path}: {wrong.strerror}", "put it there")
    if not mode & 0o077:
        return None
    return Finding(
        "wrong", subject, f"{path} can be read by others (mode {mode:04o})", f"chmod 600 {path}"
    )


def _secret_files(value: Any, folder: Path) -> Iterator[Path]:
    """`{ file = "…" }` anywhere, url_file, and private keys."""
    if isinstance(value, list):
        for one in value:
            yield from _secret_files(one, folder)
    if not isinstance(value, dict):
        return
    for name, one in value.items():
        if isinstance(one, str) and (name in _FILES or (name == "key" and "certificate" in value)):
            yield folder / Path(one).expanduser()
        elif name != "options" and isinstance(one, dict) and set(one) == {"file"}:
            yield folder / Path(str(one["file"])).expanduser()
        else:
            yield from _secret_files(one, folder)


def _kafka_files(document: dict[str, Any]) -> Iterator[Path]:
    """Key and password file of a Kafka address; `${NAME}` in it is not followed."""
    url = document.get("inbox", {}).get("url", "")
    if isinstance(url, str) and url.startswith("kafka:"):
        options = dict(parse_qsl(urlsplit(url).query))
        for name in ("key", "password_file"):
            if options.get(name, "${").find("${") < 0:
                yield Path(options[name])


def _holds_password(document: dict[str, Any]) -> bool:
    """Whether a password stands in the file itself, not in the environment or another file."""
    for part in ("sink", "database"):
        url = document.get(part, {}).get("url", "")
        if isinstance(url, str) and "://" in url and "${" not in url:
            with suppress(SettingsError):  # which whoever opens it tells
                given = read_url(url, f"{part}.url")
                if given.password is not None or "password" in given.query:
                    return True
    words = ("password", "secret", "token", "passphrase")
    told = [document.get("sink", {}).get("options", {}), document.get("notice", {})]
    return any(
        isinstance(one, str)
        and "${" not in one
        and not name.endswith((".file", "_url"))
        and (any(word in name.lower() for word in words) or "PRIVATE KEY" in one)
        for part in told
        for name, one in _leaves(part)
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{name}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, name)
    else:
        yield name, value
