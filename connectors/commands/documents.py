"""Events in a file, for `publish`: JSON (one event or a list) or JSON Lines.

    {"type": "CaseOpened", "case": "2026-0042", "data": {…}}
    and if wanted: subject, event_id, occurred_at, corrects_type (see connectors/agency/split.py)

An event without its own id or time gets them once, and they are kept beside the file
(`FILE.published.json`: ids, times and a digest of each entry, nothing of their content) before
anything is sent. So publishing the same file again, after whatever went wrong, repeats the same
events, and the hub gives the same outcomes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from connectors.agency.identity import write_whole
from connectors.errors import InvalidEventError, SettingsError
from connectors.strict_json import read_json
from connectors.submit import Event

_KEYS = ("type", "case", "data", "subject", "event_id", "occurred_at", "corrects_type")


def read_events(path: Path) -> list[Event]:
    """The events of a file, each with its id and time for good."""
    entries = read_entries(path)
    events = [event_of(index, entry) for index, entry in enumerate(entries)]
    if all(event.event_id and event.occurred_at for event in events):
        return events
    digests = [_digest(entry) for entry in entries]
    kept = _kept_at(path)
    known = _kept(kept, digests)
    now = datetime.now(UTC)
    settled = [
        Event(
            event.type,
            event.case,
            event.data,
            event.subject,
            event.event_id or UUID(known[index]["event_id"]) if known else event.event_id,
            event.occurred_at or datetime.fromisoformat(known[index]["occurred_at"])
            if known
            else event.occurred_at,
            event.corrects_type,
        ).settled(now)
        for index, event in enumerate(events)
    ]
    if not known:
        _keep(kept, digests, settled)
    return settled


def is_kept(path: Path) -> bool:
    """Whether ids and times of this file's events are kept: it may have been published."""
    return _kept_at(path).exists()


def forget(path: Path) -> None:
    """Forget what was kept of a file none of whose events was ever sent: it may be put right."""
    _kept_at(path).unlink(missing_ok=True)


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a file as they are written. SettingsError says what cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as missing:
        raise SettingsError(f"{path}: cannot be read ({missing.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    if path.suffix != ".jsonl":
        document = _parsed(text, path, 1)
        entries = document if isinstance(document, list) else [document]
    else:  # by line ends alone: a text may hold other signs that end lines for some
        lines = enumerate(text.split("\n"), start=1)
        entries = [_parsed(line, path, number) for number, line in lines if line.strip()]
    if not entries:
        raise SettingsError(f"{path}: holds no event")
    return entries


def _parsed(text: str, path: Path, line: int) -> Any:
    try:
        return read_json(text)
    except json.JSONDecodeError as wrong:
        raise SettingsError(f"{path}:{line + wrong.lineno - 1}: {wrong.msg}") from None
    except ValueError:
        raise SettingsError(
            f"{path}:{line}: is nested too deep, holds NaN or too long a number, or a name stands "
            "twice in an object"
        ) from None


def event_of(index: int, entry: Any) -> Event:
    """One entry as an event. InvalidEventError names what is wrong with it."""
    if not isinstance(entry, dict):
        raise InvalidEventError(index, "?", "", "is not an object with type, case and data")
    kind = str(entry.get("type", "?"))
    for name in entry:
        if name not in _KEYS:
            raise InvalidEventError(index, kind, name, f"is unknown; known are {', '.join(_KEYS)}")
    for name in ("type", "case"):
        if not isinstance(entry.get(name), str) or not entry[name]:
            raise InvalidEventError(index, kind, name, "is missing")
    if not isinstance(entry.get("data"), dict):
        raise InvalidEventError(
            index, kind, "data", "is missing: an object with the event's fields"
        )
    try:
        event_id = UUID(entry["event_id"]) if entry.get("event_id") else None
    except (ValueError, TypeError, AttributeError):
        raise InvalidEventError(index, kind, "event_id", "is not a UUID") from None
    try:
        at = datetime.fromisoformat(entry["occurred_at"]) if entry.get("occurred_at") else None
    except (ValueError, TypeError):
        raise InvalidEventError(
            index, kind, "occurred_at", "is not a time such as 2026-11-24T09:30:00+01:00"
        ) from None
    return Event(
        kind,
        entry["case"],
        entry["data"],
        entry.get("subject"),
        event_id,
        at,
        entry.get("corrects_type"),
    )


def _kept_at(path: Path) -> Path:
    return path.with_name(path.name + ".published.json")


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _kept(path: Path, digests: Sequence[str]) -> list[dict[str, str]]:
    try:
        kept: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        published = [one["digest"] for one in kept]
        for one in kept:
            UUID(one["event_id"])
            datetime.fromisoformat(one["occurred_at"])
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise SettingsError(
            f"{path} is damaged: restore it, or remove it if none of the events ever reached "
            "the hub"
        ) from None
    if published != list(digests):
        raise SettingsError(
            f"the events were changed after they were published once: put new ones into a new "
            f"file, or remove {path} if none of them ever reached the hub"
        )
    return kept


def _keep(path: Path, digests: Sequence[str], events: Sequence[Event]) -> None:
    kept = [
        {
            "event_id": str(event.event_id),
            "occurred_at": event.occurred_at.isoformat() if event.occurred_at else "",
            "digest": digest,
        }
        for digest, event in zip(digests, events, strict=True)
    ]
    write_whole(path, (json.dumps(kept, indent=1) + os.linesep).encode())
