"""Holdings: what each agency holds of a case, on which basis, and what was ever released to it.

Only what was decided changes them; they decide nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hub.domain.settlement import Released, Settlement

Item = tuple[str, str]  # (event id, category)


class Holdings(dict[str, dict[Item, str]]):
    """agency → item → basis, as it is held now."""

    def __init__(self) -> None:
        super().__init__()
        self.through: dict[tuple[str, str, str], str] = {}  # held through which invocation
        self.ever: dict[str, dict[str, set[str]]] = {}  # 7: ever released, bases by category

    def take(self, settlement: Settlement, event_id: str, categories: Collection[str]) -> None:
        """What was decided about an event: recalls first, then what was released."""
        for recall in settlement.recalls:
            for recalled, names in recall.items:
                self._drop(recall.to, recalled, names)
        for agency, events in settlement.rebased.items():
            self.rebase(agency, events)
        items = {category: (event_id, category) for category in categories}
        for agency, outcomes in settlement.decided.items():
            for category, outcome in outcomes.items():
                if isinstance(outcome, Released):
                    self._gain(agency, items[category], outcome.basis)
        self.catch_up(settlement)

    def catch_up(self, settlement: Settlement) -> None:
        """What is released of earlier events."""
        for agency, events in settlement.backfill.items():
            for event_id, bases in events.items():
                for category, basis in bases.items():
                    self._gain(agency, (event_id, category), basis)
        self.through.update(settlement.windows)

    def _gain(self, agency: str, item: Item, basis: str) -> None:
        held = self.get(agency)
        if held is None:
            held = self[agency] = {}
            self.ever[agency] = {}
        held[item] = basis
        ever = self.ever[agency].get(item[1])
        if ever is None:
            self.ever[agency][item[1]] = {basis}
        else:
            ever.add(basis)

    def hold_back(self, agency: str, items: Mapping[str, Sequence[str]]) -> None:
        """Items whose sending was stopped: the agency never got them, so it does not hold them."""
        for event_id, names in items.items():
            self._drop(agency, event_id, names)

    def rebase(self, agency: str, items: Mapping[str, Mapping[str, str]]) -> None:
        """Items held from now on on another basis; what was ever released (7) gains nothing."""
        for event_id, bases in items.items():
            for category, basis in bases.items():
                if (event_id, category) in self.get(agency, {}):
                    self[agency][event_id, category] = basis
                    self.through.pop((agency, event_id, category), None)

    def _drop(self, agency: str, event_id: str, names: Sequence[str]) -> None:
        held = self.get(agency, {})
        for category in names:
            held.pop((event_id, category), None)
            self.through.pop((agency, event_id, category), None)

    def final(self) -> dict[str, dict[str, list[str]]]:
        """7: agency → category → bases on which anything of it was ever released to it."""
        return {
            agency: {category: sorted(bases) for category, bases in sorted(categories.items())}
            for agency, categories in sorted(self.ever.items())
            if categories
        }
