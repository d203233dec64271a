"""`nrm-hub audit export-log`, `check-log`, `proof`, `check-proof`: as an auditor types them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.programs import nrm
from tests.played import play, scenario


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Home of a hub with a whole case, an event of it, and the log's vkey."""
    folder = tmp_path_factory.mktemp("commands")
    road = play(folder, scenario("S1"))
    road.hub.checkpoints.step(now=True)
    event = next(
        str(UUID(bytes=one.event.event_id))  # type: ignore[attr-defined]
        for one in road.hub.exchange.log.read(0, 1_000)
        if one.event.TOPIC == "nrm.Case.Accepted" or hasattr(one.event, "event_id")
    )
    vkey = str(road.hub.checkpoints.verifier)
    road.close()
    return folder / "hub", event, vkey


def test_exported_and_checked(hub: tuple[Path, str, str], tmp_path: Path) -> None:
    home, _, vkey = hub
    done = nrm("audit", "export-log", "--home", home, tmp_path / "log", "--json")
    assert done.code == 0
    said = json.loads(done.out)
    assert said["written"] == said["files"] >= 2
    again = nrm("audit", "export-log", "--home", home, tmp_path / "log")
    assert ", 0 of them new" in again.out
    shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
    shutil.copytree(tmp_path / "log", tmp_path / "elsewhere")
    checked = nrm("audit", "check-log", tmp_path / "elsewhere", "--vkey", vkey, "--json")
    assert checked.code == 0
    verdict = json.loads(checked.out)
    assert (verdict["checked"], verdict["problems"]) == (said["size"], [])
    assert verdict["keys_given"] is True
    own = nrm("audit", "check-log", tmp_path / "elsewhere")
    assert own.code == 0
    assert "The keys were taken from the folder itself" in own.out


def test_nothing_a_person_said_or_is_called_is_exported(
    hub: tuple[Path, str, str], tmp_path: Path
) -> None:
    """What is written is hashes, signatures, the hub's name and numbers."""
    home, event, _ = hub
    nrm("audit", "export-log", "--home", home, tmp_path / "log")
    whole = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    for word in (b"NGO-1", b"CaseOpened", UUID(event).bytes, event.encode(), b"nrm.Case"):
        assert word not in whole


def test_an_edited_history_is_exit_code_3(hub: tuple[Path, str, str], tmp_path: Path) -> None:
    home, _, vkey = hub
    nrm("audit", "export-log", "--home", home, tmp_path / "log")
    bundle = next((tmp_path / "log" / "tile" / "entries").rglob("0*"))
    file = next(path for path in [bundle, *bundle.glob("*")] if path.is_file())
    data = bytearray(file.read_bytes())
    data[20] ^= 1
    file.write_bytes(data)
    done = nrm("audit", "check-log", tmp_path / "log", "--vkey", vkey)
    assert done.code == 3
    assert "PROBLEM: tile_differs" in done.err
    assert ", entry 0:" in done.err
    assert "does not stand" in done.out


def test_earlier_checkpoints_as_files_and_folders(
    hub: tuple[Path, str, str], tmp_path: Path
) -> None:
    home, _, vkey = hub
    nrm("audit", "export-log", "--home", home, tmp_path / "log")
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(tmp_path / "log" / "checkpoint", kept / "march")
    (kept / "torn").write_bytes(b"torn")
    done = nrm("audit", "check-log", tmp_path / "log", "--vkey", vkey, "--earlier", kept)
    assert done.code == 3
    assert "2 earlier checkpoints" in done.out
    assert f"checkpoint_malformed: {kept / 'torn'}" in done.err
    done = nrm("audit", "check-log", tmp_path / "log", "--vkey", vkey, "--earlier", kept / "march")
    assert done.code == 0


def test_a_fork_is_exit_code_3_and_changes_nothing(
    hub: tuple[Path, str, str], tmp_path: Path
) -> None:
    home, _, _ = hub
    shutil.copytree(home, tmp_path / "other")
    nrm("audit", "export-log", "--home", home, tmp_path / "log")
    with sqlite3.connect(tmp_path / "other" / "events.db") as database:
        database.execute("DELETE FROM tiles")
        database.execute("DELETE FROM checkpoints")
        database.execute("UPDATE leaves SET entry = zeroblob(33) WHERE position = 1")
    database.close()
    from hub.home import Home
    from hub.hub import Hub

    other = Hub.open(Home(tmp_path / "other"))
    other.checkpoints.step(now=True)
    other.stop()
    before = (tmp_path / "log" / "checkpoint").read_bytes()
    done = nrm("audit", "export-log", "--home", tmp_path / "other", tmp_path / "log")
    assert done.code == 3
    assert "!! FORK" in done.err
    assert (tmp_path / "log" / "checkpoint").read_bytes() == before


