"""The conformance suite is held against sinks with one planted bug each: each is caught by name.

A suite that passes whatever it is given would be worse than none. The sink is the state family over
a partner's database (tests/connectors/remote/test_remote.py); every bug leaves it able to take two
plain releases, so that it is not caught for being broken altogether.
"""

from __future__ import annotations

import inspect
import json
import logging
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors import landing
from connectors.conformance import OutageConformance, SinkConformance, StumblingConformance
from connectors.corrections import Corrections
from connectors.delivery import Poison
from connectors.errors import ConnectorError, SinkDownError
from connectors.holdings import Holdings
from connectors.landing import LandingSink
from connectors.ledger import Ledger
from connectors.quarantine import Quarantine
from connectors.remote.copies import Copies
from connectors.sink import Position, RecallPolicy
from schemas.registry import Schemas
from tests.connectors.remote.test_remote import Bench, Partner

Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, tuple[Plant, tuple[str, ...]]] = {}
STEPS = "test_killed_between_any_two_steps"


def caught_by(*test: str) -> Callable[[Plant], Plant]:
    """test: the name of the suite's test, and its parameters."""

    def known(plant: Plant) -> Plant:
        BUGS[plant.__name__] = (plant, test)
        return plant

    return known


def _nothing(*_: Any, **__: Any) -> None:
    """A step that was forgotten."""


def _around(patch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Callable[..., Any]) -> None:
    """wrong(right, self, …) in place of a method."""
    right = getattr(owner, name)
    patch.setattr(owner, name, lambda self, *a, **k: wrong(right, self, *a, **k))


def _texts(patch: pytest.MonkeyPatch, change: Callable[[str], Any]) -> None:
    """Every text is changed on its way into the partner's system."""

    def changed(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, dict):
            return {key: changed(one) for key, one in value.items()}
        return [changed(one) for one in value] if isinstance(value, list) else value

    _around(patch, Partner, "write", lambda right, self, ref, kind, document, seen="": right(
        self, ref, kind, changed(document), seen))  # fmt: skip


# -- order and books ---------------------------------------------------------------------------


@caught_by("test_the_cursor_is_kept_with_the_sequence")
def drops_the_cursor(patch: pytest.MonkeyPatch) -> None:
    _around(patch, Ledger, "advance", lambda right, self, db, position, at: right(
        self, db, Position(position.sequence, ""), at))  # fmt: skip


