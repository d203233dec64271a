"""The decision log: one JSON object a line, one line a decision.

`decision.schema.json` beside this file is the schema of a line (JSON Schema 2020-12), and
docs/decision-log.md says what each member means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from hub.audit.export.decided import Decision

FORMAT: Final = "nrm.decision/1"

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "asylum_embassy": ("4.1",),
    "vital_interests": ("4.2",),
    "legal_obligation": ("4.3",),
    "never_rule": ("4.4",),
    "statutory_minimum": ("4.5",),
    "not_involved": ("4.3", "4.6"),
    "not_party": ("4.7", "4.8"),
    "not_relevant": ("4.10",),
    "public_task": ("4.13",),
    "safeguarding": ("4.10", "4.14"),
    "age_rule": ("4.14",),
    "consent": ("4.15",),
    "no_consent": ("4.9", "4.12", "4.15"),
    "expired": ("4.9", "4.12", "4.15"),
    "withdrawn": ("4.9", "4.12", "4.15"),
    "no_agreement": ("2.12",),
    "rule_failed": ("4",),
}
"""Code of a basis or reason → rules of docs/release.md that answer with it."""


def line(decision: Decision) -> dict[str, Any]:
    """One decision as it is written."""
    about, fate = decision.about, decision.fate
    return {
        "format": FORMAT,
        "at": decision.at,
        "recorded": decision.recorded.isoformat(),
        "kind": decision.kind,
        "case": about.case.hex,
        "event": about.event,
        "event_position": about.position,
        "event_type": about.type,
        "emitter": about.emitter,
        "agency": decision.agency,
        "role": decision.role,
        "category": decision.category,
        "outcome": decision.outcome,
        "basis": decision.basis,
        "reasons": list(decision.reasons),
        "rules": list(RULES.get(decision.code, ())),
        "window": decision.window,
        "concerned": decision.concerned,
        "policy": decision.policy,
        "register": decision.register,
        "fate": {
            "state": fate.state,
            "sequence": fate.sequence,
            "position": fate.position,
            "answered": fate.answered,
            "recall": fate.recall,
        },
    }


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of a line."""
    text = resources.files(__package__).joinpath("decision.schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
