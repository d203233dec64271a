"""What scenarios reach: rules that decided, reasons, bases, recalls, backfills, refusals.

A random generator proves nothing about a rule it never reaches. Rules are watched where they are
asked; the rest is read off the settlements.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hub import deliveries, release
from hub.domain.policy import default_profile
from hub.domain.settlement import Withheld
from hub.release import Ask, Outcome
from tests.scenarios.rules_alone import Played, play

Rule = Callable[[Ask], Outcome | None]


class Reached:
    """Counts, by what was reached."""

    def __init__(self) -> None:
        self.rules: Counter[str] = Counter()
        self.narrowed: Counter[str] = Counter()  # rules that had a mode read as another
        self.reasons: Counter[str] = Counter()
        self.bases: Counter[str] = Counter()
        self.recalls: Counter[str] = Counter()
        self.backfills: Counter[str] = Counter()
        self.rebased = 0
        self.left = 0
        self.refusals: Counter[str] = Counter()
        self.guards: Counter[str] = Counter()
        self._decided = False

    def watched(self, rule: Rule) -> Rule:
        def asked(ask: Ask) -> Outcome | None:
            mode = ask.mode
            outcome = rule(ask)
            if ask.mode != mode:
                self.narrowed[rule.__name__] += 1
            if outcome is not None:
                self.rules[rule.__name__] += 1
            return outcome

        return asked

    def note(self, played: Played) -> None:
        if played.refusal is not None:
            self.refusals[played.refusal.reason] += 1
            if played.refusal.guard:
                self.guards[played.refusal.guard] += 1
        settlement = played.settlement
        if settlement is None:
            return
        for outcomes in settlement.decided.values():
            for outcome in outcomes.values():
                if isinstance(outcome, Withheld):
                    self.reasons[outcome.reason] += 1
                else:
                    self.bases[outcome.basis.partition(":")[0]] += 1
        kind = played.event.type
        self.recalls.update({kind: len(settlement.recalls)} if settlement.recalls else {})
        self.backfills.update({kind: len(settlement.backfill)} if settlement.backfill else {})
        self.rebased += len(settlement.rebased)
        self.left += len(settlement.left)


def reached_by(
    scenarios: Iterable[tuple[dict[str, Any], bool]], patch: pytest.MonkeyPatch
) -> Reached:
    """Play (scenario, guarded) pairs with every rule watched."""
    reached, profile = Reached(), default_profile()
    patch.setattr(release, "RULES", tuple(reached.watched(rule) for rule in release.RULES))
    patch.setattr(deliveries, "_OUTSIDE", {})
    for scenario, guarded in scenarios:
        for played in play(scenario, profile, guarded=guarded):
            reached.note(played)
    return reached
