"""Ownership: what of a resource is the hub's and what the partner's own, and how both stay. Pure.

    the hub's        the elements it writes: whole, or in a list the entries whose id begins "nrm-";
                     of meta, the hub's tags and the labels of its systems
    the partner's    everything else: it is carried over untouched into each new version

Beside its elements the hub leaves a digest of each (`urn:nrm:written`). An element that no longer
is as it was left was edited by the partner: it stays as edited while the hub says the same; a
status stays for as long as the resource does. What the hub states is still in the extensions. When
it states something else, that is written. When what an element rests on is recalled, it goes,
edited or not, for an edit of what was told is made of what was told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from connectors.fhir.labels import ACT_CODE, CONFIDENTIALITY
from connectors.fhir.names import CATEGORY, OURS, WRITTEN, Resource

HISTORY: Final = {"system": "urn:nrm:history", "code": "purged"}
"""Tag of a resource from which something was taken: no earlier version of it is kept."""
_OUR_SYSTEMS: Final = frozenset(
    {"urn:nrm:hub", "urn:nrm:sequence", HISTORY["system"], CATEGORY, CONFIDENTIALITY, ACT_CODE}
)
_FRAME: Final = frozenset({"resourceType", "id", "meta", "text"})
_TURNS: Final = frozenset({"status", "verificationStatus"})
"""Elements whose change takes nothing back."""
_NEVER_EDITED: Final = frozenset({"extension", "identifier", "target", "agent"})
"""Elements that say whose statement it is: an edit of these does not stand."""


@dataclass(frozen=True, slots=True)
class Merged:
    """resource: what to write. same: nothing to write. edited: elements left as the partner has
    them. replaced: edits that a new statement of the hub takes the place of. lessened: something
    the hub had written is gone, so earlier versions have to go too."""

    resource: Resource
    same: bool
    edited: tuple[str, ...]
    replaced: tuple[str, ...]
    lessened: bool


def first(ours: Resource) -> Resource:
    """What to write where nothing is."""
    return _marked(ours, _digests(ours))


def merged(ours: Resource, current: Resource) -> Merged:
    """`ours` brought into what is there."""
    written = _written(current)
    found: Resource = {name: ours[name] for name in ("resourceType", "id") if name in ours}
    digests: dict[str, str] = {}
    edited: list[str] = []
    replaced: list[str] = []
    for name in dict.fromkeys([*ours, *current]):
        if name in _FRAME:
            continue
        mine, rest = _split(current.get(name), name in written, name)
        new = ours.get(name)
        if new is not None:
            digest, before = _digest(new), written.get(name)
            if name in _NEVER_EDITED:
                digests[name] = digest
            elif before is not None and _digest(mine) != before:
                if name in _TURNS or digest == before:
                    new, digests[name] = mine, before
                    edited.append(name)
                else:
                    digests[name] = digest
                    replaced.append(name)
            elif rest is not None and not isinstance(rest, list):
                new = None  # theirs came first, and there is room for one
                edited.append(name)
            else:
                digests[name] = digest
        value = _joined(new, rest)
        if value is not None:
            found[name] = value
    found["meta"] = _meta(ours["meta"], current.get("meta", {}))
    lessened = _lessened(ours, current, written.keys() - set(edited))
    if "text" in current and not lessened:  # a narrative may repeat what is taken away
        found["text"] = current["text"]
    if lessened and HISTORY not in found["meta"]["tag"]:
        found["meta"]["tag"].append(dict(HISTORY))
    found = _marked(found, digests)
    same = _canonical(found) == _canonical(current)
    return Merged(found, same, tuple(edited), tuple(replaced), lessened)


def purged(resource: Resource) -> bool:
    """Whether earlier versions of this resource are to be removed whenever it is written."""
    tags = resource.get("meta", {}).get("tag", [])
    return any(one.get("system") == HISTORY["system"] for one in tags)


def shell(current: Resource, frame: Mapping[str, Any]) -> Resource | None:
    """What the partner has added to a resource of ours, in the frame R4 requires of its type; None
    if they added nothing. frame: the elements without which it would not be valid."""
    written = _written(current)
    theirs: Resource = {}
    for name, value in current.items():
        if name in _FRAME or (name == "extension" and not _split(value, True, name)[1]):
            continue
        _, rest = _split(value, name in written, name)
        if rest:
            theirs[name] = rest
    if not theirs:
        return None
    return _framed(frame, theirs, current)


def emptied(current: Resource, frame: Mapping[str, Any]) -> Resource:
    """The frame alone, for a resource that something else there refers to."""
    return _framed(frame, {}, current)


def _framed(frame: Mapping[str, Any], theirs: Resource, current: Resource) -> Resource:
    meta = _meta({"security": [], "tag": [dict(HISTORY)]}, current.get("meta", {}))
    digests = {name: value for name, value in _digests(dict(frame)).items() if name not in theirs}
    return _marked({**frame, **theirs, "meta": meta}, digests)


# -- elements ----------------------------------------------------------------------------------


def _split(value: Any, ours: bool, name: str) -> tuple[Any, Any]:
    """The hub's part of an element and the partner's."""
    if isinstance(value, list) and (ours or name == "extension"):
        if any(_marked_ours(one) for one in value):
            mine = [one for one in value if _marked_ours(one) and one.get("url") != WRITTEN]
            rest = [one for one in value if not _marked_ours(one)]
            return mine or None, rest or None
        return (None, value) if name == "extension" else (value, None)
    return (value, None) if ours else (None, value)


def _marked_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and str(entry.get("id", "")).startswith(OURS)


def _joined(mine: Any, rest: Any) -> Any:
    if isinstance(mine, list) and isinstance(rest, list):
        return [*mine, *rest]
    return rest if mine is None else mine


def _meta(ours: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {k: v for k, v in ours.items() if k == "source"}
    for name in ("tag", "security"):
        theirs = [one for one in current.get(name, []) if one.get("system") not in _OUR_SYSTEMS]
        found[name] = [*ours.get(name, []), *theirs]
    if purged({"meta": dict(current)}) and HISTORY not in found["tag"]:
        found["tag"].append(dict(HISTORY))
    if current.get("profile"):
        found["profile"] = current["profile"]
    return found


def _lessened(ours: Resource, current: Resource, names: Set[str]) -> bool:
    """Whether a category or a value that is there by the hub is not among what it states now."""
    if not _categories(current) <= _categories(ours):
        return True
    for name in names - _TURNS:
        mine, _ = _split(current.get(name), True, name)
        if mine is not None and not _leaves(mine) <= _leaves(ours.get(name)):
            return True
    return False


def _categories(resource: Resource) -> frozenset[str]:
    labels = resource.get("meta", {}).get("security", [])
    return frozenset(one.get("code", "") for one in labels if one.get("system") == CATEGORY)


def _leaves(value: Any, path: str = "") -> frozenset[str]:
    """Every value with its place; places in a list have no number, those of extensions a url."""
    if isinstance(value, dict):
        inside = f"{path}/{value.get('url', '')}"
        parts = (_leaves(one, f"{inside}/{name}") for name, one in value.items() if name != "id")
        return frozenset().union(*parts)
    if isinstance(value, list):
        return frozenset().union(*(_leaves(one, path) for one in value))
    return frozenset() if value is None else frozenset({f"{path}={json.dumps(value)}"})


# -- what was written --------------------------------------------------------------------------


def _digests(resource: Resource) -> dict[str, str]:
    return {name: _digest(value) for name, value in resource.items() if name not in _FRAME}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _marked(resource: Resource, digests: Mapping[str, str]) -> Resource:
    told = [{"url": name, "valueString": digests[name]} for name in sorted(digests)]
    mark = {"id": f"{OURS}written", "url": WRITTEN, "extension": told}
    return {**resource, "extension": [*resource.get("extension", []), mark]}


def _written(resource: Resource) -> dict[str, str]:
    for one in resource.get("extension", []):
        if one.get("url") == WRITTEN:
            return {part["url"]: part["valueString"] for part in one.get("extension", [])}
    return {}


def _canonical(resource: Resource) -> str:
    """Without what a server sets itself."""
    meta = resource.get("meta", {})
    kept = {
        name: sorted(json.dumps([one.get("system"), one.get("code")]) for one in meta.get(name, []))
        for name in ("tag", "security")
    }
    plain = {k: v for k, v in resource.items() if k not in ("meta", "text")}
    return json.dumps([plain, kept, meta.get("profile", [])], sort_keys=True)
