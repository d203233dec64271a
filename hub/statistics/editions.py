"""Editions: what was published, kept in the log, and what may be published beside it.

Every edition of a table is an event of the log: it stays as it was published, is a leaf of the
audit log, and is the ledger that the next one is checked against. One edition is for good; another
needs a reason to be asked for (`revise`), and shows only what has changed by enough.

Rules. All tables of a period are protected in the same way. Periods of tables about the same people
do not overlap, so that no quarter can be worked out from a year; a year of which every quarter is
published is added up from what was published, and tells nothing new. At most `MOST` editions of a
table and period, and at most `BUDGET` of epsilon for all that is published about any day.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid5

from hub.errors import Refused, RetryLater
from hub.exchange import Exchange
from hub.recording.draft import Draft, stream_id
from hub.statistics import noise, suppression
from hub.statistics.counts import Node
from hub.statistics.periods import Period
from hub.statistics.tables import TABLES, Book, Table
from hub.store import events as stored
from hub.store.log import HubLog

MOST: Final = 6
BUDGET: Final = Decimal("2")
SUPPRESSIONS: Final = ("lt5", "k10", "dp")


@dataclass(frozen=True, slots=True)
class Edition:
    """One published table. number: from 1 for each table and period."""

    table: str
    period: str
    number: int
    published_at: datetime
    as_of: datetime
    position: int
    suppression: str
    epsilon: str
    figures: Any
    by: str
    event_id: UUID

    @classmethod
    def of(cls, event: stored.TablePublished) -> Edition:
        return cls(
            table=event.table,
            period=event.period,
            number=event.originator_version,
            published_at=event.timestamp,
            as_of=event.as_of,
            position=event.position,
            suppression=event.suppression,
            epsilon=event.epsilon,
            figures=json.loads(event.figures),
            by=event.by,
            event_id=uuid5(event.originator_id, str(event.originator_version)),
        )


class Ledger:
    """Everything published so far."""

    def __init__(self, editions: Iterable[Edition]) -> None:
        self.editions = list(editions)

    @classmethod
    def read(cls, log: HubLog) -> Ledger:
        published = log.every(frozenset({stored.TablePublished.TOPIC}))
        return cls(
            Edition.of(one.event)
            for one in published
            if isinstance(one.event, stored.TablePublished)
        )

    def of(self, table: Table, period: Period) -> list[Edition]:
        """Editions of a table for a period, oldest first."""
        return [e for e in self.editions if (e.table, e.period) == (table.name, period.name)]

    def others(self, table: Table, period: Period) -> list[Any]:
        """What other tables of this period showed of the same people, on the levels they share."""
        return [
            suppression.shared(one.figures, table.levels_shared_with(TABLES[one.table]))
            for one in self.editions
            if one.period == period.name
            and one.table != table.name
            and TABLES[one.table].family == table.family
        ]

    def parts(self, table: Table, period: Period) -> list[Edition]:
        """Newest editions of this table that together make up a longer period; or none."""
        newest = {one.period: one for one in self.editions if one.table == table.name}
        within = [(Period.parse(name), one) for name, one in newest.items() if name != period.name]
        found, day = [], period.first
        while day <= period.last:
            here = [pair for pair in within if pair[0].first == day and pair[0].last <= period.last]
            if not here or not table.adds_up:
                return []
            longest, edition = max(here, key=lambda pair: pair[0].last)
            found.append(edition)
            day = longest.last + timedelta(days=1)
        return found

    def spent(self, period: Period) -> Decimal:
        """Epsilon spent on any day of the period."""
        return sum(
            (
                Decimal(one.epsilon)
                for one in self.editions
                if one.epsilon and Period.parse(one.period).overlaps(period)
            ),
            Decimal(0),
        )

    def position_for(self, table: Table, period: Period, head: int) -> int:
        """Where to count up to: as the period's newest edition was, so that tables agree.

        A table that has that already is counted as known now.
        """
        newest = max((e.position for e in self.editions if e.period == period.name), default=0)
        own = max((e.position for e in self.of(table, period)), default=0)
        return newest if newest > own else head

    def check(self, table: Table, period: Period, kind: str, epsilon: Decimal) -> None:
        """Refused with what to do, if another edition may not be published so."""
        for one in self.editions:
            if one.period == period.name and one.suppression != kind:
                raise Refused(
                    0,
                    "suppression_fixed",
                    f"{period.name} is published with {one.suppression}; use the same",
                )
            if self._clashes(table, period, one):
                raise Refused(
                    0,
                    "overlapping_period",
                    f"{one.table} is published for {one.period}; the same people cannot be shown"
                    " in another period, other than added up from all its parts",
                )
        if len(self.of(table, period)) >= MOST:
            raise Refused(
                0, "editions_spent", f"{MOST} editions are published; no more of this period"
            )
        if kind == "dp" and not self.parts(table, period) and self.spent(period) + epsilon > BUDGET:
            raise Refused(
                0,
                "epsilon_spent",
                f"{BUDGET - self.spent(period)} of {BUDGET} epsilon is left for these days;"
                " publish with less, or not at all",
            )

    def afford(self, tables: Sequence[Table], period: Period, epsilon: Decimal) -> None:
        """Refused(epsilon_spent) unless all of them can be published: all or none."""
        counted = [one for one in tables if not self.parts(one, period)]
        left, wanted = BUDGET - self.spent(period), epsilon * len(counted)
        if wanted > left:
            raise Refused(
                0,
                "epsilon_spent",
                f"{len(counted)} tables at {epsilon} are {wanted} of epsilon, and {left} of"
                f" {BUDGET} is left for these days; publish fewer, or with less",
            )

    def _clashes(self, table: Table, period: Period, one: Edition) -> bool:
        """Whether days of an edition would be shown again; sums of what was shown do not count."""
        other, theirs = Period.parse(one.period), TABLES[one.table]
        if other == period or theirs.family != table.family or not other.overlaps(period):
            return False
        return not (self.parts(table, period) or self.parts(theirs, other))


def find(table: str) -> Table:
    """The table of this name; Refused(unknown_table) names those there are."""
    if table not in TABLES:
        raise Refused(0, "unknown_table", "see nrm-hub statistics tables for those there are")
    return TABLES[table]


def ended(name: str, now: datetime) -> Period:
    """The period of this name, if it is over."""
    period = Period.parse(name)
    if now.date() <= period.last:
        raise Refused(0, "period_not_over", f"{name} ends on {period.last}; ask after that day")
    return period


def protection(kind: str) -> str:
    if kind not in SUPPRESSIONS:
        raise Refused(0, "bad_suppression", f"suppression is one of {', '.join(SUPPRESSIONS)}")
    return kind


def preview(
    exchange: Exchange, ledger: Ledger, table: Table, period: Period, kind: str, book: Book
) -> Any:
    """The table as it could be published now. For dp there is none: it would spend."""
    parts = ledger.parts(table, period)
    if parts:
        return suppression.added([one.figures for one in parts], [x.open for x in table.levels])
    return suppression.show(
        _counted(table, period, book),
        suppression.THRESHOLDS[kind],
        lambda path: exchange.pseudonyms.lot(table.family, period.name, *_titles(table, path)),
        [one.figures for one in ledger.of(table, period)],
        ledger.others(table, period),
    )


def _titles(table: Table, path: tuple[str, ...]) -> tuple[str, ...]:
    """A part's name together with its level's: tables share a lot where they share a level."""
    return tuple(f"{level.title}/{name}" for level, name in zip(table.levels, path, strict=False))


def _counted(table: Table, period: Period, book: Book) -> Node:
    if not any(one in period for one in book.days):
        raise Refused(0, "no_data", f"nothing is recorded of {period.name}; check the period")
    return table.count(book, period)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published. position, as_of: what was counted."""

    table: Table
    period: Period
    kind: str
    epsilon: Decimal
    by: str
    position: int
    as_of: datetime


