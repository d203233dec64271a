"""The offline auditor: whatever is wrong in a folder has a clear verdict."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.crypto.signing import SigningKey
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.merkle import EMPTY_ROOT
from hub.tlog.note import Cosigner, Note, NoteSigner
from hub.tlog.recompute import LogFlaw
from hub.transparency.check import CODES, Trust, check_log
from hub.transparency.folder import LogFolder
from hub.transparency.prove import prove
from tests.transparency.logs import KEY, NOW, ORIGIN, VKEY, Made, checked, codes, files

Make = Callable[..., Made]
ROWS = 600


@pytest.fixture
def folder(make: Make, tmp_path: Path) -> Path:
    made = make()
    made.grow(ROWS)
    made.export(tmp_path / "log")
    return tmp_path / "log"


def signed(size: int, root: bytes, origin: str = ORIGIN, key: SigningKey = KEY) -> bytes:
    return Checkpoint(origin, size, root).sign([NoteSigner(origin, key)])


def test_it_stands(folder: Path) -> None:
    verdict = checked(folder)
    assert (verdict.problems, verdict.checked, verdict.size) == ([], ROWS, ROWS)


def test_one_wrong_bit_anywhere_is_named(folder: Path) -> None:
    """The file, and the entry where it is one."""
    dice = random.Random(3)
    for name, data in files(folder).items():
        for _ in range(0 if name == "vkey" else 25):
            at = dice.randrange(len(data))
            changed = bytearray(data)
            changed[at] ^= 1 << dice.randrange(8)
            (folder / name).write_bytes(changed)
            [problem] = checked(folder).problems
            if name == "checkpoint":
                assert problem.where == name
                continue
            _, level, index = name.partition(".p")[0].split("/")
            if level != "entries":
                unit = at // 32 + 256 * int(index)
                assert (problem.code, problem.where) == ("tile_differs", name)
                assert problem.entry == (unit if level == "0" else unit * 256)
            elif at % 35 < 2:  # the entry's length
                assert (problem.code, problem.where) in (
                    ("tile_damaged", name),
                    ("entry_malformed", name),
                )
            else:
                assert problem.entry == at // 35 + 256 * int(index)
                assert (problem.code, problem.where) == (
                    ("entry_malformed", name)
                    if at % 35 == 2
                    else ("tile_differs", name.replace("entries", "0"))
                )
        (folder / name).write_bytes(data)
    assert checked(folder).problems == []


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/001", "tile/entries/002.p/88"])
@pytest.mark.parametrize("how", ["cut", "long", "huge", "none", "link", "folder", "pipe"])
def test_a_file_that_is_none(folder: Path, tmp_path: Path, name: str, how: str) -> None:
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    missing = "checkpoint_missing" if name == "checkpoint" else "tile_missing"
    said = {"none": missing, "link": "not_a_file", "folder": "not_a_file", "pipe": "not_a_file"}
    said |= {"huge": "too_large"}
    if how == "cut":
        path.write_bytes(data[:-5])
    elif how == "long":
        path.write_bytes(data + b"more")
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif how == "link":
        (tmp_path / "true").write_bytes(data)
        path.symlink_to(tmp_path / "true")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    [problem] = checked(folder).problems
    malformed = {"checkpoint_malformed", "tile_damaged", "too_large"}
    assert {problem.code} <= ({said[how]} if how in said else malformed), problem
    assert problem.where == name


def test_a_linked_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "tile" / "0").rename(tmp_path / "0")
    (folder / "tile" / "0").symlink_to(tmp_path / "0")
    assert codes(checked(folder)) == ["not_a_file"]


def test_checkpoints_that_are_not_this_logs(make: Make, folder: Path) -> None:
    """Forged, of another origin, of another key, swapped for an older or another one."""
    true = (folder / "checkpoint").read_bytes()
    head = Checkpoint.parse(Note.parse(true).text)
    stranger = SigningKey.generate()
    other = make("other")
    other.grow(ROWS, "other")

    def verdict(note: bytes) -> list[str]:
        (folder / "checkpoint").write_bytes(note)
        return codes(checked(folder))

    assert verdict(b"") == ["checkpoint_malformed"]
    assert verdict(signed(ROWS, head.root, "other.example")) == ["checkpoint_other_origin"]
    assert verdict(signed(ROWS, head.root, key=stranger)) == ["checkpoint_unsigned"]
    forged = signed(ROWS, bytes(32)).partition(b"\n\n")[0]
    assert verdict(forged + b"\n\n" + true.partition(b"\n\n")[2]) == ["checkpoint_unsigned"]
    assert verdict(signed(ROWS, bytes(32))) == ["root_differs"]
    assert verdict(other.newest) == ["root_differs"]
    assert verdict(signed(ROWS + 1, head.root)) == ["tile_missing"]
    assert verdict(signed(1 << 60, head.root))[0] in ("tile_missing", "tile_damaged")
    assert verdict(signed(0, EMPTY_ROOT)) == [], "empty, and everything else lies beyond"
    assert verdict(true) == []


def test_a_shorter_checkpoint_is_caught_by_an_earlier_one(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(300)
    made.export(tmp_path / "log")
    old = made.newest
    made.grow(300)
    new = made.newest
    made.export(tmp_path / "log")
    assert codes(checked(tmp_path / "log", old, new)) == []
    (tmp_path / "log" / "checkpoint").write_bytes(old)
    (tmp_path / "log" / "earlier" / "300").unlink()
    assert codes(checked(tmp_path / "log")) == []
    assert codes(checked(tmp_path / "log", new)) == ["earlier_longer"]


def test_earlier_checkpoints_are_judged_each(make: Make, folder: Path, tmp_path: Path) -> None:
    other = make("other")
    other.grow(256, "other")
    made = make()
    proof = bytes(prove(made.log, 7, now=NOW))
    tree = signed(256, made_root(folder, 256))
    stranger = signed(256, bytes(32), key=SigningKey.generate())
    found = checked(folder, other.newest, b"cut", proof, stranger, tree)
    assert [(one.code, one.where) for one in found.problems] == [
        ("checkpoint_malformed", "kept 2"),
        ("checkpoint_unsigned", "kept 4"),
        ("earlier_differs", "kept 1"),
    ]
    assert found.earlier == 5
    (folder / "earlier").mkdir()
    (folder / "earlier" / "256").write_bytes(other.newest)
    (folder / "earlier" / "257").symlink_to(tmp_path)
    assert sorted(codes(checked(folder))) == ["earlier_differs", "not_a_file"]


def made_root(folder: Path, size: int) -> bytes:
    from hub.tlog.recompute import Recomputation

    pass_ = Recomputation(LogFolder(folder).read, ROWS, [size])
    for _ in pass_.run():
        pass
    return pass_.roots[size]


def test_a_fork_is_named_also_where_a_tile_is_damaged_later(make: Make, folder: Path) -> None:
    other = make("other")
    other.grow(200, "other")
    (folder / "tile" / "0" / "001").write_bytes(b"damaged")
    assert codes(checked(folder, other.newest)) == ["earlier_differs", "tile_damaged"]


def test_what_lies_below_tile_is_looked_at(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(300)
    made.export(tmp_path / "log")
    made.grow(10)
    made.export(tmp_path / "log")
    old = tmp_path / "log" / "tile" / "0" / "001.p" / "44"
    assert old.exists(), "left from the first export"
    assert codes(checked(tmp_path / "log")) == []
    old.write_bytes(bytes(44 * 32))
    [problem] = checked(tmp_path / "log").problems
    assert (problem.code, problem.where) == ("unexpected_file", "tile/0/001.p/44")
    old.unlink()
    (tmp_path / "log" / "tile" / "0" / "1").write_bytes(b"")
    assert codes(checked(tmp_path / "log")) == ["unexpected_file"]


def test_cosignatures_are_asked_for(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(3)
    witness = Cosigner("w.example", SigningKey.generate())
    trust = Trust.of([str(VKEY), str(witness.verifier)], quorum=1)
    made.export(tmp_path / "log", (witness.verifier,))
    assert codes(checked(tmp_path / "log", trust=trust)) == ["checkpoint_uncosigned"]
    note = Note.parse(made.newest)
    line = witness.line(note.text, 7)
    made.log.cosign(3, made.newest.decode(), bytes(note.cosigned(line)).decode(), "witness/w")
    made.export(tmp_path / "log", (witness.verifier,))
    verdict = checked(tmp_path / "log", trust=trust)
    assert (verdict.problems, verdict.witnesses) == ([], ["w.example"])
    assert Trust.in_folder(LogFolder(tmp_path / "log"), 1) == trust


@pytest.mark.parametrize(
    "vkeys",
    [
        [],
        ["nonsense"],
        [str(Cosigner("w", KEY).verifier)],
        [str(VKEY), str(NoteSigner("other", KEY).verifier)],
    ],
)
def test_keys_that_are_of_no_one_log(vkeys: list[str]) -> None:
    with pytest.raises(LogFlaw, match="key_unusable"):
        Trust.of(vkeys)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert codes(checked(tmp_path)) == ["checkpoint_missing"]


def test_every_code_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "transparency.md").read_text("utf-8")
    for code, says in CODES.items():
        assert f"| `{code}` | {says} |" in page


def test_progress_is_told(folder: Path) -> None:
    told = [one.checked for one in check_log(LogFolder(folder), Trust((VKEY,)))]
    assert told[-1] == ROWS
