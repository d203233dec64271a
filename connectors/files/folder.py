"""The kind `folder`: files into a folder of this machine, or one that is mounted here.

[sink]
kind = "folder"
[sink.options]
path = "drop"
format = "csv"
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from connectors.agency.identity import AgencyIdentity
from connectors.files.drop import Drop, LocalDrop
from connectors.files.formats import Forms
from connectors.files.kept import Answers
from connectors.files.manifest import Signer
from connectors.files.seal import Age
from connectors.files.sink import FilesSink
from connectors.kinds import Place
from schemas.registry import Schemas


class FileOptions(BaseModel):
    """What every kind that writes files can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    """jsonl (one file a batch), csv or parquet (one file a batch and event type)."""

    encrypt_to: tuple[str, ...] = ()
    """age recipients (age1… or ssh-ed25519 …); files are encrypted to them if one is given."""

    recall_answers: Answers = "when_taken"
    """When a recall waits for the partner's answer file: when_taken, always or never."""

    state: Path = Path("files.state.db")
    """The books, on a disk of this machine; with its journal and the age key beside it."""


class Options(FileOptions):
    """Settings of the kind `folder`."""

    path: Path
    """The folder; it must be there."""


def open_sink(options: Options, place: Place) -> FilesSink:
    return open_files(options, place, LocalDrop(place.file(options.path)))


def open_files(options: FileOptions, place: Place, drop: Drop) -> FilesSink:
    """The sink over this drop. SettingsError if a recipient is none."""
    state = place.file(options.state)
    age = None
    if options.encrypt_to:
        age = Age(options.encrypt_to, state.with_name(state.name + ".age"))
    identity = AgencyIdentity.load(place.home)
    return FilesSink(
        state,
        drop,
        Forms(options.format, Schemas.load()),
        Signer(place.agency, place.hub, identity.signing),
        age=age,
        answers=options.recall_answers,
        recalls=place.recalls,
    )
