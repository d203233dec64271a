"""Policy profile: one jurisdiction's release matrix and firewall, as a versioned document.

A profile is data, checked when it is loaded (`hub/domain/profile_check.py`) and never changed:
another profile is another version, and every decision records the version it was made on. Default
deny: a role or category the matrix does not name is mode N. Shipped are `profiles/coe.json`, in
the manner of the Council of Europe Convention and the default, and `profiles/uk.json`;
docs/policy.md explains both, docs/release.md how a profile decides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

from hub.domain import profile_check
from hub.domain.profile_check import Finding

SHIPPED: Mapping[str, str] = {"default": "coe", "coe": "coe", "uk": "uk"}  # name → document


class PolicyError(Exception):
    """The profile document is incomplete or contradicts itself; correct it as each finding says."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        more = len(self.findings) - 1
        super().__init__(f"{self.findings[0]}" + (f", and {more} more" if more else ""))


@dataclass(frozen=True, slots=True)
class Inside:
    """A body with role `role` that is part of enforcement; what it decides, and why that is so."""

    body: str
    role: str
    inside: str
    decides: str
    why: str


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
    inside: bodies that have another role and are part of immigration enforcement; likewise, told
        wherever the profile is shown.
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
    inside: tuple[Inside, ...] = ()

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
        """Check and freeze a document. Raises PolicyError naming every part that is wrong."""
        found = profile_check.errors(document)
        if found:
            raise PolicyError(found)
        return cls.as_recorded(document)

    @classmethod
    def as_recorded(cls, document: Mapping[str, Any]) -> PolicyProfile:
        """Freeze a document that was checked before it was recorded.

        What decided once must be read again by every later version of the hub, also where that
        one would no longer let it be published. What no rule knows releases nothing.
        """
        matrix = document["matrix"]
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
            inside=tuple(
                Inside(one["body"], one["role"], one["inside"], one["decides"], one["why"])
                for one in document.get(profile_check.INSIDE, ())
            ),
        )


def shipped_document(name: str) -> dict[str, Any]:
    """A shipped profile as a document, ready to be copied, changed and proposed."""
    file = resources.files("hub.domain").joinpath("profiles", f"{SHIPPED[name]}.json")
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return document


def default_document() -> dict[str, Any]:
    """The document a hub starts with unless told otherwise."""
    return shipped_document("default")


def default_profile() -> PolicyProfile:
    """The shipped profile, checked."""
    return PolicyProfile.from_document(default_document())


def _frozen(items: dict[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(items)


def _sets(lists: Mapping[str, list[str]]) -> Mapping[str, frozenset[str]]:
    return MappingProxyType({role: frozenset(names) for role, names in lists.items()})
