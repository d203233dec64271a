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


MENU: Final = (Entry("/", "base.overview", ROLES),)


def menu(viewer: Viewer | None) -> tuple[Entry, ...]:
    """What this viewer's menu shows."""
    if viewer is None:
        return ()
    return tuple(entry for entry in MENU if viewer.role in entry.roles)
