"""Which format a file has: that of the settings for new ones, its own for those that lie there.

A file is rewritten when something of it is recalled, also long after the settings have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from connectors.files.records import Format, JsonLinesFormat
from connectors.files.seal import plain_name
from connectors.files.tables import CsvFormat, ParquetFormat
from schemas.registry import Schemas

FORMATS: Final[Mapping[str, Callable[[Schemas], Format]]] = {
    "jsonl": lambda _: JsonLinesFormat(),
    "csv": CsvFormat,
    "parquet": ParquetFormat,
}


class Forms:
    """The format of new files, and that of a file that lies there already: by its name."""

    def __init__(self, new: str, schemas: Schemas) -> None:
        """SettingsError if the format needs what is not installed."""
        self._schemas = schemas
        self._made: dict[str, Format] = {}
        self.new = self._form(new)

    def of(self, name: str) -> Format:
        return self._form(plain_name(name).rpartition(".")[2])

    def _form(self, suffix: str) -> Format:
        if suffix not in self._made:
            self._made[suffix] = FORMATS[suffix](self._schemas)
        return self._made[suffix]
