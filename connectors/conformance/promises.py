"""What a test of the suite asks, in words, and where to look first when it fails.

pytest shows which comparison failed; whoever writes a sink for the first time wants to know which
promise that was. The plugin puts this under every failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "Arriving": (
        "Every delivery is shown once, as it was stated, however often and in whatever order it "
        "comes; a further category of an event joins what is there.",
        "How an event is found again: by event_ref, exactly as it is spelled. What is written when "
        "the same comes again: the same, not one more.",
    ),
    "Telling": (
        "What an event says goes into the partner's system and nowhere else: not into logs, not to "
        "the screen, not into errors.",
        "What is logged or printed, at any level, and what an exception's text repeats.",
    ),
    "Recalling": (
        "A recall takes what it names, everywhere, before apply() returns, and nothing else; what "
        "is older never brings it back.",
        "Where content went besides its main place: drafts, journals, indexes, old versions. "
        "Whether remove() or a `recalled` message takes each category named.",
    ),
    "Correcting": (
        "A correction changes the field of the event it corrects, if that is held, whichever of "
        "the two comes first; None empties it.",
        "How a single field is changed, and whether other categories of the event stay.",
    ),
    "SettingAside": (
        "What can never be taken is set aside under its sequence and the next one goes on; redrive "
        "and discard end it.",
        "Which error is raised: SinkRefusedError for one delivery, SinkDownError for an outage.",
    ),
    "Crashing": (
        "Killed at any step and run again, everything is there once, and each receipt is sent.",
        "Whether what is written in the partner's system can be written again with the same "
        "effect, and whether anything is kept in memory from one batch to the next.",
    ),
    "Contents": (
        "Every type, with every field or none, with any text, exact amounts, instants and dates, "
        "comes out as it came in.",
        "Encoding, trimming, rounding, time zones, letters' case, lengths.",
    ),
    "Times": (
        "Nothing depends on the clock: order is that of sequences.",
        "Where a time is compared that the sink took itself.",
    ),
    "OutageConformance": (
        "A system that is away for days loses nothing and sets nothing aside.",
        "Whether everything that system may say while it is away, or half there, is raised as "
        "SinkDownError.",
    ),
    "StumblingConformance": (
        "A batch is taken wholly or not at all: one event that the system fails at stops it, and "
        "is there once the cause is gone.",
        "Whether an error at one of several things is raised, or swallowed and passed over.",
    ),
    "SourceConformance": (
        "A row comes until it is answered, the same each time, and never again once accepted.",
        "What a row's key and attempt follow from, and when an answer is written back.",
    ),
}
"""Part of the suite → what is promised, where to look."""


def part_of(item: pytest.Item) -> str | None:
    """The part that a collected test is of; None if it is none of the suite's."""
    name = getattr(item, "originalname", item.name)
    for one in getattr(getattr(item, "cls", None), "__mro__", ()):
        if name in vars(one):
            known = one.__module__.startswith("connectors.conformance.")
            return one.__name__ if known and one.__name__ in PARTS else None
    return None


def explained(part: str) -> str:
    promise, look = PARTS[part]
    return f"{promise}\nLook at: {look}\ndocs/connector-kit.md: What a sink promises, The suite"
