"""Why: the recorded decision of one event for one agency, and the same decision made again.

The case is folded from its recorded past up to just before the event, the profile and register
are those of that position, and the rules are asked again. A different answer is a divergence: an
alarm, never explained away.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from hub.audit.in_force import InForce
from hub.deliveries import Settlement, settle
from hub.domain.case import Case, birth_date_erased
from hub.domain.parties import Parties
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Outcome, Released
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.recording.cases import fold
from hub.recording.draft import delivery_stream, stream_id
from hub.store import events as stored
from hub.store.log import HubLog, Recorded


@dataclass
class WhyCategory:
    """One category: what was decided, by which rule, again, and what became of it."""

    recorded: str
    rule: str
    again: str
    same: bool
    fate: str


@dataclass
class Why:
    """The answer to: why was this agency told, or not told, of this event?"""

    agency: str
    role: str
    event_id: str
    type: str
    emitter: str
    position: int
    recorded_at: str
    policy: str
    parties: int
    categories: dict[str, WhyCategory]
    divergent: bool


def why(exchange: Exchange, agency: str, event: str) -> Why:
    """The recorded decision, and the same decision made again on the state of that moment.

    event: its id, or its log position. The case is folded from its recorded past up to just
    before the event, the profile and register are those of that position, and the rules are asked
    again; a different answer is a divergence. Where dates of birth were erased since, the age is
    the recorded one.
    """
    log = exchange.log
    accepted = accepted_event(exchange, event)
    happened = accepted.event
    assert isinstance(happened, stored.EventAccepted)
    stream = log.stream(happened.originator_id)
    before = [one.event for one in stream if one.position < accepted.position]
    settled = next(
        one.event
        for one in stream
        if isinstance(one.event, stored.Settled) and one.event.position == accepted.position
    )
    assert isinstance(settled, stored.Settled)
    recorded = Settlement.from_record(json.loads(settled.settlement))
    parties, profile = as_of_position(log, accepted.position)
    party = parties.get(agency)
    if party is None:
        raise Refused(0, "unknown_agency", f"{agency} was not enrolled at that position")
    case = (
        fold(before, exchange.secrets)
        if before
        else Case(happened.originator_id, UUID(bytes=happened.subject_id))
    )
    event_then = case_event(happened, exchange.secrets, accepted.position)
    gone = case.birth_dates_erased or birth_date_erased(event_then.facts)
    again = settle(
        case,
        event_then,
        parties,
        profile,
        happened.timestamp,
        clock_trusted=recorded.clock_trusted,
        age=recorded.age if gone else None,
    )
    fates = _fates(exchange, agency, happened, accepted.position)
    categories = {}
    for category in recorded.categories if happened.emitter != agency else ():
        then = recorded.outcome(agency, party.role, category)
        now = again.outcome(agency, party.role, category)
        categories[category] = WhyCategory(
            recorded=_told(then),
            rule=_rule(then),
            again=_told(now),
            same=_told(then) == _told(now),
            fate=fates.get(category, "not sent"),
        )
    return Why(
        agency=agency,
        role=party.role,
        event_id=str(UUID(bytes=happened.event_id)),
        type=happened.event_type,
        emitter=happened.emitter,
        position=accepted.position,
        recorded_at=happened.timestamp.isoformat(),
        policy=settled.policy,
        parties=settled.parties,
        categories=categories,
        divergent=any(not line.same for line in categories.values()),
    )


def accepted_event(exchange: Exchange, event: str) -> Recorded:
    """The accepted event of this id or position. One answer for all that is not there."""
    log = exchange.log
    missing = Refused(0, "unknown_event", "no accepted event has this id or position")
    if event.isascii() and event.isdigit() and len(event) < 19:
        found = log.read(int(event) - 1, 1) if int(event) > 0 else []
    else:
        try:
            event_id = UUID(event).bytes
        except ValueError:
            raise missing from None
        keys = [
            key
            for agency in exchange.agencies
            for key in log.admission(agency.agency, [event_id]).values()
        ]
        found = [one for key in keys for one in log.read(key.position - 1, 1)]
    for one in found:
        if isinstance(one.event, stored.EventAccepted):
            return one
    raise missing


def as_of_position(log: HubLog, position: int) -> tuple[Parties, PolicyProfile]:
    """Register and profile as they stood just before a position."""
    found = InForce.at(log, position - 1)
    return found.parties, found.profile


def _told(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not asked"
    if isinstance(outcome, Released):
        return f"released: {outcome.basis}"
    return "withheld: " + ", ".join(outcome.reasons)


def _rule(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    code = outcome.basis if isinstance(outcome, Released) else outcome.reasons[0]
    return f"docs/release.md, {code.partition(':')[0]}"


def _fates(
    exchange: Exchange, agency: str, event: stored.EventAccepted, position: int
) -> dict[str, str]:
    """What became of each category, at once or by backfill: sent, answered, recalled."""
    fates: dict[str, str] = {}
    names = {str(UUID(bytes=event.event_id)), str(position)}
    receipts = [
        (one.position, one.event)
        for one in exchange.log.stream(stream_id("receipts", agency))
        if isinstance(one.event, stored.Received)
    ]
    for one in exchange.log.stream(delivery_stream(agency)):
        sending = one.event
        if not isinstance(sending, stored.Sending):
            continue
        if sending.case_id != event.originator_id.bytes:
            continue
        body = json.loads(sending.items)
        sequence = sending.originator_version
        answered = next(
            (p for p, r in receipts if r.first_sequence <= sequence <= r.last_sequence), None
        )
        answer = f"receipt at {answered}" if answered else "no receipt yet"
        if sending.kind == "recall":
            for event_id, recalled in body["items"]:
                if event_id in names:
                    for category in recalled:
                        fates[category] = f"recalled, sequence {sequence}, {answer}"
        elif sending.event_position == position:
            for category in body["bases"]:
                fates[category] = f"sent, sequence {sequence}, {answer}"
    return fates
