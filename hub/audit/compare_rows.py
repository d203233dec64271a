"""Compared rows: two files of row digests, the hub's and a partner's, line by line.

Both are sorted the same way, so they are read together once, in flat memory. Every row that one
side has alone, or that differs, is named with the columns that do; nobody's content is needed.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.tables.row_digest import ERASED
from hub.errors import Refused

_KEYS: Final = {"nrm_case": ("case_ref",), "nrm_holding": ("event_ref", "category")}
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """what: missing (the partner lacks it), unexpected (the log knows of none), differs (in these
    columns), erased (the hub can no longer tell whether its content is right)."""

    table: str
    row: str
    what: str
    columns: tuple[str, ...] = ()


def whose(path: Path) -> str:
    """The agency whose rows a file tells. Refused: `not_row_digests`."""
    rows = _read(path)
    try:
        return str(next(rows, {}).get("agency", ""))
    finally:
        rows.close()


def compare(ours: Path, theirs: Path) -> Iterator[RowDifference]:
    """Rows that differ. Refused: `not_row_digests`, `other_rows`, if the files cannot be held
    against each other."""
    mine, other = _read(ours), _read(theirs)
    _same(next(mine), next(other))
    left, right = next(mine, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and _place(left) < _place(right)):
            assert left is not None
            if left.get("content") != ERASED:
                yield _difference(left, "missing")
            left = next(mine, None)
        elif left is None or _place(right) < _place(left):
            yield _difference(right, "unexpected")
            right = next(other, None)
        else:
            columns = sorted(n for n in {*left, *right} if left.get(n) != right.get(n))
            if left.get("content") == ERASED:
                yield _difference(left, "erased")
            elif columns:
                yield _difference(left, "differs", tuple(columns))
            left, right = next(mine, None), next(other, None)


def _difference(row: dict[str, Any], what: str, columns: tuple[str, ...] = ()) -> RowDifference:
    table, *place = _place(row)
    return RowDifference(table, " ".join(place), what, columns)


def _place(row: dict[str, Any]) -> Place:
    names = _KEYS.get(row["table"], ("event_ref",))
    return (row["table"], *(str(row[name]) for name in names))


def _read(path: Path) -> Generator[dict[str, Any]]:
    with path.open("rb") as file:
        number = -1
        for number, text in enumerate(file):
            try:
                row = json.loads(text)
                if number:
                    _place(row)
                elif row["nrm"] != "rows":
                    raise ValueError("no heading")
            except (ValueError, KeyError, TypeError, AttributeError):
                raise _none_of_ours(path, number) from None
            yield row
        if number < 0:
            raise _none_of_ours(path, 0)


def _none_of_ours(path: Path, number: int) -> Refused:
    return Refused(
        0,
        "not_row_digests",
        f"{path}, line {number + 1}: not made by `audit replay --agency` or by `connector digest`",
    )


def _same(mine: dict[str, Any], other: dict[str, Any]) -> None:
    for name in ("hub", "agency"):
        if mine.get(name) != other.get(name):
            raise Refused(0, "other_rows", f"the two files are not about the same {name}")
    if mine.get("sequence") != other.get("sequence"):
        raise Refused(
            0,
            "other_rows",
            f"the log's rows are as after delivery {mine.get('sequence')}, the partner's as after "
            f"{other.get('sequence')}: let its receipts come in, then make both again",
        )
    if mine.get("key") != other.get("key"):
        raise Refused(
            0,
            "other_rows",
            "the two files were made with different keys: use one key file for both",
        )
