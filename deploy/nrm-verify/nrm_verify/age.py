"""The person's age as far as plain facts tell it (docs/release.md 2.6, 2.6a).

Dates of birth are sealed. While none was stated, everything follows from plain facts and is worked
out here; from the first one on the age is taken as recorded, where a birthday could decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date, datetime
from typing import Any


class Age:
    """What was stated, folded. `view` says what can be known of it."""

    def __init__(self) -> None:
        self._opened = False
        self._stated: list[tuple[str, Any]] = []
        self.sealed = False  # a date of birth was stated; which, nobody can read here

    def __len__(self) -> int:
        return len(self._stated)

    def opened(self, status: str) -> None:
        if not self._opened:
            self._opened = True
            self._stated.append(("opened", status))

    def enter(self, type_: str, role: str, facts: Mapping[str, Any]) -> None:
        if facts.get("birth_date_stated"):
            self.sealed = True
        if type_ == "AgeDisputed":
            self._stated.append(("disputed", role))
        elif type_ == "AgeAssessed":
            until = facts.get("appeal_open_until")
            self._stated.append(("assessed", (str(facts.get("outcome")), until)))

    def view(self, now: datetime, enforcement: Set[str]) -> tuple[bool, bool] | None:
        """(child, disputed by enforcement), or None if a sealed date of birth may decide."""
        if self.sealed:
            return None
        status, narrow, assessed, appeal = "unknown", False, False, None
        for what, value in self._stated:
            if what == "opened":
                status = value
            elif what == "disputed":
                if value in enforcement and status == "adult":
                    narrow = True
                else:
                    status, narrow = "age_disputed", False
            else:
                outcome, until = value
                status = outcome if outcome in ("adult", "child") else "age_disputed"
                narrow, assessed, appeal = False, True, until
        if status != "adult":
            return True, narrow
        open_still = (
            assessed and isinstance(appeal, str) and now.date() <= date.fromisoformat(appeal[:10])
        )
        return open_still, narrow
