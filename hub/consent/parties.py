"""Who a consent names, as the register names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hub.membership.agencies import Agencies


@dataclass(frozen=True, slots=True)
class Named:
    """An agency by id, name and role. An agency the register does not know is named by its id."""

    agency: str
    name: str
    role: str


Names = Callable[[str], Named]


def named_in(agencies: Agencies) -> Names:
    """Names by this register."""

    def name(agency: str) -> Named:
        known = agencies.get(agency)
        if known is None:
            return Named(agency, agency, "not enrolled")
        return Named(agency, known.name or agency, known.role)

    return name
