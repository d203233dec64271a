"""The audit log at a million leaves: audit on one core, and proofs in milliseconds.

    python -m tests.bench.bench_audit_log [--leaves 1000000]

JSON lines as bench_hub.py writes them. Leaves are made of numbers, appended straight into a real
store's tables, then signed, exported, audited offline and proved as the commands do it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from consumers.checkpoints import Checkpoints
from hub.clock import Clock
from hub.crypto.signing import SigningKey
from hub.store.log import HubLog
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.merkle import verify_consistency, verify_inclusion
from hub.tlog.note import Note
from hub.tlog.tiles import TileReader
from hub.transparency.check import Trust, check_log
from hub.transparency.export import export_log
from hub.transparency.folder import LogFolder
from tests.bench.primitives import per_second

PROOFS = 300


def line(name: str, value: float, unit: str, ratio_to: str = "", base: float = 0.0) -> None:
    said = {"name": name, "where": "sqlite", "value": round(value, 3), "unit": unit}
    if ratio_to:
        said |= {"ratio": round(value / base, 3), "ratio_to": ratio_to}
    print(json.dumps(said), flush=True)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def filled(log: HubLog, leaves: int) -> None:
    """Leaves without their rows: what an audit of the exported log reads."""
    with log.filling() as (tables, c):
        tables.insert_leaves(
            c,
            (
                (n, b"\x01" + hashlib.sha256(b"leaf %d" % n).digest(), n)
                for n in range(1, leaves + 1)
            ),
        )


def audit(folder: Path, trust: Trust, earlier: list[tuple[str, bytes]]) -> None:
    *_, verdict = check_log(LogFolder(folder), trust, earlier)
    assert not verdict.problems
    assert verdict.earlier == len(earlier)


def proofs(log: HubLog, leaves: int) -> None:
    """Each from tiles in the store with nothing cached: what one command or request costs."""
    root = TileReader(log.read_tile, leaves).root()
    dice = random.Random(1)
    places = [dice.randrange(leaves) for _ in range(PROOFS)]
    made = []

    def inclusion() -> None:
        for at in places:
            reader = TileReader(log.read_tile, leaves)
            made.append((reader.leaf(at), at, reader.inclusion_path(at)))

    line("proof_inclusion", timed(inclusion) / PROOFS * 1000, "ms")
    assert all(verify_inclusion(leaf, at, leaves, path, root) for leaf, at, path in made)
    roots = [TileReader(log.read_tile, leaves).root(size or 1) for size in places]
    found = []

    def consistency() -> None:
        for size in places:
            found.append(TileReader(log.read_tile, leaves).consistency_proof(size or 1))

    line("proof_consistency", timed(consistency) / PROOFS * 1000, "ms")
    assert all(
        verify_consistency(size or 1, leaves, older, root, proof)
        for size, older, proof in zip(places, roots, found, strict=True)
    )


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leaves", type=int, default=1_000_000)
    leaves = arguments.parse_args().leaves
    sha = per_second(lambda: hashlib.sha256(bytes(65)).digest())
    line("sha256_65B", sha, "hashes/s")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        log = HubLog.open(f"sqlite:///{folder / 'events.db'}")
        filled(log, leaves)
        checkpoints = Checkpoints(log, "bench", SigningKey.generate(), Clock())

        def sign() -> None:
            while checkpoints.step(now=True):
                pass

        spent = timed(sign)
        line("checkpoint_tiles", leaves / spent, "leaves/s", "sha256_65B", sha)
        earlier = [(str(size), note.encode()) for size, note in log.checkpoints()]
        target = folder / "log"
        spent = timed(lambda: list(export_log(log, target, key=checkpoints.verifier, now=0)))
        line("export_log", spent, "s")
        spent = timed(lambda: list(export_log(log, target, key=checkpoints.verifier, now=0)))
        line("export_log_again", spent, "s")
        trust = Trust((checkpoints.verifier,))
        spent = timed(lambda: audit(target, trust, earlier))
        line("check_log", spent, "s")
        line("check_log_leaves", leaves / spent, "leaves/s", "sha256_65B", sha)
        line("check_log_earlier_checkpoints", len(earlier), "checkpoints")
        proofs(log, leaves)
        size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
        line("exported_bytes_per_leaf", size / leaves, "bytes")
        assert (
            Checkpoint.parse(Note.parse((target / "checkpoint").read_bytes()).text).size == leaves
        )
        log.close()


if __name__ == "__main__":
    main()
