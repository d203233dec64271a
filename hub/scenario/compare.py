"""Differences: what was recorded against what the file expects, and its assertions.

Every list of an expectation is a set. Whatever the file does not expect is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hub.scenario.story import Scenario

Step = Mapping[str, Any]
Holdings = Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be. kind: expected, refused, holdings, assertion,
    partner or hub. `event`, `agency` and `category` are left empty where they say nothing."""

    kind: str
    what: str
    event: str = ""
    agency: str = ""
    category: str = ""

    def as_dict(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        where = " ".join(part for part in (self.event, self.agency, self.category) if part)
        return f"{self.kind}: {where + ': ' if where else ''}{self.what}"


def steps(scenario: Scenario, recorded: Mapping[str, Step]) -> Iterator[Difference]:
    """Each event's releases, withholdings, backfills and recalls against its `expected`."""
    for event in scenario.events:
        step, expected = recorded[event.id], event.expected
        refusal = step.get("refused")
        if expected is None or (refusal is not None and "refused" not in expected):
            if refusal is not None:
                yield Difference("refused", _refusal(refusal), event.id, event.agency)
            continue
        if "refused" in expected:
            yield from _refused(event.id, event.agency, expected["refused"], refusal)
            continue
        if "releases" in expected:
            yield from _releases(event.id, expected["releases"], step["releases"])
        if "withheld" in expected:
            yield from _withheld(event.id, expected["withheld"], step["withheld"])
        if "backfill" in expected:
            yield from _backfill(event.id, expected["backfill"], step["backfill"])
        if "recalls" in expected:
            yield from _recalls(event.id, expected["recalls"], step["recalls"])


def _refusal(refusal: Mapping[str, Any]) -> str:
    guard = f", guard {refusal['guard']}" if refusal.get("guard") else ""
    step = f"step {refusal['step']}" if refusal["step"] else "the agency's own desk"
    detail = f" ({refusal['detail']})" if refusal.get("detail") else ""
    return f"refused at {step}: {refusal['reason']}{guard}{detail}"


def _refused(
    event: str, agency: str, expected: Any, refusal: Mapping[str, Any] | None
) -> Iterator[Difference]:
    """A file may expect a refusal: {"refused": true} or {"refused": {"reason": …, "guard": …}}."""
    if refusal is None:
        yield Difference("expected", "accepted; expected to be refused", event, agency)
    elif isinstance(expected, Mapping):
        for name in ("step", "reason", "guard"):
            if name in expected and expected[name] != refusal.get(name):
                told = f"{_refusal(refusal)}; expected {name} {expected[name]}"
                yield Difference("expected", told, event, agency)


def _releases(event: str, expected: Step, found: Step) -> Iterator[Difference]:
    for agency in sorted({*expected, *found}):
        wanted, got = expected.get(agency, {}), found.get(agency, {})
        categories, given = set(wanted.get("categories", ())), set(got.get("categories", ()))
        for category in sorted(categories - given):
            yield Difference("expected", "not released; expected", event, agency, category)
        for category in sorted(given - categories):
            yield Difference("expected", "released; not expected", event, agency, category)
        if "basis" in wanted and set(wanted["basis"]) != set(got.get("basis", ())) and given:
            told = f"released on {_words(got['basis'])}; expected {_words(wanted['basis'])}"
            yield Difference("expected", told, event, agency)


def _withheld(event: str, expected: Step, found: Step) -> Iterator[Difference]:
    for agency in sorted({*expected, *found}):
        wanted, got = expected.get(agency, {}), found.get(agency, {})
        for category in sorted({*wanted, *got}):
            reason, given = wanted.get(category), got.get(category)
            if reason != given:
                told = (
                    f"{'withheld, ' + given if given else 'no reason listed'}; "
                    f"expected {'withheld, ' + reason if reason else 'none listed'}"
                )
                yield Difference("expected", told, event, agency, category)


def _backfill(event: str, expected: Sequence[Step], found: Sequence[Step]) -> Iterator[Difference]:
    wanted, got = _earlier(expected), _earlier(found)
    for agency, earlier, category in sorted(wanted - got):
        told = f"not backfilled from {earlier}; expected"
        yield Difference("expected", told, event, agency, category)
    for agency, earlier, category in sorted(got - wanted):
        told = f"backfilled from {earlier}; not expected"
        yield Difference("expected", told, event, agency, category)


def _earlier(listed: Sequence[Step]) -> set[tuple[str, str, str]]:
    return {
        (one["to"], earlier, category)
        for one in listed
        for earlier, categories in one["events"].items()
        for category in categories
    }


def _recalls(event: str, expected: Sequence[Step], found: Sequence[Step]) -> Iterator[Difference]:
    wanted = {one["to"]: one for one in expected}
    got = {one["to"]: one for one in found}
    for agency in sorted({*wanted, *got}):
        one, other = wanted.get(agency), got.get(agency)
        if one is None or other is None:
            told = "recalled; not expected" if one is None else "not recalled; expected"
            yield Difference("expected", told, event, agency)
            continue
        for category in sorted(set(one["categories"]) ^ set(other["categories"])):
            told = (
                "not recalled; expected" if category in one["categories"] else
                "recalled; not expected"
            )  # fmt: skip
            yield Difference("expected", told, event, agency, category)
        if one.get("action", other["action"]) != other["action"]:
            told = f"recalled to {other['action']}; expected {one['action']}"
            yield Difference("expected", told, event, agency)


def holdings(expected: Holdings | None, found: Holdings) -> Iterator[Difference]:
    """`final_holdings` as expected against those recorded."""
    if expected is None:
        return
    for case in sorted({*expected, *found}):
        wanted, got = expected.get(case, {}), found.get(case, {})
        for agency in sorted({*wanted, *got}):
            ours, theirs = wanted.get(agency, {}), got.get(agency, {})
            for category in sorted({*ours, *theirs}):
                one, other = set(ours.get(category, ())), set(theirs.get(category, ()))
                if one != other:
                    told = f"case {case}: {_words(other)}; expected {_words(one)}"
                    yield Difference("holdings", told, "", agency, category)


def assertions(
    scenario: Scenario, recorded: Mapping[str, Step], held: Holdings
) -> Iterator[Difference]:
    """The file's `assertions`; see docs/scenarios.md for their five kinds."""
    for assertion in scenario.assertions:
        try:
            true = _holds(list(assertion), recorded, held)
        except (KeyError, IndexError, TypeError, ValueError):
            yield Difference("assertion", f"cannot be understood: {list(assertion)}")
            continue
        if not true:
            yield Difference("assertion", f"does not hold: {list(assertion)}")


def _holds(assertion: list[Any], recorded: Mapping[str, Step], held: Holdings) -> bool:
    kind, *rest = assertion
    if kind in ("never", "holds"):
        agency, category, *cases = rest
        among = [case for case in cases if case is not None] or list(held)
        found = any(category in held.get(case, {}).get(agency, {}) for case in among)
        return found is (kind == "holds")
    step = recorded[rest[0]]
    if kind == "event_release":
        agency, category, *yes = rest[1:]
        listed = step.get("releases", {}).get(agency, {}).get("categories", ())
        return (category in listed) is (not yes or bool(yes[0]))
    if kind == "backfill":
        agency, category, *yes = rest[1:]
        found = any(
            one["to"] == agency and any(category in names for names in one["events"].values())
            for one in step.get("backfill", ())
        )
        return found is (not yes or bool(yes[0]))
    if kind == "recall":
        agency, *yes = rest[1:]
        found = any(one["to"] == agency for one in step.get("recalls", ()))
        return found is (not yes or bool(yes[0]))
    raise ValueError(kind)


def _words(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
