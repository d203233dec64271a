"""Who is looking: a person who signed in, and the one role they look in."""

from __future__ import annotations

from dataclasses import dataclass

from hub.authority.viewers import ROLES, Role

__all__ = ["ROLES", "Role", "Viewer"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person.

    name: as granted, unique among viewers. agency: whose officer, for that role only.
    how: "oidc" or "passkey".
    """

    name: str
    role: Role
    agency: str | None = None
    how: str = "passkey"

    def __post_init__(self) -> None:
        if (self.role == "agency_officer") != (self.agency is not None):
            raise ValueError("an agency officer has an agency, and nobody else has")
