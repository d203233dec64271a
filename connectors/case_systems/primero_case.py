"""One case on its way into Primero: what is there, what is to be there, and what is sent for it.

    case  → one case, under an id of ours        event → perhaps a row of a subform, and a referral

What the partner added stays: fields that no map names, rows of others. A row of ours that is gone
but holds what they added is emptied of ours, not deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.case_systems.filling import Written, ours_of, ours_of_case, written
from connectors.case_systems.mapping import CaseMapping, Filling
from connectors.case_systems.places import Places
from connectors.case_systems.primero_forms import FormField, Forms, shown_as
from connectors.errors import SinkRefusedError
from connectors.remote.copies import CaseChange, Kept

_SPACE: Final = uuid.UUID("6b0c4a52-6c55-5a0f-9a76-1c3c0b6e5d10")
RECEIVER: Final = ("transitioned_to", "transitioned_to_remote", "transitioned_to_agency")
"""To whom a referral goes: a user here, or somebody elsewhere (`remote`)."""

_ROW_OWN: Final = frozenset({"unique_id", "_destroy"})


@dataclass(frozen=True)
class Desk:
    """Where cases go. hub, agency: what their ids are derived from. module: of new cases."""

    hub: str
    agency: str
    module: str
    forms: Forms
    mapping: CaseMapping
    places: Places

    def uuid(self, name: str) -> str:
        """The id of a case or a row: always the same for the same name."""
        return str(uuid.uuid5(_SPACE, f"{self.hub}\0{self.agency}\0{name}"))

    def record(self, case_ref: str) -> str:
        return self.uuid(f"case {case_ref}")

    def ours(self, event_ref: str, event_type: str) -> Mapping[str, str]:
        """Fields of an event's row that hold ours, with their fillers."""
        return ours_of(self.places.filled(event_ref), self.mapping, event_type, "row")

    def rows(self, event_type: str) -> str | None:
        one = self.mapping.of(event_type)
        return one.settings.get("rows") if one else None


