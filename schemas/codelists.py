"""Code lists: what the codes of a field mean, for people and for integrators.

One JSON file each in `schemas/codelists/`: id, title, source, licence, and codes with labels; a
list kept elsewhere (ISO countries) has `by_reference` and no codes. Codes are not checked against
their list when an event is admitted, since countries extend the lists; the exceptions are marked
`closed`. `nrm.category` also is the list of categories that a release rule knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


class UnknownCodeListError(LookupError):
    """No code list has this id: look at `schemas/codelists/`."""


@dataclass(frozen=True, slots=True)
class CodeList:
    """One list. labels: code to label, in the list's order; empty if it is kept elsewhere."""

    id: str
    title: str
    source: str
    licence: str
    labels: Mapping[str, str]
    by_reference: bool
    closed: bool


@lru_cache(maxsize=256)
def load(list_id: str) -> CodeList:
    """The list with this id."""
    try:
        text = (
            resources.files("schemas").joinpath("codelists", f"{list_id}.json").read_text("utf-8")
        )
    except OSError:
        raise UnknownCodeListError(list_id) from None
    found = json.loads(text)
    return CodeList(
        id=found["id"],
        title=found["title"],
        source=found["source"],
        licence=found["licence"],
        labels={one["code"]: one["label"] for one in found["codes"]},
        by_reference=bool(found.get("by_reference")),
        closed=bool(found.get("closed")),
    )


def ids() -> tuple[str, ...]:
    """Every list shipped."""
    folder = resources.files("schemas").joinpath("codelists")
    return tuple(sorted(one.name[:-5] for one in folder.iterdir() if one.name.endswith(".json")))


def alternatives(reference: str) -> tuple[str, ...]:
    """The lists a field's `codelist` names: one, or several separated by `|`."""
    return tuple(reference.split("|"))
