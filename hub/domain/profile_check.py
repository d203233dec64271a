"""What is wrong with a policy profile's document, and what in it should surprise its owner.

Pure. Every error names the place (`matrix/police/identity`), has a stable code and says what to
put there. A document with an error decides nothing; a document with warnings does, so that a
country may choose otherwise than we would, but never without having been told.

Codes of errors and warnings are listed, with a sentence each, in `ERRORS` and `WARNINGS` and in
docs/policy.md. Nothing here judges whether a profile is lawful: a lawyer must own each one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from hub.domain import timers, window, work_kinds
from schemas import codelists
from schemas.registry import Schemas

MODES = frozenset("ADCKXN")
EVIDENCE = ("agency", "hub")  # agency: header and signature travel along; hub: the hub attests
ENFORCEMENT = "immigration_enforcement"
FLAG = "removal_hold"  # all that enforcement may have (G17)

PARTS = (
    "version",
    "matrix",
    "event_group_gate",
    "break_glass",
    "private_bodies",
    "enforcement_roles",
    "enforcement_dispute_serves",
    "evidence",
    "timers",
)
INSIDE, WORK = "inside_enforcement", "work"  # may be left out
TEXTS = ("title", "notes", "sources", "categories", "roles", "modes")  # decide nothing
_INSIDE_FIELDS = ("body", "role", "inside", "decides", "why")

ERRORS: Mapping[str, str] = {
    "not_json": "The file is not one JSON object; a name given twice in it counts as that too.",
    "missing_part": "A part every profile has is not there.",
    "wrong_form": "A part is not of the form docs/policy.md shows.",
    "bad_version": "The version is no short name; every published profile has one of its own.",
    "unknown_role": "No such role; the roles are listed in docs/events.md.",
    "unknown_category": "No such category of data; the categories are listed in docs/release.md.",
    "unknown_mode": "A mode is one of A, D, C, K, X and N.",
    "unknown_group": "No event belongs to such a group; the groups are listed in docs/release.md.",
    "unknown_evidence": "Evidence is either `agency` or `hub`.",
    "bad_timer": "The timer's length is of another kind than docs/timers.md says.",
    "bad_work": "No such kind of work item, or it may not go to this owner; see docs/work.md.",
}

WARNINGS: Mapping[str, str] = {
    "identity_by_default": "The role receives names and documents without consent.",
    "enforcement_receives": "Immigration enforcement may receive more than the removal-hold flag.",
    "authority_inside_enforcement": "A body with another role is part of immigration enforcement.",
    "always": "The role receives this without any part in the case.",
    "category_closed": "The role has no mode for a category: it is never released.",
    "role_closed": "The role has no row in the matrix: it receives nothing.",
    "window_fixed": "A break-glass window shuts at `expires_at` or 24 hours, whatever this says.",
    "unread_part": "No such part of a profile: it is not read.",
}

WINDOW = "T09_break_glass_window_hours"
LONGEST = window.LONGEST / timedelta(hours=1)

# Mode A without surprise: minimal by its nature, or read as C but for a duty notification.
_USUAL_ALWAYS = frozenset({FLAG, "statistics", "audit", "deidentified_account"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One error or warning: its stable code, the place in the document, and what to do."""

    code: str
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.detail} ({self.code})" if self.where else self.detail


@lru_cache(maxsize=1)
def roles() -> tuple[str, ...]:
    """Every role that can receive anything; the hub never does."""
    return tuple(role for role in codelists.load("nrm.role").labels if role != "hub")


@lru_cache(maxsize=1)
def categories() -> tuple[str, ...]:
    return tuple(codelists.load("nrm.category").labels)


@lru_cache(maxsize=1)
def groups() -> tuple[str, ...]:
    schemas = Schemas.load()
    return tuple(sorted({schemas.by_type(name).group for name in schemas.types()}))


def errors(document: object) -> list[Finding]:
    """Everything that keeps this document from being a profile; empty if it is one."""
    if not isinstance(document, Mapping):
        return [Finding("not_json", "", "a profile is one JSON object (not_json)")]
    found = [
        Finding("missing_part", part, "is missing; copy it from a shipped profile")
        for part in PARTS
        if part not in document
    ]
    for part, check in _CHECKS.items():
        if part in document:
            found.extend(check(part, document[part]))
    return found


def warnings(document: Mapping[str, Any]) -> list[Finding]:
    """What a reader would not expect of this profile. For documents without errors."""
    found = [
        Finding("unread_part", str(part), "is not part of a profile and is not read")
        for part in document
        if part not in (*PARTS, *TEXTS, INSIDE, WORK)
    ]
    if not _only(document["timers"].get(WINDOW, LONGEST), LONGEST):
        found.append(
            Finding(
                "window_fixed", f"timers/{WINDOW}", f"decisions shut it after {LONGEST:g} hours"
            )
        )
    matrix = document["matrix"]
    for role in roles():
        if role not in matrix:
            found.append(Finding("role_closed", f"matrix/{role}", "no row: receives nothing"))
            continue
        found.extend(_surprises(role, matrix[role]))
    for category in document["break_glass"].get(ENFORCEMENT, ()):
        where = f"break_glass/{ENFORCEMENT}"
        found.append(Finding("enforcement_receives", where, f"{category} by break-glass"))
    found.extend(
        Finding(
            "authority_inside_enforcement",
            f"{INSIDE}/{one['body']}",
            f"is part of {one['inside']}: what {one['role']} receives is in its hands",
        )
        for one in document.get(INSIDE, ())
    )
    return found