@caught_by("test_a_gap_is_not_applied")
def passes_over_a_gap(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        try:
            right(self, batch)
        except ValueError:
            return

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_a_gap_is_filled_when_what_was_missing_is_found")
def quarantines_a_gap(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        try:
            right(self, batch)
        except ValueError:
            with self._database.writing() as db:
                bad = [Poison(9, "delivery_malformed")]
                self._ledger.set_aside.park(db, bad, batch.received_at, {})
            raise

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_a_duplicate_changes_nothing")
def applies_what_it_has_applied(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        at = self.position().sequence
        items = [replace(one, sequence=at + n) for n, one in enumerate(batch.items, 1)]
        right(self, replace(batch, items=items))

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_one_that_fails_is_not_passed_over")
def passes_over_what_fails(patch: pytest.MonkeyPatch) -> None:
    def write(right: Any, self: Any, ref: str, *rest: Any) -> None:
        if ref != self.fails_at:  # as `except Exception: pass` around one of several things
            right(self, ref, *rest)

    _around(patch, Partner, "write", write)


@caught_by("test_every_delivery_of_a_batch_is_taken")
def takes_the_first_ten(patch: pytest.MonkeyPatch) -> None:
    def write(right: Any, self: Any, *rest: Any) -> None:
        if self.writes < 10:  # as a page of an interface whose next page nobody asks for
            right(self, *rest)

    _around(patch, Partner, "write", write)


@caught_by("test_a_batch_is_taken_in_its_order")
def takes_a_batch_backwards(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        numbers = [one.sequence for one in batch.items]
        pairs = zip(reversed(batch.items), numbers, strict=True)
        right(self, replace(batch, items=[replace(one, sequence=n) for one, n in pairs]))

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_nothing_an_event_says_is_logged_or_printed")
def logs_what_it_writes(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: logging.getLogger("partner").debug("wrote %s", text) or text)


@caught_by("test_nothing_an_event_says_is_logged_or_printed")
def prints_what_it_writes(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: print(text) or text)


@caught_by(STEPS, "a release")
def doubles_what_was_cut_off(patch: pytest.MonkeyPatch) -> None:
    """The partner's system gets a new entry each time, whether it has one or not."""

    def write(self: Any, ref: str, kind: str, document: Any, seen: str = "") -> None:
        with self._open() as db:
            number = db.execute("SELECT count(*) FROM doc").fetchone()[0]
            row = (f"{ref}#{number}", kind, json.dumps(document))
            db.execute("INSERT INTO doc VALUES (?, ?, ?)", row)

    def document(self: Any, ref: str) -> Any:
        with self._open() as db:
            rows = db.execute(
                "SELECT type, doc FROM doc WHERE ref LIKE ?", (f"{ref}#%",)
            ).fetchall()
        assert len(rows) < 2, "it is there twice"
        return (rows[0][0], json.loads(rows[0][1])) if rows else None

    patch.setattr(Partner, "write", write)
    patch.setattr(Partner, "document", document)


@caught_by(STEPS, "a release")
def answers_before_it_commits(patch: pytest.MonkeyPatch) -> None:
    owe = Ledger.owe

    def apply(right: Any, self: Any, batch: Any) -> None:
        first, last = batch.items[0].sequence, batch.items[-1].sequence
        with self._database.writing() as db:
            owe(self._ledger, db, first, last, [], batch.received_at)
        right(self, batch)

    _around(patch, LandingSink, "apply", apply)
    patch.setattr(Ledger, "owe", _nothing)


@caught_by("test_a_second_runner_fences_the_first")
def lets_two_write(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "fence", lambda self, db, generation: self.position(db))


@caught_by("test_a_clock_that_jumps_changes_no_order")
def goes_by_the_clock(patch: pytest.MonkeyPatch) -> None:
    latest = []

    def apply(right: Any, self: Any, batch: Any) -> None:
        if latest and batch.received_at < max(latest):
            return  # older than what is there
        latest.append(batch.received_at)
        right(self, batch)

    _around(patch, LandingSink, "apply", apply)


# -- receipts ----------------------------------------------------------------------------------


@caught_by("test_one_receipt_per_batch_until_it_is_sent")
def sends_receipts_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "sent", _nothing)


@caught_by("test_what_is_sent_again_is_answered_again")
def answers_once_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "owe_again", _nothing)


@caught_by("test_a_recall_of_what_is_not_held_is_answered")
def leaves_a_recall_unanswered(patch: pytest.MonkeyPatch) -> None:
    _around(patch, Ledger, "owe", lambda right, self, db, first, last, told, at: right(
        self, db, first, last, [one for one in told if one.outcome != "deleted"], at))  # fmt: skip


@caught_by("test_redriving_applies_and_tells_the_hub")
def redrives_in_silence(patch: pytest.MonkeyPatch) -> None:
    def owe(right: Any, self: Any, db: Any, first: int, last: int, told: Any, at: Any) -> None:
        if not any(one.outcome == "applied" for one in told):
            right(self, db, first, last, told, at)

    _around(patch, Ledger, "owe", owe)


@caught_by("test_discarding_removes_it_and_tells_the_hub_why")
def discards_in_silence(patch: pytest.MonkeyPatch) -> None:
    def owe(right: Any, self: Any, db: Any, first: int, last: int, told: Any, at: Any) -> None:
        if not any((one.detail or "").startswith("discarded_") for one in told):
            right(self, db, first, last, told, at)

    _around(patch, Ledger, "owe", owe)


# -- recalls -----------------------------------------------------------------------------------


@caught_by("test_an_older_delivery_does_not_bring_it_back")
def forgets_tombstones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Holdings, "bury", _nothing)


@caught_by("test_recalled_content_is_nowhere_in_the_storage")
def only_marks_as_deleted(patch: pytest.MonkeyPatch) -> None:
    hidden: set[str] = set()

    def write(right: Any, self: Any, ref: str, kind: str, document: Any, seen: str = "") -> None:
        (hidden.add if document is None else hidden.discard)(ref)
        if document is not None:
            right(self, ref, kind, document, seen)

    _around(patch, Partner, "write", write)
    _around(patch, Partner, "document", lambda right, self, ref: None if ref in hidden else right(
        self, ref))  # fmt: skip


@caught_by("test_a_recall_takes_its_category_and_no_other")
def takes_the_whole_event(patch: pytest.MonkeyPatch) -> None:
    _around(patch, LandingSink, "_remove", lambda right, self, db, work, item, about: right(
        self, db, work, item, (about[0], tuple(work.held[about[0]].bases))))  # fmt: skip


@caught_by("test_a_recall_redriven_late_leaves_what_was_released_since")
def a_late_recall_takes_what_came_since(patch: pytest.MonkeyPatch) -> None:
    def held(right: Any, self: Any, db: Any, refs: Any) -> Any:
        found = right(self, db, refs)
        for one in found.values():
            one.since = dict.fromkeys(one.since, -1)
        return found

    _around(patch, Holdings, "held", held)


@caught_by("test_a_recall_reaches_the_quarantine")
def leaves_the_quarantine_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Quarantine, "purge", _nothing)


@caught_by("test_restricted_content_leaves_the_tables")
def keeps_what_was_restricted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Holdings, "forget_restricted", _nothing)


@caught_by("test_kept_on_an_own_basis")
def knows_no_own_basis(patch: pytest.MonkeyPatch) -> None:
    def recall(right: Any, self: Any, *rest: Any) -> None:
        self._recalls = RecallPolicy()
        right(self, *rest)

    _around(patch, LandingSink, "_recall", recall)


# -- quarantine --------------------------------------------------------------------------------


