"""Where policy profiles come from: shipped with the hub, a file, or the log of a hub.

A document is kept as it is decided on and signed: JSON with sorted keys and no spaces, and its
SHA-256 is what officers sign. A file that gives the same name twice is refused, because readers
would not agree on which one counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from hub.domain.policy import SHIPPED, PolicyError, PolicyProfile, shipped_document
from hub.domain.profile_check import Finding
from hub.errors import Refused
from hub.store import events as stored
from hub.store.log import HubLog

MOST_BYTES = 1024 * 1024
IN_FORCE = "current"  # stands for the version in force in a home
_TOPICS = frozenset({stored.PolicyPublished.TOPIC})


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the profile as recorded: it decides from `position` on."""

    position: int
    at: datetime
    version: str
    document: bytes

    @property
    def digest(self) -> bytes:
        return sha256(self.document).digest()


def written(document: Mapping[str, Any]) -> bytes:
    """A document as it is recorded and signed."""
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def parse(text: bytes, what: str) -> dict[str, Any]:
    """The document. Raises PolicyError (`not_json`) for anything but one JSON object."""
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES} bytes")
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as wrong:
        told = str(wrong) if isinstance(wrong, ValueError) else "it is nested too deeply"
        raise PolicyError([Finding("not_json", what, f"is not a profile: {told}")]) from None
    if not isinstance(document, dict):
        raise PolicyError([Finding("not_json", what, "a profile is one JSON object")])
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"it gives {', '.join(map(repr, twice))} twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def named(name: str) -> dict[str, Any]:
    """A shipped profile by its name, or the document in a file. Not checked yet."""
    if name in SHIPPED:
        return shipped_document(name)
    path = Path(name)
    if not path.is_file():
        raise PolicyError([Finding("not_found", name, _NOT_FOUND)])
    return parse(path.read_bytes(), name)


_NOT_FOUND = f"No such file or directory, nor a shipped profile ({', '.join(sorted(SHIPPED))})"


def setting(name: Path) -> str:
    """What `hub.toml` says: a shipped profile by its name, a file by its whole path."""
    return str(name) if str(name) in SHIPPED else str(name.resolve())


def versions(log: HubLog) -> list[Version]:
    """Every version ever in force, oldest first."""
    found: list[Version] = []
    for one in log.every(_TOPICS):
        event = one.event
        assert isinstance(event, stored.PolicyPublished)
        found.append(Version(one.position, event.timestamp, event.version, event.document))
    return found


def recorded(log: HubLog, name: str) -> dict[str, Any]:
    """A version recorded in a log: its name, `current`, or any log position it was in force at."""
    known = versions(log)
    if name == IN_FORCE:
        chosen = known[-1:]
    else:
        chosen = [one for one in known if one.version == name][-1:]
        if not chosen and name.isdecimal():
            chosen = [one for one in known if one.position <= int(name)][-1:]
    if not chosen:
        told = ", ".join(one.version for one in known)
        raise Refused(
            0, "unknown_version", f"no version {name} is recorded here; recorded are: {told}"
        )
    document: dict[str, Any] = json.loads(chosen[0].document)
    return document


def checked(document: Mapping[str, Any], what: str) -> PolicyProfile:
    """The profile; PolicyError names the file or version that is wrong as well as the place."""
    try:
        return PolicyProfile.from_document(document)
    except PolicyError as wrong:
        first, *rest = wrong.findings
        place = f"{what}: {first.where}" if first.where else what
        raise PolicyError([Finding(first.code, place, first.detail), *rest]) from None
