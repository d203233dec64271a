"""Kinds of sinks this package brings besides `sql` and `jsonl`, each in a module of its own.

    [sink]
    kind = "webhook"
    [sink.options]          # the module's Options, checked whole
    url = "https://…"

A module here has a pydantic model `Options` and a function `open_sink(options, place) -> Sink`,
which opens nothing but what it needs to be made: `prepare()` reaches the partner's system.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from connectors.errors import SettingsError
from connectors.given import beside
from connectors.sink import RecallPolicy, Sink


@dataclass(frozen=True, slots=True)
class Place:
    """Whose sink it is, and where its files are. folder: what relative paths are relative to."""

    agency: str
    hub: str
    home: Path
    folder: Path
    recalls: RecallPolicy

    def file(self, path: Path) -> Path:
        return beside(self.folder, path)


@dataclass(frozen=True, slots=True)
class Kind:
    """module: its import path. summary: where deliveries go, in half a line."""

    module: str
    summary: str


KINDS: Final[Mapping[str, Kind]] = {
    "fhir": Kind("connectors.fhir", "resources of a FHIR R4 server"),
    "folder": Kind("connectors.files.folder", "files (JSON Lines, CSV, Parquet) in a folder"),
    "relay": Kind("connectors.relay.sink", "keyed messages in the partner's own Kafka"),
    "sftp": Kind("connectors.files.sftp", "files on a server over SFTP"),
    "webhook": Kind("connectors.remote.webhook", "signed requests to a web service of yours"),
    "dhis2": Kind("connectors.case_systems.dhis2", "a tracker program of a DHIS2 instance"),
    "primero": Kind("connectors.case_systems.primero", "the cases of a Primero instance"),
}
"""Name in `sink.kind` → the kind."""


def open_kind(name: str, options: Mapping[str, Any], place: Place) -> Sink:
    """The sink of this kind. SettingsError names every option that is wrong."""
    module = import_module(KINDS[name].module)
    try:
        checked = module.Options.model_validate(options)
    except ValidationError as wrong:
        raise SettingsError(mistakes(wrong, "sink.options")) from None
    sink: Sink = module.open_sink(checked, place)
    return sink


def mistakes(wrong: ValidationError, place: str = "") -> str:
    """Each mistake with its place, one a line; not the error's own text, which repeats the input,
    and that may be a password."""
    lines = []
    for one in wrong.errors(include_input=False, include_url=False):
        steps = [place] if place else []
        name = ".".join([*steps, *(str(step) for step in one["loc"])])
        lines.append(f"  {name or 'file'}: {one['msg']}")
    return "\n".join(lines)
