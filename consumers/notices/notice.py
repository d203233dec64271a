"""A notice: that there is something to do, of which kind and until when. Nothing else.

It names the item by an opaque id (an agency's own name for it, where an agency is told) and neither
case, person, event nor any other agency, so that a mailbox or a chat that shows it tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from hub.domain.work_kinds import KINDS

OPENED, OVERDUE = "opened", "overdue"
PHASES = (OPENED, OVERDUE)


class UndeliveredError(Exception):
    """A notice was not taken; its text is a code. It is tried again."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one receiver is told of one item. phase: that it is there, or that it is overdue."""

    item: str
    kind: str
    phase: str
    due: datetime | None
    at: datetime
    receiver: str

    @property
    def message_id(self) -> str:
        """The same whenever it is sent again."""
        return "msg_" + uuid5(NAMESPACE_OID, f"{self.receiver}/{self.item}/{self.phase}").hex

    def document(self) -> dict[str, Any]:
        """What a webhook carries."""
        return {
            "type": f"work.{self.phase}",
            "timestamp": self.at.isoformat(timespec="seconds"),
            "data": {
                "item": self.item,
                "kind": self.kind,
                "urgency": KINDS[self.kind].urgency,
                "due": self._due(),
            },
        }

    def line(self) -> str:
        """What a mail says of it."""
        due = self._due()
        when = f", due {due}" if due else ""
        return f"{self.phase}: {self.kind} ({KINDS[self.kind].says}) {self.item}{when}"

    def _due(self) -> str | None:
        return self.due.isoformat(timespec="minutes") if self.due else None
