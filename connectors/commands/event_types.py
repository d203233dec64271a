"""The option `--event TYPE`, the same with every command that takes some types and not others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

import typer

NAMES: Final = ("--event", "--events")  # the second: as two of the commands had it at first


def known(given: Iterable[str] | None, types: Collection[str]) -> list[str]:
    """What was given, repeated or with commas, once each. Wrong usage if a type is not known."""
    wanted = [one.strip() for text in given or () for one in text.split(",") if one.strip()]
    for one in wanted:
        if one not in types:
            near = get_close_matches(one, types, 1)
            meant = f"did you mean {near[0]!r}?" if near else "docs/events.md lists them all"
            raise typer.BadParameter(f"{one!r} is no event type: {meant}", param_hint=NAMES[0])
    return list(dict.fromkeys(wanted))
