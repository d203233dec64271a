"""Q09: who changed policies, roles, keys and schemas, and what ran under each version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hub.audit.questions.answer import Column, Found, Row, moment
from hub.audit.questions.asking import AGENCY, AS_OF, Asked, Question
from hub.domain.settlement import Released, Settlement, Withheld
from hub.membership.agencies import CHANGES
from hub.store import events as stored
from schemas.registry import Schemas

_POLICY: Final = (stored.PolicyProposed, stored.PolicyApproved, stored.PolicyPublished)
_OFFICERS: Final = (stored.OfficerVouched, stored.OfficerAdmitted, stored.OfficerRevoked)
_TRAFFIC: Final = (stored.EventAccepted, stored.Settled, stored.Sending)


@dataclass(slots=True)
class _Change:
    """One change, and what ran until the next of its kind."""

    position: int
    at: datetime
    kind: str
    what: str
    by: str
    counted: bool = True
    until: int | None = None
    events: int = 0
    released: int = 0
    withheld: int = 0
    sent: int = 0

    def row(self) -> Row:
        traffic = (self.events, self.released, self.withheld, self.sent)
        return (
            self.position,
            moment(self.at),
            self.kind,
            self.what,
            self.by,
            self.until,
            *(traffic if self.counted else (None,) * len(traffic)),
        )


class _Changes:
    """One pass: changes open spans, traffic is counted into the spans that are open."""

    def __init__(self, only: str | None) -> None:
        self.all: list[_Change] = []
        self.wrong = 0
        self._only = only
        self._policy: _Change | None = None
        self._version = ""
        self._agency: dict[str, _Change] = {}
        self._schema: dict[bytes, _Change] = {}
        self._latest: _Change | None = None  # of the schema of the event decided next
        self._schemas = Schemas.load()

    def take(self, position: int, event: stored.StoreEvent) -> None:
        if isinstance(event, stored.EventAccepted):
            self._accepted(position, event)
        elif isinstance(event, stored.Settled):
            self._settled(event)
        elif isinstance(event, stored.Sending):
            for one in (self._policy, self._agency.get(event.agency)):
                if one is not None:
                    one.sent += 1
        else:
            for one in _told(position, event):
                self._open(one, event)

    def _open(self, one: _Change, event: stored.StoreEvent) -> None:
        if isinstance(event, stored.PolicyPublished):
            if self._policy is not None:
                self._policy.until = one.position
            self._policy, self._version = one, event.version
        elif type(event) in CHANGES:
            agency: str = event.agency  # type: ignore[attr-defined]
            before = self._agency.get(agency)
            if before is not None:
                before.until = one.position
            self._agency[agency] = one
            if self._only not in (None, agency):
                return
        self.all.append(one)

    def _accepted(self, position: int, event: stored.EventAccepted) -> None:
        one = self._schema.get(event.schema_id)
        if one is None:
            what = f"{event.event_type}, {self._number(event)}"
            one = _Change(position, event.timestamp, "schema first used", what, event.emitter)
            self._schema[event.schema_id] = one
            self.all.append(one)
        one.events += 1
        agency = self._agency.get(event.emitter)
        if agency is not None:
            agency.events += 1
        self._latest = one

    def _number(self, event: stored.EventAccepted) -> str:
        try:
            known = self._schemas.versions(event.event_type)
        except KeyError:
            known = ()
        for number, schema in enumerate(known, start=1):
            if schema.schema_id == event.schema_id:
                return f"version {number}"
        return f"unknown schema {event.schema_id.hex()[:12]}"

    def _settled(self, event: stored.Settled) -> None:
        settlement = Settlement.from_record(json.loads(event.settlement))
        named, unnamed = settlement.decided.values(), settlement.outsiders.by_role.values()
        withheld = sum(
            isinstance(outcome, Withheld)
            for outcomes in (*named, *unnamed)
            for outcome in outcomes.values()
        )
        # Whoever receives is named, also where its role alone decided.
        released = sum(
            isinstance(outcome, Released) for outcomes in named for outcome in outcomes.values()
        ) + sum(len(bases) for events in settlement.backfill.values() for bases in events.values())
        for one in (self._policy, self._latest):
            if one is not None:
                one.released += released
                one.withheld += withheld
        if self._policy is not None:
            self._policy.events += 1
            self.wrong += event.policy != self._version


def _told(position: int, event: stored.StoreEvent) -> Iterator[_Change]:
    """A change in words."""

    def change(kind: str, what: str, by: str, counted: bool = False) -> _Change:
        return _Change(position, event.timestamp, kind, what, by, counted)

    match event:
        case stored.PolicyProposed():
            yield change("policy proposed", event.version, event.by)
        case stored.PolicyApproved():
            yield change("policy approved", event.version, event.by)
        case stored.PolicyPublished():
            yield change("policy in force", event.version, event.by, counted=True)
        case stored.OfficerVouched():
            yield change("officer vouched for", event.officer, event.by)
        case stored.OfficerAdmitted():
            yield change("officer admitted", event.officer, event.by)
        case stored.OfficerRevoked():
            yield change("officer revoked", event.officer, event.by)
        case stored.AgencyEnrolled():
            what = f"{event.agency} as {event.role}, key {event.key_id.hex()[:12]}"
            yield change("agency enrolled", what, event.by, counted=True)
        case stored.AgencyKeyAdded():
            what = f"{event.agency}, key {event.key_id.hex()[:12]}"
            yield change("signing key added", what, event.by, counted=True)
        case stored.AgencyKeyRevoked():
            what = f"{event.agency}, key {event.key_id.hex()[:12]}"
            yield change("signing key revoked", what, event.by, counted=True)
        case stored.AgencySealingKeyChanged():
            yield change("sealing key changed", event.agency, event.by, counted=True)
        case stored.AgreementSigned():
            what = f"{event.agency}, {event.agreement}"
            yield change("agreement signed", what, event.by, counted=True)
        case stored.AgreementEnded():
            what = f"{event.agency}, {event.agreement}"
            yield change("agreement ended", what, event.by, counted=True)
        case stored.HubInitialised():
            yield change("hub initialised", event.hub, "")
        case stored.HubRestored():
            yield change("hub restored", event.hub, event.by)


def _changed(asked: Asked) -> Found:
    changes = _Changes(asked.agency)
    kinds = (*_TRAFFIC, *_POLICY, *_OFFICERS, *CHANGES, stored.HubInitialised, stored.HubRestored)
    for one in asked.walk(*kinds):
        changes.take(one.position, one.event)
    found = Found(findings=changes.wrong)
    for change in sorted(changes.all, key=lambda change: change.position):
        found.rows.append(change.row())
    found.summary = {
        "changes": len(found.rows),
        "decisions on another version than was in force": changes.wrong,
    }
    return found


Q09: Final = Question(
    "Q09",
    "auditor",
    "Who changed policies, roles, keys and schemas, and what traffic ran under each version?",
    (AGENCY, AS_OF),
    (
        Column("position", "Log position from which the change counts."),
        Column("at", "When it was recorded."),
        Column("kind", "What kind of change."),
        Column("what", "Version, officer, agency with its role or key, or schema."),
        Column("by", "Who did it, as recorded; for a schema, the first agency that used it."),
        Column("until", "Log position of the next change of the same policy or agency."),
        Column("events", "Events decided (policy), recorded of the agency, or of the schema."),
        Column("released", "Items released by those decisions (policy, schema)."),
        Column("withheld", "Decisions to withhold, other agencies counted once for their role."),
        Column("sent", "Deliveries marked (policy), or to the agency."),
    ),
    _changed,
    "Every recorded change of profile, officers, agencies, keys and agreements, in one pass with "
    "the traffic. Schemas are published with the hub: of each version the first use is told.",
    "Who changed files of the hub's own machine; signatures of officers are checked in Q07.",
)
