"""How each witness does, read from the log alone: whoever can open the log can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consumers.witnesses.settings import WitnessSettings
from hub.store.log import HubLog
from hub.tlog.cosigning import cosigned_by

SILENT: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class WitnessHealth:
    """size, at: its newest cosignature; 0 and None if it never cosigned. behind: leaves of the
    newest checkpoint that it has not cosigned."""

    name: str
    url: str
    size: int
    at: datetime | None
    behind: int

    def silent(self, now: datetime, since: datetime) -> bool:
        """Whether there is no cosignature younger than half an hour, nor a start `since` then."""
        return now - max(self.at or since, since) > SILENT

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "url": self.url,
            "size": self.size,
            "at": self.at.isoformat() if self.at else None,
            "behind": self.behind,
        }


def witness_health(log: HubLog, witnesses: Iterable[WitnessSettings]) -> list[WitnessHealth]:
    """Last cosigned size and time of every witness, in the order of hub.toml."""
    latest = log.latest_checkpoint()
    head = latest[0] if latest else 0
    followers = log.counts().followers
    return [_health(log, one, followers.get(one.follower, 0), head) for one in witnesses]


def _health(log: HubLog, witness: WitnessSettings, size: int, head: int) -> WitnessHealth:
    for found, note in log.checkpoints(size - 1, 1) if size else ():
        time = cosigned_by(note, [witness.key]).get(witness.key)
        if found == size and time is not None:
            at = datetime.fromtimestamp(time, UTC)
            return WitnessHealth(witness.name, witness.url, size, at, max(head - size, 0))
    return WitnessHealth(witness.name, witness.url, 0, None, head)
