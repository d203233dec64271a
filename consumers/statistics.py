"""Statistics: reads the log and counts people, for the national rapporteur.

Follows accepted events up to a position and folds each person's codes and days into a life
(`hub/statistics/lives.py`), in memory only: nothing is written, and what is counted leaves as
tables of aggregates (`hub/statistics/editions.py`). Folding an event costs the same however long
the log is; the state can be thrown away and made again at any time.

Promises. Of a person's sealed content only the compartments and fields in `OPENED` are opened, one
event at a time, and only the listed codes are kept; dates of birth come from the sealed personal
facts and stay in memory. From an erasure on the person is not counted by anybody who reads the
log anew, whatever the position asked for; what was published before stays published.

Absent: any answer about one person, and any consent question. Nothing is released here: a table
reaches the rapporteur as an event like any other, by `hub/release.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from hub.crypto.compartment import CompartmentError, compartment_key, open_compartment
from hub.domain.dates import day
from hub.errors import Inconsistent
from hub.exchange import Exchange
from hub.membership.agencies import Agencies
from hub.recording.accepted import PERSONAL, key_context, next_secret
from hub.statistics.lives import COUNTED, Fact, Life
from hub.statistics.tables import Book
from hub.store import events as stored
from schemas.registry import Schemas

PAGE = 2_000
DEMOGRAPHICS, EXPLOITATION = ("gender", "citizenships"), ("exploitation_types",)

# Type → compartment → the fields taken from it. Everything else in it is dropped unread.
OPENED: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "IdentityRecorded": {"demographics": DEMOGRAPHICS},
    "DutyNotificationSubmitted": {
        "demographics": ("gender", "age_band", "citizenship"),
        "deidentified_account": EXPLOITATION,
    },
    "IndicatorsScreened": {"protection": EXPLOITATION},
    "ReasonableGroundsDecided": {"decision": ("reason_codes",)},
    "ConclusiveGroundsDecided": {"decision": ("reason_codes",)},
    "ReferralDeclined": {"case_management": ("reason",)},
    "NonPunishmentDecided": {"alleged_offence": ("outcome",)},
    "ProceedingLinked": {"criminal_justice": ("stage",)},
    "CompensationDecided": {"financial": ("outcome",)},
    "CaseReopened": {"case_management": ("reason",)},
    "ComplaintResolved": {"case_management": ("outcome",)},
}
# Fields whose correction is counted, and the compartment a correction of them is sealed in.
CORRECTED: Final[Mapping[str, str]] = {
    "gender": "demographics",
    "age_band": "demographics",
    "citizenship": "demographics",
    "citizenships": "demographics",
    "exploitation_types": "protection",
    "reason_codes": "decision",
    "outcome": "decision",
    "decided_on": "case_management",
}
BORN: Final = frozenset({"IdentityRecorded", "AgeAssessed", "RecordCorrected"})


class Statistics:
    """A reader of one hub's log. `read` moves it; `book` is everybody counted so far."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._schemas = Schemas.load()
        self._lives: dict[bytes, Life] = {}
        self._emergencies: list[tuple[date, date]] = []
        self._days: set[date] = set()
        self.position = 0

    @property
    def book(self) -> Book:
        return Book(list(self._lives.values()), list(self._emergencies), frozenset(self._days))

    def read(self, to: int) -> Iterator[int]:
        """Count everything recorded up to a position; yields how far it has come, page by page."""
        log = self._exchange.log
        topics = frozenset({stored.EventAccepted.TOPIC})
        while page := log.read(self.position, PAGE, topics):
            events = [
                one.event
                for one in page
                if one.position <= to and isinstance(one.event, stored.EventAccepted)
            ]
            self._count(events)
            self.position = min(page[-1].position, to)
            yield self.position
            if page[-1].position >= to:
                break
        self.position = to

    def _count(self, events: list[stored.EventAccepted]) -> None:
        wanted = [one for one in events if one.event_type in COUNTED]
        secrets = self._exchange.secrets.secrets({UUID(bytes=one.secret_id) for one in wanted})
        for event in events:
            if event.event_type == "EmergencyModeDeclared":
                first, last = event.occurred_at.date(), day(json.loads(event.facts).get("ends_on"))
                self._emergencies.append((first, last or first))
            elif event.event_type in COUNTED and not self._erased(event):
                secret = secrets.get(UUID(bytes=event.secret_id))
                if secret is not None:
                    self._take(event, secret)

    def _erased(self, event: stored.EventAccepted) -> bool:
        """Whether an erasure on record, executed yet or not, came after this event."""
        subject, secret = UUID(bytes=event.subject_id), UUID(bytes=event.secret_id)
        now = self._exchange.since_erasure(subject)
        while now is not None and subject != now:
            if subject == secret:
                return True
            subject = next_secret(subject)
        return False

    def _take(self, event: stored.EventAccepted, secret: bytes) -> None:
        plain = json.loads(event.facts)
        if event.personal and event.event_type in BORN:
            plain.update(json.loads(self._open(event, secret, PERSONAL, event.personal)))
        on = event.occurred_at.date()
        self._days.add(on)
        if (decided := day(plain.get("decided_on"))) is not None:
            self._days.add(decided)
        life = self._lives.get(event.subject_id)
        if life is None:
            life = self._lives[event.subject_id] = Life()
        life.apply(
            Fact(
                type=event.event_type,
                event_id=str(UUID(bytes=event.event_id)),
                agency=event.emitter,
                role=event.role,
                on=on,
                plain=plain,
                codes=self._codes(event, secret, plain),
                to_role=_role(
                    self._exchange.agencies, plain.get("to_agency") or plain.get("about_agency")
                ),
            )
        )

    def _codes(
        self, event: stored.EventAccepted, secret: bytes, plain: Mapping[str, Any]
    ) -> dict[str, Any]:
        wanted = OPENED.get(event.event_type)
        if event.event_type == "RecordCorrected" and plain.get("field") in CORRECTED:
            compartment = CORRECTED[plain["field"]]
            wanted = {compartment: ("new_value",), "deidentified_account": ("new_value",)}
        if wanted is None:
            return {}
        schema = self._schemas.by_id(event.schema_id)
        if schema is None:
            return {}
        codes: dict[str, Any] = {}
        for sealed in event.compartments:
            fields = wanted.get(sealed.name)
            if fields:
                body = self._open(event, secret, sealed.name, sealed.ciphertext)
                content = schema.join({sealed.name: body}, trusted=True)
                codes.update({name: content[name] for name in fields if name in content})
        return codes

    def _open(self, event: stored.EventAccepted, secret: bytes, name: str, sealed: bytes) -> bytes:
        try:
            _, body = open_compartment(
                compartment_key(secret, key_context(event.digest), name),
                sealed,
                event_id=event.event_id,
                name=name,
                schema_id=event.schema_id,
            )
        except CompartmentError:
            raise Inconsistent(
                f"{event.event_type} {UUID(bytes=event.event_id)} cannot be opened: run "
                "nrm-hub audit verify before anything is counted"
            ) from None
        return body


def _role(agencies: Agencies, agency: object) -> str:
    known = agencies.get(agency) if isinstance(agency, str) else None
    return known.role if known else ""
