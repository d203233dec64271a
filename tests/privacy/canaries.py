"""Canaries: a unique word in every free-text field of a scenario, and how to look for them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.registry import Field, Schemas

COMMON = "Kanarie"
GZIP = b"\x1f\x8b\x08"


@dataclass(frozen=True)
class Canary:
    """A word planted in one field of one event."""

    word: str
    event: str
    category: str

    def shapes(self) -> Iterator[bytes]:
        """The word as it might lie in a file: raw, hexadecimal, base64, UTF-16."""
        raw = self.word.encode()
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        # In base64 a text looks different at each of three offsets; compare the stable middle.
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + raw)
            yield encoded[4 : len(encoded) - 4]
        yield self.word.encode("utf-16-le")


def planted(document: dict[str, Any]) -> tuple[dict[str, Any], list[Canary]]:
    """The scenario with a canary in every free-text field, and the canaries."""
    schemas = Schemas.load()
    canaries: list[Canary] = []
    for event in document["events"]:
        schema = schemas.by_type(event["type"])
        for name, value in event["data"].items():
            field = schema[name]
            if not _free_text(field):
                continue
            word = f"{COMMON}{document['id']}x{len(canaries):04d}Zz"
            event["data"][name] = [word] if isinstance(value, list) else word
            canaries.append(Canary(word, event["id"], field.category))
    return document, canaries


def _free_text(field: Field) -> bool:
    kind = field.avro
    if isinstance(kind, list):
        kind = next((branch for branch in kind if branch != "null"), kind)
    if isinstance(kind, dict) and kind.get("type") == "array":
        kind = kind["items"]
    return kind == "string" and not (field.ref or field.codelist)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def readings(path: Path) -> bytes:
    """A file's bytes (none if it was deleted meanwhile), and whatever in it is gzip, decompressed.

    Without the zeros at its end: servers make files large long before they fill them.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    content = content.rstrip(b"\0") + b"\0"
    found = [content]
    at = content.find(GZIP)
    while at >= 0:
        with suppress(zlib.error):
            found.append(zlib.decompressobj(31).decompress(content[at : at + (1 << 20)], 1 << 22))
        at = content.find(GZIP, at + 1)
    return b"".join(found) if len(found) > 1 else content


def found_in(paths: Iterable[Path], canaries: Iterable[Canary]) -> list[str]:
    """Where a canary stands in clear, as "word in file"."""
    wanted = list(canaries)
    found = []
    for path in paths:
        content = readings(path)
        # All words begin alike: most files are done with a few looks.
        if not any(shape in content for shape in Canary(COMMON, "", "").shapes()):
            continue
        found += [
            f"{canary.word} ({canary.category}) in {path.name}"
            for canary in wanted
            if any(shape in content for shape in canary.shapes())
        ]
    return found
