"""Steps: what an account is folded from, in the order it was recorded. Values only; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.domain.settlement import Settlement


@dataclass(frozen=True)
class AgencyName:
    """How an agency is called, and what it is."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One recorded event, without content. erased: its content was destroyed."""

    position: int
    event_id: str
    type: str
    agency: str
    at: datetime
    categories: tuple[str, ...]
    facts: Mapping[str, Any]
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on the event before it. position: of the decision."""

    position: int
    at: datetime
    settlement: Settlement


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What was decided and, when it was to be sent, no longer stood, or stood otherwise."""

    position: int
    at: datetime
    agency: str
    items: Mapping[str, Sequence[str]]
    rebased: Mapping[str, Mapping[str, str]]


Step = Happened | Decided | HeldBack


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery of the case. event_position: of the event, or of the decision for a recall."""

    agency: str
    sequence: int
    at: datetime
    decision: int
    event_position: int
    bases: Mapping[str, str]
    recall: bool = False
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a receipt. event_ref and categories: what it speaks of, of a recall; empty: of
    all. own_basis: why it is kept, in the partner's words."""

    outcome: str
    event_ref: str = ""
    categories: tuple[str, ...] = ()
    own_basis: str | None = None

    def about(self, category: str) -> bool:
        return not self.categories or category in self.categories


@dataclass(frozen=True, slots=True)
class Answer:
    """What a partner's receipt says of one delivery; nothing said: applied."""

    agency: str
    sequence: int
    at: datetime
    said: tuple[Said, ...] = ()
