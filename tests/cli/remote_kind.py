"""A kind of sink whose system cannot hold our books, for trials: documents in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from pydantic import BaseModel

from connectors.kinds import Place
from connectors.landed import Landed
from connectors.remote.messages import Message, Messages
from connectors.remote.sink import RemoteSink
from connectors.sink import Sink


class Options(BaseModel):
    folder: Path


class Folder:
    """One file per event; gone when all its categories are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        self._folder.mkdir(exist_ok=True)

    def send(self, messages: Sequence[Message]) -> None:
        for one in messages:
            path = self._folder / one.event_ref
            held = json.loads(path.read_text("utf-8")) if path.exists() else {}
            if one.kind == "event":
                held |= {name: dict(fields) for name, fields in one.fields.items()}
            elif one.kind == "recalled":
                held = {name: held[name] for name in held if name not in one.categories}
            path.write_text(json.dumps(held, default=str), "utf-8")
            if not held:
                path.unlink()

    def close(self) -> None:
        """Files are closed."""


class FolderSink(RemoteSink):
    def __init__(self, folder: Path, place: Place) -> None:
        self._documents = folder
        metadata = sa.MetaData()
        super().__init__(
            place.home / "folder.state.db", place.agency, place.hub,
            Messages(Folder(folder), metadata), metadata, place.recalls,
        )  # fmt: skip

    def landed(self) -> list[Landed]:
        return [
            Landed(self._documents.name, path.name, json.loads(path.read_text("utf-8")))
            for path in sorted(self._documents.iterdir())
        ]


def open_sink(options: Options, place: Place) -> Sink:
    return FolderSink(place.file(options.folder), place)
