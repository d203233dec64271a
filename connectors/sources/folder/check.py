"""What keeps files of a folder from being taken: the folder, its parts, the encoding."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from connectors.findings import Finding

_PLAIN: Final = b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,;"|-:+.\t\r\n'


def folder_findings(folder: Path, within: Sequence[str], encoding: str) -> Iterator[Finding]:
    """within: names of this program's own folders in it, made when it starts."""
    for text, fix in (*_of_folder(folder, within), *_of_text(encoding)):
        yield Finding("wrong", "folder", text, fix)


def _of_folder(folder: Path, within: Sequence[str]) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        yield f"folder.path: there is no folder {folder}", "make it"
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        told = f"folder.path: {folder} may not be written; files are moved inside it"
        yield told, "give this user the right to write there"
    for part in (folder / name for name in within):
        if part.is_symlink():
            told = f"folder.path: {part} is a link: files would be moved where it leads"
            yield told, "take it away"
        elif part.exists() and not part.is_dir():
            told = f"folder.path: {part} is to be a folder of this program's"
            yield told, "move away what is there"


def _of_text(encoding: str) -> Iterator[tuple[str, str]]:
    try:
        read = _PLAIN.decode(encoding)
    except (LookupError, ValueError):
        read = ""
    if read != _PLAIN.decode("ascii"):
        told = (
            f"folder.encoding: {encoding[:40]!r} is no encoding in which lines and commas are "
            "found byte by byte"
        )
        yield told, "save files as utf-8, or name one such as cp1252"
