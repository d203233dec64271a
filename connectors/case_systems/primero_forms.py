"""Primero's forms as the connector needs them: the fields of a case, its subforms, their options.

Pure. `read_forms()` takes what the server says; `mismatches()` compares a mapping file with it;
`shown_as()` makes a field's JSON of a value. Which forms and fields there are is each instance's
own configuration: nothing of it is assumed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from connectors.case_systems.mapping import ANYTHING, CaseMapping, Form, Mismatch, Target
from connectors.case_systems.told import word
from connectors.tables.columns import to_boolean, to_date, to_integer, to_text, to_timestamp

FORM: Final = Form(
    settings={"rows": "the name of a subform field, each event one row of it"},
    groups={
        "case": "fields of the case",
        "row": "fields of the subform's rows",
        "refer": "whom the case is referred to, by an event",
    },
)

REFER: Final = (
    "transitioned_to",
    "remote",
    "transitioned_to_remote",
    "transitioned_to_agency",
    "service",
    "consent_overridden",
    "authorized_role_unique_id",
)
"""What a referral may say. Nothing free: it is never removed there, only revoked."""

STATUS: Final = frozenset({"open", "closed", "transferred", "identified"})
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "text_field": ANYTHING,
    "textarea": ANYTHING,
    "numeric_field": frozenset({"integer"}),
    "date_field": frozenset({"date", "timestamp"}),
    "tick_box": frozenset({"boolean"}),
    "select_box": frozenset({"text", "json", "boolean"}),
    "radio_button": frozenset({"text", "boolean"}),
}


@dataclass(frozen=True)
class FormField:
    """One field. options: what it takes; None if that is not known. emptied: its empty value."""

    name: str
    type: str
    options: frozenset[str] | None = None
    multi: bool = False
    timed: bool = False
    emptied: Any = None


@dataclass(frozen=True)
class Forms:
    """fields: of the case. rows: subform field → the fields of its rows."""

    fields: Mapping[str, FormField]
    rows: Mapping[str, Mapping[str, FormField]]

    @property
    def names(self) -> frozenset[str]:
        """Every name that may be repeated in a message."""
        inner = (name for fields in self.rows.values() for name in fields)
        return frozenset((*self.fields, *self.rows, *inner))


def read_forms(forms: Sequence[Mapping[str, Any]], lookups: Sequence[Mapping[str, Any]]) -> Forms:
    """From the server's JSON. KeyError, TypeError or AttributeError if it is something else."""
    options = {
        one["unique_id"]: frozenset(str(value["id"]) for value in one["values"]) for one in lookups
    }
    nested = {
        one["id"]: {word(f["name"]): _field(f, options) for f in one.get("fields", [])}
        for one in forms
        if one.get("is_nested")
    }
    fields, rows = {"status": FormField("status", "select_box", STATUS, emptied="open")}, {}
    for one in forms:
        for said in [] if one.get("is_nested") else one.get("fields", []):
            if said["type"] == "subform":
                rows[word(said["name"])] = nested.get(said.get("subform_section_id"), {})
            else:
                fields[word(said["name"])] = _field(said, options)
    return Forms(fields, rows)


def _field(said: Mapping[str, Any], lookups: Mapping[str, frozenset[str]]) -> FormField:
    source = str(said.get("option_strings_source") or "")
    options = None
    if source.startswith("lookup "):
        options = lookups.get(source.removeprefix("lookup ").strip())
    elif isinstance(said.get("option_strings_text"), list):
        options = frozenset(str(one["id"]) for one in said["option_strings_text"])
    ticked = said["type"] == "tick_box"
    return FormField(
        word(said["name"]),
        word(said["type"]),
        options,
        bool(said.get("multi_select")),
        bool(said.get("date_include_time")),
        False if ticked else None,
    )


def mismatches(mapping: CaseMapping, forms: Forms) -> list[Mismatch]:
    """Everything in the file that does not fit the forms."""
    found: list[Mismatch] = []
    for one in mapping.maps:
        for target in one.targets("case"):
            found += _place(target, forms.fields, f"the forms have no field {target.name}")
        rows = one.settings.get("rows")
        if rows is not None and rows not in forms.rows:
            text = f"the forms have no subform {rows} (for {one.event})"
            found.append(Mismatch(one.line, text, "add it to a form, or correct the name"))
        elif rows is None and one.targets("row"):
            text = f"{one.event} fills rows of no subform"
            found.append(Mismatch(one.line, text, 'say which: rows = "…"'))
        for target in one.targets("row") if rows in forms.rows else ():
            found += _place(target, forms.rows[rows or ""], f"{rows} has no field {target.name}")
        found += _referral(one.targets("refer"), one.line)
    return found


def _place(target: Target, fields: Mapping[str, FormField], missing: str) -> Iterator[Mismatch]:
    one = fields.get(target.name)
    if one is None:
        fix = "add it to a form this account may write, or correct the name"
        yield Mismatch(target.line, missing, fix)
        return
    suited = _TAKES.get(one.type)
    if suited is None:
        text = f"{one.name} is a {one.type}, which this connector does not fill"
        yield Mismatch(target.line, text, "map to a field of another type")
    elif target.kind not in suited or (
        target.kind == "json" and "select" in one.type and not one.multi
    ):
        several = "several values" if target.kind == "json" else f"a {target.kind}"
        text = f"{one.name} is a {one.type}, the value {several}"
        yield Mismatch(target.line, text, "translate it with codes, add type = …, or map elsewhere")
    if target.source.name == "fields" and one.type != "textarea":
        text = f"{one.name} is too short for all fields of an event"
        yield Mismatch(target.line, text, "use a textarea")
    missing_options = sorted(set(target.outputs or ()) - one.options) if one.options else []
    if missing_options:
        text = f"the options of {one.name} lack {', '.join(missing_options)}"
        yield Mismatch(target.line, text, "translate with codes, or add them to the lookup")


def _referral(targets: Sequence[Target], line: int) -> Iterator[Mismatch]:
    if targets and not {"transitioned_to", "remote"} & {one.name for one in targets}:
        fix = 'add transitioned_to = { field = "to_agency", codes = "…" }, or remote'
        yield Mismatch(line, "a referral goes to nobody", fix)
    for target in targets:
        if target.name not in REFER:
            text = f"a referral has no {target.name} that can be filled"
            yield Mismatch(target.line, text, f"use {', '.join(REFER)}")


def shown_as(value: Any, field: FormField) -> Any:
    """The JSON Primero keeps for a value. ValueError."""
    if field.type == "tick_box":
        return to_boolean(value)
    if field.type == "numeric_field":
        return to_integer(value)
    if field.type == "date_field":
        if field.timed:
            return to_timestamp(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return to_date(value).isoformat()
    if field.multi:
        return [to_text(one) for one in (value if isinstance(value, list) else [value])]
    return to_text(value)
