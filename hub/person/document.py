"""Document: an account for programs, as one JSON-ready value; codes, no words. Pure.

    {"case": "C1", "made_at": …, "agencies": {"POL-1": {"name": …, "role": …, "summary": [...]}},
     "events": [...], "told": [...], "not_told": [...], "recalls": [...], "agreements": [...],
     "emergencies": [...], "requests": [...], "erased_at": [...]}

`summary` has one entry per category, basis and state: how often, first and last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from hub.person.account import Account, Recall, Told
from hub.person.requests import Request
from hub.person.steps import AgencyName, Said


def document(
    account: Account, agencies: Mapping[str, AgencyName], *, reference: str, made_at: datetime
) -> dict[str, Any]:
    """`account` with the names of all agencies that occur in it."""
    told = [_told(one) for one in account.told]
    occurring = {event.agency for event in account.events}
    occurring |= {one.agency for one in account.told} | {one.agency for one in account.kept}
    return {
        "case": reference,
        "made_at": made_at.isoformat(),
        "agencies": {
            agency: {
                "name": agencies[agency].name if agency in agencies else agency,
                "role": agencies[agency].role if agency in agencies else "",
                "summary": _summary([one for one in account.told if one.agency == agency]),
            }
            for agency in sorted(occurring)
        },
        "events": [
            {
                "event_id": event.event_id,
                "type": event.type,
                "agency": event.agency,
                "recorded_at": event.at.isoformat(),
                "categories": list(event.categories),
                "erased": event.erased,
            }
            for event in account.events
        ],
        "told": told,
        "not_told": [{**asdict(one), "at": one.at.isoformat()} for one in account.kept],
        "recalls": [_recall(one) for one in account.recalls],
        "agreements": [_plain(asdict(one)) for one in account.agreements],
        "emergencies": [
            _plain({**asdict(one), "got": sorted(one.got)}) for one in account.emergencies
        ],
        "requests": [request_document(one, made_at.date()) for one in account.requests],
        "erased_at": [at.isoformat() for at in account.erased_at or account.shredded_at],
    }


def request_document(request: Request, today: date) -> dict[str, Any]:
    """One request, with its state on that day."""
    return _plain({**asdict(request), "state": request.state(today)})


def _summary(told: list[Told]) -> list[dict[str, Any]]:
    alike: dict[tuple[str, str, str], list[Told]] = {}
    for one in told:
        alike.setdefault((one.category, one.basis, one.state), []).append(one)
    return [
        {
            "category": category,
            "basis": basis,
            "state": state,
            "times": len(same),
            "first": same[0].at.isoformat(),
            "last": same[-1].at.isoformat(),
        }
        for (category, basis, state), same in sorted(alike.items())
    ]


def _told(one: Told) -> dict[str, Any]:
    return {
        "agency": one.agency,
        "event_id": one.event_id,
        "type": one.event_type,
        "category": one.category,
        "basis": one.basis,
        "at": one.at.isoformat(),
        "state": one.state,
    }


def _recall(one: Recall) -> dict[str, Any]:
    return _plain(
        {
            "agency": one.agency,
            "categories": list(one.categories),
            "asked_at": one.asked_at,
            "due": one.due,
            "answers": [_answer(said) for said in one.answers],
            "answered_at": one.answered_at,
        }
    )


def _answer(said: Said) -> dict[str, Any]:
    return {
        "outcome": said.outcome,
        "categories": list(said.categories),
        "own_basis": said.own_basis,
    }


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Dates as text, also those in a list."""
    return {
        name: [_text(one) for one in value] if isinstance(value, list) else _text(value)
        for name, value in record.items()
    }


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
