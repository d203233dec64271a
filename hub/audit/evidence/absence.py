"""Absence: the hub's signed word that something was not shared, and the rows that show it.

Refused if it was, with a list of what: also of what came back since, which was shared all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from hub.audit.evidence.asked import WAIT, Asked, Question, until
from hub.audit.evidence.bundle import Made, Signing, claimed, members_of
from hub.audit.evidence.file import written
from hub.audit.evidence.gathered import Gathered, Reader, Tell, silent
from hub.audit.replay import case_named
from hub.crypto import envelope, signing
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.draft import delivery_stream
from hub.store import events as stored
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.cosigning import cosigned_by
from hub.tlog.note import Note
from schemas import codelists

FORMAT: Final = "nrm-absence.1"
LISTED: Final = 20  # items named in a refusal


@dataclass(frozen=True)
class Shared:
    """One item that was released: where, and what became of it."""

    position: int
    event_id: str
    category: str
    fate: str  # "held", "recalled" or "not sent yet"

    def __str__(self) -> str:
        return f"{self.category} of event {self.event_id} (decision {self.position}): {self.fate}"


def absence(exchange: Exchange, asked: Asked, by: Signing, tell: Tell = silent) -> Made:
    """The file of kind `absence`. Raises Refused `was_released`, listing what was shared."""
    case, agency = asked.case, asked.agency
    if not case or not agency:
        raise Refused(0, "one_scope", "give both --agency and --case")
    if agency not in exchange.agencies:
        raise Refused(0, "unknown_agency", f"{agency[:64]} is not enrolled")
    known = codelists.load("nrm.category").labels
    for name in asked.categories or ():
        if name not in known:
            raise Refused(0, "unknown_category", f"there is no category {name[:64]}")
    categories = sorted(set(asked.categories)) if asked.categories else None
    end, size, note = until(exchange, asked.as_of, by.witnesses)
    about = Question(
        case_named(exchange, case), None, agency, None, end, size, note, bool(asked.as_of)
    )
    gathered = _gather(exchange, by.origin, about, tell)
    shared = list(_shared(exchange, gathered, about, categories))
    if shared:
        more = f"; and {len(shared) - LISTED} more" if len(shared) > LISTED else ""
        raise Refused(
            0,
            "was_released",
            f"{agency} was released {len(shared)} of it: "
            + "; ".join(str(one) for one in shared[:LISTED])
            + more,
        )
    members = members_of(exchange, gathered, about, by, asked.earlier)
    members["statement.json"] = _statement(gathered, about, by, categories)
    assert about.case_id is not None
    claims = {
        **claimed(gathered, about, by.origin, {}),
        "holder": None,
        "kind": "absence",
        "scope": {"agency": agency, "case": about.case_id.hex, "categories": categories},
    }
    content = written(members, claims, by.key)
    cosigned = tuple(cosigned_by(note.decode(), by.witnesses))
    return Made(content, len(gathered.rows), 0, 0, about.end, about.size, cosigned)


def _gather(exchange: Exchange, origin: str, about: Question, tell: Tell) -> Gathered:
    """The whole case, and all the agency was ever sent and signed for."""
    assert about.case_id is not None
    assert about.agency is not None
    reader, gathered = Reader(exchange, about.end, tell), Gathered()
    case = reader.case(about.case_id)
    if not case:
        raise Refused(0, "unknown_case", "no such case at that position; check the reference")
    deliveries = delivery_stream(about.agency)
    if not about.fixed and (reader.beyond(about.case_id) or reader.beyond(deliveries)):
        raise Refused(0, "no_checkpoint", WAIT)
    gathered.add(reader.ground(origin, policy=True))
    gathered.add(case)
    gathered.add(reader.deliveries(about.agency))
    gathered.add(reader.receipts(about.agency, None))
    return gathered


def _shared(
    exchange: Exchange, gathered: Gathered, about: Question, categories: Sequence[str] | None
) -> Iterator[Shared]:
    """Everything of the case that was decided to go to the agency and was not held back."""
    agency, open_ = str(about.agency), dict[tuple[str, str], int]()
    assert about.case_id is not None
    for _, one in sorted(gathered.rows.items()):
        event = one.event
        if isinstance(event, stored.Settled):
            for event_id, name in _released(json.loads(event.settlement), agency):
                if categories is None or name in categories:
                    open_[event_id, name] = one.position
        elif isinstance(event, stored.HeldBack) and event.agency == agency:
            for event_id, names in json.loads(event.items).items():
                for name in names:
                    open_.pop((event_id, name), None)
    case = exchange.case(about.case_id)
    held = case.holdings.get(agency, {}) if case is not None else {}
    sent = set()
    for event_id, name, decision in _sent(gathered, about):
        if categories is None or name in categories:
            sent.add((event_id, name))
            open_.setdefault((event_id, name), decision)
    for (event_id, name), position in open_.items():
        fate = "held" if (event_id, name) in held else "recalled"
        if (event_id, name) not in sent:
            fate = "not sent yet" if fate == "held" else "recalled before it was sent"
        yield Shared(position, event_id, name, fate)


def _released(record: dict[str, Any], agency: str) -> Iterator[tuple[str, str]]:
    for name, outcome in record.get("decided", {}).get(agency, {}).items():
        if isinstance(outcome, str):
            yield record["event"], name
    for event_id, bases in record.get("backfill", {}).get(agency, {}).items():
        for name in bases:
            yield event_id, name


def _sent(gathered: Gathered, about: Question) -> Iterator[tuple[str, str, int]]:
    assert about.case_id is not None
    names = {
        one.position: str(UUID(bytes=one.event.event_id))
        for one in gathered.of(stored.EventAccepted)
        if isinstance(one.event, stored.EventAccepted)
    }
    for one in gathered.of(stored.Sending):
        event = one.event
        assert isinstance(event, stored.Sending)
        if event.kind == "release" and event.case_id == about.case_id.bytes:
            for name in json.loads(event.items)["bases"]:
                yield names[event.event_position], name, event.decision


def _statement(
    gathered: Gathered, about: Question, by: Signing, categories: list[str] | None
) -> bytes:
    assert about.case_id is not None
    head = Checkpoint.parse(Note.parse(about.note).text)
    payload = {
        "agency": about.agency,
        "as_of": about.end,
        "case": about.case_id.hex,
        "case_rows": sum(one.why == "case" for one in gathered.rows.values()),
        "categories": categories,
        "deliveries": len(gathered.of(stored.Sending)),
        "format": FORMAT,
        "hub": by.origin,
        "receipts": len(gathered.of(stored.Received)),
        "root": head.root.hex(),
        "tree_size": head.size,
    }
    return envelope.written(signing.ABSENCE, payload, [by.key])
