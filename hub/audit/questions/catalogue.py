"""The catalogue: every question, in its order, and who may ask it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.audit.questions import (
    changes,
    children,
    consents,
    erasures,
    firewall,
    knowledge,
    ledger,
    mappings,
    openings,
    partners,
    rapporteur,
    refusals,
    sharing,
)
from hub.audit.questions.asking import Question
from hub.errors import Refused

_ALL: Final = (
    sharing.Q01,
    knowledge.Q02,
    consents.Q03,
    consents.Q04,
    openings.Q05,
    firewall.Q06,
    ledger.Q07,
    refusals.Q08,
    changes.Q09,
    partners.Q10,
    erasures.Q11,
    firewall.Q12,
    firewall.Q13,
    children.Q14,
    *rapporteur.QUESTIONS,
    partners.Q23,
    mappings.Q24,
)
QUESTIONS: Final[Mapping[str, Question]] = {one.id: one for one in _ALL}


def named(question: str) -> Question:
    """The question with this id. Refused(unknown_question) otherwise."""
    found = QUESTIONS.get(question.upper())
    if found is None:
        raise Refused(
            0, "unknown_question", "questions are Q01 to Q24: nrm-hub audit ask lists them"
        )
    return found
