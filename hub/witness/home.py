"""The witness's directory, made on the first run.

HOME/
  name          the name it cosigns under, never to be changed
  witness.key   its key (0600), used for nothing but cosigning; back it up, never run it twice
  logs          vkeys of the logs it watches, one a line
  witness.db    the last head of each
  evidence/     two checkpoints that contradict each other, where a log signed such
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from hub.crypto.signing import SigningKey
from hub.errors import NotReady
from hub.home import write_secret
from hub.tlog.note import ED25519, Cosigner, NoteError, VerifierKey

MOST_UNPROVEN = 100


class WitnessHome:
    """One witness's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()

    @property
    def exists(self) -> bool:
        return (self.path / "name").exists()

    def init(self, name: str) -> None:
        """Make it, with a fresh key. Raises NotReady if it is there or the name is no key name."""
        if self.exists or (self.path / "hub.toml").exists():
            raise NotReady(f"{self.path} is in use already; choose another --home")
        key = SigningKey.generate()
        try:
            _ = Cosigner(name, key).verifier
        except NoteError as wrong:
            raise NotReady(f"--name: {wrong}") from None
        (self.path / "evidence").mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(self.path / "witness.key", key.private)
        # Last: without a name it is no home, so a crash before this line leaves none.
        (self.path / "name").write_text(name + "\n", encoding="utf-8")

    def cosigner(self) -> Cosigner:
        try:
            name = (self.path / "name").read_text(encoding="utf-8").strip()
            return Cosigner(name, SigningKey.from_private((self.path / "witness.key").read_bytes()))
        except FileNotFoundError as missing:
            raise NotReady(f"{missing.filename} is missing; restore it from your backup") from None

    def watch(self, vkeys: Iterable[str]) -> None:
        """Add logs to watch; those watched already stay. Raises NotReady for what is no log's."""
        known = [str(key) for key in self.logs()]
        added = [text for text in vkeys if str(_log_key(text)) not in known]
        if added:
            text = "".join(one + "\n" for one in dict.fromkeys((*known, *added)))
            (self.path / "logs.new").write_text(text, encoding="utf-8")
            os.replace(self.path / "logs.new", self.path / "logs")

    def logs(self) -> list[VerifierKey]:
        try:
            lines = (self.path / "logs").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            return []
        return [_log_key(line.strip()) for line in lines if line.strip()]

    def evidence(self) -> list[Path]:
        """Files of two contradicting checkpoints, or of a proof that does not hold."""
        return sorted((self.path / "evidence").glob("*.txt"))

    def keep_evidence(
        self, kind: str, origin: str, size: int, root: bytes, text: bytes
    ) -> Path | None:
        """Keep it, once for each head; on disk when this returns. None: it is known, or there are
        so many of what anybody can send that they tell nothing more.

        kind: "fork" or "unproven".
        """
        log = hashlib.sha256(origin.encode()).hexdigest()[:16]
        path = self.path / "evidence" / f"{kind}-{log}-{size}-{root.hex()[:16]}.txt"
        unproven = [one for one in self.evidence() if one.name.startswith("unproven")]
        if path.exists() or (kind == "unproven" and len(unproven) >= MOST_UNPROVEN):
            return None
        path.parent.mkdir(exist_ok=True, mode=0o700)
        handle = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path.with_suffix(".new"), path)
        return path


def _log_key(text: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except NoteError as wrong:
        raise NotReady(f"{text!r}: {wrong}") from None
    if key.type != ED25519:
        raise NotReady(f"{text!r} is a witness's vkey; give the log's")
    return key
