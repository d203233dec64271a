"""Names: what agencies are called in a statement. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hub.domain.parties import HUB_ROLE
from hub.person.steps import AgencyName
from hub.person.wording import Wording


class Names:
    """What agencies are called here: by their names, or discreetly by what they are."""

    def __init__(self, agencies: Mapping[str, AgencyName], wording: Wording, discreet: bool):
        self._agencies, self._wording, self._discreet = agencies, wording, discreet
        self._numbers: dict[str, dict[str, int]] = {}

    def of(self, agency: str) -> str:
        known = self._agencies.get(agency)
        if known is None:
            return agency
        if known.role == HUB_ROLE:
            return self._wording.of("roles", known.role)
        if not self._discreet:
            alike = [one for one in self._agencies.values() if one.name == known.name]
            return known.name if len(alike) == 1 else f"{known.name} ({agency})"
        same = self._numbers.setdefault(known.role, {})
        number = same.setdefault(agency, len(same) + 1)
        role = self._wording.of("roles", known.role).partition(":")[0].strip()
        return role if number == 1 else f"{role} ({number})"

    def role(self, agency: str) -> str | None:
        """Plain words for its role; None if its name is just that."""
        known = self._agencies.get(agency)
        if known is None or self._discreet or known.role == HUB_ROLE:
            return None
        return self._wording.of("roles", known.role)
