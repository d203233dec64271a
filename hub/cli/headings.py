"""What help shows: commands under headings, in the order in which somebody needs them.

A command that is named nowhere here comes last, under the usual heading; `tests/cli/test_help.py`
asks that none is forgotten.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import typer
from rich.markup import escape

Headings = Mapping[str, tuple[str, ...]]

PROGRAM: Final[Headings] = {
    "To try it": ("demo", "scenario", "dev", "version"),
    "At an agency, and at a partner's site": ("agency", "publish", "source", "connector"),
    "At the hub: running it": (
        "serve", "console", "status", "refusals", "recalls", "work", "case", "policy", "officer",
        "viewer", "backup", "restore",
    ),
    "At the hub: answering to the person, to auditors and to the public": (
        "person", "consent", "subject", "audit", "statistics", "witness",
    ),
}  # fmt: skip

CONNECTOR: Final[Headings] = {
    "To begin": ("try", "practice", "map", "ddl", "check", "run"),
    "Every day": ("status", "quarantine", "redrive", "discard", "registry"),
    "Are the rows still what was delivered?": ("reconcile", "rebuild", "digest"),
    "To write one of your own": ("new",),
}

SOURCE: Final[Headings] = {
    "To begin": ("ddl", "check", "run"),
    "Every day": ("status", "report", "retry"),
}

AGENCY: Final[Headings] = {
    "This agency": ("init", "request", "install", "show", "rotate", "work", "close", "form"),
    "The hub's operator": ("approve", "list", "revoke", "end-agreement", "sign-agreement"),
}


def arrange(group: typer.Typer, headings: Headings) -> None:
    """Put the commands and groups of this group into this order, each under its heading."""
    place = {name: heading for heading, names in headings.items() for name in names}
    order = list(place)

    def key(one: Any) -> int:
        name = name_of(one)
        return order.index(name) if name in place else len(order)

    for kept in (group.registered_commands, group.registered_groups):
        kept.sort(key=key)
        for one in kept:
            one.rich_help_panel = place.get(name_of(one), one.rich_help_panel)


def name_of(one: Any) -> str:
    """The name of a registered command or group, as it is typed."""
    if one.name:
        return str(one.name)
    return str(one.callback.__name__).strip("_").replace("_", "-")


def flow(group: typer.Typer) -> None:
    """Paragraphs of help fill the terminal's width, whatever the width of the source is, and
    nothing in brackets counts as markup."""
    for command in group.registered_commands:
        if command.callback is not None and command.help is None:
            command.help = escape(flowing(inspect.getdoc(command.callback) or ""))
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            flow(inner.typer_instance)


def flowing(text: str) -> str:
    """Line ends within a paragraph as spaces; an example begins a line of its own."""
    paragraphs = (one.replace("\n", " ") for one in text.split("\n\n"))
    return "\n\n".join(one.replace(" Example: ", "\nExample: ") for one in paragraphs)
