"""The menu: which pages there are, and who may open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.console.viewer import ROLES, Role, Viewer


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the menu. `text`: key of its name."""

    path: str
    text: str
    roles: tuple[Role, ...]


_DESKS: Final[tuple[Role, ...]] = ("auditor", "operator")
_OWN: Final[tuple[Role, ...]] = (*_DESKS, "agency_officer")

MENU: Final = (
    Entry("/", "base.overview", ROLES),
    Entry("/cases", "cases.menu", _DESKS),
    Entry("/deliveries", "deliveries.menu", ("agency_officer",)),
    Entry("/preview", "preview.menu", _OWN),
    Entry("/work", "base.work", _OWN),
    Entry("/withdrawals", "base.withdrawals", _DESKS),
    Entry("/dead-letters", "base.dead_letters", _OWN),
    Entry("/policy", "base.policy", ROLES),
    Entry("/questions", "questions.menu", ROLES),
    Entry("/registry", "base.registry", _OWN),
    Entry("/verify", "verify.menu", ROLES),
    Entry("/looks", "looks.title", ("auditor",)),
)


def menu(viewer: Viewer | None) -> tuple[Entry, ...]:
    """What this viewer's menu shows."""
    if viewer is None:
        return ()
    return tuple(entry for entry in MENU if viewer.role in entry.roles)