def publish(exchange: Exchange, ledger: Ledger, wanted: Wanted, book: Book) -> Edition:
    """Record one more edition, in the log and in the ledger. Refused if there may not be one.

    RetryLater if another process published since the ledger was read.
    """
    table, period = wanted.table, wanted.period
    ledger.check(table, period, wanted.kind, wanted.epsilon)
    if wanted.kind == "dp" and not ledger.parts(table, period):
        if not (table.persons and table.closed):
            raise Refused(
                0,
                "dp_not_offered",
                f"{table.name} may count a person twice, or its cells are not known beforehand;"
                " use lt5 or k10",
            )
        figures = noise.noisy(_counted(table, period, book), wanted.epsilon)
    else:
        figures = preview(exchange, ledger, table, period, wanted.kind, book)
        before = ledger.of(table, period)
        if before and suppression.unmarked(figures) == suppression.unmarked(before[-1].figures):
            raise Refused(0, "nothing_new", "nothing has changed by enough to be shown")
    edition = _record(exchange, wanted, ledger, figures)
    ledger.editions.append(edition)
    return edition


def _spends(wanted: Wanted, ledger: Ledger) -> str:
    if wanted.kind != "dp":
        return ""
    return "0" if ledger.parts(wanted.table, wanted.period) else str(wanted.epsilon)


def _record(exchange: Exchange, wanted: Wanted, ledger: Ledger, figures: Any) -> Edition:
    table, period = wanted.table, wanted.period
    stream = stream_id("statistics", f"{table.name}/{period.name}")

    def work(draft: Draft) -> stored.TablePublished:
        recorded = exchange.log.counts().by_topic.get(stored.TablePublished.TOPIC, 0)
        if recorded != len(ledger.editions):
            raise RetryLater("another table was published meanwhile; publish again")
        event = stored.TablePublished(
            originator_id=stream,
            originator_version=len(ledger.of(table, period)) + 1,
            timestamp=draft.now,
            table=table.name,
            period=period.name,
            as_of=wanted.as_of,
            position=wanted.position,
            suppression=wanted.kind,
            epsilon=_spends(wanted, ledger),
            figures=json.dumps(figures, ensure_ascii=False, separators=(",", ":")).encode(),
            by=wanted.by,
        )
        draft.add(event)
        return event

    return Edition.of(exchange.commit(work))
