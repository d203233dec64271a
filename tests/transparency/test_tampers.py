"""An operator with the database's password and the log's own key, a thousand times.

He edits, deletes, inserts, reorders or replaces rows, makes leaves, tiles and checkpoints anew and
signs them with the log's key, so that the store and what is exported from it stand by themselves.
The offline auditor, who holds one earlier checkpoint, sees every one; where only rows were edited,
`audit verify` does.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub.audit import verify_log
from hub.store.log import HubLog
from tests.depth import depth
from tests.store.samples import octets
from tests.transparency.logs import ORIGIN, VKEY, Made, checked, codes

pytestmark = pytest.mark.slow

Row = tuple[Any, ...]  # stream, version, topic, state
ROWS, HELD = 300, (40, 256, 290)
TAMPERS, FILES = depth(200, 1_000), 20
SEED = 20_260


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[int, bytes]]:
    """The bytes of an honest store, and the checkpoints that auditors took home."""
    made = Made(tmp_path_factory.mktemp("honest"))
    kept = {}
    for size in (*HELD, ROWS):
        made.grow(size - made.log.head)
        kept[size] = made.newest
    made.close()
    return made.path.read_bytes(), kept


def edit(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    """One row says something else: its content, its stream, its version or its topic."""
    stream, version, topic, state = rows[at]
    flipped = bytearray(state)
    flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    rows[at] = dice.choice(
        [
            (stream, version, topic, bytes(flipped)),
            (stream, version, topic, state + b"\0"),
            (octets(16, dice.random()), version, topic, state),
            (stream, version + 1, topic, state),
            (stream, version, "nrm.Delivery.HeldBack", state),
        ]
    )
    return rows


def delete(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    del rows[at : at + dice.randint(1, 3)]
    return rows


def insert(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    rows.insert(at, (octets(16, dice.random()), 1, *rows[at][2:]))
    return rows


def reorder(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    other = dice.choice([one for one in range(len(rows)) if one != at])
    rows[at], rows[other] = rows[other], rows[at]
    return rows


def fork(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    """Everything from here on is another history, as long as the true one or longer."""
    count = len(rows) - at + dice.randint(0, 5)
    return rows[:at] + [(octets(16, dice.random(), n), 1, *rows[0][2:]) for n in range(count)]


def roll_back(rows: list[Row], at: int, dice: random.Random) -> list[Row]:
    """The end is cut off, and nothing put in its place."""
    return rows[: max(at, 1)]


KINDS: Sequence[Callable[[list[Row], int, random.Random], list[Row]]] = (
    edit,
    delete,
    insert,
    reorder,
    fork,
    roll_back,
)


def rebuilt(folder: Path, store: bytes, change: Callable[[list[Row]], list[Row]]) -> Made:
    """The store with other rows, and everything above them made anew and signed."""
    folder.mkdir()
    (folder / "events.db").write_bytes(store)
    with closing(sqlite3.connect(folder / "events.db")) as database, database:
        rows = database.execute(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " ORDER BY rowid"
        ).fetchall()
        rows = change(rows)
        for table in ("stored_events", "leaves", "tiles", "checkpoints"):
            database.execute(f"DELETE FROM {table}")
        database.executemany(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?)",
            [(position, *row) for position, row in enumerate(rows, 1)],
        )
        database.executemany(
            "INSERT INTO leaves VALUES (?, ?, ?)",
            [(position, leaf(row), position) for position, row in enumerate(rows, 1)],
        )
    made = Made(folder)
    while made.checkpoints.step(now=True):
        pass
    return made


def leaf(row: Row) -> bytes:
    """As hub/store/mapper.py makes it; written out, for who tampers has no need of our code."""
    from hashlib import sha256

    stream, version, topic, state = row
    name = topic.encode()
    whole = stream + version.to_bytes(4, "big") + bytes((len(name),)) + name + state
    return b"\x01" + sha256(whole).digest()


@pytest.mark.parametrize("part", range(FILES))
def test_every_tamper_is_caught(
    tmp_path: Path, store: tuple[bytes, dict[int, bytes]], part: int
) -> None:
    data, kept = store
    for number in range(part, TAMPERS, FILES):
        dice = random.Random(SEED + number)
        held = dice.choice(HELD)
        at = dice.randrange(held)
        kind = KINDS[number % len(KINDS)] if number % 10 else None
        if kind is None:
            assert rows_edited(tmp_path / f"{number}", data, at, dice), number
            continue

        def change(rows: list[Row]) -> list[Row]:
            return kind(rows, at, dice)  # noqa: B023 - called at once

        made = rebuilt(tmp_path / f"{number}", data, change)
        try:
            assert problems(made.log) == [], "the store stands by itself"
            made.export(tmp_path / f"{number}" / "log")
        finally:
            made.close()
        assert codes(checked(tmp_path / f"{number}" / "log")) == [], "and so does the export"
        found = codes(checked(tmp_path / f"{number}" / "log", kept[held]))
        assert found in (["earlier_differs"], ["earlier_longer"]), (number, kind.__name__, at)


def rows_edited(folder: Path, store: bytes, at: int, dice: random.Random) -> bool:
    """Only the row is edited: leaves, tiles and checkpoints are the true ones. Whether seen."""
    folder.mkdir()
    (folder / "events.db").write_bytes(store)
    with closing(sqlite3.connect(folder / "events.db")) as database, database:
        [row] = database.execute(
            "SELECT originator_id, originator_version, topic, state FROM stored_events"
            " WHERE rowid = ?",
            (at + 1,),
        ).fetchall()
        [changed] = edit([row], 0, dice)
        database.execute(
            "UPDATE stored_events SET originator_id = ?, originator_version = ?, topic = ?,"
            " state = ? WHERE rowid = ?",
            (*changed, at + 1),
        )
    made = Made(folder)
    found = problems(made.log)
    made.close()
    return f"position {at + 1}: row and leaf differ" in found


def problems(log: HubLog) -> list[str]:
    *_, verdict = verify_log(log, ORIGIN, VKEY)
    return verdict.problems


def test_an_honest_log_stands(tmp_path: Path, store: tuple[bytes, dict[int, bytes]]) -> None:
    """What the thousand rest on: the same rows, made anew, are found to be the same."""
    data, kept = store
    made = rebuilt(tmp_path / "same", data, lambda rows: rows)
    made.export(tmp_path / "log")
    made.close()
    assert codes(checked(tmp_path / "log", *kept.values())) == []
