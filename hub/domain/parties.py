"""Parties: who could receive anything, as the rules see them.

A snapshot, never changed: whoever keeps the register makes a new one. `version` is recorded with
every decision, so that an auditor can decide again on the same register.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HUB_ROLE = "hub"


@dataclass(frozen=True, slots=True)
class Party:
    """One registered agency.

    receives: whether it has an active data-sharing agreement; without one it receives nothing.
    position: log position at which it was registered.
    """

    agency: str
    role: str
    receives: bool = True
    position: int = 0


class Parties:
    """All registered agencies, by id and by role. The hub itself is never a recipient."""

    __slots__ = ("_by_agency", "_by_role", "roles", "version")

    def __init__(self, parties: Iterable[Party], version: int = 0) -> None:
        self._by_agency = {party.agency: party for party in parties}
        by_role: dict[str, list[Party]] = {}
        for agency in sorted(self._by_agency):
            party = self._by_agency[agency]
            if party.role != HUB_ROLE:
                by_role.setdefault(party.role, []).append(party)
        self._by_role = {role: tuple(by_role[role]) for role in sorted(by_role)}
        self.roles: tuple[str, ...] = tuple(self._by_role)
        self.version = version

    def get(self, agency: str) -> Party | None:
        return self._by_agency.get(agency)

    def by_role(self, role: str) -> tuple[Party, ...]:
        """Agencies of a role, by id; none for the hub's own role."""
        return self._by_role.get(role, ())

    def all(self) -> tuple[Party, ...]:
        return tuple(self._by_agency.values())
