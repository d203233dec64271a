"""What is put beside a dropped file that was read: the report, and the rows to put right.

Both are whole or not there, and made again they are the same.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import made_anew, write_whole
from connectors.sources.captured import BOX
from connectors.sources.folder.reading import head, kind_of, slices
from connectors.strict_json import read_json

_REPORT: Final = (
    "row", "outcome", "reason", "field", "what to do", "step", "guard", "event", "position",
)  # fmt: skip


def report(db: Connection, fault: str | None, path: Path) -> None:
    """What became of each row. fault: JSON of the whole file's reason, field and fix."""
    part = path.with_name("." + path.name + ".part")
    with TextIOWrapper(made_anew(part), encoding="utf-8", newline="") as text:
        sheet = csv.writer(text)
        sheet.writerow(_REPORT)
        if fault is not None:
            reason, field, fix = json.loads(fault)
            sheet.writerow([0, "refused", reason, field, fix, 0, "", "", ""])
        for row in db.execute(sa.select(BOX).order_by(BOX.c.id)).mappings():
            held = row["status"] == "ready"
            sheet.writerow(
                [
                    str(row["place"]).rpartition(" ")[2],
                    "waiting" if held else row["status"],
                    "case_held" if held else row["answer_reason"] or "",
                    row["answer_field"] or "",
                    "put the earlier row of its case right" if held else row["answer_fix"] or "",
                    "" if row["answer_step"] is None else row["answer_step"],
                    row["answer_guard"] or "",
                    row["hub_event"] or "",
                    "" if row["hub_position"] is None else row["hub_position"],
                ]
            )
        text.flush()
        os.fsync(text.fileno())
    os.replace(part, path)


def rest_name(path: Path) -> str:
    return f"{path.stem}.rest{path.suffix}"


def rest(
    path: Path, spans: Sequence[tuple[int, int]], target: Path, encoding: str, delimiter: str
) -> None:
    """The rows to put right, as they stand in the file, under its header."""
    left = target / rest_name(path)
    if kind_of(path) == ".json":
        value = read_json(path.read_bytes().decode("utf-8-sig"))
        entries = value if isinstance(value, list) else [value]
        wanted = [entries[begins] for begins, _ in spans]
        text = json.dumps(wanted, indent=1, ensure_ascii=False) + "\n"
        # Halves of characters, which JSON can name and UTF-8 cannot, are named again.
        write_whole(left, text.encode("utf-8", "backslashreplace"))
        return
    begins = head(path, encoding, delimiter).begins
    part = left.with_name("." + left.name + ".part")
    with made_anew(part) as file:
        if kind_of(path) == ".csv":
            file.writelines(slices(path, [(0, begins)]))
        file.writelines(slices(path, spans))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, left)
