"""Bundles to check: good ones of scenarios, and every kind of damage done to one of them.

A *forger* holds every key of the hub and of its log: he rebuilds tree, checkpoint, paths, manifest
and signatures around rows he changed. What he cannot make are agencies' signatures and a decision
that follows from the rules.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hub.audit.evidence import Asked, absence, bundle
from hub.audit.evidence.bundle import Signing
from hub.audit.evidence.file import archive, written
from hub.crypto.signing import SigningKey
from hub.errors import Refused
from hub.tlog import merkle
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.note import Cosigner, Note, NoteSigner
from nrm_verify import container
from schemas.avro import Codec
from tests.played import play, scenario
from tests.road import Road
from tests.webverify.questions import Question

STORE = Path(__file__).parents[2] / "schemas" / "store"


@dataclass
class Place:
    """One hub that lived, its keys, and where its bundles are written."""

    folder: Path
    road: Road
    agencies: list[str]
    case: str
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def log_key(self) -> str:
        return str(self.road.hub.checkpoints.verifier)

    @property
    def signing(self) -> SigningKey:
        return self.road.hub.keys.signing

    @property
    def origin(self) -> str:
        return self.road.hub.settings.hub_id

    def question(self, name: str, data: bytes, **trust: Any) -> Question:
        file = self.folder / f"{name}.zip"
        file.write_bytes(data)
        trust.setdefault("log_key", self.log_key)
        return Question(name, file, **trust)

    def made(self, **asked: Any) -> bytes:
        self.road.hub.checkpoints.step(now=True)
        by = Signing(self.origin, self.road.hub.checkpoints.verifier, self.signing)
        if asked.pop("absent", False):
            return absence(self.road.hub.exchange, Asked(**asked), by).content
        return bundle(self.road.hub.exchange, Asked(**asked), by).content


def lived(folder: Path, name: str) -> Place:
    document = scenario(name)
    place = folder / name
    place.mkdir(parents=True)
    agencies = sorted(one for one in document["agencies"] if one != "HUB")
    return Place(place, play(place, document), agencies, document["events"][0]["case"])


def good(place: Place) -> Iterator[Question]:
    """Every kind of bundle this hub can make; what it refuses to make is left out."""
    kinds: list[dict[str, Any]] = [{"case": place.case}]
    for agency in place.agencies:
        kinds += [
            {"case": place.case, "holder": agency},
            {"agency": agency},
            {"agency": agency, "holder": agency},
            {"case": place.case, "agency": agency, "absent": True},
            {"case": place.case, "agency": agency, "categories": ["health"], "absent": True},
        ]
    events = json.loads(members(place.made(case=place.case))["manifest.json"])["claims"]
    middle = events["decisions"][len(events["decisions"]) // 2]
    kinds.append({"event": str(middle - 1)})
    for number, kind in enumerate(kinds):
        try:
            data = place.made(**kind)
        except Refused:
            continue
        words = "-".join(str(one) for one in kind.values() if isinstance(one, str))
        yield place.question(f"{number}-{words}", data)


def members(data: bytes) -> dict[str, bytes]:
    return {name: bytes(part) for name, part in container.read(data).items()}


def resigned(
    data: bytes, key: SigningKey, change: Callable[[dict[str, bytes], dict[str, Any]], None]
) -> bytes:
    """The bundle after `change` of its members and its manifest, made to fit and signed."""
    parts = members(data)
    manifest = json.loads(parts.pop("manifest.json"))
    del parts["manifest.sig"], manifest["members"], manifest["format"]
    change(parts, manifest)
    return written(parts, manifest, key)


def raw(parts: Mapping[str, bytes]) -> bytes:
    """A canonical file of these members, nothing else made to fit."""
    return archive(parts)


# -- rows, decoded and written again -------------------------------------------------------------


def codec(topic: str) -> Codec:
    return Codec((STORE / f"{topic}.avsc").read_text("utf-8"), max_bytes=1 << 26)


def row_topic(row: bytes) -> str:
    return row[21 : 21 + row[20]].decode()


def row_value(row: bytes) -> dict[str, Any]:
    value: dict[str, Any] = codec(row_topic(row)).unsingle(row[21 + row[20] :])
    return value


def row_with(row: bytes, **values: Any) -> bytes:
    """The row with members of its state changed."""
    one = codec(row_topic(row))
    return row[: 21 + row[20]] + one.single({**row_value(row), **values})


class Forger:
    """Builds a whole log around changed rows. The bundle must hold every row of its log."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.data = place.made(case=place.case)
        self.rows = {
            int(name.removeprefix("rows/")): part
            for name, part in members(self.data).items()
            if name.startswith("rows/")
        }
        assert sorted(self.rows) == list(range(1, len(self.rows) + 1))

    def of(self, topic: str, **wanted: Any) -> list[int]:
        """Positions of the rows of a topic, whose values are these."""
        return [
            position
            for position, row in sorted(self.rows.items())
            if row_topic(row) == topic
            and all(row_value(row)[name] == value for name, value in wanted.items())
        ]

    def forged(
        self,
        rows: Mapping[int, bytes] | None = None,
        change: Callable[[dict[str, bytes], dict[str, Any]], None] = lambda *_: None,
        cosigners: tuple[Cosigner, ...] = (),
    ) -> bytes:
        """The bundle over a log with these rows instead, signed by everybody but agencies."""
        all_rows = {**self.rows, **(rows or {})}
        leaves = [
            merkle.leaf_hash(b"\x01" + sha256(all_rows[p]).digest()) for p in sorted(all_rows)
        ]
        head = Checkpoint(self.place.origin, len(leaves), merkle.root(leaves))
        signer = NoteSigner(self.place.origin, self.place.road.hub.keys.log)
        lines = [signer.line(str(head)), *(one.line(str(head), 1) for one in cosigners)]

        def whole(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
            for position, row in all_rows.items():
                parts[f"rows/{position:012d}"] = row
            paths = [merkle.inclusion_path(leaves, p - 1) for p in sorted(all_rows)]
            parts["log/paths"] = b"".join(bytes([len(one)]) + b"".join(one) for one in paths)
            parts["log/checkpoint"] = bytes(Note(str(head), tuple(lines)))
            manifest["tree_size"] = manifest["as_of"] = len(leaves)
            change(parts, manifest)

        return resigned(self.data, self.place.signing, whole)
