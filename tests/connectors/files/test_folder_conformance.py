"""The sink into files passes the conformance suite, as encrypted Parquet.

CSV is in test_sftp_conformance.py; JSON Lines and all of them in test_file_formats.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.conformance import OutageConformance, SinkConformance
from connectors.files.age import Age
from connectors.files.drop import LocalDrop
from connectors.files.formats import Forms
from connectors.files.manifest import Signer
from connectors.files.sink import FilesSink
from connectors.sink import RecallPolicy
from schemas.registry import Schemas
from tests.connectors.files.file_bench import KEY, FileBench, age_keys


def folder_bench(home: Path, form: str, *, encrypted: bool = False) -> FileBench:
    folder, state = home / "drop", home / "files.state.db"
    folder.mkdir()
    keys = age_keys(home) if encrypted else None

    def opening(recalls: RecallPolicy | None, known: Schemas) -> FilesSink:
        seals = [Age([keys[1]], home / "files.state.db.age")] if keys else []
        return FilesSink(
            state,
            LocalDrop(folder),
            Forms(form, known),
            Signer("POL-1", "test-hub", KEY),
            seals=seals,
            recalls=recalls,
        )

    return FileBench(folder, state, opening, keys)


class TestParquetEncrypted(SinkConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[FileBench]:
        bench = folder_bench(tmp_path, "parquet", encrypted=True)
        yield bench
        bench.close()


class TestFolderOutages(OutageConformance):
    """The share that the folder is on is gone for a while."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[FileBench]:
        bench = folder_bench(tmp_path, "jsonl")

        def switch(there: bool) -> None:
            places = [tmp_path / "elsewhere", bench.folder]
            places[not there].rename(places[there])

        bench.switch = switch
        yield bench
        bench.close()