@caught_by("test_poison_is_parked_and_the_next_goes_on")
def drops_poison(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Quarantine, "park", _nothing)


@caught_by("test_poison_is_parked_and_the_next_goes_on")
def stops_at_poison(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        if any(isinstance(one, Poison) for one in batch.items):
            raise SinkDownError("it cannot be read")
        right(self, batch)

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_discarding_removes_it_and_tells_the_hub_why")
def revives_what_was_discarded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(landing, "a_recall", lambda items: True)


@caught_by("test_a_recall_is_answered_although_it_was_discarded")
def loses_a_discarded_recall(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(landing, "a_recall", lambda items: False)


@caught_by("test_it_is_waited_out")
def floods_the_quarantine_on_an_outage(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        try:
            right(self, batch)
        except SinkDownError:
            bad = [Poison(one.sequence, "sink_refused", "", one.raw) for one in batch.items]
            self.remote.settle = lambda *_: ()
            right(self, replace(batch, items=bad))

    _around(patch, LandingSink, "apply", apply)


@caught_by("test_it_is_waited_out")
def passes_over_an_outage(patch: pytest.MonkeyPatch) -> None:
    def apply(right: Any, self: Any, batch: Any) -> None:
        try:
            right(self, batch)
        except SinkDownError:
            return

    _around(patch, LandingSink, "apply", apply)


# -- contents ----------------------------------------------------------------------------------


@caught_by("test_a_later_category_fills_only_its_own_fields")
def a_later_category_empties_the_others(patch: pytest.MonkeyPatch) -> None:
    def add(right: Any, self: Any, db: Any, additions: Any) -> None:
        for one in additions:
            table = self._table
            db.execute(table.delete().where(table.c.event_ref == one.event.event_ref))
        right(self, db, additions)

    _around(patch, Copies, "add", add)


@caught_by("test_a_correction_waits_for_what_it_corrects")
def forgets_corrections(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Corrections, "keep", lambda *_: {})


@caught_by("test_a_newer_schema_adds_its_field")
def drops_fields_it_does_not_know(patch: pytest.MonkeyPatch) -> None:
    def write(right: Any, self: Any, ref: str, kind: str, document: Any, seen: str = "") -> None:
        known = {one.name for one in Schemas.load().by_type(kind).fields} if kind else set()
        kept = document and {
            category: {name: value for name, value in part.items() if name in known}
            for category, part in document.items()
        }
        right(self, ref, kind, kept, seen)

    _around(patch, Partner, "write", write)


@caught_by("test_every_event_type_with_every_field_and_with_none")
def loses_events_that_say_nothing(patch: pytest.MonkeyPatch) -> None:
    def write(right: Any, self: Any, ref: str, kind: str, document: Any, seen: str = "") -> None:
        says = document and any(v is not None for part in document.values() for v in part.values())
        right(self, ref, kind, document if says else None, seen)

    _around(patch, Partner, "write", write)


@caught_by("test_any_admitted_text_comes_back_as_it_was")
def cuts_texts(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: text[:255])


@caught_by("test_any_admitted_text_comes_back_as_it_was")
def normalises_texts(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: unicodedata.normalize("NFC", text))


@caught_by("test_any_admitted_text_comes_back_as_it_was")
def empty_is_null(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: text or None)


@caught_by("test_amounts_are_not_rounded_and_moments_not_moved")
def amounts_are_floats(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: str(float(text)) if text.replace(".", "").isdigit() else text)


@caught_by("test_amounts_are_not_rounded_and_moments_not_moved")
def moments_lose_their_zone(patch: pytest.MonkeyPatch) -> None:
    _texts(patch, lambda text: text.replace("T01:30:00.000001Z", "T02:30:00.000001Z"))


@caught_by("test_refs_that_look_alike_are_different_events")
def deletes_by_pattern(patch: pytest.MonkeyPatch) -> None:
    def write(right: Any, self: Any, ref: str, kind: str, document: Any, seen: str = "") -> None:
        if document is not None:
            right(self, ref, kind, document, seen)
            return
        with self._open() as db:
            db.execute("DELETE FROM doc WHERE ref LIKE ?", (f"{ref}%",))

    _around(patch, Partner, "write", write)


# ----------------------------------------------------------------------------------------------


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    made: list[Bench] = []

    def make(name: str) -> Bench:
        (tmp_path / name).mkdir()
        made.append(Bench(tmp_path / name, "state"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_caught(
    bug: str,
    benches: Callable[[str], Bench],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plant, (test, *parameters) = BUGS[bug]
    plant(monkeypatch)
    SinkConformance().test_a_release_is_shown(benches("plain"))
    suites = (SinkConformance, OutageConformance, StumblingConformance)
    suite: Any = next(one for one in suites if hasattr(one, test))()
    with pytest.raises(
        (AssertionError, pytest.fail.Exception, LookupError, ValueError, ConnectorError)
    ):
        asked = getattr(suite, test)
        listening = (caplog, capfd) if "capfd" in inspect.signature(asked).parameters else ()
        asked(benches("bug"), *parameters, *listening)


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 30
