"""Q05: every break-glass, and what was found of it. Nothing that was opened is shown."""

from __future__ import annotations

from typing import Final

from hub.audit.breakglass import break_glass
from hub.audit.questions.answer import Cell, Column, Found, listed, moment
from hub.audit.questions.asking import AS_OF, CASE, Asked, Question
from hub.domain.breakglass import Invocation


def _opened(asked: Asked) -> Found:
    case = asked.case
    seen = break_glass(asked.exchange, case.hex if case else None, end=asked.end, now=asked.now)
    found = Found(findings=0)
    for one in seen.invocations:
        found.rows.append(
            (
                one.position,
                one.case_id.hex,
                moment(one.at),
                one.agency,
                one.role,
                one.reason,
                listed(one.requested),
                listed(one.opened),
                moment(one.closes),
                sum(map(len, one.through.values())),
                listed(sorted({name for names in one.through.values() for name in names})),
                *_reviewed(one),
                _state(one, asked),
            )
        )
    late = sum(one.overdue(asked.now) or one.reviewed_late for one in seen.invocations)
    silent = sum(_told(one) is False for one in seen.invocations)
    found.findings = late + silent
    found.summary = {**seen.counts(), "reviewed late or overdue": late, "person not told": silent}
    for declared in seen.declared if case is None else ():
        found.notes.append(
            f"Emergency mode was declared at position {declared.position} by {declared.agency}, "
            f"until {declared.ends_on}. It opens nothing."
        )
    return found


def _reviewed(one: Invocation) -> tuple[Cell, ...]:
    first = one.reviews[0] if one.reviews else None
    return (
        moment(one.review_due),
        moment(first.at) if first else None,
        first.by if first else None,
        listed(review.outcome for review in one.reviews) or None,
        sum(map(len, one.recalled.values())),
        _told(one),
    )


def _told(one: Invocation) -> bool | None:
    """Whether any review says that the person was told; None while none says either."""
    said = [review.person_informed for review in one.reviews]
    if any(said):
        return True
    return False if False in said else None


def _state(one: Invocation, asked: Asked) -> str:
    if one.overdue(asked.now):
        return "review overdue"
    if one.reviewed_late:
        return "reviewed late"
    if one.reviews:
        return "reviewed in time"
    return "open" if one.open(asked.now) else "awaits review"


Q05: Final = Question(
    "Q05",
    "auditor",
    "Every break-glass: who, why, what opened, reviewed within 72 h, person told?",
    (CASE, AS_OF),
    (
        Column("position", "Log position of the invocation."),
        Column("case", "The hub's id of the case."),
        Column("at", "When it was recorded."),
        Column("agency", "Who broke the glass."),
        Column("role", "The agency's role."),
        Column("reason", "Why, as a code."),
        Column("requested", "Categories asked for."),
        Column("opened", "Of these, those the profile lets this role open."),
        Column("closes", "When the window closes, or closed."),
        Column("items", "How many items came through it."),
        Column("categories", "Of which categories."),
        Column("due", "Until when it is to be reviewed; 72 h unless the profile says otherwise."),
        Column("reviewed", "When the first review was recorded."),
        Column("by", "Who reviewed it."),
        Column("outcome", "justified, partly or not_justified."),
        Column("recalled", "How many items were asked back."),
        Column("told", "Whether the person was told, as the review says; empty: not said yet."),
        Column("state", "open, awaits review, overdue, or reviewed in time or late."),
    ),
    _opened,
    "Invocations and reviews on record, and what the decisions say came through each window.",
    "Whether the reason given was true; what was looked at of what came through.",
    must_be_empty=True,
)
