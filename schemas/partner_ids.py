"""Ids of partner schemas: the number in front of every message, the same at every site.

    id = the first four bytes of SHA-256 of the schema's canonical text, less the topmost bit

So hub and connectors agree without talking, also about a schema that is newer than this program.
`schemas/partner_ids.json` lists every id ever published with the whole SHA-256: an id is never used
again for another text, and one that two texts would share is settled there.

    python -m schemas.partner_ids             check; exit status 1 and a list of what is wrong
    python -m schemas.partner_ids --publish   enter new versions
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

LARGEST = 2**31 - 1  # the wire format's number is a signed one for many readers


def derived(text: str) -> int:
    """The id of a schema with this canonical text."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") & LARGEST


def id_of(text: str) -> int:
    """The published id of this text, or the one it will be published with."""
    digest = sha256(text.encode()).hexdigest()
    return published_digests().get(digest, derived(text))


def list_path() -> Path:
    return Path(__file__).with_name("partner_ids.json")


@lru_cache(maxsize=1)
def published() -> dict[str, list[dict[str, int | str]]]:
    """Event type → its versions, oldest first: {"id": …, "sha256": …}."""
    try:
        found: dict[str, list[dict[str, int | str]]] = json.loads(list_path().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


@lru_cache(maxsize=1)
def published_digests() -> dict[str, int]:
    return {str(one["sha256"]): int(one["id"]) for kind in published().values() for one in kind}


def problems(
    texts: Mapping[str, Sequence[str]], listed: Mapping[str, Sequence[Mapping[str, int | str]]]
) -> list[str]:
    """Why the list and these texts (type → versions, oldest first) do not agree, a line each."""
    found = []
    for kind in sorted({*texts, *listed}):
        digests = [sha256(one.encode()).hexdigest() for one in texts.get(kind, ())]
        known = [str(one["sha256"]) for one in listed.get(kind, ())]
        if digests[: len(known)] != known:
            found.append(
                f"{kind}: what was published has another text now; partners hold messages with its "
                "id. Leave the derivation of published versions as it was"
            )
        found += [f"{kind}: version {n + 1} is new" for n in range(len(known), len(digests))]
    ids = [int(one["id"]) for versions in listed.values() for one in versions]
    found += [f"{one}: two schemas have this id" for one in sorted(set(ids)) if ids.count(one) > 1]
    found += [f"{one}: not an id of 31 bits" for one in ids if not 0 < one <= LARGEST]
    return found


def list_of(texts: Mapping[str, Sequence[str]]) -> str:
    """The text of the list for these schemas."""
    listed = {
        kind: [{"id": id_of(one), "sha256": sha256(one.encode()).hexdigest()} for one in versions]
        for kind, versions in sorted(texts.items())
    }
    return json.dumps(listed, indent=1) + "\n"


def main(arguments: Sequence[str]) -> int:
    """The command. Returns its exit status."""
    from schemas.partner import PartnerSchemas
    from schemas.registry import Schemas

    known = PartnerSchemas(Schemas.load())
    texts = {kind: [one.text for one in known.versions(kind)] for kind in known.types()}
    wrong = problems(texts, published())
    publish = "--publish" in arguments
    if publish:
        wrong = [one for one in wrong if not one.endswith("is new")]
    for line in wrong:
        sys.stdout.write(line + "\n")
    if publish and not wrong:
        list_path().write_text(list_of(texts), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
