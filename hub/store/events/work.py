"""Rows of the work list: what timers and people did to an item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRaised(StoreEvent):
    """A work item that no event of a case opens."""

    TOPIC = "nrm.Work.Raised"

    item: bytes
    kind: str
    ref: str
    agency: str
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFired(StoreEvent):
    """A timer of a work item came due."""

    TOPIC = "nrm.Work.Fired"

    item: bytes
    phase: Literal["opens", "due"]
    at: datetime
    due: datetime | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkClosed(StoreEvent):
    """A work item was closed or contested."""

    TOPIC = "nrm.Work.Closed"

    item: bytes
    by: str
    because: str
    contested: bool
