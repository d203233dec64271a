"""A hub's log made of numbered rows, with its checkpoints, for tests: the real store and signer."""

from __future__ import annotations

from pathlib import Path

from consumers.checkpoints import Checkpoints
from hub.clock import Clock
from hub.crypto.signing import SigningKey
from hub.store.log import HubLog
from hub.tlog.note import NoteSigner, VerifierKey
from hub.transparency.check import LogVerdict, Trust, check_log
from hub.transparency.export import export_log
from hub.transparency.folder import LogFolder
from tests.store.samples import sending

ORIGIN = "hub.example/log"
KEY = SigningKey.from_private(bytes(range(32)))
VKEY = NoteSigner(ORIGIN, KEY).verifier
NOW = 1_800_000_000.0


class Made:
    """One log. `grow` records and signs."""

    def __init__(self, folder: Path, origin: str = ORIGIN, key: SigningKey = KEY) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "events.db"
        self.log = HubLog.open(f"sqlite:///{self.path}")
        self.checkpoints = Checkpoints(self.log, origin, key, Clock())
        self.key = self.checkpoints.verifier

    def grow(self, rows: int, what: object = "") -> None:
        head = self.log.head
        self.log.append(
            [sending((what, n), 1) for n in range(head + 1, head + rows + 1)], expected_head=head
        )
        while self.checkpoints.size < head + rows:
            self.checkpoints.step(now=True)

    @property
    def newest(self) -> bytes:
        latest = self.log.latest_checkpoint()
        assert latest is not None
        return latest[1].encode()

    def export(self, folder: Path, witnesses: tuple[VerifierKey, ...] = ()) -> int:
        """How many files were new."""
        *_, last = export_log(self.log, folder, key=self.key, witnesses=witnesses, now=NOW)
        return last.written

    def close(self) -> None:
        self.log.close()


def checked(
    folder: Path, *earlier: bytes, trust: Trust | None = None, key: VerifierKey = VKEY
) -> LogVerdict:
    """The offline auditor's verdict, holding these earlier checkpoints."""
    kept = [(f"kept {number}", note) for number, note in enumerate(earlier, 1)]
    *_, last = check_log(LogFolder(folder), trust or Trust((key,)), kept)
    return last


def codes(verdict: LogVerdict) -> list[str]:
    return [one.code for one in verdict.problems]


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
