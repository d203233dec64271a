"""A scenario file, read and checked: who takes part, what they publish, what must follow.

    {"scenarios": [SCENARIO, …]}  or one SCENARIO:
    {"id": "S1", "agencies": {"NGO-1": "ngo_support", …},
     "events": [{"id": "S1.001", "t": "2026-03-02T09:00:00Z", "case": "C1", "agency": "NGO-1",
                 "type": "CaseOpened", "data": {…}, "categories": […], "expected": {…}}, …],
     "final_holdings": {…}, "assertions": […]}

Only `agencies` and, of each event, `t`, `case`, `agency`, `type` and `data` are needed: what is
not expected is not compared. docs/scenarios.md tells the whole format. What is wrong in a file is
found before anything runs, and named with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from hub.domain.parties import HUB_ROLE
from hub.errors import HubError
from schemas.registry import Schemas

HUB = "HUB"
_NAMESPACE = UUID("0d6ad2b1-6c5e-5f0a-8a54-3f3c1d2e9b70")
_AGENCY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NEEDED = ("t", "case", "agency", "type", "data")


class ScenarioError(HubError):
    """A scenario file cannot be run; the message says where it is wrong."""


@dataclass(frozen=True)
class ScriptEvent:
    """One event as the file has it. `uuid` is its id on the wire, derived from the file's."""

    id: str
    uuid: UUID
    at: datetime
    case: str
    subject: str
    agency: str
    type: str
    data: Mapping[str, Any]
    categories: tuple[str, ...] | None = None
    expected: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Scenario:
    """One story. `agencies`: id → role, the hub's own included if it publishes anything."""

    id: str
    title: str
    agencies: Mapping[str, str]
    events: tuple[ScriptEvent, ...]
    final_holdings: Mapping[str, Any] | None = None
    assertions: Sequence[Sequence[Any]] = field(default_factory=tuple)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who could be sent something: all but the hub."""
        return tuple(sorted(a for a, role in self.agencies.items() if role != HUB_ROLE))

    @property
    def ids(self) -> dict[UUID, str]:
        """Ids on the wire → ids in the file."""
        return {event.uuid: event.id for event in self.events}


def load(path: Path) -> list[Scenario]:
    """Every scenario of a file. ScenarioError names file and place of the first mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as missing:
        raise ScenarioError(f"{path}: cannot be read ({missing.strerror})") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: is not UTF-8 text") from None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as wrong:
        raise ScenarioError(f"{path}:{wrong.lineno}: not JSON: {wrong.msg}") from None
    except (ValueError, RecursionError):
        raise ScenarioError(f"{path}: is nested too deep, or holds too long a number") from None
    listed = document
    if isinstance(document, Mapping):
        listed = document.get("scenarios", [document])
    if not isinstance(listed, list) or not listed:
        raise ScenarioError(f'{path}: holds no scenario; see "Format" in docs/scenarios.md')
    found = [read(one, f"{path.name}", path.stem) for one in listed]
    names = [one.id for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ScenarioError(f"{path}: two scenarios have the id {name!r}")
    return found


def read(document: Any, place: str = "scenario", name: str = "scenario") -> Scenario:
    """One scenario from its JSON object."""
    if not isinstance(document, Mapping):
        raise ScenarioError(f"{place}: a scenario is a JSON object")
    scenario_id = str(document.get("id", name))
    place = f"{place}: {scenario_id}"
    agencies = _agencies(document.get("agencies"), place)
    listed = document.get("events")
    if not isinstance(listed, list) or not listed:
        raise ScenarioError(f"{place}: `events` is a list of at least one event")
    uuids = _uuids(scenario_id, listed, place)
    events = tuple(
        _event(scenario_id, number, one, uuids, place) for number, one in enumerate(listed, 1)
    )
    for event in events:
        if event.agency == HUB:
            agencies.setdefault(HUB, HUB_ROLE)
        if event.agency not in agencies:
            raise ScenarioError(f"{place}, {event.id}: agency {event.agency!r} is not in agencies")
    assertions = document.get("assertions") or []
    if not isinstance(assertions, list):
        raise ScenarioError(f"{place}: `assertions` is a list")
    holdings = document.get("final_holdings")
    if holdings is not None and not isinstance(holdings, Mapping):
        raise ScenarioError(f"{place}: `final_holdings` is an object")
    return Scenario(
        scenario_id,
        str(document.get("title", "")),
        agencies,
        events,
        holdings,
        tuple(assertions),
    )


def _agencies(listed: Any, place: str) -> dict[str, str]:
    if not isinstance(listed, Mapping) or not listed:
        raise ScenarioError(f"{place}: `agencies` maps the id of each agency to its role")
    for agency, role in listed.items():
        if not _AGENCY.fullmatch(agency) or not isinstance(role, str):
            raise ScenarioError(
                f"{place}: agency {agency!r}: use letters, digits, '.', '_' and '-' for the id and "
                "a role of the policy profile"
            )
    return dict(listed)


def _uuids(scenario_id: str, listed: Sequence[Any], place: str) -> dict[str, UUID]:
    uuids: dict[str, UUID] = {}
    for number, one in enumerate(listed, 1):
        if not isinstance(one, Mapping):
            raise ScenarioError(f"{place}, event {number}: an event is a JSON object")
        name = _name(scenario_id, number, one)
        if name in uuids:
            raise ScenarioError(f"{place}: two events have the id {name!r}")
        uuids[name] = uuid5(_NAMESPACE, f"{scenario_id}\n{name}")
    return uuids


def _name(scenario_id: str, number: int, one: Mapping[str, Any]) -> str:
    return str(one.get("id", f"{scenario_id}.{number:03}"))


def _event(
    scenario_id: str,
    number: int,
    one: Mapping[str, Any],
    uuids: Mapping[str, UUID],
    place: str,
) -> ScriptEvent:
    name = _name(scenario_id, number, one)
    place = f"{place}, {name}"
    missing = [part for part in _NEEDED if part not in one]
    if missing:
        raise ScenarioError(f"{place}: {', '.join(missing)} missing")
    if not isinstance(one["data"], Mapping):
        raise ScenarioError(f"{place}: `data` is an object")
    expected = one.get("expected")
    if expected is not None and not isinstance(expected, Mapping):
        raise ScenarioError(f"{place}: `expected` is an object")
    categories = one.get("categories")
    return ScriptEvent(
        id=name,
        uuid=uuids[name],
        at=_instant(one["t"], place),
        case=str(one["case"]),
        subject=str(one.get("subject", one["case"])),
        agency=str(one["agency"]),
        type=str(one["type"]),
        data=_with_ids(str(one["type"]), one["data"], uuids),
        categories=None if categories is None else tuple(sorted(set(categories))),
        expected=expected,
    )


def _instant(text: Any, place: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise ScenarioError(f"{place}: `t` is an ISO 8601 time, not {text!r}") from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _with_ids(
    event_type: str, data: Mapping[str, Any], uuids: Mapping[str, UUID]
) -> dict[str, Any]:
    """References to events of the file become their ids on the wire; others stay as they are."""
    try:
        fields = Schemas.load().by_type(event_type).fields
    except KeyError:
        return dict(data)  # refused later, by name, as any unknown type
    references = {one.name for one in fields if one.ref == "event"}

    def wire(value: Any) -> Any:
        if isinstance(value, list):
            return [wire(one) for one in value]
        return str(uuids[value]) if isinstance(value, str) and value in uuids else value

    return {name: wire(value) if name in references else value for name, value in data.items()}
