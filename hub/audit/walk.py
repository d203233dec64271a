"""A walk through the log that keeps every case folded as it goes, in bounded memory.

Rows are read once, in order. A case in memory is as it was after the row last taken; when there are
too many, the one longest unused is dropped and folded again from its stream when it is next asked
for. So an ordinary row costs the same however long its case and the log are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final
from uuid import UUID

from hub.domain.case import Case, CaseEvent
from hub.recording.accepted import Secrets, case_event
from hub.recording.cases import fold
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

PAGE: Final = 5_000
MOST_EVENTS: Final = 100_000  # kept in memory over all cases: some 150 MB


def pages(
    log: HubLog, after: int, end: int, topics: frozenset[str]
) -> Iterator[tuple[int, Sequence[Recorded]]]:
    """(position reached, rows of these topics up to there), a page at a time."""
    while after < end:
        page = log.read(after, PAGE, topics)
        rows = [one for one in page if one.position <= end]
        after = end if len(page) < PAGE or len(rows) < len(page) else page[-1].position
        yield after, rows


class PageSecrets:
    """Secrets of the persons in one page of rows, asked of the key store once."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._known: Mapping[UUID, bytes] = {}

    def look(self, rows: Sequence[Recorded]) -> None:
        wanted = {
            UUID(bytes=one.event.secret_id)
            for one in rows
            if isinstance(one.event, stored.EventAccepted) and one.event.personal
        }
        self._known = self._secrets.secrets(wanted) if wanted else {}

    def secrets(self, subjects: Collection[UUID]) -> dict[UUID, bytes]:
        return {one: self._known[one] for one in subjects if one in self._known}


class WalkedCases:
    """The cases of a walk, each as of the row last taken."""

    def __init__(self, log: HubLog, secrets: Secrets, most: int = MOST_EVENTS) -> None:
        self._log = log
        self._secrets = secrets
        self._most = most
        self._cases: OrderedDict[UUID, Case] = OrderedDict()
        self._events = 0

    def begin(self, case_id: UUID, subject: UUID) -> Case:
        """A case whose first event is about to be taken."""
        case = self._cases[case_id] = Case(case_id, subject)
        return case

    def before(self, case_id: UUID, position: int) -> Case:
        """The case as it was before this position."""
        case = self._cases.get(case_id)
        if case is None:
            case = self._cases[case_id] = fold(_until(self._log, case_id, position), self._secrets)
            self._events += len(case.events)
        self._cases.move_to_end(case_id)
        return case

    def entered(self) -> None:
        """An event was taken into a case; lets the longest unused go if there are too many."""
        self._events += 1
        while self._events > self._most and len(self._cases) > 1:
            _, gone = self._cases.popitem(last=False)
            self._events -= len(gone.events)

    def drop(self, case_id: UUID) -> None:
        """What is in memory is not what was recorded: fold it again when it is next asked for."""
        gone = self._cases.pop(case_id, None)
        if gone is not None:
            self._events = max(0, self._events - len(gone.events))


def accepted_before(
    log: HubLog, row: stored.Settled, secrets: Secrets
) -> tuple[CaseEvent, UUID | None]:
    """The event a settlement is about, read back, and the person if it begins a case: where a walk
    begins between the two."""
    [before] = log.stream(row.originator_id, row.event_version - 1, limit=1)
    event = before.event
    assert isinstance(event, stored.EventAccepted)
    begins = UUID(bytes=event.subject_id) if event.originator_version == 1 else None
    return case_event(event, secrets, before.position), begins


def _until(log: HubLog, case_id: UUID, position: int) -> list[stored.StoreEvent]:
    """Rows of a case before a position, but for an event that is not settled before it."""
    rows: list[stored.StoreEvent] = []
    while page := log.stream(case_id, after_version=len(rows), limit=PAGE):
        rows += [one.event for one in page if one.position < position]
        if page[-1].position >= position:
            break
    while rows and isinstance(rows[-1], stored.EventAccepted):
        rows.pop()
    return rows


@lru_cache(maxsize=16_384)
def uuid(raw: bytes) -> UUID:
    """The id of these 16 bytes; the same ids come again and again in a walk."""
    return UUID(bytes=raw)
