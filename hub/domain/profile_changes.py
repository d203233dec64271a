"""What another policy profile changes: who would receive more, who less, and what else.

Pure. A matrix mode stands for the situations in which it releases; a change gains the situations
the new mode has and the old one lacked, and loses those it lacks. A change such as X to C does
both, and is told under both. What is compared is everything that decides (docs/policy.md): texts
decide nothing, and two documents that differ in texts or version alone have no changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hub.domain.policy import PolicyProfile
from hub.domain.profile_check import categories as all_categories

Effect = Literal["gains", "loses", "other"]

OUTSIDE, ADULT, CHILD, AGREED = "outside", "adult", "child", "agreed"
SITUATIONS: Mapping[str, frozenset[str]] = {
    "N": frozenset(),
    "X": frozenset({CHILD}),
    "C": frozenset({AGREED}),
    "K": frozenset({CHILD, AGREED}),
    "D": frozenset({CHILD, AGREED, ADULT}),
    "A": frozenset({CHILD, AGREED, ADULT, OUTSIDE}),
}
_WORDS: Mapping[str, str] = {
    OUTSIDE: "always, also without any part in the case",
    ADULT: "of an adult it works with, without consent",
    CHILD: "of a child it works with, without consent",
    AGREED: "with the person's consent",
}
_ORDER = (OUTSIDE, ADULT, CHILD, AGREED)


@dataclass(frozen=True, slots=True)
class Change:
    """One change for one role. part: of the document. what: category, event group or timer."""

    effect: Effect
    part: str
    role: str
    what: str
    before: str
    after: str
    words: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that differs. A wider release is the danger, so it stands first."""

    gains: tuple[Change, ...]
    loses: tuple[Change, ...]
    other: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.gains or self.loses or self.other)


def changes(old: PolicyProfile, new: PolicyProfile) -> Changes:
    """What deciding by `new` instead of `old` changes."""
    found = [
        *_matrix(old, new),
        *_private(old, new),
        *_sets("event_group_gate", old.gates, new.gates, "case_management of {} events"),
        *_sets("break_glass", old.break_glass, new.break_glass, "{} through break-glass"),
        *_disputes(old, new),
        *_inside(old, new),
        *_evidence(old, new),
        *_named("timers", old.timers, new.timers),
        *_named("work", old.work, new.work),
    ]

    def of(effect: Effect) -> tuple[Change, ...]:
        return tuple(one for one in found if one.effect == effect)

    return Changes(of("gains"), of("loses"), of("other"))


def _roles(old: PolicyProfile, new: PolicyProfile) -> Iterator[str]:
    """Every role either names, in the order of the newer document."""
    yield from dict.fromkeys([*new.matrix, *old.matrix])


def situations(category: str, mode: str) -> frozenset[str]:
    """When a mode releases. Outside a duty notification, A of the de-identified account is C."""
    if mode == "A" and category == "deidentified_account":
        mode = "C"
    return SITUATIONS[mode]


def words(found: Iterable[str]) -> str:
    """Situations in words, the widest first; what a wider one implies is left out."""
    named = set(found)
    if OUTSIDE in named:
        return _WORDS[OUTSIDE]
    if ADULT in named:
        both = CHILD in named
        return "of everybody it works with, without consent" if both else _WORDS[ADULT]
    return ", or ".join(_WORDS[one] for one in _ORDER if one in named)


def _matrix(old: PolicyProfile, new: PolicyProfile) -> Iterator[Change]:
    for role in _roles(old, new):
        for category in all_categories():
            was, now = old.mode(role, category), new.mode(role, category)
            if was == now:
                continue
            before, after = situations(category, was), situations(category, now)
            gained, lost = after - before, before - after
            if gained:
                told = f"receives it {words(gained)}"
                if ADULT in gained and role in new.private_bodies:
                    told += "; an adult's while an active consent names it"
                yield Change("gains", "matrix", role, category, was, now, told)
            if lost:
                told = f"no longer receives it {words(lost)}"
                yield Change("loses", "matrix", role, category, was, now, told)
            if not gained and not lost:
                told = "read the same by the rules"
                yield Change("other", "matrix", role, category, was, now, told)


