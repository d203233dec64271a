"""Stories as the verifier's rules are told them, and the program that decides them again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hub.domain.case import CaseEvent
from hub.domain.parties import Parties
from hub.domain.policy import default_document, default_profile
from hub.domain.settlement import Settlement
from schemas.registry import Schemas
from tests.scenarios.rules_alone import parties_of, play

HERE = Path(__file__).parent
PROFILE, DOCUMENT = default_profile(), default_document()
MICROS = 1_000_000


def catalogue() -> dict[str, Any]:
    known = {name: Schemas.load().by_type(name) for name in Schemas.load().types()}
    return {
        "groups": {name: schema.group for name, schema in known.items()},
        "fields": {
            name: {field.name: field.category for field in schema.fields}
            for name, schema in known.items()
        },
    }


def told_event(event: CaseEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "id": event.event_id,
        "type": event.type,
        "emitter": event.emitter,
        "role": event.role,
        "at": round(event.at.timestamp() * MICROS),
        "categories": list(event.categories),
        "facts": dict(event.facts),
    }


def told_parties(parties: Parties) -> list[dict[str, Any]]:
    return [asdict(party) for party in parties.all()]


def told(
    name: str,
    parties: Parties,
    steps: Iterable[tuple[str, CaseEvent, Settlement]],
    document: Mapping[str, Any] = DOCUMENT,
) -> dict[str, Any]:
    """steps: case, event as it came, what the product decided."""
    return {
        "name": name,
        "profile": document,
        "parties": told_parties(parties),
        "partiesVersion": parties.version,
        "events": [
            {"case": case, "event": told_event(event), "settlement": settlement.to_record()}
            for case, event, settlement in steps
        ],
    }


def played(name: str, scenario: Mapping[str, Any], *, guarded: bool) -> dict[str, Any]:
    """A scenario as the product decides it; what a guard refuses is not in it."""
    steps = zip(scenario["events"], play(scenario, PROFILE, guarded=guarded), strict=True)
    taken = [
        (str(written["case"]), step.event, step.settlement)
        for written, step in steps
        if step.settlement is not None
    ]
    return told(name, parties_of(scenario), taken)


def decided_again(stories: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every story decided again by the verifier's rules: what was compared and what differs."""
    lines = "\n".join(json.dumps(one) for one in (catalogue(), *stories))
    done = subprocess.run(
        ["node", str(HERE / "decide.mjs")],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        yield json.loads(line)
