"""Books, files and rows that somebody has changed: waited for in words, compared, never a crash."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.conformance import CANARY, batch, demographics, identity, opened_case, poison
from connectors.errors import ConnectorError, SettingsError, SinkDownError, UntrustedError
from connectors.files.drop import LocalDrop
from connectors.kinds import Place, open_kind
from connectors.reconciliation.repair import Repair
from connectors.sink import RecallPolicy, Sink
from connectors.sql import SqlSink
from connectors.telling.notice import Notices, NoticeSettings
from tests.connectors.builder import NOW, MiniHub
from tests.connectors.reconciliation import test_reconcile
from tests.odd import ODD

ROWS = ("", None, "x", "[", "{}", "[1]", -1, 2**62, b"\xff\xfe", 1.5, "2026-99-99T00:00Z", "a\0b")


class Opened:
    """A sink that has applied something, opened anew each time."""

    def __init__(self, kind: str, place: Place) -> None:
        self._kind, self._place = kind, place
        self._sink: Sink | None = None

    def __call__(self) -> Sink:
        self.close()
        if self._kind == "sql":
            url = f"sqlite:///{self._place.folder}/files.state.db"
            self._sink = SqlSink(url, "POL-1", "test-hub")
        else:
            self._sink = open_kind("folder", {"path": "drop", "format": "csv"}, self._place)
        self._sink.prepare()
        self._sink.claim()
        return self._sink

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()


@pytest.fixture(params=["sql", "folder"])
def opened(
    request: pytest.FixtureRequest, police: AgencyIdentity, tmp_path: Path
) -> Iterator[Opened]:
    (tmp_path / "drop").mkdir()
    place = Place("POL-1", "test-hub", police.home, tmp_path, RecallPolicy())
    made = Opened(request.param, place)
    items = [opened_case(1), identity(2), demographics(3, "e-1"), poison(4, "e-9")]
    made().apply(batch(*items))
    yield made
    made.close()


def test_any_place_of_the_books(opened: Opened, tmp_path: Path) -> None:
    """Every column of every table, one after the other, with a value it never had."""
    chance = random.Random(20261127)
    books = tmp_path / "files.state.db"
    opened()
    opened.close()
    good = books.read_bytes()
    with sqlite3.connect(books) as db:
        query = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
        columns = db.execute(f"{query} WHERE m.type = 'table'").fetchall()
    db.close()
    for table, column in chance.sample(columns, 15):
        with sqlite3.connect(books) as db:
            try:
                change = f'UPDATE "{table}" SET "{column}" = ?'
                db.execute(change, (chance.choice(ROWS),))
            except sqlite3.IntegrityError:
                continue
        db.close()
        try:
            sink = opened()
            sink.owed(10)
            sink.quarantine()
            sink.position()
        except Exception as wrong:
            if not isinstance(wrong, ConnectorError) or CANARY in str(wrong):
                raise AssertionError((table, column)) from wrong
        opened.close()
        for end in ("-wal", "-shm"):
            books.with_name(books.name + end).unlink(missing_ok=True)
        books.write_bytes(good)
    assert opened().position().sequence == 4


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("nrm_receipt_outbox", "applied_at", "x"),
        ("nrm_receipt_outbox", "exceptions", "null"),
        ("nrm_quarantine", "raw", "x"),
        ("nrm_quarantine", "arrived_at", ""),
    ],
)
def test_a_row_of_ours_that_does_not_read_is_waited_for(
    opened: Opened, tmp_path: Path, table: str, column: str, value: object
) -> None:
    opened.close()
    with sqlite3.connect(tmp_path / "files.state.db") as db:
        db.execute(f"UPDATE {table} SET {column} = ?", (value,))
    db.close()
    sink = opened()
    with pytest.raises(SinkDownError, match="put the database or state file back"):
        _ = (sink.owed(10), sink.quarantine())


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '{"a": "b"}', '{"a": []}', '{"a": [1]}', "\x00", "[" * 9999]
)
@pytest.mark.parametrize("opened", ["folder"], indirect=True)
def test_a_damaged_journal(opened: Opened, tmp_path: Path, text: str) -> None:
    journal = tmp_path / "files.state.db.journal"
    good = journal.read_bytes()
    journal.write_text(text, "utf-8")
    with pytest.raises(SinkDownError, match="is damaged: put it back"):
        opened()
    journal.write_bytes(good)
    opened().apply(batch(identity(5, "e-5")))


def test_what_lies_in_a_drop_may_be_anything(tmp_path: Path) -> None:
    drop = LocalDrop(tmp_path)
    os.mkfifo(tmp_path / "b.csv")
    os.mkfifo(tmp_path / ".c.csv.part")
    with pytest.raises(SinkDownError, match=r"b\.csv: .* take it away"):
        drop.get("b.csv")
    drop.put("c.csv", b"ours")
    assert drop.get("c.csv") == b"ours"


def test_rows_of_a_partner_hold_what_sqlite_lets_them(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> None:
    """A date that is none, a text that is no JSON: named, and made good."""
    own = sqlite3.connect(tmp_path / "p.db")
    with own:
        own.execute("CREATE TABLE client (nrm_case TEXT UNIQUE, channel TEXT, opened_on DATE)")
    (tmp_path / "mapping.toml").write_text(test_reconcile.MAPPING, "utf-8")
    place = test_reconcile.Place(hub, police, shelter, tmp_path, f"sqlite:///{tmp_path}/p.db")
    place.case(1)
    place.run()
    changes = {
        ("identity_recorded", "categories"): "[",
        ("identity_recorded", "date_of_birth"): "2026-13-45",
        ("identity_recorded", "given_name"): b"\xff\xfe",
        ("nrm_timeline", "received_at"): "soon",
        ("nrm_evidence", "statement"): "a text",
        ("client", "opened_on"): "2026-13-45",
        ("client", "channel"): "'; DROP TABLE client; --",
    }
    with own:
        for (table, column), value in changes.items():
            own.execute(f"UPDATE {table} SET {column} = ?", (value,))
    own.close()
    found = place.reconciliation()
    rows = found.compare().rows
    tables = {one.table for page in found.differences.pages() for one in page}
    assert tables >= {"identity_recorded", "nrm_evidence", "client"}
    Repair(found).run(NOW, rows)
    found.close()
    compared, _ = place.compared()
    assert compared.equal
    with sqlite3.connect(tmp_path / "p.db") as own:
        own.execute("UPDATE nrm_mapped SET columns = '['")
    own.close()
    found = place.reconciliation()
    rows = found.compare().rows
    assert {one.table for page in found.differences.pages() for one in page} == {"nrm_mapped"}
    Repair(found).run(NOW, rows)
    found.close()
    compared, _ = place.compared()
    assert compared.equal


def test_a_damaged_registry_says_what_to_do(
    police: AgencyIdentity, registry: RegistryCache
) -> None:
    assert registry.position >= 0
    path = police.home / "registry.avro"
    whole = path.read_bytes()
    chance = random.Random(20261127)
    for _ in range(60):
        at = chance.randrange(len(whole))
        cut = whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]
        path.write_bytes(chance.choice([cut, whole[:at], whole + whole[:at]]))
        if path.read_bytes() == whole:
            continue
        with pytest.raises(UntrustedError, match="remove it: the hub is asked"):
            RegistryCache(police)


def test_what_notices_keep_may_be_damaged_anyhow(tmp_path: Path) -> None:
    settings = NoticeSettings.model_validate(
        {"to": ["a@b.example"], "sender": "n@b.example", "host": "localhost", "state": "n.json"}
    )
    notices = Notices(settings, "POL-1", "test-hub", tmp_path)
    for value in (one for one in ODD if not isinstance(one, int)):
        sent = {"told": 1, "since": "x", "upto": value}
        for kept in (value, {"told": value, "since": "x"}, *([] if value is None else [sent])):
            (tmp_path / "n.json").write_text(json.dumps(kept), "utf-8")
            with pytest.raises(SettingsError, match="is damaged: remove it"):
                notices.look(5)


def test_a_damaged_database_file_says_what_to_do(opened: Opened, tmp_path: Path) -> None:
    opened.close()
    books = tmp_path / "files.state.db"
    whole = books.read_bytes()
    shutil.copy(books, tmp_path / "kept")
    books.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    with pytest.raises(ConnectorError, match="back from a copy"):
        opened().apply(batch(identity(5, "e-5")))
