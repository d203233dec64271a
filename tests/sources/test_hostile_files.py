"""Dropped files that nobody should drop: each is refused in words, and the next file is taken."""

from __future__ import annotations

import csv
import io
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import SettingsError, SourceDownError
from connectors.source import REASONS, SCHEMA_REASONS
from connectors.sources.folder import reading as folder_reading
from connectors.sources.folder.rows import FileForm
from connectors.sources.runner import SourcePace, SourceRunner
from connectors.sources.stating import CellError, stated
from schemas.registry import Schemas
from tests.odd import nested
from tests.sources.site import AT, OPENED, Site, make_outbox
from tests.sources.test_folder import CANARY, HEADER, Drop, row

ENTRY = {"type": "CaseOpened", "case": "C-1", "occurred_at": AT, "data": OPENED}


@pytest.fixture
def drop(site: Site, tmp_path: Path) -> Iterator[Drop]:
    found = Drop(site, tmp_path / "drop")
    yield found
    if found.source is not None:
        found.source.close()


def entry(**changes: Any) -> str:
    return json.dumps({**ENTRY, **changes})


def test_a_name_too_long_for_its_report_is_shortened(site: Site, drop: Drop) -> None:
    drop.put("é" * 120 + ".csv", HEADER + row("C-1") + row("C-2", "nowhere"))
    drop.put("é" * 119 + "e.csv", HEADER + row("C-3"))
    source = drop.open()
    site.run(source)
    names = sorted(name.rpartition("/")[2] for name in drop.lies())
    assert len(names) == 5
    assert len(site.recorded()) == 2


def test_what_is_refused_of_a_json_document_stands_in_its_rest_file(site: Site, drop: Drop) -> None:
    """Halves of characters, which UTF-8 cannot write, and a time before the calendar."""
    bad = [
        entry(case="\ud800"),
        entry(occurred_at="0001-01-01T00:00:00+14:00"),
        entry(data={**OPENED, "channel": "nowhere", "local_case_ref": "é"}),
    ]
    drop.put("a.json", f"[{','.join([*bad, entry()])}]")
    assert site.run(drop.open(holds_cases=False)).accepted == 1
    rest = (drop.path / "refused/a.rest.json").read_bytes()
    assert json.loads(rest) == [json.loads(one) for one in bad]
    assert "é".encode() in rest
    told = drop.report("refused/a.json")
    assert [one["reason"] for one in told] == [
        "row_unreadable",
        "not_an_instant",
        "unknown_code",
        "",
    ]


@pytest.mark.parametrize(
    "line",
    [
        entry(data={**OPENED, "local_case_ref": nested(400)}),
        entry(subject=nested(900)),
        entry(data={"x": float("nan")}),
        entry()[:-1] + ', "case": "C-2"}',
        entry(type=nested(70)),
        entry()[:-1] + ', "event_id": ' + "1" * 5000 + "}",
    ],
    ids=["deep", "deeper", "NaN", "a name twice", "deep type", "long number"],
)
@pytest.mark.parametrize("kind", ["jsonl", "json"])
def test_json_that_is_none_of_ours(site: Site, drop: Drop, line: str, kind: str) -> None:
    drop.put(f"a.{kind}", line)
    drop.put(f"b.{kind}", entry())
    assert site.run(drop.open()).accepted == 1
    [told] = drop.report(f"refused/a.{kind}")
    assert told["reason"] == "row_unreadable"
    assert "twice" in told["what to do"]


def test_a_key_column_may_be_empty(site: Site, drop: Drop) -> None:
    form = FileForm(event="CaseOpened", key=("case", "subject"))
    drop.put("a.csv", HEADER.replace("\n", ",subject\n") + row("C-1").replace("\n", ",\n"))
    assert site.run(drop.open(form)).accepted == 1


