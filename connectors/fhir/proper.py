"""Proper: whether a resource as a server tells it has the shapes that R4 gives what is read of it.

    meta         versionId, an id; tag and security, lists of codings; profile, a list
    extension    a list of objects; the hub's own with a url and a text in each part

Everything else is carried over as it is and not looked into. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.fhir.names import WRITTEN, Resource

_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)


def proper(resource: Resource) -> bool:
    meta = resource.get("meta")
    if not isinstance(meta, Mapping):
        return False
    version = meta.get("versionId")
    if not isinstance(version, str) or not _ID.fullmatch(version):
        return False
    if not all(_codings(meta.get(name, [])) for name in ("tag", "security")):
        return False
    return _list_or_none(meta.get("profile")) and _extensions(resource.get("extension", []))


def _codings(listed: Any) -> bool:
    return isinstance(listed, list) and all(
        isinstance(one, Mapping)
        and isinstance(one.get("system", ""), str)
        and isinstance(one.get("code", ""), str)
        for one in listed
    )


def _list_or_none(value: Any) -> bool:
    return value is None or isinstance(value, list)


def _extensions(listed: Any) -> bool:
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        return False
    return all(_written(one.get("extension", [])) for one in listed if one.get("url") == WRITTEN)


def _written(parts: Any) -> bool:
    return isinstance(parts, list) and all(
        isinstance(one, Mapping)
        and isinstance(one.get("url"), str)
        and isinstance(one.get("valueString"), str)
        for one in parts
    )