def _private(old: PolicyProfile, new: PolicyProfile) -> Iterator[Change]:
    for role in _roles(old, new):
        was, now = role in old.private_bodies, role in new.private_bodies
        if was == now:
            continue
        defaults = [name for name in all_categories() if new.mode(role, name) == "D"]
        what = ", ".join(defaults) or "nothing by default"
        shown = ("private", "public") if was else ("public", "private")
        if was:
            told = "keeps its default access to an adult's case when no consent names it any more"
        else:
            told = "loses its default access to an adult's case with the last consent naming it"
        yield Change("gains" if was else "loses", "private_bodies", role, what, *shown, told)


def _sets(
    part: str, old: Mapping[str, frozenset[str]], new: Mapping[str, frozenset[str]], what: str
) -> Iterator[Change]:
    for role in dict.fromkeys([*new, *old]):
        was, now = old.get(role, frozenset()), new.get(role, frozenset())
        for name in sorted(now - was):
            told = f"may receive {what.format(name)}"
            yield Change("gains", part, role, name, "no", "yes", told)
        for name in sorted(was - now):
            told = f"may no longer receive {what.format(name)}"
            yield Change("loses", part, role, name, "yes", "no", told)


def _disputes(old: PolicyProfile, new: PolicyProfile) -> Iterator[Change]:
    part = "enforcement_roles"
    for role in sorted(old.enforcement_roles - new.enforcement_roles):
        told = "its dispute of an adult's age opens the child's defaults, to itself as well"
        yield Change("gains", part, role, "age dispute", "yes", "no", told)
    for role in sorted(new.enforcement_roles - old.enforcement_roles):
        told = "its dispute of an adult's age no longer opens the child's defaults to itself"
        yield Change("loses", part, role, "age dispute", "no", "yes", told)
    part = "enforcement_dispute_serves"
    for role in sorted(new.enforcement_dispute_serves - old.enforcement_dispute_serves):
        told = "receives the child's defaults after a dispute by enforcement"
        yield Change("gains", part, role, "age dispute", "no", "yes", told)
    for role in sorted(old.enforcement_dispute_serves - new.enforcement_dispute_serves):
        told = "no longer receives the child's defaults after a dispute by enforcement"
        yield Change("loses", part, role, "age dispute", "yes", "no", told)


def _inside(old: PolicyProfile, new: PolicyProfile) -> Iterator[Change]:
    part = "inside_enforcement"
    was = {(one.body, one.role, one.inside) for one in old.inside}
    now = {(one.body, one.role, one.inside) for one in new.inside}
    for body, role, inside in sorted(now - was):
        told = f"{body} is part of it: what {role} receives is in its hands"
        yield Change("gains", part, inside, f"all of {role}", "no", "yes", told)
    for body, role, inside in sorted(was - now):
        told = f"{body} is no longer part of it"
        yield Change("loses", part, inside, f"all of {role}", "yes", "no", told)


def _evidence(old: PolicyProfile, new: PolicyProfile) -> Iterator[Change]:
    for role in _roles(old, new):
        was, now = old.evidence_for(role), new.evidence_for(role)
        if was == now:
            continue
        if now == "agency":
            told = "its deliveries carry the sender's signature: others that have it can join on it"
        else:
            told = "its deliveries carry the hub's word only: nothing in them to join on"
        yield Change("gains" if now == "agency" else "loses", "evidence", role, "-", was, now, told)


def _named(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*new, *old]):
        was, now = old.get(name), new.get(name)
        if was != now:
            told = (
                "is another"
                if name in old and name in new
                else "is new"
                if name in new
                else "is gone"
            )
            yield Change("other", part, "-", name, length(was), length(now), told)


def length(value: Any) -> str:
    """A timer's length in a few words; by jurisdiction and start date, one after the other."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {length(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        if any(isinstance(one, Mapping) for one in value):
            return ", ".join(_entry(one) for one in value)
        return " / ".join(length(one) for one in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _entry(entry: Mapping[str, Any]) -> str:
    parts = [entry.get("jurisdiction", ""), length(entry["value"])]
    if "from" in entry:
        parts.append(f"from {entry['from']}")
    return " ".join(part for part in parts if part)
