"""Groups: the same events for many people, one of each per person (`publish --group`).

A template is a file of events as `publish` takes them, in which any text may hold `{column}`; the
group is a CSV file with a row per person and a column `case`:

    [{"type": "ReferralMade", "case": "{case}", "when": {"agreed": "yes"},
      "data": {"referral_id": "r-{case}", "to_agency": "CA-1", …}}]

    case,agreed,…
    W-01,yes,…

`when` keeps an entry for the rows that say so. A value that becomes empty is left out. There is
never an event about several people: each has a case, a consent and a referral of their own.

Promises
- The whole group is checked before anything is sent; what is wrong is named by row and column.
- Ids and times are kept beside the group file before anything is sent (`GROUP.published.json`: no
  content). Run again, what was accepted is repeated and answered as before, what was refused is
  tried anew, and rows added meanwhile are published.
- Whoever had an event refused is listed in `GROUP.refused.csv`, reasons and what to do included:
  case and codes only. No such file: nobody had.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from connectors.agency.identity import write_whole
from connectors.agency.outcomes import Outcome
from connectors.commands.documents import event_of, read_entries
from connectors.errors import SettingsError
from connectors.files.spreadsheet import as_text
from connectors.submit import Event

_COLUMN = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
WHEN = "when"


@dataclass(frozen=True)
class Member:
    """One row: the person's case, and their events for good, in the template's order."""

    case: str
    events: tuple[Event, ...]
    digests: tuple[str, ...]


class Group:
    """A template read over a group file."""

    def __init__(self, template: Path, group: Path, now: datetime) -> None:
        self._published_at = now
        self._kept_at = group.with_name(group.name + ".published.json")
        self.refused_at = group.with_name(group.name + ".refused.csv")
        self._known = _kept(self._kept_at)
        entries = read_entries(template)
        self.members = [self._member(entries, row, line) for line, row in list(_rows(group))]
        self._keep()

    def events(self) -> list[Event]:
        return [event for member in self.members for event in member.events]

    def told(self, outcomes: Sequence[Outcome]) -> list[tuple[Member, list[Outcome]]]:
        """Every person with the answers to their events; the list of the refused is written."""
        answers = iter(outcomes)
        told = [(one, [next(answers) for _ in one.events]) for one in self.members]
        refused = [(one, answer) for one, found in told for answer in found if not answer.accepted]
        for member, found in told:
            for digest, answer in zip(member.digests, found, strict=True):
                if not answer.accepted:
                    self._known.pop(digest, None)  # the hub's no is final for this event id
        self._keep()
        if refused:
            self._list(refused)
        else:
            self.refused_at.unlink(missing_ok=True)
        return told

    def _member(self, entries: Sequence[Any], row: Mapping[str, str], line: int) -> Member:
        events, digests = [], []
        for index, entry in enumerate(entries):
            if not _meant(entry, row, line):
                continue
            filled = _filled({k: v for k, v in entry.items() if k != WHEN}, row, line)
            digest = hashlib.sha256(json.dumps([index, filled], sort_keys=True).encode())
            event = event_of(index, filled)
            events.append(self._settled(event, digest.hexdigest()))
            digests.append(digest.hexdigest())
        return Member(row["case"], tuple(events), tuple(digests))

    def _settled(self, event: Event, digest: str) -> Event:
        """With the id and time it was published under before, if it was."""
        known = self._known.get(digest)
        if known is not None:
            event = replace(
                event,
                event_id=event.event_id or UUID(known["event_id"]),
                occurred_at=event.occurred_at or datetime.fromisoformat(known["occurred_at"]),
            )
        settled = event.settled(self._published_at)
        assert settled.occurred_at is not None
        self._known[digest] = {
            "event_id": str(settled.event_id),
            "occurred_at": settled.occurred_at.isoformat(),
        }
        return settled

    def _keep(self) -> None:
        write_whole(self._kept_at, (json.dumps(self._known, indent=1) + "\n").encode())

    def _list(self, refused: Sequence[tuple[Member, Outcome]]) -> None:
        text = io.StringIO()
        sheet = csv.writer(text)
        sheet.writerow(["case", "event", "step", "reason", "guard", "what to do"])
        for member, one in refused:
            kinds = {event.event_id: event.type for event in member.events}
            kind = kinds.get(one.event_id, "")
            told = [member.case, kind, one.step, one.reason, one.guard or "", one.detail]
            sheet.writerow([as_text(cell) if isinstance(cell, str) else cell for cell in told])
        write_whole(self.refused_at, text.getvalue().encode())


def _rows(group: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of the group file, one case each."""
    try:
        with group.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if "case" not in (reader.fieldnames or ()):
                raise SettingsError(f"{group}: the first line names the columns; `case` is missing")
            seen: dict[str, int] = {}
            for row in reader:
                line = reader.line_num
                if None in row or None in row.values():
                    raise SettingsError(f"{group}:{line}: more or fewer cells than columns")
                case = row["case"].strip()
                if not case:
                    raise SettingsError(f"{group}:{line}: `case` is empty")
                if case in seen:
                    told = f"the case stands in line {seen[case]} already: one row per person"
                    raise SettingsError(f"{group}:{line}: {told}")
                seen[case] = line
                yield line, {name: value.strip() for name, value in row.items()}
    except OSError as missing:
        raise SettingsError(f"{group}: cannot be read ({missing.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as wrong:
        raise SettingsError(f"{group}: is not CSV in UTF-8 ({wrong})") from None
    if not seen:
        raise SettingsError(f"{group}: holds no person")


def _meant(entry: Any, row: Mapping[str, str], line: int) -> bool:
    """Whether the entry is for this row."""
    wanted = entry.get(WHEN, {}) if isinstance(entry, dict) else {}
    if not isinstance(wanted, dict):
        raise SettingsError(f"`{WHEN}` names columns and the values they must have")
    return all(_cell(name, row, line) == str(value) for name, value in wanted.items())


def _filled(value: Any, row: Mapping[str, str], line: int) -> Any:
    """A template's value for one row; what becomes empty is left out."""
    if isinstance(value, str):
        return _COLUMN.sub(lambda found: _cell(found[1], row, line), value)
    if isinstance(value, dict):
        filled = {_filled(name, row, line): _filled(one, row, line) for name, one in value.items()}
        return {name: one for name, one in filled.items() if name != "" and one != ""}
    if isinstance(value, list):
        return [one for one in (_filled(one, row, line) for one in value) if one != ""]
    return value


def _cell(column: str, row: Mapping[str, str], line: int) -> str:
    if column not in row:
        raise SettingsError(f"line {line}: the group has no column {column!r} that is asked for")
    return row[column]


def _kept(path: Path) -> dict[str, dict[str, str]]:
    try:
        kept: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise SettingsError(
            f"{path} cannot be read: restore it, or remove it if none of these events ever "
            "reached the hub"
        ) from None
    return kept