def _surprises(role: str, row: Mapping[str, str]) -> Iterator[Finding]:
    closed = [category for category in categories() if category not in row]
    if closed:
        names = ", ".join(closed)
        yield Finding("category_closed", f"matrix/{role}", f"no mode, so never released: {names}")
    if row.get("identity", "N") in "AD":
        yield Finding("identity_by_default", f"matrix/{role}/identity", "released without consent")
    for category, mode in row.items():
        where = f"matrix/{role}/{category}"
        if role == ENFORCEMENT and category != FLAG and mode != "N":
            yield Finding("enforcement_receives", where, f"mode {mode}; the firewall says N")
        elif mode == "A" and category not in _USUAL_ALWAYS and (role, category) != AUDITED:
            yield Finding("always", where, "released without any part in the case")


def _only(length: object, expected: float) -> bool:
    """Whether a timer's length is this one, everywhere and always."""
    if isinstance(length, list):
        return all(entry["value"] == expected for entry in length)
    return length == expected


AUDITED = ("auditor", "consent")  # scope and validity, which is what an auditor audits


# -- part by part ----------------------------------------------------------------------------


def _version(part: str, value: object) -> Iterator[Finding]:
    short = isinstance(value, str) and 0 < len(value) <= 64
    if not short or not value.isprintable() or value != value.strip():  # type: ignore[attr-defined]
        yield Finding("bad_version", part, "give a name of 1 to 64 letters, digits and signs")


def _matrix(part: str, value: object) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield Finding("wrong_form", part, "give role → category → mode")
        return
    for role, row in value.items():
        yield from _role(part, role)
        if not isinstance(row, Mapping):
            yield Finding("wrong_form", f"{part}/{role}", "give category → mode")
            continue
        for category, mode in row.items():
            where = f"{part}/{role}/{category}"
            yield from _category(where, category)
            if not isinstance(mode, str) or mode not in MODES:
                yield Finding(
                    "unknown_mode", where, f"has no mode {mode!r}; use one of A D C K X N"
                )


def _lists(known: Callable[[str, object], Iterator[Finding]]) -> _Check:
    def check(part: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, Mapping):
            yield Finding("wrong_form", part, "give role → list of names")
            return
        for role, names in value.items():
            yield from _role(part, role)
            where = f"{part}/{role}"
            if not _names(names):
                yield Finding("wrong_form", where, "give a list of names")
                continue
            for name in names:
                yield from known(where, name)

    return check


def _roles(part: str, value: object) -> Iterator[Finding]:
    if not _names(value):
        yield Finding("wrong_form", part, "give a list of roles")
        return
    for role in value:  # type: ignore[attr-defined]
        yield from _role(part, role)


def _evidence(part: str, value: object) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield Finding("wrong_form", part, "give role → agency or hub")
        return
    for role, whose in value.items():
        yield from _role(part, role)
        if whose not in EVIDENCE:
            where = f"{part}/{role}"
            yield Finding("unknown_evidence", where, f"is {whose!r}; use one of agency, hub")


def _inside(part: str, value: object) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield Finding("wrong_form", part, "give a list of bodies")
        return
    for number, one in enumerate(value, start=1):
        where = f"{part}/{number}"
        if not isinstance(one, Mapping) or not all(
            isinstance(one.get(name), str) and one[name].strip() for name in _INSIDE_FIELDS
        ):
            yield Finding("wrong_form", where, f"give the texts {', '.join(_INSIDE_FIELDS)}")
            continue
        yield from _role(where, one["role"])
        yield from _role(where, one["inside"])


def _timers(part: str, value: object) -> Iterator[Finding]:
    """Lengths are checked where they are read (`hub/domain/timers.py`), one by one."""
    if not isinstance(value, Mapping):
        yield Finding("wrong_form", part, "give name → length")
        return
    for name, length in value.items():
        wrong = timers.check({name: length})
        if wrong is not None:
            yield Finding("bad_timer", f"{part}/{name}", wrong.removeprefix(f"{name}: "))


def _work(part: str, value: object) -> Iterator[Finding]:
    """Owners of work items likewise (`hub/domain/work_kinds.py`)."""
    if not isinstance(value, Mapping):
        yield Finding("wrong_form", part, "give kind of work item → owner")
        return
    for kind, owner in value.items():
        if not isinstance(owner, str):
            yield Finding("bad_work", f"{part}/{kind}", "give one role or one of docs/work.md")
            continue
        wrong = work_kinds.check({kind: owner}, dict.fromkeys(roles()))
        if wrong is not None:
            told = wrong.removeprefix(f"{kind}: ").removeprefix(f"{kind} ")
            yield Finding("bad_work", f"{part}/{kind}", told)


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _role(where: str, role: object) -> Iterator[Finding]:
    if role not in roles():
        yield Finding("unknown_role", where, f"there is no role {role!r}")


def _category(where: str, category: object) -> Iterator[Finding]:
    if category not in categories():
        yield Finding("unknown_category", where, f"there is no category {category!r}")


def _group(where: str, group: object) -> Iterator[Finding]:
    if group not in groups():
        yield Finding("unknown_group", where, f"there is no event group {group!r}")


_Check = Callable[[str, object], Iterable[Finding]]

_CHECKS: Mapping[str, _Check] = {
    "version": _version,
    "matrix": _matrix,
    "event_group_gate": _lists(_group),
    "break_glass": _lists(_category),
    "private_bodies": _roles,
    "enforcement_roles": _roles,
    "enforcement_dispute_serves": _roles,
    "evidence": _evidence,
    "timers": _timers,
    INSIDE: _inside,
    WORK: _work,
}
