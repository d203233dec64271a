"""What can go wrong with the store, grouped by what the caller should do.

RetryLater
├── HeadMoved          another writer appended first: read what it wrote, decide again
├── StoreBusy          the write lock was not free in time; nothing was written
└── StoreUnavailable   the connection was lost and nothing was written
MustStop
├── StoreFailed        a write met an I/O error: reopen, read back, then go on
├── StoreRefused       the store cannot be used as it is configured
└── StoreCorrupt       what is stored contradicts itself
HubError
└── StoreConflict      this write contradicts what is stored; the same write never succeeds
"""

from __future__ import annotations

from hub.errors import HubError, Inconsistent, MustStop, NotReady, RetryLater


class HeadMoved(RetryLater):
    """Another writer appended first; nothing of this append was written. Read, decide again."""

    def __init__(self, expected: int, found: int) -> None:
        super().__init__(f"expected the log's head at {expected}, found {found}")
        self.expected = expected
        self.found = found


class StoreBusy(RetryLater):
    """The write lock was not free in time; nothing was written, try again."""


class StoreUnavailable(RetryLater):
    """The connection to the store was lost and nothing was written, try again."""


class StoreFailed(MustStop):
    """Writing failed, whether it is stored is unknown: reopen the store and read back."""


class StoreRefused(NotReady):
    """The store cannot be used as it is set up; the message says what to change."""


class StoreCorrupt(Inconsistent):
    """What is stored contradicts itself; verify the log before anything else."""


class StoreConflict(HubError):
    """This write contradicts what is stored (same version, same event id or older position)."""


__all__ = [
    "HeadMoved",
    "StoreBusy",
    "StoreConflict",
    "StoreCorrupt",
    "StoreFailed",
    "StoreRefused",
    "StoreUnavailable",
]
