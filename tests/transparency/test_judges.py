"""Judged by others: Go's sumdb packages and Tessera's fsck, on a folder and over HTTP."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from hub.crypto.signing import SigningKey
from hub.tlog.note import Cosigner, Note
from hub.transparency.prove import prove
from tests.transparency.judge import Judge
from tests.transparency.logs import NOW, VKEY, Made, files

pytestmark = pytest.mark.slow
WITNESSES = [
    Cosigner(f"witness.example/{n}", SigningKey.from_private(bytes([n]) * 32)) for n in (1, 2)
]
LARGE = 65_800  # the smallest round number with three levels of tiles
SIZES = (1, 2, 255, 256, 257, 600, 1_000)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Path], Made]]:
    """A log of 65,800 leaves (three levels), cosigned by two; checkpoints kept on the way."""
    folder = tmp_path_factory.mktemp("exported")
    made = Made(folder / "hub")
    kept = []
    for size in (*SIZES, LARGE):
        made.grow(size - made.log.head)
        kept.append(folder / f"{size}.checkpoint")
        kept[-1].write_bytes(made.newest)
        if size in (256, 1_000):
            made.export(folder / "log")
    size, note = made.log.latest_checkpoint() or (0, "")
    parsed = Note.parse(note.encode())
    for witness in WITNESSES:
        parsed = parsed.cosigned(witness.line(parsed.text, int(NOW)))
    assert made.log.cosign(size, note, bytes(parsed).decode(), "witness/both")
    made.export(folder / "log", tuple(one.verifier for one in WITNESSES))
    yield folder / "log", kept, made
    made.close()


@pytest.fixture
def http(exported: tuple[Path, list[Path], Made]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(exported[0])))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


COSIGNED = [option for one in WITNESSES for option in ("--witness", str(one.verifier))] + [
    "--quorum",
    "2",
]


def test_every_tile_entry_and_earlier_checkpoint(
    judge: Judge, exported: tuple[Path, list[Path], Made]
) -> None:
    folder, kept, _ = exported
    done = judge.log(folder, VKEY, *COSIGNED, *kept)
    assert done.stands, done.why
    assert done.said == {
        "size": LARGE,
        "tiles": 258 + 2 + 1,
        "entries": LARGE,
        "earlier": len(kept),
        "cosigned": 2,
    }


def test_over_http(judge: Judge, http: str, exported: tuple[Path, list[Path], Made]) -> None:
    fscked = judge.fsck(http, VKEY)
    assert fscked.stands, fscked.why
    assert fscked.said["resources"] >= 258 * 2 + 3


def test_tesseras_fsck_on_the_folder(judge: Judge, exported: tuple[Path, list[Path], Made]) -> None:
    done = judge.fsck(exported[0], VKEY)
    assert done.stands, done.why


def test_the_judges_see_one_wrong_bit_in_any_file(
    judge: Judge, make: Callable[..., Made], tmp_path: Path
) -> None:
    """The judges can say no: they are worth their yes."""
    made = make()
    made.grow(600)
    made.export(tmp_path / "log")
    whole = files(tmp_path / "log")
    dice = random.Random(1)
    for name, data in whole.items():
        if name == "vkey":
            continue
        at = dice.randrange(len(data) - 90 if name == "checkpoint" else len(data))
        changed = bytearray(data)
        changed[at] ^= 1 << dice.randrange(8)
        (tmp_path / "log" / name).write_bytes(changed)
        assert not judge.log(tmp_path / "log", VKEY).stands, name
        assert not judge.fsck(tmp_path / "log", VKEY).stands, name
        (tmp_path / "log" / name).write_bytes(data)
    assert judge.log(tmp_path / "log", VKEY).stands


def test_a_fork_is_seen_by_whoever_kept_a_checkpoint(
    judge: Judge, make: Callable[..., Made], tmp_path: Path
) -> None:
    one, other = make("one"), make("other")
    one.grow(300)
    other.grow(300, "another history")
    other.grow(100)
    other.export(tmp_path / "log")
    (tmp_path / "kept").write_bytes(one.newest)
    done = judge.log(tmp_path / "log", VKEY, tmp_path / "kept")
    assert not done.stands
    assert judge.log(tmp_path / "log", VKEY).stands, "by itself it looks well"


def test_cosignatures_are_counted_by_key(
    judge: Judge, exported: tuple[Path, list[Path], Made]
) -> None:
    folder, _, _ = exported
    stranger = Cosigner("witness.example/1", SigningKey.from_private(bytes([9]) * 32))
    done = judge.log(folder, VKEY, "--witness", stranger.verifier, "--quorum", 1)
    assert "0 witnesses" in done.why


def test_proofs(judge: Judge, exported: tuple[Path, list[Path], Made], tmp_path: Path) -> None:
    _, _, made = exported
    keys = tuple(one.verifier for one in WITNESSES)
    for position in (1, 256, 257, 65_536, 65_537, LARGE):
        file = tmp_path / "event.tlog-proof"
        file.write_bytes(bytes(prove(made.log, position, witnesses=keys, now=NOW)))
        done = judge.ask("proof", "--vkey", VKEY, *COSIGNED, file)
        assert done.stands, done.why
        assert done.said == {"size": LARGE, "index": position - 1, "cosigned": 2}
    file.write_bytes(file.read_bytes().replace(b"index 65799", b"index 65798"))
    assert not judge.ask("proof", "--vkey", VKEY, file).stands
