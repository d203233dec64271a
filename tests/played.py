"""A shipped scenario played through a whole hub with a connector per partner."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from connectors.submit import Event
from schemas.registry import Schemas
from tests.depth import depth
from tests.road import Road

NAMES = depth(["S1", "S2", "S7"], ["S1", "S2", "S4", "S5", "S7", "S8", "S10"])


def scenario(name: str) -> dict[str, Any]:
    text = resources.files("hub.scenario").joinpath("shipped", f"{name}.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document.get("scenarios", [document])[0] if "scenarios" in document else document


def event_id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"test/{name}")


def play(
    folder: Path,
    document: dict[str, Any],
    *,
    around: Callable[[Road, Event, str], AbstractContextManager[None]] | None = None,
    **where: str,
) -> Road:
    """where: `store`, `keys` and `topics` URLs; embedded without. around: entered before each event
    is published by an agency, left when everything that followed from it has settled."""
    road = Road.open(folder, document["agencies"], **where)
    for agency in document["agencies"]:
        if agency != "HUB":
            road.partner(agency)
    schemas = Schemas.load()
    types = {event["id"]: event["type"] for event in document["events"]}
    for event in document["events"]:
        road.time.at = datetime.fromisoformat(event["t"])
        refs = {f.name for f in schemas.by_type(event["type"]).fields if f.ref == "event"}
        data = {
            name: str(event_id(value)) if name in refs and value in types else value
            for name, value in event["data"].items()
        }
        stated = Event(
            event["type"],
            event["case"],
            data,
            event_id=event_id(event["id"]),
            occurred_at=road.time.at,
            corrects_type=types.get(event["data"].get("corrects_event", "")),
        )
        with around(road, stated, event["agency"]) if around else nullcontext():
            [outcome] = road.publish_all(event["agency"], [stated])
            assert outcome.accepted, f"{event['id']}: {outcome}"
            road.settle()
    return road