def test_a_row_that_never_ends_is_cut_off(
    site: Site, drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quotes around line ends: without a limit of the whole row, a file is read into memory."""
    monkeypatch.setattr(folder_reading, "MOST_LINE", 1000)
    drop.put("a.csv", HEADER + '"x\n' + '","x\n' * 300 + '"\n' + row("C-1"))
    assert site.run(drop.open(holds_cases=False)).accepted == 1
    assert drop.report("refused/a.csv")[0]["reason"] == "row_unreadable"


def test_a_json_document_is_parsed_once(
    site: Site, drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    real = folder_reading.read_json
    monkeypatch.setattr(folder_reading, "read_json", lambda text: (parsed.append(1), real(text))[1])
    drop.put("a.json", f"[{','.join(['1'] * 300)}]")
    site.run(drop.open())
    assert len(drop.report("refused/a.json")) == 300
    assert len(parsed) == 1


@pytest.mark.parametrize("content", ["[" + "1," * 50_000 + "1]", "[" + "[]," * 2_000_001 + "1]"])
def test_too_many_entries(site: Site, drop: Drop, content: str) -> None:
    drop.put("a.json", content)
    site.run(drop.open())
    [told] = drop.report("refused/a.json")
    assert told["reason"] == "too_large"
    assert "JSON Lines" in told["what to do"]


def test_a_rest_file_never_takes_the_place_of_a_file(site: Site, drop: Drop) -> None:
    """b.rest.csv was dropped and refused as a whole: its only copy lies there."""
    source = drop.open()
    drop.put("b.rest.csv", f"{CANARY}\n")
    site.run(source)
    drop.put("b.csv", HEADER + row("C-1", "nowhere"))
    site.run(source)
    assert (drop.path / "refused/b.rest.csv").read_text("utf-8") == f"{CANARY}\n"
    assert (drop.path / "refused/b.2.rest.csv").read_text("utf-8").endswith(row("C-1", "nowhere"))


def test_a_file_taken_away_while_it_is_read(site: Site, drop: Drop) -> None:
    """Half of it is with the hub; what is left of it nobody has."""
    drop.put("a.csv", HEADER + "".join(row(f"C-{n}") for n in range(30)))
    source = drop.open()
    runner = SourceRunner(
        source, site.identity, site.road.publisher("NGO-1"), pace=SourcePace(rows=20)
    )
    assert runner.run_once().accepted == 20
    (drop.path / "work/a.csv").unlink()
    drop.put("b.csv", HEADER + row("C-999"))
    assert site.run(source).accepted == 1
    told = drop.report("refused/a.csv")
    assert (told[0]["row"], told[0]["reason"]) == ("0", "file_unreadable")
    assert len(told) == 21


def test_a_file_cut_off_while_it_is_read(site: Site, drop: Drop) -> None:
    """Its head does not do any more, and rows of it stand refused: no rest file can be made."""
    drop.put("a.csv", HEADER + row("C-1", "nowhere") + "".join(row(f"C-{n}") for n in range(30)))
    source = drop.open(holds_cases=False)
    SourceRunner(
        source, site.identity, site.road.publisher("NGO-1"), pace=SourcePace(rows=20)
    ).run_once()
    (drop.path / "work/a.csv").write_bytes(b"case")
    drop.put("b.csv", HEADER + row("C-999"))
    site.run(source)
    assert [one["reason"] for one in drop.report("refused/a.csv")][:2] == [
        "wrong_header",
        "unknown_code",
    ]
    assert {"refused/a.csv", "done/b.csv"} <= drop.lies()


def test_folders_named_like_files_and_markers(site: Site, drop: Drop) -> None:
    drop.put("a.csv", HEADER + row("C-1"))
    (drop.path / "a.csv.done").mkdir()
    (drop.path / "z.csv.done").mkdir()
    (drop.path / "b.csv").mkdir()
    source = drop.open(marker=True)
    assert site.run(source).idle
    (drop.path / "a.csv.done").rmdir()
    drop.put("a.csv.done", "")
    assert site.run(source).accepted == 1
    assert "1 files wait" not in source.status().notes


def test_a_folder_that_cannot_be_used_is_waited_for(site: Site, drop: Drop) -> None:
    source = drop.open()
    (drop.path / "done").rmdir()
    drop.put("a.csv", HEADER + row("C-1"))
    with pytest.raises(SourceDownError, match="cannot be used"):
        site.run(source)
    (drop.path / "done").mkdir()
    site.run(source)
    assert len(site.recorded()) == 1
    assert "done/a.csv" in drop.lies()


def test_a_file_where_a_folder_of_ours_should_be(drop: Drop) -> None:
    drop.put("work", "")
    with pytest.raises(SettingsError, match="move away what is there"):
        drop.open()


SIGNS = (",", '"', "\n", "\r", "\0", "\ufeff", "x" * 9000, "=1+1", "\u2028", AT, "\u0661", "[", "]")


def spoiled(chance: random.Random, data: bytes) -> bytes:
    """A file as it may arrive: cut, doubled in part, with bytes changed, in another encoding."""
    text = data.decode()
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(text) + 1)
        what = chance.randrange(4)
        if what == 0:
            text = text[:at] + chance.choice(SIGNS) + text[at:]
        elif what == 1:
            text = text[:at] + text[at + chance.randrange(30) :]
        elif what == 2:
            text = text[:at] + text[chance.randrange(len(text) + 1) :]
        else:
            text = text[:at]
    found = text.encode(chance.choice(["utf-8", "utf-8", "utf-8", "latin-1", "utf-16"]), "replace")
    if found and chance.random() < 0.3:
        at = chance.randrange(len(found))
        found = found[:at] + bytes([chance.randrange(256)]) + found[at + 1 :]
    return found


def test_whatever_is_dropped(site: Site, drop: Drop, caplog: pytest.LogCaptureFixture) -> None:
    """Forty spoiled files: none lost, none left, none told of by what it says, a good one taken."""
    chance = random.Random(20261127)
    source = drop.open(holds_cases=False)
    good = {
        "csv": HEADER + "".join(row(f"C-{n}", ref=CANARY) for n in range(4)),
        "jsonl": "".join(entry(case=f"J-{n}") + "\n" for n in range(4)),
        "json": f"[{','.join(entry(case=f'D-{n}') for n in range(4))}]",
    }
    dropped = {}
    for number in range(40):
        kind = chance.choice(list(good))
        dropped[f"{number:03d}.{kind}"] = spoiled(chance, good[kind].encode())
    for name, content in dropped.items():
        drop.put(name, content)
    drop.put("last.csv", HEADER + row("C-LAST"))
    site.run(source)
    assert {name for name in drop.lies() if "/" not in name} == set()
    for name, content in dropped.items():
        where = [drop.path / one / name for one in ("done", "refused")]
        assert [one.read_bytes() for one in where if one.exists()] == [content]
    known = {"", *REASONS, *SCHEMA_REASONS}
    for path in drop.path.rglob("*.report.csv"):
        text = path.read_text("utf-8")
        assert CANARY not in text
        for one in csv.DictReader(io.StringIO(text)):
            assert one["step"] != "0" or one["reason"] in known
            assert one["outcome"] == "accepted" or one["what to do"]
    assert CANARY not in caplog.text
    assert "done/last.csv" in drop.lies()


def test_a_cell_of_json_that_could_not_be_written_again() -> None:
    """So deep that it could be read, and not written into the state file."""
    known = Schemas.load().by_type("NeedsAssessed")["domains"]
    with pytest.raises(CellError, match="not_json"):
        stated(known, "[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    ("column", "value"), [("attempt", "x"), ("attempt", 1.5), ("row_key", b"x")]
)
def test_an_outbox_of_sqlite_takes_only_what_is_answered(
    column: str, value: object, tmp_path: Path
) -> None:
    """Such a row was read and never found again to write its answer to: it was sent for ever."""
    make_outbox(f"sqlite:///{tmp_path}/own.db").close()
    db = sqlite3.connect(tmp_path / "own.db")
    insert = f"INSERT INTO nrm_outbox (event_type, case_ref, data, {column})"
    with pytest.raises(sqlite3.IntegrityError), db:
        db.execute(f"{insert} VALUES ('a', 'b', '{{}}', ?)", (value,))
    db.close()
