"""One case as a partner's tables hold it: releases less recalls, corrections applied.

Pure, and without content: of a field it keeps which event tells its value. Written from what
docs/connectors.md promises a partner, apart from the connector's own code, so that the two can be
held against each other. Deliveries are given in the order in which the partner applied them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.corrections import CorrectionPart


@dataclass
class Holding:
    """One event as held. first, last: sequences of the first and the last delivery that added to
    it. bases: by category. shown: the same as the row shows it. since: sequence each came with.
    told_by: field → the correction that tells its value, or None if nothing does; fields left out
    have the event's own value.
    """

    event_type: str
    first: int
    last: int
    bases: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    told_by: dict[str, str | None] = field(default_factory=dict)


@dataclass
class _Correction:
    sequence: int
    told_in: str | None = None
    corrects: tuple[str, str] | None = None  # event, field
    category: str | None = None  # of the value; None if no value was told


class PartnerCase:
    """What is held of one case. `category_of`: (event type, field) → the field's category."""

    def __init__(self, category_of: Mapping[str, Mapping[str, str]]) -> None:
        self.held: dict[str, Holding] = {}
        self._category_of = category_of
        self._buried: dict[tuple[str, str], int] = {}
        self._corrections: dict[str, _Correction] = {}

    def release(
        self,
        ref: str,
        event_type: str,
        bases: Mapping[str, str],
        sequence: int,
        corrections: Sequence[CorrectionPart] = (),
    ) -> None:
        """These categories of an event arrive. corrections: what they tell, of a correction."""
        added = {
            category: basis
            for category, basis in bases.items()
            if self._buried.get((ref, category), -1) < sequence
        }
        if not added:
            return
        one = self.held.get(ref)
        if one is None:
            one = self.held[ref] = Holding(event_type, sequence, sequence)
        one.last = sequence
        one.bases |= added
        one.shown = dict(one.bases)
        one.since |= dict.fromkeys(added, sequence)
        of = self._category_of.get(event_type, {})
        one.told_by = {name: by for name, by in one.told_by.items() if of.get(name) not in added}
        affected: dict[str, set[str]] = {ref: set(added)}
        for part in corrections:
            if part.category in added:
                self._keep(part, affected)
        self._apply(affected)

    def recall(
        self, sequence: int, items: Sequence[tuple[str, Sequence[str]]], kept: Mapping[str, str]
    ) -> None:
        """These are taken back. kept: `<ref> <category>` → the partner's own basis for keeping."""
        for ref, categories in items:
            one = self.held.get(ref)
            gone = []
            for category in categories:
                own = kept.get(f"{ref} {category}")
                if own is not None and one is not None and category in one.bases:
                    one.bases[category] = f"own:{own}"[:200]
                else:
                    gone.append(category)
                place = (ref, category)
                self._buried[place] = max(self._buried.get(place, -1), sequence)
            if not gone:
                continue
            if one is not None:
                present = [c for c in gone if c in one.bases and one.since[c] < sequence]
                for category in present:
                    del one.bases[category], one.since[category]
                if present:
                    one.shown = dict(one.bases)
                if not one.bases:
                    del self.held[ref]
            # What was told anew since, before a recall that was applied late, stays.
            self._uncorrect(ref, [c for c in gone if one is None or c not in one.bases])

    # -- corrections ---------------------------------------------------------------------------

    def _keep(self, part: CorrectionPart, affected: dict[str, set[str]]) -> None:
        known = self._corrections.setdefault(part.event_ref, _Correction(part.sequence))
        beside = known.told_in is not None and known.told_in == known.category
        if part.corrects is not None and (part.value is not None or not beside):
            known.told_in, known.corrects = part.category, part.corrects
        if part.value is not None:
            known.category = part.category
        if known.corrects is not None:
            about = self.held.get(known.corrects[0])
            category = known.told_in if known.category is None else known.category
            if about is not None and category in about.bases:
                affected.setdefault(known.corrects[0], set()).add(category)

    def _apply(self, affected: Mapping[str, set[str]]) -> None:
        """All corrections of what was affected, in order. One without a value clears a field of
        the category that would tell it; else the value was told to others only."""
        for ref, one in sorted(self._corrections.items(), key=lambda item: item[1].sequence):
            if one.corrects is None or one.corrects[0] not in affected:
                continue
            event, name = one.corrects
            about = self.held.get(event)
            category = one.told_in if one.category is None else one.category
            if about is None or category not in affected[event]:
                continue
            if one.category is not None:
                about.told_by[name] = ref
            elif self._category_of.get(about.event_type, {}).get(name) == category:
                about.told_by[name] = None

    def _uncorrect(self, ref: str, gone: Sequence[str]) -> None:
        """A correction is recalled: the value it told goes, and none is known to be right."""
        one = self._corrections.get(ref)
        if one is None or not {one.told_in, one.category} & set(gone):
            return
        corrects, category = one.corrects, one.category
        if one.told_in in gone:
            one.told_in = one.corrects = None
        if one.category in gone:
            one.category = None
        if one.told_in is None and one.category is None:
            del self._corrections[ref]
        if corrects is not None and category is not None:
            about = self.held.get(corrects[0])
            if about is not None and category in about.bases:
                about.told_by[corrects[1]] = None
