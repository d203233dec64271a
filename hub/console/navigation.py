"""The menu: which pages there are, and who may open them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hub.console.viewer import ROLES, Role, Viewer


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the menu. text: key of its name. group: a line stands between two groups."""

    path: str
    text: str
    roles: tuple[Role, ...]
    group: str


_DESKS: Final[tuple[Role, ...]] = ("auditor", "operator")
_OWN: Final[tuple[Role, ...]] = (*_DESKS, "agency_officer")

MENU: Final = (
    Entry("/", "base.overview", ROLES, "hub"),
    Entry("/work", "base.work", _OWN, "hub"),
    Entry("/cases", "cases.menu", _DESKS, "cases"),
    Entry("/deliveries", "deliveries.menu", ("agency_officer",), "cases"),
    Entry("/preview", "preview.menu", _OWN, "cases"),
    Entry("/withdrawals", "base.withdrawals", _DESKS, "cases"),
    Entry("/dead-letters", "base.dead_letters", _OWN, "cases"),
    Entry("/policy", "base.policy", ROLES, "rules"),
    Entry("/registry", "base.registry", _OWN, "rules"),
    Entry("/questions", "questions.menu", ROLES, "proof"),
    Entry("/verify", "verify.menu", ROLES, "proof"),
    Entry("/looks", "looks.title", ("auditor",), "proof"),
)


def menu(viewer: Viewer | None) -> tuple[Entry, ...]:
    """What this viewer's menu shows."""
    if viewer is None:
        return ()
    return tuple(entry for entry in MENU if viewer.role in entry.roles)
