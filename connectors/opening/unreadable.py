"""What stands in the way of reading a delivery, as a reason code of `connectors/delivery.py`."""

from __future__ import annotations


class Unreadable(Exception):
    """One delivery, or the box of a message, cannot be trusted or read."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
