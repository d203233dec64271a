"""Which partners could put their deliveries together, and on what, under a policy profile.

Pure. Deliveries name case and person by pseudonyms of the partner's own. Two things can still be
the same at two partners: the sender's header and signature, where the profile gives a role agency
evidence (docs/release.md, "Evidence"); and what an event itself says, where both are released the
same category. The first joins with certainty and on every event both receive; the second only where
a field is a reference or names the person. Neither is a hole in a decision: it is what the decision
costs, told to whoever publishes the profile.

Deliberately absent: free text that happens to identify. Any category may hold some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from hub.domain.policy import Inside, PolicyProfile
from schemas.registry import Schemas

# All of these name the person or where they are; of other categories only references join.
_NAMING = frozenset({"identity", "contact", "location_safe"})
_REFERENCES = ("_ref", "_refs", "_id", "_number")


@dataclass(frozen=True, slots=True)
class Joining:
    """What can be joined.

    signed: roles of which any two agencies can join on the sender's signature. attested: roles
    that get the hub's word only. content: hub-attested role → (category, its fields, the roles that
    may receive it too), the only thing such a role could join on. inside: bodies for which nothing
    has to be joined, because they are part of another one.
    """

    signed: tuple[str, ...]
    attested: tuple[str, ...]
    content: Mapping[str, tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]]
    inside: tuple[Inside, ...]


def joining(profile: PolicyProfile) -> Joining:
    """Roles that receive nothing at all are left out."""
    receiving = [role for role in profile.matrix if _may(profile, role)]
    signed = tuple(role for role in receiving if profile.evidence_for(role) == "agency")
    attested = tuple(role for role in receiving if profile.evidence_for(role) == "hub")
    content = {}
    for role in attested:
        shared = []
        for category, fields in joinable_fields().items():
            if category not in _may(profile, role):
                continue
            others = tuple(one for one in receiving if category in _may(profile, one))
            shared.append((category, fields, others))
        content[role] = tuple(shared)
    return Joining(signed, attested, content, profile.inside)


def _may(profile: PolicyProfile, role: str) -> frozenset[str]:
    """Categories the role could ever receive, by the matrix or through a window."""
    by_matrix = {name for name, mode in profile.matrix.get(role, {}).items() if mode != "N"}
    return frozenset(by_matrix | profile.opens(role))


@lru_cache(maxsize=1)
def joinable_fields() -> Mapping[str, tuple[str, ...]]:
    """Category → its fields that are references or name the person, in any event."""
    schemas = Schemas.load()
    found: dict[str, set[str]] = {}
    for event_type in schemas.types():
        for field in schemas.by_type(event_type).fields:
            if field.category in _NAMING or field.name.endswith(_REFERENCES):
                found.setdefault(field.category, set()).add(field.name)
    return {category: tuple(sorted(names)) for category, names in sorted(found.items())}


def told(found: Joining) -> list[str]:
    """The same in sentences, for whoever decides on the profile."""
    lines = []
    if found.signed:
        lines.append(
            "Any two agencies of these roles can join their deliveries, event by event, on the "
            f"sender's header and signature: {', '.join(found.signed)}."
        )
    if found.attested:
        lines.append(
            "Hub-attested, so without a signature to join on, with each other or with anybody: "
            f"{', '.join(found.attested)}."
        )
    for role, shared in found.content.items():
        for category, fields, others in shared:
            lines.append(
                f"{role} could join on what {category} says ({', '.join(fields)}) with: "
                f"{', '.join(others)}."
            )
    for one in found.inside:
        lines.append(
            f"{one.body} has the role {one.role} and is part of {one.inside}: what the one holds "
            f"is in the hands of the other, joined or not. It decides {one.decides}."
        )
    return lines
