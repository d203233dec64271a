"""Settlement: everything that was decided when one event was recorded, as a compact record.

    {"event": "<id>", "policy": "coe-1", "parties": 12, "age": [false, false],
     "categories": ["identity", "health"], "concerned": ["SH-1"],
     "decided":   {"SH-1": {"identity": "consent:c1", "health": ["no_consent"]}},
     "outsiders": [[[["not_involved"], ["never_rule"]], ["police", "trade_union"]]],
     "windows":   {"POL-1": {"<event>": {"identity": "<id of the invocation>"}}},
     "recalls":   [{"to": "POL-1", "action": "delete", "items": {"<event>": ["identity"]}}],
     "rebased":   {"POL-1": {"<event>": {"identity": "public_task"}}},
     "left":      ["CA-1"],
     "backfill":  {"SH-1": {"<event>": {"identity": "consent:c1"}}}}

An outcome is a text (released, on that basis) or a list (withheld, for these reasons, the first
applicable one first). `outsiders` holds agencies that are not concerned: for them only the role
counts, so that five hundred agencies cost no more than nineteen roles; roles with equal outcomes,
in the order of `categories`, stand together. Parts without content are left out. With the event,
the record is all that is needed to fold the case again without deciding again, also after the
person's content was erased.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.domain.age import AgeView


@dataclass(frozen=True, slots=True)
class Released:
    """May be seen, on this basis. window: the invocation it came through, for vital interests."""

    basis: str
    window: str | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """May not be seen. reasons: the deciding one first."""

    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        return self.reasons[0]


Outcome = Released | Withheld
Outcomes = Mapping[str, Outcome]  # by category

DELETE, DELETE_OR_RESTRICT = "delete", "delete_or_restrict"


@dataclass(frozen=True, slots=True)
class Recall:
    """What one agency has to give back; action is "delete" or "delete_or_restrict"."""

    to: str
    items: tuple[tuple[str, tuple[str, ...]], ...]
    action: str

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({name for _, names in self.items for name in names}))


@dataclass(frozen=True, slots=True)
class Owed:
    """One message a settlement owes: categories of an event with their bases, or a recall."""

    agency: str
    event_id: str
    bases: Mapping[str, str]
    recall: Recall | None = None


class Outsiders:
    """Outcomes by role for agencies that are not concerned, and their written form."""

    __slots__ = ("_by_role", "_categories", "_receiving", "written")

    def __init__(self, categories: tuple[str, ...], written: list[Any]) -> None:
        self._categories = categories
        self.written = written
        self._by_role: Mapping[str, Outcomes] | None = None
        self._receiving: tuple[str, ...] | None = None

    @classmethod
    def of(cls, categories: tuple[str, ...], by_role: Mapping[str, Outcomes]) -> Outsiders:
        alike: dict[tuple[Outcome, ...], list[str]] = {}
        for role in sorted(by_role):
            alike.setdefault(tuple(by_role[role][c] for c in categories), []).append(role)
        return cls(
            categories,
            [
                [[_written(outcome) for outcome in outcomes], roles]
                for outcomes, roles in alike.items()
            ],
        )

    @property
    def by_role(self) -> Mapping[str, Outcomes]:
        """Read when first asked for: folding a case never asks."""
        if self._by_role is None:
            self._by_role = {
                role: {
                    category: _read(one)
                    for category, one in zip(self._categories, written, strict=True)
                }
                for written, roles in self.written
                for role in roles
            }
        return self._by_role

    @property
    def receiving(self) -> tuple[str, ...]:
        """Roles that receive something although not concerned."""
        if self._receiving is None:
            self._receiving = tuple(
                role
                for role, outcomes in self.by_role.items()
                if any(isinstance(outcome, Released) for outcome in outcomes.values())
            )
        return self._receiving


Bases = dict[str, dict[str, dict[str, str]]]  # agency → event id → category → basis


@dataclass(slots=True)
class Settlement:
    """The effects of one event, in the order of docs/release.md 3."""

    event_id: str
    policy: str
    parties: int
    age: AgeView
    categories: tuple[str, ...] = ()
    concerned: tuple[str, ...] = ()  # 2.2, as of the decision, the emitter left out
    decided: dict[str, Outcomes] = field(default_factory=dict)
    outsiders: Outsiders = field(default_factory=lambda: Outsiders((), []))
    recalls: tuple[Recall, ...] = ()
    rebased: Bases = field(default_factory=dict)
    left: tuple[str, ...] = ()
    backfill: Bases = field(default_factory=dict)
    windows: dict[tuple[str, str, str], str] = field(default_factory=dict)
    clock_trusted: bool = True

    def outcome(self, agency: str, role: str, category: str) -> Outcome | None:
        """What was decided for one pair; None if the event has no such category."""
        outcomes = self.decided.get(agency)
        if outcomes is None:
            outcomes = self.outsiders.by_role.get(role, {})
        return outcomes.get(category)

    def released(self) -> Iterator[tuple[str, dict[str, str]]]:
        """(agency, category → basis) of the event itself, agencies without any left out."""
        for agency, outcomes in self.decided.items():
            bases = {
                category: outcome.basis
                for category, outcome in outcomes.items()
                if isinstance(outcome, Released)
            }
            if bases:
                yield agency, bases

    def owed(self) -> Iterator[Owed]:
        """Everything to be sent, in order: recalls, the event, what is caught up on."""
        for recall in self.recalls:
            yield Owed(recall.to, self.event_id, {}, recall)
        for agency, bases in self.released():
            yield Owed(agency, self.event_id, bases)
        for agency, events in self.backfill.items():
            for event_id, bases in events.items():
                yield Owed(agency, event_id, bases)

    # -- the record ------------------------------------------------------------------------

    def to_record(self) -> dict[str, Any]:
        """JSON-ready; the same settlement gives the same record."""
        record: dict[str, Any] = {
            "event": self.event_id,
            "policy": self.policy,
            "parties": self.parties,
            "age": [self.age.child, self.age.disputed],
            "categories": list(self.categories),
        }
        if not self.clock_trusted:
            record["clock_trusted"] = False
        if self.concerned:
            record["concerned"] = list(self.concerned)
        if self.decided:
            record["decided"] = {
                agency: {category: _written(outcome) for category, outcome in outcomes.items()}
                for agency, outcomes in self.decided.items()
            }
        if self.outsiders.written:
            record["outsiders"] = self.outsiders.written
        if self.recalls:
            record["recalls"] = [
                {
                    "to": recall.to,
                    "action": recall.action,
                    "items": {event: list(names) for event, names in recall.items},
                }
                for recall in self.recalls
            ]
        if self.rebased:
            record["rebased"] = self.rebased
        if self.left:
            record["left"] = list(self.left)
        if self.backfill:
            record["backfill"] = self.backfill
        if self.windows:
            windows: Bases = {}
            for (agency, event_id, category), window in sorted(self.windows.items()):
                windows.setdefault(agency, {}).setdefault(event_id, {})[category] = window
            record["windows"] = windows
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settlement:
        child, disputed = record["age"]
        windows = {
            (agency, event_id, category): window
            for agency, events in record.get("windows", {}).items()
            for event_id, names in events.items()
            for category, window in names.items()
        }
        event_id, categories = record["event"], tuple(record["categories"])
        return cls(
            event_id=event_id,
            policy=record["policy"],
            parties=record["parties"],
            age=AgeView(child, disputed),
            concerned=tuple(record.get("concerned", ())),
            categories=categories,
            decided={
                agency: {
                    category: _read(one, windows.get((agency, event_id, category)))
                    for category, one in written.items()
                }
                for agency, written in record.get("decided", {}).items()
            },
            outsiders=Outsiders(categories, record.get("outsiders", [])),
            recalls=tuple(
                Recall(
                    one["to"],
                    tuple((event, tuple(names)) for event, names in one["items"].items()),
                    one["action"],
                )
                for one in record.get("recalls", ())
            ),
            rebased=record.get("rebased", {}),
            left=tuple(record.get("left", ())),
            backfill=record.get("backfill", {}),
            windows=windows,
            clock_trusted=record.get("clock_trusted", True),
        )


def _written(outcome: Outcome) -> str | list[str]:
    return outcome.basis if isinstance(outcome, Released) else list(outcome.reasons)


def _read(written: str | list[str], window: str | None = None) -> Outcome:
    if isinstance(written, str):
        return Released(written, window)
    return Withheld(tuple(written))
