"""Cases in memory: folds of their streams, in a cache that one failed transaction empties.

A case is what was recorded and what was decided then; folding decides nothing again. The cache
holds a bounded number of events over all cases, so an ordinary event costs the same however long
its case is, and memory stays flat. Only the exchange, holding its writer lock, may use it.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hub.deliveries import Settlement
from hub.domain.case import Case, CaseEvent
from hub.recording.accepted import Secrets, case_event
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.store.keystore import KeyStore
from hub.store.log import HubLog

MOST_EVENTS = 100_000  # kept in memory over all cached cases: some 150 MB
TRIM_EVERY = 10_000  # recorded rows between two looks at that


@dataclass
class OpenCase:
    """A case in memory: its fold and the version of its stream."""

    case_id: UUID
    case: Case
    version: int


class Cases:
    """The cache."""

    def __init__(self, log: HubLog, secrets: KeyStore) -> None:
        self._log = log
        self._secrets = secrets
        self._open: OrderedDict[UUID, OpenCase] = OrderedDict()
        self._since_trim = 0

    def get(self, case_id: UUID) -> OpenCase | None:
        """The case as recorded, drafted changes included; None if there is none."""
        opened = self._open.get(case_id)
        if opened is None:
            recorded = self._log.stream(case_id)
            if not recorded:
                return None
            case = fold([one.event for one in recorded], self._secrets)
            opened = self._open[case_id] = OpenCase(case_id, case, len(recorded))
        self._open.move_to_end(case_id)
        return opened

    def begin(self, case_id: UUID, subject: UUID) -> OpenCase:
        """A case whose first event is being drafted."""
        opened = self._open[case_id] = OpenCase(case_id, Case(case_id, subject), 0)
        return opened

    def drop(self, case_id: UUID) -> None:
        """Another process changed it."""
        self._open.pop(case_id, None)

    def forget(self, subject: UUID) -> None:
        """The person's secret is destroyed: what only it opened is not known here any more."""
        for case_id in [i for i, one in self._open.items() if one.case.subject_id == subject]:
            del self._open[case_id]

    def clear(self) -> None:
        """A transaction failed: nothing in memory is trusted beyond the log."""
        self._open.clear()

    def trim(self, recorded: int) -> None:
        """`recorded` rows later, let the longest unused cases go if there are too many.

        Never while a draft is open: it may hold on to one.
        """
        self._since_trim += recorded
        if self._since_trim < TRIM_EVERY:
            return
        self._since_trim = 0
        held = sum(opened.version for opened in self._open.values()) // 2
        while held > MOST_EVENTS and len(self._open) > 1:
            _, gone = self._open.popitem(last=False)
            held -= gone.version // 2


def fold(recorded: Sequence[StoreEvent], secrets: Secrets) -> Case:
    """A case rebuilt from its stream, by what was decided then; nothing is decided again."""
    first = recorded[0]
    assert isinstance(first, stored.EventAccepted)
    case = Case(first.originator_id, UUID(bytes=first.subject_id))
    happened: CaseEvent | None = None
    for event in recorded:
        if isinstance(event, stored.EventAccepted):
            happened = case_event(event, secrets)
        elif isinstance(event, stored.Settled):
            assert happened is not None
            happened = case.enter(happened.at_position(event.position))
            case.hold(Settlement.from_record(json.loads(event.settlement)), happened)
            case.leave(happened)
        elif isinstance(event, stored.HeldBack):
            case.holdings.hold_back(event.agency, json.loads(event.items))
            case.holdings.rebase(event.agency, json.loads(event.rebased))
    return case
