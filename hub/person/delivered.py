"""Delivered: one case's deliveries and receipts, without reading everybody's.

An agency's delivery log holds all its cases. Deliveries are marked in the order of decisions, so
their decisions never fall along the log and the place of one is found by halving. Receipts follow
what they answer, so those before the first delivery of interest need not be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from hub.person.steps import Answer, Said, Sent
from hub.recalling.book import ANSWERS, spoken_of
from hub.recording.draft import delivery_stream, stream_id
from hub.store import events as stored
from hub.store.log import HubLog, Recorded
from schemas import wire

PAGE = 200


def deliveries(
    log: HubLog, agency: str, case_id: UUID, decisions: Sequence[int]
) -> list[tuple[int, Sent]]:
    """(log position, delivery) of all deliveries of the case that rest on these decisions."""
    found = []
    for one in sendings(log, agency, case_id, decisions):
        assert isinstance(one.event, stored.Sending)
        found.append((one.position, _sent(one.event)))
    return found


def sendings(
    log: HubLog, agency: str, case_id: UUID, decisions: Sequence[int]
) -> Iterator[Recorded]:
    """The same as recorded."""
    stream = delivery_stream(agency)
    last = log.last_version(stream)
    version, read_to = 1, 0  # next version to read; decisions below `read_to` were all seen
    for decision in sorted(decisions):
        if decision < read_to or version > last:
            continue
        version = _first(log, stream, version, last, partial(_not_before, decision))
        while version <= last:
            page = log.stream(stream, version - 1, PAGE)
            for one in page:
                sending = one.event
                assert isinstance(sending, stored.Sending)
                if sending.case_id == case_id.bytes:
                    yield one
            version = page[-1].event.originator_version + 1
            read_to = _decision(page[-1])  # more of this one may follow
            if read_to > decision:
                break


def answers(log: HubLog, agency: str, sent: Sequence[tuple[int, Sent]]) -> Iterator[Answer]:
    """What the agency's receipts say of these deliveries, in the order recorded."""
    if not sent:
        return
    wanted = sorted(one.sequence for _, one in sent)
    for one in receipts(log, agency, min(position for position, _ in sent)):
        assert isinstance(one.event, stored.Received)
        yield from _answers(one.event, wanted)


def receipts(log: HubLog, agency: str, after: int) -> Iterator[Recorded]:
    """The agency's receipts recorded after a log position."""
    stream = stream_id("receipts", agency)
    last = log.last_version(stream)
    version = _first(log, stream, 1, last, lambda one: one.position > after)
    while version <= last:
        page = log.stream(stream, version - 1, PAGE)
        yield from page
        version = page[-1].event.originator_version + 1


def _answers(receipt: stored.Received, wanted: Sequence[int]) -> Iterator[Answer]:
    covered = [s for s in wanted if receipt.first_sequence <= s <= receipt.last_sequence]
    if not covered:
        return
    exceptions = wire.RECEIPT.unsingle(receipt.receipt)["exceptions"]
    for sequence in covered:
        said = tuple(_said(one) for one in exceptions if one["sequence"] == sequence)
        yield Answer(receipt.agency, sequence, receipt.timestamp, said)


# Discarded, because the recipient put the same into its system by another way: it has it.
_HELD_ALL_THE_SAME: Final = (wire.DISCARDED + "entered_by_hand", wire.DISCARDED + "held_already")


def _said(exception: Mapping[str, Any]) -> Said:
    outcome = exception["outcome"]
    if exception["detail"] in _HELD_ALL_THE_SAME:
        return Said("applied")
    if outcome not in ANSWERS:
        return Said(outcome)  # the detail is for the operator: a reason code
    event_ref, categories, own_basis = spoken_of(outcome, exception["detail"])
    return Said(outcome, event_ref, categories, own_basis)


def _first(
    log: HubLog, stream: UUID, low: int, last: int, holds: Callable[[Recorded], bool]
) -> int:
    """The first version from `low` on of which `holds`, which then holds for all after it."""
    high = last + 1
    while low < high:
        middle = (low + high) // 2
        [one] = log.stream(stream, middle - 1, 1)
        if holds(one):
            high = middle
        else:
            low = middle + 1
    return low


def _not_before(decision: int, one: Recorded) -> bool:
    return _decision(one) >= decision


def _decision(one: Recorded) -> int:
    assert isinstance(one.event, stored.Sending)
    return one.event.decision


def _sent(sending: stored.Sending) -> Sent:
    body = json.loads(sending.items)
    recall = sending.kind == "recall"
    return Sent(
        agency=sending.agency,
        sequence=sending.originator_version,
        at=sending.timestamp,
        decision=sending.decision,
        event_position=sending.event_position,
        bases={} if recall else body["bases"],
        recall=recall,
        due=datetime.fromisoformat(body["due"]) if recall else None,
    )
