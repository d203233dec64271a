"""Spreadsheets: what a program that opens a CSV file by itself takes for a formula, and runs."""

from __future__ import annotations

from typing import Final

FORMULA: Final = tuple("=+-@\t\r\n'＝＋－＠")
"""What a formula begins with, also in full width; and the apostrophe that says it is none."""


def as_text(cell: str) -> str:
    """With an apostrophe in front, where it would be a formula: then a spreadsheet shows text. Take
    one away to have it as it was."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
