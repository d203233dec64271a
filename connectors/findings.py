"""Findings: what `nrm-hub connector check` says about one thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Level = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. fix: what to do about it; empty if nothing.

    ok: as it should be. warning: works, but somebody should look. wrong: nothing would flow.
    Neither text nor fix holds a secret or anything an event says.
    """

    level: Level
    subject: str
    text: str
    fix: str = ""


@runtime_checkable
class Checkable(Protocol):
    """A sink or source that can look at the partner's system before anything flows."""

    def check(self) -> list[Finding]:
        """What was found, the good too. Changes nothing. Never raises for what it can name."""
