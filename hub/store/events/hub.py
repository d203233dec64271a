"""Rows of the hub itself: whose log it is, that it was restored, what it has published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInitialised(StoreEvent):
    """The first event of a log: whose log it is."""

    TOPIC = "nrm.Hub.Initialised"

    hub: str
    public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRestored(StoreEvent):
    """The hub was put back from a backup: what stands before this position is the backup's."""

    TOPIC = "nrm.Hub.Restored"

    hub: str
    backup: str
    head: int
    after_loss: bool
    seen: bytes
    former_verifier: str
    log_verifier: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePublished(StoreEvent):
    """A table of statistics, as published: its figures, never what they were made from.

    Streams are one per table and period; `originator_version` is the edition.
    """

    TOPIC = "nrm.Statistics.Published"

    table: str
    period: str
    as_of: datetime
    position: int
    suppression: str
    epsilon: str
    figures: bytes
    by: str = ""
