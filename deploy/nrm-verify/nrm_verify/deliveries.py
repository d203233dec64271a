"""Step 11: what was sent, recalled or held back is what was decided, in order and without a gap."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nrm_verify.case import Case
from nrm_verify.failure import Failure
from nrm_verify.fold import Moment, moments
from nrm_verify.manifest import Manifest
from nrm_verify.register import Agency, Profile, Register
from nrm_verify.rows import SENDING, Row, Undecodable
from nrm_verify.rules import CONSENT, Question, Released, answer, pair_of
from nrm_verify.schemas import Schemas
from nrm_verify.statements import Statement

RECALL = "recall"


@dataclass
class Owed:
    """One message a decision owes an agency. bases: of a release; recall: items and action."""

    decision: int
    event_id: str
    bases: Mapping[str, str]
    recall: Mapping[str, Any] | None = None
    done: bool = False
    lost: list[str] = field(default_factory=list)  # decided, and gone when it was to be sent
    other: dict[str, str] = field(default_factory=dict)  # sent on another basis


@dataclass
class Sent:
    """What step 11 found. waiting: owed and neither sent nor held back by the end."""

    releases: int = 0
    recalls: int = 0
    held_back: int = 0
    waiting: int = 0
    logs: int = 0


def check(
    manifest: Manifest,
    rows: Sequence[Row],
    cases: Sequence[Sequence[Row]],
    statements: Mapping[int, Statement],
    register: Register,
    schemas: Schemas,
) -> Sent:
    """`cases`: whole streams. Without any (a bundle for a holder) only the order is looked at."""
    sent = Sent()
    sendings = [row for row in rows if row.topic == SENDING]
    sent.logs = _gapless(manifest, sendings)
    for row in sendings:
        _formed(row)
        if row.value["kind"] == RECALL:
            sent.recalls += 1
        else:
            sent.releases += 1
    for stream in cases:
        about = [one for one in sendings if one.value["case_id"] == stream[0].stream]
        ledger = Ledger(manifest, register)
        for moment in moments(_merged(stream, about), statements, schemas):
            try:
                ledger.take(moment)
            except (AttributeError, KeyError, TypeError, ValueError):
                raise _differs(moment.row, "has not the form of its kind") from None
        sent.held_back += ledger.held_back
        sent.waiting += ledger.waiting()
    return sent


def _formed(row: Row) -> None:
    """What it says has the form of a delivery, whichever case it is about."""
    try:
        items = row.json("items")
        if row.value["kind"] == RECALL:
            texts = [name for event, names in items["items"] for name in (event, *names)]
            texts.append(items["action"])
        else:
            texts = [one for pair in items["bases"].items() for one in pair]
    except (Undecodable, AttributeError, KeyError, TypeError, ValueError):
        raise _differs(row, "has not the form of its kind") from None
    if not all(isinstance(one, str) for one in texts):
        raise _differs(row, "has not the form of its kind")


def _merged(stream: Sequence[Row], about: Sequence[Row]) -> list[Row]:
    return sorted([*stream, *about], key=lambda row: row.position)


def _gapless(manifest: Manifest, sendings: Sequence[Row]) -> int:
    """Whole delivery logs count from 1. Returns how many are here whole."""
    if manifest.scope.agency is None:
        return 0
    mine = [row for row in sendings if row.value["agency"] == manifest.scope.agency]
    for number, row in enumerate(mine, 1):
        if row.version != number:
            raise Failure(
                11,
                "gap_in_deliveries",
                f"row {row.position} is delivery {row.version} to {manifest.scope.agency}, "
                f"{number} is missing",
            )
    return 1


class Ledger:
    """What one case owes each agency whose deliveries are in the bundle."""

    def __init__(self, manifest: Manifest, register: Register) -> None:
        self._scope = manifest.scope
        self._register = register
        self._owed: dict[tuple[str, int, int, bool], Owed] = {}
        self._open: dict[str, deque[Owed]] = {}  # by agency, in order; done ones leave in front
        self._changed: dict[str, list[Owed]] = {}  # sent with less than was owed, and not told yet
        self._age = (False, False)
        self.held_back = 0

    def take(self, moment: Moment) -> None:
        match moment.kind:
            case "kept":
                child, disputed = moment.record["age"]
                self._age = (child is True, disputed is True)
                self._owe(moment)
            case "sent":
                self._sent(moment)
            case "held_back":
                self._held_back(moment)

    def waiting(self) -> int:
        return sum(not one.done for one in self._owed.values())

    def _told(self, agency: str, event_id: str) -> bool:
        """Whether all deliveries of this kind are in the bundle."""
        if self._scope.agency is not None:
            return agency == self._scope.agency
        return self._scope.event is None or event_id == self._scope.event

    def _owe(self, moment: Moment) -> None:
        record, decision = moment.record, moment.row.position
        owed = [
            (one["to"], Owed(decision, moment.event.id, {}, one))
            for one in record.get("recalls", ())
        ]
        for agency, outcomes in record.get("decided", {}).items():
            bases = {name: one for name, one in outcomes.items() if isinstance(one, str)}
            if bases:
                owed.append((agency, Owed(decision, moment.event.id, bases)))
        for agency, events in record.get("backfill", {}).items():
            owed += [
                (agency, Owed(decision, event_id, bases)) for event_id, bases in events.items()
            ]
        for agency, one in owed:
            if self._told(agency, moment.event.id):
                position = moment.case.events[one.event_id].position
                self._owed[agency, decision, position, one.recall is not None] = one
                self._open.setdefault(agency, deque()).append(one)

    def _sent(self, moment: Moment) -> None:
        row, case = moment.row, moment.case
        value = row.value
        agency, recall = value["agency"], value["kind"] == RECALL
        one = self._owed.get((agency, value["decision"], value["event_position"], recall))
        if one is None or one.done:
            raise _differs(row, f"was not owed to {agency}, or was made before")
        first = self._first_open(agency)
        if first is not None and first.decision < one.decision:
            raise _differs(row, f"came before what was owed to {agency} earlier")
        if any(before.decision < one.decision for before in self._changed.get(agency, ())):
            raise _differs(row, f"comes though nobody said what no longer stood for {agency}")
        one.done = True
        if one.recall is not None:
            items = {event_id: sorted(names) for event_id, names in one.recall["items"].items()}
            told = {event_id: sorted(names) for event_id, names in moment.record["items"]}
            if told != items or moment.record["action"] != one.recall["action"]:
                raise _differs(row, "recalls something else than was decided")
            return
        bases = moment.record["bases"]
        for ages in self._ages(case, row):
            standing = self._standing(case, row, agency, one, ages)
            if standing == bases:
                break
        else:
            raise _differs(row, f"does not carry what stood for {agency} when it was marked")
        one.lost = sorted(set(one.bases) - set(bases))
        one.other = {name: basis for name, basis in bases.items() if basis != one.bases[name]}
        if one.lost or one.other:
            self._changed.setdefault(agency, []).append(one)

    def _first_open(self, agency: str) -> Owed | None:
        """The oldest that is owed and neither sent nor held back."""
        waiting = self._open.get(agency)
        while waiting and waiting[0].done:
            waiting.popleft()
        return waiting[0] if waiting else None

    def _held_back(self, moment: Moment) -> None:
        """What was decided and no longer stood. Its own list must be the one worked out."""
        row, case = moment.row, moment.case
        agency = row.value["agency"]
        if self._scope.agency not in (None, agency):
            return
        items, rebased = dict(moment.record["items"]), dict(moment.record["rebased"])
        for one in self._changed.pop(agency, ()):
            lost, other = items.pop(one.event_id, []), rebased.pop(one.event_id, {})
            if sorted(lost) != one.lost or other != one.other:
                raise _differs(row, f"tells otherwise what no longer stood for {agency}")
            self.held_back += len(one.lost)
        for event_id, names in items.items():
            self._first_open(agency)
            unsent = [
                one
                for one in self._open.get(agency, ())
                if not one.done and one.event_id == event_id and sorted(one.bases) == sorted(names)
            ]
            if not unsent:
                if self._scope.event is not None:
                    continue
                raise _differs(row, f"holds back from {agency} what was not owed")
            if all(self._standing(case, row, agency, unsent[0], a) for a in self._ages(case, row)):
                raise _differs(row, f"holds back from {agency} what still stood")
            unsent[0].done = True
            self.held_back += len(names)
        if rebased:
            raise _differs(row, f"changes a basis of {agency} that did not change")

    def _ages(self, case: Case, row: Row) -> list[tuple[bool, bool]]:
        """As can be worked out; else as recorded last, or come of age since."""
        profile = self._register.profile(row.position)
        assert profile is not None
        view = case.age.view(row.value["timestamp"], profile.enforcement)
        return [view] if view is not None else [self._age, (False, self._age[1])]

    def _standing(
        self, case: Case, row: Row, agency: str, one: Owed, age: tuple[bool, bool]
    ) -> dict[str, str]:
        """release.md 4, after the rules: what is looked at again between decision and sending."""
        known = self._register.agencies.get(agency)
        profile = self._register.profile(row.position)
        if known is None or profile is None or not known.receives(row.position):
            return {}
        if one.event_id in case.erased:
            return {}
        found = {}
        for category, basis in one.bases.items():
            if _stands(case, row, known, one.event_id, category, basis):
                found[category] = basis
                continue
            again = _again(case, row, known, profile, one.event_id, category, age)
            if again:
                found[category] = again
        return found


def _stands(case: Case, row: Row, agency: Agency, event_id: str, category: str, basis: str) -> bool:
    """What rests on a consent, a window, or is an embassy's during a claim may have ended."""
    event = case.events[event_id]
    if basis.startswith(CONSENT):
        record = case.consents.known.get(basis.removeprefix(CONSENT))
        today, pair = row.value["timestamp"].date(), pair_of(event, category)
        if record is None or not record.counts(agency.name, pair, event.position, today):
            return False
    return basis != "vital_interests" and not (agency.role == "embassy" and case.asylum)


def _again(
    case: Case,
    row: Row,
    agency: Agency,
    profile: Profile,
    event_id: str,
    category: str,
    age: tuple[bool, bool],
) -> str:
    given = answer(
        Question(
            case,
            case.events[event_id],
            agency.name,
            agency.role,
            agency.receives(row.position),
            profile,
            row.value["timestamp"],
            age,
            frozenset(case.involved()),
            category,
            first=False,
        )
    )
    return given.basis if isinstance(given, Released) else ""


def _differs(row: Row, text: str) -> Failure:
    return Failure(11, "delivery_differs", f"row {row.position} {text}")
