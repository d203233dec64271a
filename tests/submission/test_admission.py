"""Admission, steps 1 to 6: what each refuses, from frozen fixtures and from fresh ones."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.submission import MAX_MESSAGE, AdmittedEvent, Gate, RefusedEvent
from schemas.registry import Schemas
from tests.submission.workshop import (
    FOLDER,
    HUB,
    INGEST,
    NOW,
    POSITION,
    TEXT,
    Bench,
    agencies,
    bad_inputs,
)

GATE = Gate(HUB, [INGEST], Schemas.load())
FIXTURES = sorted(FOLDER.glob("*.json"))


def admit(message: bytes) -> AdmittedEvent | RefusedEvent:
    [event] = GATE.admit(message, agencies(), POSITION, NOW).events
    return event


def test_every_bad_input_has_a_frozen_fixture() -> None:
    names = {name for name, *_ in bad_inputs()}
    assert {path.stem for path in FIXTURES} == names | {"good"}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_frozen_fixtures_get_their_answer(path: Path) -> None:
    fixture = json.loads(path.read_text("utf-8"))
    event = admit(base64.b64decode(fixture["message"]))
    if fixture["expect"] is None:
        assert isinstance(event, AdmittedEvent)
        return
    assert isinstance(event, RefusedEvent)
    refusal = event.refusal
    assert {"step": refusal.step, "reason": refusal.reason} == fixture["expect"]
    assert refusal.detail, "says what to do next"
    assert TEXT not in str(refusal), "and nothing of the content"


@pytest.mark.parametrize(("name", "step", "reason", "message"), list(bad_inputs()))
def test_made_afresh_they_are_refused_alike(
    name: str, step: int, reason: str, message: bytes
) -> None:
    event = admit(message)
    assert isinstance(event, RefusedEvent), name
    assert (event.refusal.step, event.refusal.reason) == (step, reason)


def test_too_large_is_refused_before_decoding() -> None:
    event = admit(bytes(MAX_MESSAGE + 1))
    assert isinstance(event, RefusedEvent)
    assert (event.refusal.step, event.refusal.reason) == (1, "too_large")


def test_one_bad_event_does_not_take_its_batch_along() -> None:
    def bend(event: dict[str, object]) -> None:
        if bend.seen == 1:  # type: ignore[attr-defined]
            event["padding"] = []
        bend.seen += 1  # type: ignore[attr-defined]

    bend.seen = 0  # type: ignore[attr-defined]
    answer = GATE.admit(Bench(events=3, bend_event=bend).sealed(), agencies(), POSITION, NOW)
    assert [isinstance(event, AdmittedEvent) for event in answer.events] == [True, False, True]


def test_admitted_bytes_are_the_bytes_that_were_signed() -> None:
    event = admit(Bench().sealed())
    assert isinstance(event, AdmittedEvent)
    assert event.categories == ("case_management", "family", "protection")
    assert event.routing.case == "C1"
    assert "persons_at_risk" not in event.facts
    assert TEXT.encode() not in event.header + event.head


GOOD = Bench().sealed()


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_admitted(at: int, bit: int) -> None:
    changed = bytearray(GOOD)
    changed[at] ^= 1 << bit
    event = admit(bytes(changed))
    assert isinstance(event, RefusedEvent)


@given(st.binary(max_size=400))
def test_noise_is_refused_and_nothing_breaks(noise: bytes) -> None:
    assert isinstance(admit(noise), RefusedEvent)
