"""Requests: access, rectification, erasure, restriction, objection, portability; and deadlines.

A request is due on the day its message states, but never later than the law's month after it was
received (T08, `answer_days` of the profile). The same request received again with a later day is
an extension: by two months at the latest. The work list (`hub/domain/agenda`) counts alike. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hub.domain.dates import day

EXTENSION = timedelta(days=61)  # two months (T08)
OPEN, OVERDUE, ANSWERED, ANSWERED_LATE = "open", "overdue", "decided", "decided_late"

Message = tuple[str, datetime, str, Mapping[str, Any]]  # type, recorded at, agency, facts


@dataclass(slots=True)
class Request:
    """One request of the person. right is empty if only its answer is on record."""

    request_id: str
    right: str
    received_at: datetime | None
    received_by: str
    due_on: date | None
    extended: bool = False
    decided_at: datetime | None = None
    outcome: str = ""
    exemption: str = "none"
    action: str = "none"

    @property
    def open(self) -> bool:
        return self.decided_at is None

    def state(self, today: date) -> str:
        """A code of `wording`: open, overdue, decided or decided_late."""
        if self.decided_at is None:
            return OVERDUE if self.due_on is not None and today > self.due_on else OPEN
        late = self.due_on is not None and self.decided_at.date() > self.due_on
        return ANSWERED_LATE if late else ANSWERED


def requests(messages: Iterable[Message], *, answer_days: int = 30) -> list[Request]:
    """Every request of a case, in the order received."""
    found: dict[str, Request] = {}
    for kind, at, agency, facts in messages:
        request_id = str(facts.get("request_id"))
        if kind == "SubjectRequestReceived":
            known = found.get(request_id)
            if known is None or not known.open:
                found[request_id] = _received(request_id, at, agency, facts, answer_days)
            else:
                _extend(known, day(facts.get("due_on")), answer_days)
        elif kind == "SubjectRequestDecided":
            known = found.get(request_id)
            if known is None:
                known = found[request_id] = Request(request_id, "", None, "", None)
            known.decided_at = at
            known.outcome = str(facts.get("outcome") or "")
            known.exemption = str(facts.get("exemption") or "none")
            known.action = str(facts.get("action") or "none")
    return list(found.values())


def _received(
    request_id: str, at: datetime, agency: str, facts: Mapping[str, Any], answer_days: int
) -> Request:
    latest = at.date() + timedelta(days=answer_days)
    stated = day(facts.get("due_on")) or latest
    return Request(request_id, str(facts.get("right") or ""), at, agency, min(stated, latest))


def _extend(request: Request, to: date | None, answer_days: int) -> None:
    if to is None or request.due_on is None or request.received_at is None or to <= request.due_on:
        return
    latest = request.received_at.date() + timedelta(days=answer_days) + EXTENSION
    request.due_on, request.extended = min(to, latest), True
