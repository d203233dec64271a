"""What a role is never given, by a policy profile that comes with the hub.

A hub decides by its own profile; this is what is usual. Only `never` counts: what rests on consent
may come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hub.domain.policy import PolicyProfile, shipped_document
from hub.domain.referral import MESSAGES
from schemas.compartments import INHERIT, UNRELEASABLE
from schemas.event import EventSchema

Withheld = Callable[[EventSchema, str], str | None]

NEVER: Final = "N"
ADDRESSED: Final = ("referral", "consent")  # come to those they are about: docs/release.md 7 and 8


def withheld_for(role: str, profile: str = "coe") -> Withheld:
    """(schema, category) → why this role never gets it, or None. Unknown roles get everything."""
    policy = PolicyProfile.from_document(shipped_document(profile))

    def why(schema: EventSchema, category: str) -> str | None:
        if category == UNRELEASABLE:
            return "nobody is given it"
        if category == INHERIT or role not in policy.gates:
            return None
        if policy.mode(role, category) == NEVER:
            return f"{role} is never given {category} (profile {profile})"
        gated = category == "case_management" and schema.type not in MESSAGES
        if gated and schema.group not in (*ADDRESSED, *policy.gate(role)):
            return f"{role} is not given {category} of {schema.group} events (profile {profile})"
        return None

    return why
