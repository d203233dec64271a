"""Step 2, manifest: what the bundle claims, and that it lists exactly what is there.

Its signature is checked in step 6, when the hub's key is known from the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

from nrm_verify import FORMAT, __version__
from nrm_verify.container import MANIFEST, SIGNATURE
from nrm_verify.failure import Failure
from nrm_verify.strict_json import read_json

BUNDLE, ABSENCE = "bundle", "absence"
STATEMENT: Final = "statement.json"
REASONS: Final = ("hub", "register", "policy", "case", "event", "delivery", "receipt")
_LARGEST: Final = 2**53
_DEEPEST: Final = 8
_ALWAYS: Final = ("log/checkpoint", "log/paths", "log/vkey", "rows/000000000001")
_OTHER: Final = re.compile(
    r"content/\d{12}/\d{5}|log/(?:checkpoint|consistency|earlier|paths|vkey|witnesses)"
    r"|rows/\d{12}|schemas/event/[0-9a-f]{64}|schemas/store/[0-9a-f]{16}|statement\.json",
    re.ASCII,
)
_CASE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_EVENT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True)
class Scope:
    """What was asked. case: 32 hexadecimal digits; categories: of an absence, None for all."""

    case: str | None
    event: str | None
    agency: str | None
    categories: tuple[str, ...] | None


@dataclass(frozen=True)
class Manifest:
    """The decoded manifest. rows: position → why."""

    raw: bytes
    signature: bytes
    kind: str
    origin: str
    scope: Scope
    holder: str | None
    as_of: int
    tree_size: int
    rows: Mapping[int, str]
    decisions: tuple[int, ...]
    deliveries: tuple[int, ...]
    receipts: tuple[int, ...]
    content: tuple[tuple[int, int], ...]


def read(members: Mapping[str, memoryview]) -> Manifest:
    """The manifest, if the members are what it lists. Raises Failure of step 2."""
    for name in (MANIFEST, SIGNATURE):
        if name not in members:
            raise Failure(2, "member_missing", f"{name} is not there")
    raw = bytes(members[MANIFEST])
    told = _document(raw)
    try:
        manifest = _manifest(raw, bytes(members[SIGNATURE]), told)
        listed = _listed(told["members"])
    except (KeyError, TypeError, ValueError) as wrong:
        raise Failure(2, "bad_manifest", f"it is not complete: {_shown(wrong)}") from None
    _compare(members, listed)
    _complete(members, manifest)
    return manifest


def place(position: int) -> str:
    """A position as it stands in names."""
    return f"{position:012d}"


def _document(raw: bytes) -> dict[str, Any]:
    try:
        told = read_json(raw, _DEEPEST, fractions=False)
    except ValueError as wrong:
        raise Failure(2, "bad_manifest", f"it is not JSON as it may be: {wrong}"[:120]) from None
    if not isinstance(told, dict):
        raise Failure(2, "bad_manifest", "it is not an object")
    version = told.get("format")
    if not isinstance(version, str) or not version.startswith("nrm-evidence/"):
        raise Failure(2, "bad_manifest", "it is not a manifest of evidence")
    if version != FORMAT:
        raise Failure(
            2,
            "newer_version",
            f"it is of format {version[:40]}, this is nrm-verify {__version__} for {FORMAT}: "
            "install the nrm-verify that came with the hub's version",
        )
    return told


def _manifest(raw: bytes, signature: bytes, told: dict[str, Any]) -> Manifest:
    kind = told["kind"]
    if kind not in (BUNDLE, ABSENCE):
        raise ValueError("kind")
    claims = told["claims"]
    listed = _list(told["rows"])
    rows = {_number(position): _of(REASONS, why) for position, why in map(_list, listed)}
    _ascending([position for position, _ in listed])
    tree_size, as_of = _number(told["tree_size"]), _number(told["as_of"])
    if not 0 < max(rows, default=0) <= as_of <= tree_size:
        raise ValueError("as_of")
    content = tuple(
        (_number(position), _index(at)) for position, at in map(_list, _list(claims["content"]))
    )
    _ascending(content)
    holder = told["holder"]
    return Manifest(
        raw,
        signature,
        kind,
        _text(told["origin"]),
        _scope(kind, told["scope"]),
        None if holder is None else _text(holder),
        as_of,
        tree_size,
        rows,
        _positions(claims["decisions"]),
        _positions(claims["deliveries"]),
        _positions(claims["receipts"]),
        content,
    )


def _scope(kind: str, scope: dict[str, Any]) -> Scope:
    names = set(scope)
    if kind == ABSENCE:
        wanted = [{"agency", "case", "categories"}]
    else:
        wanted = [{"case"}, {"case", "event"}, {"agency"}]
    if names not in wanted:
        raise ValueError("scope")
    categories = scope.get("categories")
    if categories is not None:
        categories = tuple(_text(one) for one in _list(categories))
        _ascending(categories)
    return Scope(
        _matching(_CASE, scope["case"]) if "case" in names else None,
        _matching(_EVENT, scope["event"]) if "event" in names else None,
        None if "agency" not in scope else _text(scope["agency"]),
        categories,
    )


def _listed(members: Any) -> dict[str, tuple[int, bytes]]:
    listed = {}
    for name, length, digest in map(_list, _list(members)):
        if not _OTHER.fullmatch(name) or type(length) is not int:
            raise ValueError("members")
        _matching(_DIGEST, digest)
        listed[name] = (length, bytes.fromhex(digest))
    if len(listed) != len(members):
        raise ValueError("members")
    return listed


def _compare(members: Mapping[str, memoryview], listed: dict[str, tuple[int, bytes]]) -> None:
    there = [name for name in members if name not in (MANIFEST, SIGNATURE)]
    if there != list(listed):
        other = sorted(set(there) ^ set(listed))
        shown = other[0] if other else "the order"
        raise Failure(2, "member_unlisted", f"members and manifest differ: {shown}")
    for name, (length, digest) in listed.items():
        data = members[name]
        if len(data) != length or sha256(data).digest() != digest:
            raise Failure(2, "member_differs", f"{name} is not what the manifest lists")


def _complete(members: Mapping[str, memoryview], manifest: Manifest) -> None:
    needed = [*_ALWAYS, *([STATEMENT] if manifest.kind == ABSENCE else [])]
    for name in needed:
        if name not in members:
            raise Failure(2, "member_missing", f"{name} is not there")
    if ("log/earlier" in members) != ("log/consistency" in members):
        raise Failure(2, "member_missing", "log/earlier and log/consistency come together")
    if manifest.kind != ABSENCE and STATEMENT in members:
        raise Failure(2, "member_unlisted", "a statement in what is no signed absence")
    for folder, wanted in (
        ("rows/", [place(position) for position in manifest.rows]),
        ("content/", [f"{place(position)}/{at:05d}" for position, at in manifest.content]),
    ):
        there = [name.removeprefix(folder) for name in members if name.startswith(folder)]
        if there != wanted:
            raise Failure(2, "member_unlisted", f"{folder} and the manifest's claims differ")


def _number(value: Any) -> int:
    if type(value) is not int or not 0 < value < _LARGEST:
        raise ValueError("a number is out of range")
    return value


def _index(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 16:
        raise ValueError("an index is out of range")
    return value


def _positions(values: Any) -> tuple[int, ...]:
    positions = tuple(_number(one) for one in _list(values))
    _ascending(positions)
    return positions


def _ascending(values: Any) -> None:
    if any(not before < after for before, after in pairwise(values)):
        raise ValueError("a list is not ascending")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError("a text is empty, too long or not printable")
    return value


def _of(known: tuple[str, ...], value: Any) -> str:
    if value not in known:
        raise ValueError("a row's reason is not known")
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("an id is not one")
    return value


def _shown(wrong: Exception) -> str:
    """Which part; never more than a few characters of what was sent."""
    return f"no {str(wrong)[:40]}" if isinstance(wrong, KeyError) else str(wrong)[:60]
