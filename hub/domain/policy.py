"""Policy profile: one jurisdiction's release matrix and firewall, as a versioned document.

A profile is data, checked when it is loaded and never changed: another profile is another
version, and every decision records the version it was made on. Default deny: a role or category
the matrix does not name is mode N. The default document is `profiles/default.json`; docs/release.md
explains each part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

from hub.domain import timers as timing
from hub.domain import work as owning

MODES = frozenset("ADCKXN")
EVIDENCE = ("agency", "hub")  # agency: header and signature travel along; hub: the hub attests
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


# What each part holds: an object of objects, an object of lists, a list of names, an object.
_KINDS: Mapping[str, tuple[type, type | None]] = {
    "matrix": (dict, dict),
    "event_group_gate": (dict, list),
    "break_glass": (dict, list),
    "private_bodies": (list, str),
    "enforcement_roles": (list, str),
    "enforcement_dispute_serves": (list, str),
    "evidence": (dict, str),
    "timers": (dict, None),
}

_WORDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "a text"}


class PolicyError(Exception):
    """The profile document is incomplete or contradicts itself; publish a corrected one."""


@dataclass(frozen=True, eq=False, slots=True)
class PolicyProfile:
    """What a jurisdiction lets each role receive.

    matrix: role → category → mode (A always, D by default once concerned, C with consent,
        K child by default else consent, X child only, N never).
    gates: role → event groups whose `case_management` it may receive.
    break_glass: role → categories a break-glass window may open.
    private_bodies: roles whose default access needs an active consent naming them (adults).
    enforcement_roles: roles whose age dispute about an adult opens nothing wide.
    enforcement_dispute_serves: roles that treat the person as a child after such a dispute.
    evidence: role → "agency" or "hub": whose signature a delivery carries.
    timers: name → length, see docs/timers.md; not used by the release decision.
    work: kind of work item → who owns it, where not as in docs/work.md; likewise.
    """

    version: str
    matrix: Mapping[str, Mapping[str, str]]
    gates: Mapping[str, frozenset[str]]
    break_glass: Mapping[str, frozenset[str]]
    private_bodies: frozenset[str]
    enforcement_roles: frozenset[str]
    enforcement_dispute_serves: frozenset[str]
    evidence: Mapping[str, str]
    timers: Mapping[str, Any]
    work: Mapping[str, str] = field(default_factory=dict)

    def mode(self, role: str, category: str) -> str:
        """Matrix entry; N for anything the profile does not name."""
        row = self.matrix.get(role)
        return "N" if row is None else row.get(category, "N")

    def gate(self, role: str) -> frozenset[str]:
        return self.gates.get(role, frozenset())

    def opens(self, role: str) -> frozenset[str]:
        """Categories a break-glass window may open to this role."""
        return self.break_glass.get(role, frozenset())

    def evidence_for(self, role: str) -> str:
        return self.evidence.get(role, "agency")

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PolicyProfile:
        """Check and freeze a document. Raises PolicyError naming the part that is wrong."""
        if not isinstance(document, Mapping):
            raise PolicyError("the profile is not a JSON object")
        missing = [part for part in PARTS if part not in document]
        if missing:
            raise PolicyError(f"the profile lacks {', '.join(missing)}")
        for part, kind in _KINDS.items():
            _check(part, document[part], kind)
        matrix = document["matrix"]
        for role, row in matrix.items():
            for category, mode in row.items():
                if not isinstance(mode, str) or mode not in MODES:
                    raise PolicyError(f"matrix: {role}/{category} has no mode {mode!r}")
        for role, evidence in document["evidence"].items():
            if evidence not in EVIDENCE:
                raise PolicyError(f"evidence: {role} must be one of {', '.join(EVIDENCE)}")
        for part in ("event_group_gate", "break_glass"):
            for role in document[part]:
                if role not in matrix:
                    raise PolicyError(f"{part}: role {role} is not in the matrix")
        for part in ("private_bodies", "enforcement_roles", "enforcement_dispute_serves"):
            for role in document[part]:
                if role not in matrix:
                    raise PolicyError(f"{part}: role {role} is not in the matrix")
        wrong = timing.check(document["timers"])
        if wrong is not None:
            raise PolicyError(f"timers: {wrong}")
        wrong = owning.check(document.get("work", {}), matrix)
        if wrong is not None:
            raise PolicyError(f"work: {wrong}")
        return cls(
            version=str(document["version"]),
            matrix=_frozen({role: _frozen(dict(row)) for role, row in matrix.items()}),
            gates=_sets(document["event_group_gate"]),
            break_glass=_sets(document["break_glass"]),
            private_bodies=frozenset(document["private_bodies"]),
            enforcement_roles=frozenset(document["enforcement_roles"]),
            enforcement_dispute_serves=frozenset(document["enforcement_dispute_serves"]),
            evidence=_frozen(dict(document["evidence"])),
            timers=_frozen(dict(document["timers"])),
            work=_frozen(dict(document.get("work", {}))),
        )


def _check(part: str, found: Any, kind: tuple[type, type | None]) -> None:
    """PolicyError unless this part of a document has the shape that part has."""
    whole, each = kind
    if not isinstance(found, whole):
        raise PolicyError(f"{part} is not {_WORDS[whole]}")
    if each is None:
        return
    items: Any = found
    for name in items:
        if not isinstance(items[name] if whole is dict else name, each):
            raise PolicyError(f"{part}: {name} is not {_WORDS[each]}")


def default_document() -> dict[str, Any]:
    """The shipped profile as a document, ready to be copied, changed and published."""
    text = resources.files("hub.domain").joinpath("profiles/default.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def default_profile() -> PolicyProfile:
    """The shipped profile, checked."""
    return PolicyProfile.from_document(default_document())


def _frozen(items: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(items)


def _sets(lists: Mapping[str, list[str]]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({role: frozenset(names) for role, names in lists.items()})
