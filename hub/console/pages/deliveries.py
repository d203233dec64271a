"""Deliveries: what was delivered to an officer's own agency, by the names that agency knows.

Metadata only: sequence, kind, event type, categories with their bases, and the agency's own
receipt. Cases and, on the hub's word, events and consents by the agency's pseudonyms; whoever
stated an event only where the delivery itself said so. Nothing of others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response

from hub.audit.answers import Reply
from hub.console.desk import Console
from hub.console.form import whole
from hub.console.lanes import SIGNS, kind_of, words
from hub.console.pages.held import agency_named
from hub.exchange import Exchange
from hub.publisher import delivery_stream, told_basis
from hub.recording.draft import stream_id
from hub.store import events as stored
from schemas import wire

SHOWN: Final = 50
RECEIPTS: Final = 200  # read at once, from the latest backwards


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery as its recipient was sent it.

    event: what the recipient calls it, "" for a recall. agency: who stated it, or "" if the
    delivery did not say. bases: category → basis; items: of a recall, event → categories.
    """

    sequence: int
    kind: str
    at: datetime
    case: str
    event: str
    type: str
    agency: str
    bases: Mapping[str, str]
    items: Mapping[str, list[str]]
    reply: Reply | None


def delivered(exchange: Exchange, agency: str, last: int) -> list[Delivered]:
    """Up to `SHOWN` deliveries that end with sequence `last`, the latest first."""
    party = exchange.agencies.get(agency)
    assert party is not None
    attested = exchange.policy().evidence_for(party.role) == "hub"
    found = exchange.log.stream(
        delivery_stream(agency), after_version=max(last - SHOWN, 0), limit=min(last, SHOWN)
    )
    sent = [one.event for one in found if isinstance(one.event, stored.Sending)]
    replies = _replies(exchange, agency, {one.originator_version for one in sent})
    told = _Telling(exchange, agency, attested)
    return [told.of(one, replies.get(one.originator_version)) for one in reversed(sent)]


class _Telling:
    """One recipient's names for things."""

    def __init__(self, exchange: Exchange, agency: str, attested: bool) -> None:
        self._exchange = exchange
        self._agency = agency
        self._attested = attested

    def of(self, sending: stored.Sending, reply: Reply | None) -> Delivered:
        names, agency = self._exchange.pseudonyms, self._agency
        case_id = UUID(bytes=sending.case_id)
        body: dict[str, Any] = json.loads(sending.items)
        event, type_, stated_by = "", "", ""
        bases: dict[str, str] = {}
        items: dict[str, list[str]] = {}
        if sending.kind == "recall":
            items = {self._event(UUID(one)): categories for one, categories in body["items"]}
        else:
            accepted = self._exchange.log.read(sending.event_position - 1, 1)[0].event
            assert isinstance(accepted, stored.EventAccepted)
            event, type_ = self._event(UUID(bytes=accepted.event_id)), accepted.event_type
            stated_by = "" if self._attested else accepted.emitter
            bases = {
                category: told_basis(names, agency, case_id, basis) if self._attested else basis
                for category, basis in sorted(body["bases"].items())
            }
        return Delivered(
            sending.originator_version,
            sending.kind,
            sending.timestamp,
            names.pseudonym(agency, "case", case_id),
            event,
            type_,
            stated_by,
            bases,
            items,
            reply,
        )

    def _event(self, event_id: UUID) -> str:
        if self._attested:
            return self._exchange.pseudonyms.pseudonym(self._agency, "event", event_id)
        return str(event_id)


def _replies(exchange: Exchange, agency: str, sequences: set[int]) -> dict[int, Reply]:
    """The agency's own receipts for these sequences, read from the latest backwards."""
    found: dict[int, Reply] = {}
    for position, receipt in _receipts(exchange, agency, min(sequences, default=0)):
        said = wire.RECEIPT.unsingle(receipt.receipt)["exceptions"]
        outcomes = {one["sequence"]: one["outcome"] for one in said}
        for sequence in sequences:
            if receipt.first_sequence <= sequence <= receipt.last_sequence:
                found[sequence] = Reply(position, outcomes.get(sequence, "applied"))
    return found


def _receipts(exchange: Exchange, agency: str, first: int) -> Iterator[tuple[int, stored.Received]]:
    """Back to the first receipt that is all about earlier sequences."""
    stream = stream_id("receipts", agency)
    end = exchange.log.last_version(stream)
    while end > 0:
        start = max(end - RECEIPTS, 0)
        page = exchange.log.stream(stream, after_version=start, limit=end - start)
        for one in reversed(page):
            if isinstance(one.event, stored.Received):
                if one.event.last_sequence < first:
                    return
                yield one.position, one.event
        end = start


def deliveries_pages(console: Console) -> APIRouter:
    """What an officer's agency received."""
    pages = APIRouter()

    @pages.get("/deliveries")
    def deliveries(request: Request, upto: str = "") -> Response:
        viewer = console.admit(request, "agency_officer")
        assert viewer.agency is not None
        console.look(viewer, "deliveries", viewer.agency)
        exchange = console.exchange
        agency = agency_named(exchange, viewer.agency)
        newest = exchange.log.last_version(delivery_stream(agency.agency))
        last = min(whole(upto) or newest, newest)
        return console.page(
            request,
            "deliveries",
            agency=agency,
            newest=newest,
            last=last,
            first=max(last - SHOWN, 0) + 1,
            shown=SHOWN,
            deliveries=delivered(exchange, agency.agency, last),
            kind_of=kind_of,
            signs=SIGNS,
            words=words,
        )

    return pages
