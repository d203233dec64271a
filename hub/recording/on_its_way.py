"""On its way: what was marked as sending before a withdrawal, recorded behind it.

Called inside the transaction that records the withdrawal. If anything is marked before that is
stored, the draft is made again. Costs what is not marked yet, however long the case is.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import orjson

from hub.domain.case import CaseEvent
from hub.domain.settlement import Settlement
from hub.recalling.in_flight import MARKED, Flight, in_flight, is_own, told, written
from hub.recording.accepted import facts_bytes
from hub.recording.cases import OpenCase
from hub.recording.draft import Draft
from hub.recording.writer import Writer
from hub.store import events as stored
from hub.store.log import HubLog


def on_its_way(
    writer: Writer, draft: Draft, opened: OpenCase, happened: CaseEvent, settlement: Settlement
) -> Flight:
    """Draft it, if there is any; returns what the withdrawal's publisher is told of it."""
    case = opened.case
    flight = in_flight(settlement, _unmarked(writer.log, draft, opened, happened))
    if not flight:
        return []
    agency, party = happened.emitter, writer.agencies.parties().get(happened.emitter)
    attested = party is not None and writer.policy().evidence_for(party.role) == "hub"

    def reference(event_id: str) -> str:
        if not attested or is_own(case, event_id, agency):
            return event_id
        return writer.pseudonyms.pseudonym(agency, "event", UUID(event_id))

    answer = told(flight, case, happened, reference)
    draft.add(
        stored.InFlight(
            originator_id=opened.case_id,
            originator_version=opened.version + 1,
            timestamp=draft.now,
            position=happened.position,
            items=facts_bytes(written(flight)),
            told=facts_bytes(written(answer)),
        )
    )
    opened.version += 1
    return answer


def _unmarked(
    log: HubLog, draft: Draft, opened: OpenCase, happened: CaseEvent
) -> Iterator[Settlement]:
    """What was settled in this case before `happened` and is not marked yet, in order."""
    marked_to, first = log.tracking(MARKED), None
    for one in reversed(opened.case.events):
        if one.position < marked_to:  # its settlement is the next row
            break
        if one.position <= draft.head:
            first = one.position
    if first is not None:
        [row] = log.read(first - 1, 1)
        for recorded in log.stream(opened.case_id, row.event.originator_version):
            if isinstance(recorded.event, stored.Settled):
                yield Settlement.from_record(orjson.loads(recorded.event.settlement))
    for drafted in draft.fresh:
        decided = drafted.settlement
        if (
            decided is not None
            and drafted.event.originator_id == opened.case_id
            and decided.event_id != happened.event_id
        ):
            yield decided
