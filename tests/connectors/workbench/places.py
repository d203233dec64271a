"""Partner databases for the workbench: real SQLite files made from `partners/*.sql`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from connectors.database.definitions import Found
from connectors.sql import SqlDatabase
from connectors.workbench.lookups import read_tables
from connectors.workbench.proposing import Proposal, propose
from hub.cli.role_matrix import withheld_for
from schemas.registry import Schemas

PARTNERS = Path(__file__).parent / "partners"
NAMES = sorted(path.stem for path in PARTNERS.glob("*.json"))


def truth(name: str) -> dict[str, Any]:
    return dict(json.loads((PARTNERS / f"{name}.json").read_text("utf-8")))


def database(name: str, folder: Path) -> str:
    return made((PARTNERS / f"{name}.sql").read_text("utf-8"), folder)


def made(ddl: str, folder: Path) -> str:
    with sqlite3.connect(folder / "partner.db") as own:
        own.executescript(ddl)
    own.close()
    return f"sqlite:///{folder}/partner.db"


def read(url: str) -> Found:
    opened = SqlDatabase(url)
    with opened.reading() as db:
        found = read_tables(db)
    opened.close()
    return found


def proposed(name: str, folder: Path) -> tuple[Found, Proposal]:
    found = read(database(name, folder))
    role = truth(name)["role"]
    return found, propose(found, Schemas.load(), withheld=withheld_for(role))