def test_a_proof_of_one_event(hub: tuple[Path, str, str], tmp_path: Path) -> None:
    home, event, vkey = hub
    out = tmp_path / "event.tlog-proof"
    made = nrm("audit", "proof", event, "--home", home, "--out", out)
    assert made.code == 0, made.err
    checked = nrm("audit", "check-proof", out, "--vkey", vkey)
    assert (checked.code, "The proof holds." in checked.out) == (0, True)
    at_home = nrm("audit", "check-proof", out, "--vkey", vkey, "--home", home)
    assert "and the row is the same" in at_home.out
    position = checked.out.partition(" of ")[0].removeprefix("Position ")
    nrm("audit", "proof", position, "--home", home, "--out", tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == out.read_bytes()
    asked = nrm("audit", "check-proof", out, "--vkey", vkey, "--quorum", 1)
    assert (asked.code, "too few known witnesses" in asked.err) == (3, True)


def test_a_row_changed_since_is_told(hub: tuple[Path, str, str], tmp_path: Path) -> None:
    home, event, vkey = hub
    shutil.copytree(home, tmp_path / "hub")
    out = tmp_path / "event.tlog-proof"
    nrm("audit", "proof", event, "--home", tmp_path / "hub", "--out", out)
    with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
        position = int(out.read_bytes().partition(b"index ")[2].partition(b"\n")[0]) + 1
        [(state,)] = database.execute(
            "SELECT state FROM stored_events WHERE rowid = ?", (position,)
        ).fetchall()
        changed = state.replace(UUID(event).bytes, bytes(16), 1)
        assert changed != state
        database.execute("UPDATE stored_events SET state = ? WHERE rowid = ?", (changed, position))
    database.close()
    done = nrm("audit", "check-proof", out, "--vkey", vkey, "--home", tmp_path / "hub")
    assert done.code == 3
    assert "the hub's row was changed" in done.out


@pytest.mark.parametrize("written", ["a text", None])
@pytest.mark.parametrize("column", ["state", "originator_id"])
def test_a_row_that_is_none_any_more_is_told_with_its_position(
    hub: tuple[Path, str, str], tmp_path: Path, column: str, written: str | None
) -> None:
    """An operator puts a text, or nothing, where bytes belong: still exit code 3."""
    home, event, vkey = hub
    shutil.copytree(home, tmp_path / "hub")
    out = tmp_path / "event.tlog-proof"
    nrm("audit", "proof", event, "--home", home, "--out", out)
    position = int(out.read_bytes().partition(b"index ")[2].partition(b"\n")[0]) + 1
    with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET sql = replace(sql, 'BLOB NOT NULL', 'BLOB')")
    database.close()
    with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
        database.execute(
            f"UPDATE stored_events SET {column} = ? WHERE rowid = ?",
            (written, position),
        )
    database.close()
    whole = nrm("audit", "verify", "--home", tmp_path / "hub")
    assert whole.code == 3, whole.err
    assert f"PROBLEM: position {position}: row and leaf differ" in whole.err
    assert f"position {position + 1}:" not in whole.err
    one = nrm("audit", "check-proof", out, "--vkey", vkey, "--home", tmp_path / "hub")
    assert one.code == 3, one.err
    assert f"position {position}: row and leaf differ" in one.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["0"], "unknown_position"),
        (["999999"], "unknown_position"),
        (["00000000-0000-4000-8000-000000000000"], "unknown_event"),
        (["²"], "unknown_event"),
        (["-"], "unknown_event"),
    ],
)
def test_what_is_not_there(
    hub: tuple[Path, str, str], tmp_path: Path, arguments: list[str], says: str
) -> None:
    done = nrm("audit", "proof", *arguments, "--home", hub[0], "--out", tmp_path / "p")
    assert done.code == 1
    assert says in done.err
    assert not (tmp_path / "p").exists()


def test_wrong_proofs_and_keys(hub: tuple[Path, str, str], tmp_path: Path) -> None:
    home, event, vkey = hub
    out = tmp_path / "event.tlog-proof"
    nrm("audit", "proof", event, "--home", home, "--out", out)
    for bad in (b"", b"x" * 3_000_000, out.read_bytes()[:-10], out.read_bytes()[:60]):
        (tmp_path / "bad").write_bytes(bad)
        done = nrm("audit", "check-proof", tmp_path / "bad", "--vkey", vkey)
        assert (done.code, "The proof does not hold." in done.out) == (3, True)
    entry = out.read_bytes().replace(b"extra A", b"extra B", 1)
    assert entry != out.read_bytes()
    (tmp_path / "bad").write_bytes(entry)
    assert "not in the tree" in nrm("audit", "check-proof", tmp_path / "bad", "--vkey", vkey).err
    wrong = nrm("audit", "check-proof", out, "--vkey", "nonsense")
    assert (wrong.code, "key_unusable" in wrong.err) == (3, True)
    assert nrm("audit", "check-proof", tmp_path / "none", "--vkey", vkey).code == 1
    assert nrm("audit", "check-log", tmp_path / "none").code == 1
    (tmp_path / "empty").mkdir()
    assert "key_unusable" in nrm("audit", "check-log", tmp_path / "empty").err
