"""May these schemas be published? Asked of every change, before a partner sees it.

    python -m schemas.compatibility             check; exit status 1 and a list of what is wrong
    python -m schemas.compatibility --publish   the same, then enter new versions in the lock

A schema that was published never changes: `schemas/published.json` holds the identity of every
version, and stored events and partners' evidence point to it. To change a type, copy its file to
`schemas/history/<Type>/<n>.avsc`, edit the one in `schemas/case/`, check, publish.

Rules
- A new version reads everything written under any earlier one (Avro resolution, asked of the
  Apache implementation, all earlier versions and not only the last).
- A field keeps its category, and whether each party sees only its own part: otherwise a consent
  given for one category would release another. A code list that is closed may only grow.
- A wire schema never changes; a new format gets a new name.
- A field without a category, or of one no rule knows, is no error: it reaches nobody. It warns.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

from schemas.registry import Schemas, UnreleasableFieldWarning, canonical_text, shipped

Document = Mapping[str, Any]


def problems(
    versions: Mapping[str, Sequence[Document]], wire: Mapping[str, Document], published: Document
) -> list[str]:
    """What is wrong, one line each; empty if all may be published. Versions: oldest first."""
    found: list[str] = []
    for event_type in sorted({*versions, *published["events"]}):
        texts = versions.get(event_type, ())
        found += _locked(event_type, texts, published["events"].get(event_type, []))
        for index, newer in enumerate(texts):
            for number, older in enumerate(texts[:index], start=1):
                lead = f"{event_type}: version {index + 1} against version {number}: "
                found += [lead + what for what in incompatible(newer, older)]
    for name in sorted({*wire, *published["wire"]}):
        locked = published["wire"].get(name)
        if name not in wire:
            found.append(f"{name}: the published wire schema is gone")
        elif locked is not None and wire_identity(wire[name]) != locked:
            found.append(
                f"{name}: a published wire schema was changed; give the new one a new name"
            )
    return found


def unpublished(
    versions: Mapping[str, Sequence[Document]], wire: Mapping[str, Document], published: Document
) -> list[str]:
    """Versions that stand in the files and not in the lock."""
    found = [
        f"{event_type}: version {number} is new"
        for event_type, texts in sorted(versions.items())
        for number in range(len(published["events"].get(event_type, [])) + 1, len(texts) + 1)
    ]
    return found + [f"{name}: is new" for name in sorted(wire) if name not in published["wire"]]


def _locked(event_type: str, texts: Sequence[Document], locked: Sequence[str]) -> list[str]:
    found = []
    for index, expected in enumerate(locked):
        if index >= len(texts):
            found.append(f"{event_type}: version {index + 1} was published and is gone")
        elif identity(texts[index]) != expected:
            found.append(
                f"{event_type}: version {index + 1} was changed in place; put the published text "
                f"into schemas/history/{event_type}/{index + 1}.avsc and make a new version"
            )
    return found


def identity(document: Document) -> str:
    """The schema's identity in hexadecimal."""
    return sha256(canonical_text(document)).hexdigest()


def wire_identity(document: Document) -> str:
    """As `identity`, of what is on the wire: descriptions may be improved."""
    return identity(without(document, "doc"))


def incompatible(newer: Document, older: Document) -> list[str]:
    """Why a reader with the newer schema could not take what the older one's writers wrote."""
    found = [f"Avro: {what}" for what in unreadable(newer, older)]
    now = {field["name"]: field for field in newer["fields"]}
    for was in older["fields"]:
        field = now.get(was["name"])
        if field is None:
            continue
        if field.get("category") != was.get("category"):
            found.append(f"{was['name']}: the category changed; make a new field instead")
        if bool(field.get("per_party")) != bool(was.get("per_party")):
            found.append(f"{was['name']}: what each party sees changed; make a new field instead")
        if bool(field.get("json")) != bool(was.get("json")):
            found.append(f"{was['name']}: JSON and text are not the same; make a new field instead")
        if "codes" in field and not set(was.get("codes", [None])) <= set(field["codes"]):
            found.append(f"{was['name']}: a closed list lost codes, or an open one was closed")
    return found


def unreadable(newer: Document, older: Document) -> list[str]:
    """What a reader with the newer schema cannot resolve of the older one, in Avro's terms."""
    import avro.schema
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

    # Logical types take no part in resolution, and this library warns of those it does not know.
    reader, writer = (
        avro.schema.parse(json.dumps(without(one, "logicalType"))) for one in (newer, older)
    )
    checker: Any = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    answer = checker.get_compatibility(reader, writer)
    if answer.compatibility is SchemaCompatibilityType.compatible:
        return []
    places = ", ".join(sorted(map(str, answer.locations)))
    return [f"{what} (at {places})" for what in sorted(map(str, answer.messages))]


def without(schema: Any, name: str) -> Any:
    """A schema without one of its attributes, at any depth."""
    if isinstance(schema, Mapping):
        return {key: without(one, name) for key, one in schema.items() if key != name}
    return [without(one, name) for one in schema] if isinstance(schema, list) else schema


def unreleasable(documents: Iterable[Document]) -> list[str]:
    """Warnings for fields that reach nobody."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnreleasableFieldWarning)
        Schemas(documents)
    return [str(one.message) for one in caught]


def shipped_versions() -> dict[str, list[Document]]:
    """All shipped event schemas by type, oldest first."""
    found: dict[str, list[Document]] = {}
    for document in shipped():
        found.setdefault(document["name"], []).append(document)
    return found


def shipped_wire() -> dict[str, Document]:
    """All shipped wire schemas by name."""
    folder = resources.files("schemas").joinpath("wire")
    texts = [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".avsc")]
    return {document["name"]: document for document in map(json.loads, texts)}


def lock_path() -> Path:
    return Path(__file__).with_name("published.json")


def read_lock() -> dict[str, Any]:
    """The lock: identities of all published versions of event types, and of wire schemas."""
    try:
        found: dict[str, Any] = json.loads(lock_path().read_text("utf-8"))
    except FileNotFoundError:
        return {"events": {}, "wire": {}}
    return found


def lock_of(versions: Mapping[str, Sequence[Document]], wire: Mapping[str, Document]) -> str:
    """The text of the lock for these schemas."""
    events = {name: [identity(one) for one in texts] for name, texts in sorted(versions.items())}
    formats = {name: wire_identity(one) for name, one in sorted(wire.items())}
    return json.dumps({"events": events, "wire": formats}, indent=2) + "\n"


def main(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    versions, wire, published = shipped_versions(), shipped_wire(), read_lock()
    say = sys.stdout.write
    for warning in unreleasable(one for texts in versions.values() for one in texts):
        say(f"warning: {warning}\n")
    wrong = problems(versions, wire, published)
    fresh = unpublished(versions, wire, published)
    publish = "--publish" in arguments
    for line in wrong:
        say(f"{line}\n")
    for line in fresh:
        say(f"{line}{'' if publish else ': publish it with --publish'}\n")
    if wrong:
        return 1
    if publish:
        lock_path().write_text(lock_of(versions, wire), "utf-8")
        return 0
    return 1 if fresh else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
