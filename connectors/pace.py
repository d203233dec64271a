"""Pace: how a connector takes its time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How much at once, and how long to wait. Times in seconds.

    messages: read at once. deliveries: applied in one transaction, at least one message's worth.
    poll: longest wait for a new message. pause_first, pause_most: between tries while something
    is away, doubling. registry: between looks for a newer registry.
    """

    messages: int = 50
    deliveries: int = 2000
    poll: float = 1.0
    pause_first: float = 0.2
    pause_most: float = 60.0
    registry: float = 60.0
    receipts: int = 200
