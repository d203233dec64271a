"""A page that is typed as it stands, and what of it is typed.

    ```sh            typed, in order, in one bash for the whole page, in an empty folder
    ```sh NAME       one command in another terminal, left running until the page ends (Ctrl-C)
    ```console       told, not typed: how to install or start what only a real reader has to
    ```text output   what the block before it must have said: every line of it, in this order,
                     whatever stands between; … stands for anything, spaces do not count
    any other        shown, not typed (settings, tables)

A server the page needs: a ```console block says how a reader starts one and exports its address,

    export CASEWORK_DB=postgresql://user:password@localhost/casework

and the rest of the page uses `$CASEWORK_DB`. In the suite the variable names a real server of that
kind, empty and for this page alone: `tests/tutorials/places.py` knows which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```[^\n]*$", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^\s*export (\w+)=(\S*)", re.MULTILINE)
NOT_TYPED = frozenset({"bash", "shell", "zsh", "powershell", "cmd"})
"""Words for a block that a reader would type and the suite would not."""


@dataclass(frozen=True)
class Block:
    """One fenced block. kind: the first word of its fence; name: the second, or ""."""

    kind: str
    name: str
    text: str


@dataclass(frozen=True)
class Page:
    path: Path
    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, path: Path) -> Page:
        blocks = []
        for match in _BLOCK.finditer(path.read_text("utf-8")):
            words = [*match[1].split(), "", ""]
            blocks.append(Block(words[0], words[1], match[2]))
        return cls(path, tuple(blocks))

    def needs(self) -> dict[str, str]:
        """Variables the page asks its reader to set, with the value it shows as an example."""
        told = (block.text for block in self.blocks if block.kind == "console")
        return {name: value for text in told for name, value in _EXPORT.findall(text)}

    def mistakes(self) -> list[str]:
        """What of the page would not be run as a reader understands it."""
        wrong = [
            f"write ```sh, not ```{block.kind}, for what is typed"
            for block in self.blocks
            if block.kind in NOT_TYPED
        ]
        if not any(block.kind == "sh" for block in self.blocks):
            wrong.append("has no ```sh block: nothing of it is run")
        last = ""
        for block in self.blocks:
            if block.kind == "text" and block.name == "output" and last != "sh":
                wrong.append("```text output follows the ```sh block that says it")
            if block.kind == "sh" and block.name and len(block.text.strip().splitlines()) != 1:
                wrong.append(f"```sh {block.name}: another terminal runs one command")
            last = block.kind
        return wrong


def missing(expected: str, said: str) -> str | None:
    """The first line that was not said after those before it; None if all were."""
    rest = iter(_plain(said.splitlines()))
    for line in _plain(expected.splitlines()):
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
        if not any(pattern.fullmatch(one) for one in rest):
            return line
    return None


def _plain(lines: Iterable[str]) -> list[str]:
    return [plain for line in lines if (plain := " ".join(line.split()))]
