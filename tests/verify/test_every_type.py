"""One event of every type there is, a canary in every free-text field, guards or no guards.

What no scenario says is here too: no type has a field that reaches a bundle in clear, unless its
holder holds the category.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.submit import Event
from hub.domain import guards
from hub.domain.facts import PLAIN
from hub.errors import Refused
from hub.store import events as stored
from schemas.registry import Schemas
from tests.privacy.canaries import _free_text, planted
from tests.release.generator import AGENCIES, CATEGORIES
from tests.road import CONSENT, Road
from tests.scenarios.completing import complete
from tests.verify.made import checked, made, members
from tests.verify.test_privacy import found

GIVEN: dict[str, dict[str, Any]] = {
    "CaseOpened": {"age_status": "child"},
    "ConsentGiven": {"consent_id": "c1", "scope": {"SH-1": list(CATEGORIES)}, **CONSENT},
    "ReferralMade": {"referral_id": "r1", "to_agency": "SH-1", "basis": "c1"},
    "ReferralAccepted": {"referral_id": "r1"},
    "GuardianAppointed": {"guardian_agency": "GRD-1"},
}
FIRST = list(GIVEN)

# Names of the procedure, kept in clear for decisions (hub/domain/facts.py) though they are texts.
REFERENCES = {
    ("SubjectRequestReceived", "request_id"),
    ("SubjectRequestDecided", "request_id"),
    ("StatisticsPublished", "period"),
}


def emitter(kind: str) -> str:
    roles = Schemas.load().by_type(kind).emitters
    if kind == "ReferralAccepted":
        return "SH-1"
    able = [agency for agency, role in AGENCIES.items() if role in roles]
    return able[0] if able else "NGO-1"


def whole_data(kind: str) -> dict[str, Any]:
    """Everything required, and every free text."""
    data = complete(kind, GIVEN.get(kind, {}))
    for field in Schemas.load().by_type(kind).fields:
        if _free_text(field) and not field.per_party and field.form != "json":
            data.setdefault(field.name, ["text"] if "array" in str(field.avro) else "text")
    return data


def test_no_type_of_event_shows_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = FIRST + [kind for kind in Schemas.load().types() if kind not in FIRST]
    events = [
        {"id": f"e{number}", "type": kind, "data": whole_data(kind)}
        for number, kind in enumerate(kinds)
        if kind != "RecordCorrected"
    ]
    document, planted_all = planted({"id": "ALL", "events": events})
    kind_of = {event["id"]: event["type"] for event in document["events"]}
    words = {
        (event["type"], name): value
        for event in document["events"]
        for name, value in event["data"].items()
        if isinstance(value, str) and value.startswith("Kanarie")
    }
    plain = {word for (kind, name), word in words.items() if name in PLAIN.get(kind, ())}
    assert {(kind, name) for (kind, name), word in words.items() if word in plain} == REFERENCES
    canaries = [one for one in planted_all if one.word not in plain]
    assert len(canaries) > 60
    monkeypatch.setattr(guards, "refuse", lambda *_: None)  # law is not what is tested here
    road = Road.open(tmp_path, AGENCIES)
    road.hub.exchange.keeps_time = False
    try:
        for event in document["events"]:
            said = Event(event["type"], "C1", event["data"], occurred_at=road.time.at)
            [outcome] = road.publish_all(emitter(event["type"]), [said])
            assert outcome.accepted, (event["type"], outcome)
        road.settle()
        whole = made(road.hub, case="C1")
        report = checked(whole, road.hub)
        kept = {
            one.event.event_type
            for one in road.hub.exchange.log.read(0, 10_000)
            if isinstance(one.event, stored.EventAccepted)
        }
        assert kept == set(kinds) - {"RecordCorrected"}
        assert len(report.statements) == len(kept)
        assert found(whole, canaries) == set()
        shown = 0
        for agency in AGENCIES:
            try:
                data = made(road.hub, case="C1", holder=agency)
            except Refused:
                continue
            report = checked(data, road.hub)
            opened = {(one.position, one.category) for one in report.content}
            category = {canary.word: (canary.event, canary.category) for canary in canaries}
            types = {p: s.row.value["event_type"] for p, s in report.statements.items()}
            allowed = {(types[position], name) for position, name in opened}
            for word in found(data, canaries):
                event_id, name = category[word]
                assert (kind_of[event_id], name) in allowed
                shown += 1
            assert not any(name.endswith("routing") for name in members(data))
        assert shown
    finally:
        road.close()
