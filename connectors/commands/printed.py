"""How commands print: tables for a terminal, plain lines for a file or another program.

On a terminal tables are framed and fitted to its width, in colour unless NO_COLOR is set.
Anywhere else there are no frames, no colours and no wrapping: one row, one line, columns aligned,
so that `grep` and `awk` find whole rows.

What others named (files, tables, columns, whoever answers) may hold what steers a terminal or looks
like a line of ours. It is shown, escaped; a cell's text is text, never markup.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 4_000  # columns: nothing we print is wider
_STEERS: Final = {
    number: chr(number).encode("unicode_escape").decode()
    for number in (
        *range(0x20), *range(0x7F, 0xA0),  # control characters, among them those of a terminal
        0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A),  # line ends, directions
    )
}  # fmt: skip
_LINES: Final = {number: text for number, text in _STEERS.items() if chr(number) not in "\n\t"}


def visible(text: str) -> str:
    """The text without anything that steers a terminal. Line ends stay."""
    return text.translate(_LINES)


def one_line(text: str) -> str:
    """The text on one line, without anything that steers a terminal."""
    return text.translate(_STEERS)


class PlainFormatter(logging.Formatter):
    """Log lines that nobody else can begin: further lines of a message are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record)).replace("\n", "\n  ")


def log_to_stderr(form: str) -> None:
    """Lines of this form on standard error, unless there is a log already."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter(form))
    logging.basicConfig(handlers=[handler])


def terminal() -> bool:
    return sys.stdout.isatty()


def console() -> Console:
    """Standard output."""
    return Console(width=None if terminal() else WIDE, highlight=False)


class _Table(Table):
    """Cells are texts as they are; one that is to have a style is a `Text`."""

    def add_row(self, *cells: Any, **more: Any) -> None:
        plain = (Text(visible(one)) if isinstance(one, str) else one for one in cells)
        super().add_row(*plain, **more)


def table(*headings: str, title: str | None = None, lines: bool = False) -> Table:
    """An empty table. A heading that starts with '>' is right-aligned. lines: between rows."""
    framed = terminal()
    made = _Table(
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
