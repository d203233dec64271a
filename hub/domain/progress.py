"""How far the procedure has come: what guards and timers ask, and no release decision reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from hub.domain.dates import day

ENDS_RECOVERY = frozenset({"disqualified", "withdrawn", "completed"})


@dataclass(slots=True)
class Progress:
    """The decision, recovery and return regions of the state machine, as far as guards need."""

    closed: bool = False
    positive_on: date | None = None  # day of the positive reasonable-grounds decision
    recovery_start: date | None = None
    minimum_days: int = 0
    recovery_ends: date | None = None
    recovery_over: bool = False
    held_until: date | None = None  # last day a removal hold covers
    appeals: dict[str, int] = field(default_factory=dict)  # open reconsiderations by decision
    disqualified: bool = False
    best_interests: set[str] = field(default_factory=set)
    return_risk: str | None = None

    def minimum_ends(self, minimum_days: int) -> date | None:
        """First day on which the recovery minimum has passed; None before there is one."""
        start = self.recovery_start or self.positive_on
        if start is None:
            return None
        days = self.minimum_days if self.recovery_start is not None else minimum_days
        return start + timedelta(days=days)

    def recovery_running(self, today: date) -> bool:
        if self.recovery_ends is None or self.recovery_over:
            return False
        return today <= self.recovery_ends

    @property
    def appeal_open(self) -> bool:
        return any(count > 0 for count in self.appeals.values())

    def apply(self, event_type: str, facts: Mapping[str, Any], today: date) -> None:
        match event_type:
            case "ReasonableGroundsDecided" if facts.get("outcome") == "positive":
                self.positive_on = day(facts.get("decided_on")) or today
            case "RecoveryPeriodStarted":
                self.recovery_start = day(facts.get("start")) or today
                self.minimum_days = int(facts.get("minimum_days") or 0)
                self.recovery_ends = day(facts.get("ends_on"))
                self.recovery_over = False
            case "RecoveryPeriodChanged":
                self.recovery_ends = day(facts.get("ends_on")) or self.recovery_ends
                self.recovery_over = facts.get("reason") in ENDS_RECOVERY
            case "RemovalHoldPlaced":
                until = day(facts.get("until")) or today
                self.held_until = max(self.held_until or until, until)
            case "RemovalHoldLifted":
                self.held_until = None
            case "ReconsiderationRequested":
                about = str(facts.get("decision_ref"))
                self.appeals[about] = self.appeals.get(about, 0) + 1
            case "ReconsiderationDecided":
                self.appeals[str(facts.get("decision_ref"))] = 0
                if facts.get("outcome") == "overturned" and facts.get("decision_ref") == "rg":
                    self.positive_on = self.positive_on or today
            case "DisqualificationDecided":
                self.disqualified = facts.get("outcome") == "disqualified"
            case "BestInterestsDetermined":
                self.best_interests.add(str(facts.get("question")))
            case "ReturnRiskAssessed":
                self.return_risk = str(facts.get("level"))
            case "CaseClosed":
                self.closed = True
            case "CaseReopened":
                self.closed = False
            case _:
                pass


PROGRESS_TYPES = frozenset(
    {
        "ReasonableGroundsDecided",
        "RecoveryPeriodStarted",
        "RecoveryPeriodChanged",
        "RemovalHoldPlaced",
        "RemovalHoldLifted",
        "ReconsiderationRequested",
        "ReconsiderationDecided",
        "DisqualificationDecided",
        "BestInterestsDetermined",
        "ReturnRiskAssessed",
        "CaseClosed",
        "CaseReopened",
    }
)
