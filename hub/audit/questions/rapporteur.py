"""Q15 to Q22: the national rapporteur's questions, answered from published tables alone.

Nothing here counts anybody. An answer is what an edition shows, so it holds exactly what the
suppression of that edition let through, and asking often tells no more than asking once. What is
not published is not answered (docs/adr/0033-questions-answer-from-what-is-published.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hub.audit.questions.answer import Column, Found, Row, moment
from hub.audit.questions.asking import AS_OF, Asked, Parameter, Question
from hub.errors import Refused
from hub.statistics.editions import Edition, find
from hub.statistics.periods import Period
from hub.statistics.rows import STATUSES, changes, rows
from hub.statistics.tables import TABLES
from hub.store import events as stored

PERIOD: Final = Parameter("period", "A year, quarter or month that is published.", "2026-Q1", True)


def _tables(*names: str) -> Parameter:
    return Parameter("table", "Only this table.", names[0], False, names)


def _editions(asked: Asked) -> list[Edition]:
    """Editions of the period published by the position, oldest first."""
    period = Period.parse(asked.get("period") or "").name
    return [
        edition
        for one in asked.walk(stored.TablePublished)
        if isinstance(one.event, stored.TablePublished)
        and (edition := Edition.of(one.event)).period == period
    ]


def _newest(asked: Asked, names: tuple[str, ...]) -> dict[str, Edition]:
    only = asked.get("table")
    wanted = (only,) if only else names
    newest = {one.table: one for one in _editions(asked) if one.table in wanted}
    if not newest:
        raise Refused(
            0,
            "not_published",
            f"none of {', '.join(wanted)} is published for {asked.get('period')}; "
            "nrm-hub statistics publish does that",
        )
    return {name: newest[name] for name in wanted if name in newest}


def _shown(names: tuple[str, ...]) -> Callable[[Asked], Found]:
    def find_(asked: Asked) -> Found:
        newest = _newest(asked, names)
        found = Found([row for one in newest.values() for row in _lines(one)])
        found.summary = {
            f"{one.table}, edition {one.number}": f"as known {moment(one.as_of)}"
            for one in newest.values()
        }
        missing = [one for one in names if one not in newest and not asked.get("table")]
        if missing:
            found.notes.append(f"Not published for this period: {', '.join(missing)}.")
        return found

    return find_


def _lines(edition: Edition) -> list[Row]:
    table = TABLES[edition.table]
    return [
        (
            edition.table,
            edition.number,
            "/".join(row.path) or "all",
            row.label,
            row.figure,
            row.status,
            row.median,
            row.p90,
        )
        for row in rows(table, edition.figures, edition.suppression == "dp")
        if row.figure != "0" or row.depth < 2
    ]


_SHOWN: Final = (
    Column("table", "The table (docs/statistics.md defines every cell)."),
    Column("edition", "Which edition of it is shown: the newest."),
    Column("part", "Codes from the first level down; all is the whole table."),
    Column("label", "What the part is called."),
    Column("figure", "The figure, or a mark for what is hidden or kept."),
    Column("status", "; ".join(f"{code}: {means}" for code, means in STATUSES.items()) + "."),
    Column("median", "Median length of time, if the table is timed: P12D is twelve days."),
    Column("p90", "Nine of ten take no longer."),
)
_RESTS: Final = (
    "Published editions and nothing else: small numbers are hidden in them, beside everything "
    "published before."
)


def _question(id_: str, asked: str, names: tuple[str, ...], cannot: str) -> Question:
    return Question(
        id_,
        "rapporteur",
        asked,
        (PERIOD, _tables(*names), AS_OF),
        _SHOWN,
        _shown(names),
        _RESTS,
        cannot,
    )


Q15: Final = _question(
    "Q15",
    "Presumed and identified victims by registering organisation, sex, age, citizenship, "
    "exploitation form, period",
    (
        "victims-by-organisation",
        "victims-by-sex-and-age",
        "victims-by-citizenship",
        "victims-by-form",
        "notifications",
    ),
    "One table crossed with another; people nobody registered.",
)
Q16: Final = _question(
    "Q16",
    "Referrals, duty notifications, RG/CG decisions, outcomes, negative reasons, median and 90th "
    "percentile days, age of open cases",
    (
        "referrals",
        "notifications",
        "reasonable-grounds",
        "reasonable-grounds-delays",
        "conclusive-grounds",
        "conclusive-grounds-delays",
        "age-of-open-cases",
    ),
    "A median of few, a 90th percentile of not very many: both are hidden.",
)


def _revised(asked: Asked) -> Found:
    table = find(asked.get("table") or "")
    editions = [one for one in _editions(asked) if one.table == table.name]
    if not editions:
        raise Refused(
            0, "not_published", f"{table.name} is not published for {asked.get('period')}"
        )
    first, last = editions[0], editions[-1]
    found = Found(list(changes(table, first.figures, last.figures)))
    found.rows = [(str(label).strip(), *rest) for label, *rest in found.rows]
    found.summary = {
        f"edition {one.number}": f"published {moment(one.published_at)}, as known "
        f"{moment(one.as_of)}"
        for one in editions
    }
    if len(editions) == 1:
        found.notes.append(
            "One edition is published. What is known now is shown once it is published: "
            "nrm-hub statistics publish with --revise."
        )
    return found


Q17: Final = Question(
    "Q17",
    "rapporteur",
    "Same table as published then and as known now (revisions)",
    (
        Parameter("table", "The table.", "funnel", True, tuple(TABLES)),
        PERIOD,
        AS_OF,
    ),
    (
        Column("part", "What the line is about."),
        Column("then", "As in the first edition."),
        Column("now", "As in the newest edition published by the position."),
        Column("difference", "Between two exact figures; never from 1 to below the limit."),
    ),
    _revised,
    _RESTS,
    "What has changed since the newest edition, or by so few that it may not be seen.",
)
Q18: Final = _question(
    "Q18",
    "How many people appear on two or more agencies' lists (overlap) without naming anyone?",
    ("overlap",),
    "Which agencies share whom; people who are on no agency's list (that is an estimate).",
)
Q19: Final = _question(
    "Q19",
    "Recovery periods granted/refused, permits, compensation claimed/awarded/paid, returns, "
    "re-trafficked, non-punishment outcomes",
    (
        "reasonable-grounds",
        "residence-permits",
        "compensation",
        "returns",
        "reopened",
        "non-punishment",
        "proceedings",
    ),
    "Sums of money; outcomes of courts about suspects.",
)
Q20: Final = _question(
    "Q20",
    "Where do people drop out (refused, declined referral, lost contact), by agency and form?",
    ("funnel", "referrals", "victims-by-form"),
    "The same people by agency and form at once: crossed so finely, the numbers would be about "
    "few.",
)
Q21: Final = _question(
    "Q21",
    "Complaints and feedback, by theme and result; what changed",
    ("complaints", "complaints-by-organisation"),
    "Themes: what was said is content. What an agency changed because of it.",
)


def _in_emergency(asked: Asked) -> Found:
    found = _shown(("emergency",))(asked)
    for one in asked.exchange.emergencies.declared:
        if one.position <= asked.end:
            measures = ", ".join(one.measures)
            found.notes.append(
                f"Emergency mode from {one.at.date()} to {one.ends_on or 'its end'}, declared by "
                f"{one.agency}: {measures}."
            )
    return found


Q22: Final = Question(
    "Q22",
    "rapporteur",
    "Effect of an emergency mode on children and on delays",
    (PERIOD, AS_OF),
    _SHOWN,
    _in_emergency,
    _RESTS,
    "Whether the mode caused the difference: the two groups differ in more than the mode.",
)
QUESTIONS: Final = (Q15, Q16, Q17, Q18, Q19, Q20, Q21, Q22)
