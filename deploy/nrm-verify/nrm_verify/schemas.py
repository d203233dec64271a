"""Event schemas as they came with the bundle: each is the text whose SHA-256 is its name."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nrm_verify.failure import Failure
from nrm_verify.strict_json import read_json

_FOLDER = "schemas/event/"


class Schemas:
    """What they say that decisions read: a type's group, a field's category (release.md 1.1, 4)."""

    def __init__(self, members: Mapping[str, memoryview]) -> None:
        self.by_id: dict[bytes, Mapping[str, Any]] = {}
        self._own: dict[tuple[bytes, str], str] = {}  # schema, field → category
        self._later: dict[tuple[str, str], str] = {}  # type, field → category
        for name, text in members.items():
            if name.startswith(_FOLDER):
                self._take(name.removeprefix(_FOLDER), bytes(text))

    def _take(self, name: str, text: bytes) -> None:
        digest = sha256(text).digest()
        if digest.hex() != name:
            raise Failure(10, "unknown_schema", f"the schema {name[:16]} is another text")
        try:
            document = read_json(text)
            kind = str(document["name"])
            str(document["group"])
            for field in document["fields"]:
                category, known = str(field.get("category") or "unreleasable"), str(field["name"])
                self._own[digest, known] = self._later[kind, known] = category
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Failure(10, "unknown_schema", f"the schema {name[:16]} is not one") from None
        self.by_id[digest] = document

    def group(self, schema_id: bytes) -> str:
        """Of the schema the event was signed under: no other can speak for it."""
        return str(self.by_id[schema_id]["group"])

    def category(self, schema_id: bytes, kind: str, field: str) -> str | None:
        """By the event's own schema; of a field added since, by another one of its type."""
        return self._own.get((schema_id, field)) or self._later.get((kind, field))

    def require(self, schema_id: bytes, kind: str, position: int) -> None:
        """The schema an event was signed under is here, and is of its type."""
        document = self.by_id.get(schema_id)
        if document is None or document["name"] != kind:
            raise Failure(
                10, "unknown_schema", f"row {position}: the schema of {kind} is not in the bundle"
            )
