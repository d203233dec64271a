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
from connectors.files.age import Age
from connectors.files.drop import Drop, LocalDrop
from connectors.files.formats import Forms
from connectors.files.kept import Answers
from connectors.files.manifest import Signer
from connectors.files.openpgp import OpenPgp
from connectors.files.seal import Seal
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

    openpgp_certificates: tuple[Path, ...] = ()
    """Files with one OpenPGP certificate each, as `gpg --armor --export` makes them: files are
    encrypted to all of them. With `encrypt_to` too, new files are OpenPGP and old ones stay."""

    recall_answers: Answers = "when_taken"
    """When a recall waits for the partner's answer file: when_taken, always or never."""

    state: Path = Path("files.state.db")
    """The books, on a disk of this machine; with their journal and keys beside them."""


class Options(FileOptions):
    """Settings of the kind `folder`."""

    path: Path
    """The folder; it must be there."""


def open_sink(options: Options, place: Place) -> FilesSink:
    return open_files(options, place, LocalDrop(place.file(options.path)))


def open_files(options: FileOptions, place: Place, drop: Drop) -> FilesSink:
    """The sink over this drop. SettingsError if a recipient or certificate is none."""
    state = place.file(options.state)
    seals: list[Seal] = []
    if options.openpgp_certificates:
        certificates = [place.file(path) for path in options.openpgp_certificates]
        seals.append(OpenPgp(certificates, state.with_name(state.name + OpenPgp.suffix)))
    if options.encrypt_to:
        seals.append(Age(options.encrypt_to, state.with_name(state.name + Age.suffix)))
    identity = AgencyIdentity.load(place.home)
    return FilesSink(
        state,
        drop,
        Forms(options.format, Schemas.load()),
        Signer(place.agency, place.hub, identity.signing),
        seals=seals,
        answers=options.recall_answers,
        recalls=place.recalls,
    )
