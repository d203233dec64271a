"""Which fields of a record are written, left or emptied, and who owns them.

Pure. A field of owner "hub" always shows what the hub says. One of owner "partner" is filled while
it is empty and then left to the partner; once the event that filled it says it no more, because it
was recalled, the field is written or emptied like any other.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.case_systems.mapping import CaseMapping, Filling


@dataclass(frozen=True)
class Written:
    """What is to be done to a record's fields. fill: what to write. empty: what to clear."""

    fill: Mapping[str, Filling] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()


def written(
    wanted: Mapping[str, Filling],
    ours: Mapping[str, str],
    there: Mapping[str, Any],
    stated: Container[tuple[str, str]],
) -> Written:
    """wanted: what the hub says now. ours: fields of ours, with their fillers. there: the record
    as it is. stated: (event, field) that the hub still says."""
    fill = {}
    for name, filling in wanted.items():
        if filling.target.owner == "partner" and _has(there, name):
            filler = ours.get(name)
            if filler is None or (filler and (filler, name) in stated):
                continue
        fill[name] = filling
    return Written(
        fill, frozenset(name for name in ours if name not in wanted and _has(there, name))
    )


def ours_of(
    known: Mapping[str, str], mapping: CaseMapping, event_type: str, group: str
) -> Mapping[str, str]:
    """The fields of ours in what stands for one event. known: from Places; when the books were
    lost it is empty, and then every field that the event's map names counts as ours."""
    if known:
        return known
    one = mapping.of(event_type)
    maps = [one] if one else mapping.maps if not event_type else ()
    return {target.name: "" for each in maps for target in each.targets(group)}


def ours_of_case(
    known: Mapping[str, str], mapping: CaseMapping, group: str, *, there: bool
) -> Mapping[str, str]:
    """The same of a case's own fields. there: whether the case is there."""
    if known or not there:
        return known
    return {target.name: "" for _, target in mapping.every(group)}


def _has(there: Mapping[str, Any], name: str) -> bool:
    return there.get(name) not in (None, "", [], False)
