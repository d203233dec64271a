"""Event schemas as they came with the bundle: each is the text whose SHA-256 is its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from nrm_verify.failure import Failure

_FOLDER = "schemas/event/"


class Schemas:
    """What they say that decisions read: a type's group, a field's category (release.md 1.1, 4)."""

    def __init__(self, members: Mapping[str, memoryview]) -> None:
        self.by_id: dict[bytes, Mapping[str, Any]] = {}
        self._groups: dict[str, str] = {}
        self._categories: dict[tuple[str, str], str] = {}
        for name, text in members.items():
            if name.startswith(_FOLDER):
                self._take(name.removeprefix(_FOLDER), bytes(text))

    def _take(self, name: str, text: bytes) -> None:
        digest = sha256(text).digest()
        if digest.hex() != name:
            raise Failure(10, "unknown_schema", f"the schema {name[:16]} is another text")
        try:
            document = json.loads(text)
            kind = str(document["name"])
            self._groups[kind] = str(document["group"])
            for field in document["fields"]:
                category = str(field.get("category") or "unreleasable")
                self._categories[kind, str(field["name"])] = category
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise Failure(10, "unknown_schema", f"the schema {name[:16]} is not one") from None
        self.by_id[digest] = document

    def group(self, kind: str) -> str:
        return self._groups[kind]

    def category(self, kind: str, field: str) -> str | None:
        return self._categories.get((kind, field))

    def require(self, schema_id: bytes, kind: str, position: int) -> None:
        """The schema an event was signed under is here, and is of its type."""
        document = self.by_id.get(schema_id)
        if document is None or document["name"] != kind:
            raise Failure(
                10, "unknown_schema", f"row {position}: the schema of {kind} is not in the bundle"
            )
