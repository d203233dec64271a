"""Describe: the definition of every table, in words, from the definitions the code counts by.

`python -m hub.statistics.describe` prints the last part of docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from hub.statistics.counts import Level
from hub.statistics.tables import TABLES, Table


def describe() -> str:
    """Markdown: the tables, then the levels they are divided by."""
    return "\n".join([*_tables(), *_levels()]).rstrip()


def _tables() -> Iterator[str]:
    yield "## Tables\n"
    for table in TABLES.values():
        yield f"### `{table.name}`\n"
        told = [f"{table.title}.", table.counts]
        if table.timing:
            told.append(f"Timed: {table.timing[0].lower()}{table.timing[1:]}")
        if not table.persons:
            told.append("Not with `dp`: a person may be counted more than once.")
        elif not table.closed:
            told.append("Not with `dp`: its cells are not known beforehand.")
        if not table.adds_up:
            told.append("A year is not the sum of its quarters, and cannot stand beside them.")
        yield " ".join(told) + "\n"
        yield "Divided by " + ", then ".join(_named(level) for level in table.levels) + ".\n"


def _named(level: Level[object]) -> str:
    only = ", ".join(f"`{code}`" for code in sorted(level.only))
    return f"**{level.title}**" + (f" (of {only})" if only else "")


def _levels() -> Iterator[str]:
    yield "## Levels\n"
    told = set()
    for table in TABLES.values():
        for level in table.levels:
            key = (level.title, level.means)
            if key not in told:
                told.add(key)
                yield from _level(table, level)


def _level(table: Table, level: Level[object]) -> Iterator[str]:
    yield f"### {level.title} (`{table.name}`)\n"
    yield level.means + "\n"
    yield "; ".join(f"`{code}` {label}" for code, label in level.labels.items()) + (
        "; and every code recorded.\n" if level.open else ".\n"
    )


if __name__ == "__main__":
    print(describe())
