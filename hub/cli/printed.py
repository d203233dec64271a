"""How the hub's commands print, as agencies' and partners' do, and progress for a person watching.

The tables and plain lines are those of `connectors/commands/printed.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from connectors.collector import resting
from connectors.commands.printed import console, table, terminal

__all__ = ["console", "lines", "progress", "table", "terminal"]


@contextmanager
def progress(*, disable: bool = False) -> Iterator[Progress]:
    """Progress of long work, on standard error and only for a person watching; with a garbage
    collector that leaves such work alone."""
    watched = sys.stderr.isatty() and not disable
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
        disable=not watched,
    )
    with resting(), bar:
        yield bar


def lines(*parts: str) -> str:
    """Several statements in one cell: under one another on a terminal, else on one line."""
    told = [part for part in parts if part]
    return ("\n" if terminal() else "; ").join(told)
