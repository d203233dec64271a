"""Which checkpoint is shown to the world, where witnesses cosign.

A checkpoint is cosigned a moment after it was signed. Shown is the newest one among those that most
witnesses have cosigned in the last minute; without any, the newest. So whoever demands
cosignatures is served them, and a witness that is away holds nothing back for over a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from hub.tlog.cosigning import cosigned_by
from hub.tlog.note import VerifierKey

FRESH: Final = 60  # seconds a cosignature counts for this choice
LOOKED_AT: Final = 120  # newest checkpoints: two minutes at one a second


def published(
    notes: Iterable[tuple[int, str]], witnesses: Collection[VerifierKey], now: float
) -> tuple[int, str] | None:
    """Size and note to show; `notes` newest first, `now` in POSIX seconds. None without any."""
    best: tuple[int, str] | None = None
    most = 0
    for size, note in notes:
        best = best or (size, note)
        if not witnesses:
            break
        times = cosigned_by(note, witnesses)
        if len(times) > most and (size == best[0] or now - max(times.values()) <= FRESH):
            best, most = (size, note), len(times)
        if most == len(witnesses):
            break
    return best