@dataclass
class RecordedCase:
    """found: the case as it is there; None if there is none."""

    desk: Desk
    change: CaseChange
    found: Mapping[str, Any] | None
    events: list[Kept]
    fields: Mapping[str, Filling]
    stated: set[tuple[str, str]] = field(default_factory=set)
    ours: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, desk: Desk, change: CaseChange, found: Mapping[str, Any] | None) -> RecordedCase:
        events = [one for one in change.events() if desk.mapping.of(one.event_type)]
        case = cls(desk, change, found, events, desk.mapping.filled(events, "case"))
        case.stated = {
            (one.event_ref, name) for one in events for name in desk.mapping.filled([one], "case")
        }
        known = desk.places.filled(case.record)
        case.ours = ours_of_case(known, desk.mapping, "case", there=found is not None)
        return case

    @property
    def record(self) -> str:
        return f"case {self.change.case_ref}"

    @property
    def id(self) -> str:
        return self.desk.record(self.change.case_ref)

    @property
    def touched(self) -> list[Kept]:
        """The events to send: those that changed; all, into a new case."""
        if self.found is None:
            return self.events
        changed = {one.event_ref for one in self.change.changed}
        return [one for one in self.events if one.event_ref in changed]

    # -- what is sent ----------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        """The fields to create or merge; empty if nothing is to be done."""
        if not self.events and self.found is None:
            return {}
        done = self._written()
        data: dict[str, Any] = {name: self.desk.forms.fields[name].emptied for name in done.empty}
        data |= _shown(done.fill, self.desk.forms.fields)
        for rows, row in self._rows():
            data.setdefault(rows, []).append(row)
        if self.found is None:
            return {"id": self.id, "module_id": self.desk.module, **data}
        if self.events and self.found.get("enabled") is False:
            data["record_state"] = True
        return data

    def fillings(self) -> Iterator[tuple[str, str, str]]:
        """(record, place, event) of all that data() fills."""
        if self.events:
            yield self.record, "*", ""
        for name, filling in self._written().fill.items():
            yield self.record, name, filling.event.event_ref
        for event in self.touched:
            yield event.event_ref, "*", event.event_ref
            for name in self._row_written(event).fill:
                yield event.event_ref, name, event.event_ref

    def emptied(self) -> Iterator[tuple[str, str]]:
        """(record, place) of all that is empty afterwards."""
        kept = {"*", *self.fields}
        return ((self.record, name) for name in self.ours if name not in kept)

    def sequence(self, names: tuple[str, ...]) -> int | None:
        """The delivery at fault when these fields are refused. None if that is not certain: the
        runner finds it out."""
        for name in names:
            if name in self.fields:
                return self.fields[name].event.sequence
        for event in self.touched:
            if set(names) & {*self.desk.mapping.filled([event], "row")}:
                return event.sequence
        return self.change.changed[0].sequence if len(self.change.changed) == 1 else None

    def _written(self) -> Written:
        return written(self.fields, self.ours, self.found or {}, self.stated)

    # -- rows ------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for event in self.touched:
            rows = self.desk.rows(event.event_type)
            if rows is None:
                continue
            takers, done = self.desk.forms.rows[rows], self._row_written(event)
            row = {name: takers[name].emptied for name in done.empty}
            yield rows, {"unique_id": self.desk.uuid(event.event_ref), **row,
                         **_shown(done.fill, takers)}  # fmt: skip
        for gone in self.change.gone:
            one = self.desk.uuid(gone.event_ref)
            ours = self.desk.ours(gone.event_ref, gone.event_type)
            for rows, takers in self.desk.forms.rows.items():
                there = self._there(rows, one)
                if not there:
                    continue
                theirs = {n for n in set(there) - set(ours) - _ROW_OWN if said(there[n])}
                if theirs:
                    empty = {n: takers[n].emptied for n in ours if n in there and n in takers}
                    yield rows, {"unique_id": one, **empty}
                else:
                    yield rows, {"unique_id": one, "_destroy": True}

    def _row_written(self, event: Kept) -> Written:
        rows = self.desk.rows(event.event_type)
        wanted = self.desk.mapping.filled([event], "row")
        there = self._there(rows, self.desk.uuid(event.event_ref)) if rows else {}
        ours = self.desk.ours(event.event_ref, event.event_type)
        return written(wanted, ours, there, {(event.event_ref, name) for name in wanted})

    def _there(self, rows: str, one: str) -> Mapping[str, Any]:
        return rows_of(self.found or {}, rows).get(one, {})

    # -- referrals -------------------------------------------------------------------------

    def referral(self, event: Kept) -> dict[str, Any] | None:
        """What this event's referral says; None if it makes none."""
        said = {}
        for name, filling in self.desk.mapping.filled([event], "refer").items():
            value = filling.value
            if isinstance(value, list):  # Primero names one service; of several, none is the one
                value = value[0] if len(value) == 1 else None
            if value is not None:
                said[name] = value
        if not any(said.get(name) for name in RECEIVER):
            return None
        if self.desk.rows(event.event_type):
            said["service_record_id"] = self.desk.uuid(event.event_ref)
        return {**said, "notes": self.mark(event.event_ref)}

    def mark(self, event_ref: str) -> str:
        """By this a referral of ours is known again, after an answer that was lost."""
        return f"NRM {self.desk.uuid(event_ref)}"


def unkept(data: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Names of fields that were sent and are not there, or were emptied and still are."""
    lost: dict[str, None] = {}
    for name, value in data.items():
        if name in ("id", "module_id", "record_state"):
            continue
        if not (isinstance(value, list) and value and isinstance(value[0], dict)):
            if said(value) != said(there.get(name)):
                lost[name] = None
            continue
        kept = rows_of(there, name)
        for row in value:
            found = kept.get(row["unique_id"])
            if row.get("_destroy") or found is None:
                if row.get("_destroy") is not True or found is not None:
                    lost[name] = None
                continue
            lost.update({n: None for n in row if said(row[n]) != said(found.get(n))})
    return list(lost)


def rows_of(case: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    """The rows of a subform by their ids."""
    rows = case.get(name)
    given = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return {str(row.get("unique_id")): row for row in given}


def said(value: Any) -> bool:
    """Whether a field of theirs says something."""
    return value not in (None, "", [], False)


def _shown(fill: Mapping[str, Filling], takers: Mapping[str, FormField]) -> dict[str, Any]:
    shown = {}
    for name, filling in fill.items():
        try:
            shown[name] = shown_as(filling.value, takers[name])
        except (ValueError, TypeError):
            event = filling.event
            told = f"{event.event_type}.{filling.target.source.name} does not fit {name}"
            raise SinkRefusedError("value_unsuitable", told, event.sequence) from None
    return shown
