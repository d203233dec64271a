"""Programs of others: a log by Tessera, cosigned by our witness before it publishes."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.crypto.signing import SigningKey
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.note import NoteSigner
from tests.transparency.judge import Judge, built
from tests.witness.conftest import Served

pytestmark = pytest.mark.slow


def skey(name: str, key: SigningKey) -> str:
    """A signing key as Go's note package writes it."""
    seed = base64.b64encode(b"\x01" + key.private).decode()
    return f"PRIVATE+KEY+{name}+{NoteSigner(name, key).verifier.id.hex()}+{seed}"


def test_tesseras_log_is_cosigned_by_our_witness(
    witness: Callable[..., Served], tmp_path: Path
) -> None:
    key = SigningKey.generate()
    log = NoteSigner("stranger.example/log", key).verifier
    served = witness(logs=[log])
    served.time = time.time()
    told = {
        "--dir": tmp_path / "log",
        "--key": skey(log.name, key),
        "--witness": served.key,
        "--url": served.serve(),
    }
    done = subprocess.run(
        [built(tmp_path, "stranger"), *(str(part) for pair in told.items() for part in pair)],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    opened = open_checkpoint(done.stdout, origin=log.name, log_keys=[log], witnesses=[served.key])
    assert opened.checkpoint.size == 300
    assert len(opened.cosignatures) == 1
    assert not served.home.evidence()
    judged = Judge.build(tmp_path).log(
        tmp_path / "log", log, "--witness", served.key, "--quorum", 1
    )
    assert judged.stands, judged.why
