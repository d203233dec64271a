"""A bench over sinks that write files: what a partner makes of the folder, and every byte there."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyrage

from connectors.files.manifest import verify
from connectors.files.sink import FilesSink
from connectors.sink import RecallPolicy
from hub.crypto.signing import SigningKey
from schemas.registry import Schemas

KEY = SigningKey.from_private(bytes(range(32)))

Open = Callable[[RecallPolicy | None, Schemas], FilesSink]


def schemas() -> Schemas:
    """A registry of one's own, to which a test may add."""
    return Schemas(s.document for s in map(Schemas.load().by_type, Schemas.load().types()))


class FileBench:
    """`folder`: where the files are. `state`: the books. `opening` makes a sink over them."""

    def __init__(
        self, folder: Path, state: Path, opening: Open, age: tuple[Path, str] | None = None
    ) -> None:
        """age: identity file and recipient of the partner, who opens files with the program."""
        self.folder = folder
        self.state = state
        self.schemas = schemas()
        self.age = age
        self.switch: Callable[[bool], object] = lambda there: None
        self._opening = opening
        self._sinks: list[FilesSink] = []
        self._read: tuple[object, list[dict[str, Any]]] = (None, [])

    def open(self, recalls: RecallPolicy | None = None) -> FilesSink:
        sink = self._opening(recalls, self.schemas)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.switch(False)
        yield
        self.switch(True)

    # -- what a partner does ---------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Every row of every file that a verified manifest lists, in order of sequence."""
        as_it_lies = [(one.name, one.stat().st_mtime_ns, one.stat().st_ino) for one in self._all()]
        if self._read[0] == as_it_lies:
            return self._read[1]
        found = []
        for name in self.listed():
            data = (self.folder / name).read_bytes()
            if name.endswith(".age"):
                data = self.opened(data)
            found += list(read(name.removesuffix(".age"), data))
        self._read = as_it_lies, sorted(found, key=lambda row: int(row["sequence"]))
        return self._read[1]

    def _all(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    def listed(self) -> list[str]:
        names = []
        for path in sorted(self.folder.glob("batch-*.manifest.json")):
            verify(KEY.public, path.read_bytes(), Path(f"{path}.sig").read_bytes())
            for one in json.loads(path.read_bytes())["files"]:
                if not (self.folder / one["name"]).exists():
                    continue  # the partner has taken it
                data = (self.folder / one["name"]).read_bytes()
                assert hashlib.sha256(data).hexdigest() == one["sha256"], one["name"]
                assert len(data) == one["bytes"]
                names.append(one["name"])
        return names

    def opened(self, data: bytes) -> bytes:
        """As the partner would; test_files.py does it by the real program."""
        assert self.age is not None
        text = self.age[0].read_text().splitlines()[-1]
        return bytes(pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(text)]))

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        mine = [row for row in self.rows() if row["event_ref"] == event_ref]
        if not mine:
            return None
        schema = self.schemas.by_type(mine[0]["event_type"])
        shown: dict[str, Any] = {one.name: None for one in schema.fields}
        for row in mine:
            shown.update({k: v for k, v in row.items() if v is not None})
        return shown

    def stored(self) -> bytes:
        """Every byte of folder and books; and packed files as what is in them."""
        places = [*self.folder.rglob("*"), *self.state.parent.glob(self.state.name + "*")]
        pieces = [path.read_bytes() for path in sorted(places) if path.is_file()]
        for path in self.folder.glob("*-*.*"):
            data = path.read_bytes()
            if path.name.endswith(".age"):
                data = self.opened(data)
            if path.name.removesuffix(".age").endswith(".parquet"):
                data = repr(list(read("x.parquet", data))).encode()
            pieces.append(data)
        return b"\n".join(pieces)


_DUCK = duckdb.connect()
_READERS = {
    ".csv": """read_csv(?, header = true, all_varchar = true, delim = ',', quote = '"',
        escape = '"', new_line = '\\r\\n', allow_quoted_nulls = false, max_line_size = 20000000)""",
    ".parquet": "read_parquet(?)",
}


def read(name: str, data: bytes) -> Iterable[dict[str, Any]]:
    """Rows as others' programs read them: Python's json, and DuckDB."""
    if name.endswith(".jsonl"):
        for text in data.decode().splitlines():
            line = json.loads(text)
            fields = line.pop("fields")
            said = {k: v for part in fields.values() for k, v in part.items()}
            yield {**line, **{f"{k}_stated" if k in line else k: v for k, v in said.items()}}
        return
    suffix = Path(name).suffix
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        result = _DUCK.execute(f"SELECT * FROM {_READERS[suffix]}", [file.name])
        names = [column[0] for column in result.description or ()]
        for cells in result.fetchall():
            for key, cell in (row := dict(zip(names, cells, strict=True))).items():
                if suffix == ".csv" and cell is not None:
                    row[key] = cell.removeprefix("'")  # as docs/connect-sftp.md says
                if hasattr(cell, "isoformat"):
                    row[key] = cell.isoformat()
                if key in ("new_value", "categories", "bases") and cell is not None:
                    row[key] = json.loads(row[key])
            yield row


def age_keys(folder: Path) -> tuple[Path, str]:
    """A partner's identity, in a file as age-keygen writes it, and its recipient."""
    path, made = folder / "partner.age", pyrage.x25519.Identity.generate()
    path.write_text(f"# public key: {made.to_public()}\n{made}\n")
    return path, str(made.to_public())
