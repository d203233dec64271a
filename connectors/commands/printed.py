"""How commands print: tables for a terminal, plain lines for a file or another program.

On a terminal tables are framed and fitted to its width, in colour unless NO_COLOR is set.
Anywhere else there are no frames, no colours and no wrapping: one row, one line, columns aligned,
so that `grep` and `awk` find whole rows.
"""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table

WIDE = 4_000  # columns: nothing we print is wider


def terminal() -> bool:
    return sys.stdout.isatty()


def console() -> Console:
    """Standard output."""
    return Console(width=None if terminal() else WIDE, highlight=False)


def table(*headings: str, title: str | None = None, lines: bool = False) -> Table:
    """An empty table. A heading that starts with '>' is right-aligned. lines: between rows."""
    framed = terminal()
    made = Table(
        title=title if framed else None,
        box=box.ROUNDED if framed else None,
        show_lines=lines and framed,
        pad_edge=framed,
        title_justify="left",
    )
    for heading in headings:
        made.add_column(
            heading.removeprefix(">"),
            justify="right" if heading.startswith(">") else "left",
            overflow="fold",
        )
    return made
