"""The timeline, and the state of each case that follows from it.

nrm_timeline    one row per event of any type, in order of sequence
nrm_case        one row per case: status, last event
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.holdings import Held
from connectors.sink import Addition, Removal
from connectors.tables.bulk import among, insert_all, insert_columns
from connectors.tables.columns import JSON, Instant
from connectors.tables.layout import provenance
from connectors.tables.ledger_tables import TABLE

_STATUS: Final = {"CaseOpened": "open", "CaseReopened": "open", "CaseClosed": "closed"}
# What of an entry the state of its case follows from.
_OF_CASE: Final = (
    "case_ref",
    "subject_ref",
    "event_ref",
    "event_type",
    "occurred_at",
    "sequence",
)


class Timeline:
    """Both tables. All calls are inside the sink's transaction."""

    def __init__(self, metadata: sa.MetaData) -> None:
        ref, name = sa.String(100), sa.String(64)
        self.timeline = sa.Table(
            "nrm_timeline",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("case_ref", ref, nullable=False, index=True),
            sa.Column("subject_ref", ref, nullable=False, index=True),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("event_type", name, nullable=False),
            sa.Column("agency", ref),
            sa.Column("occurred_at", Instant, nullable=False),
            sa.Column("received_at", Instant, nullable=False),
            sa.Column("categories", JSON, nullable=False),
            **TABLE,
        )
        self.case = sa.Table(
            "nrm_case",
            metadata,
            sa.Column("case_ref", ref, primary_key=True),
            sa.Column("subject_ref", ref, nullable=False, index=True),
            sa.Column("status", sa.String(16)),
            sa.Column("status_at", Instant),
            sa.Column("events", sa.Integer, nullable=False),
            sa.Column("last_event_ref", ref, nullable=False),
            sa.Column("last_event_type", name, nullable=False),
            sa.Column("last_occurred_at", Instant, nullable=False),
            sa.Column("last_sequence", sa.BigInteger, nullable=False),
            **TABLE,
        )

    def enter(self, db: Connection, new: Sequence[Addition]) -> None:
        """Timeline and case state of events that are new here."""
        columns = provenance(new)
        columns["event_type"] = [addition.event.event_type for addition in new]
        insert_columns(db, self.timeline, columns)
        told = zip(*(columns[name] for name in _OF_CASE), strict=True)
        entries = [dict(zip(_OF_CASE, one, strict=True)) for one in told]
        states: dict[str, dict[str, Any]] = {}
        for these in among(db, self.case.c.case_ref, columns["case_ref"]):
            query = sa.select(self.case).where(these)
            states.update({row.case_ref: dict(row._mapping) for row in db.execute(query)})
        there = set(states)
        for entry in entries:
            states[entry["case_ref"]] = state_after(states.get(entry["case_ref"]), entry)
        fresh = [state for ref, state in states.items() if ref not in there]
        insert_all(db, self.case, fresh)
        changed = [
            {f"_{name}": value for name, value in state.items()}
            for ref, state in states.items()
            if ref in there
        ]
        if changed:
            db.execute(
                self.case.update()
                .where(self.case.c.case_ref == sa.bindparam("_case_ref"))
                .values(
                    {
                        c.name: sa.bindparam(f"_{c.name}", type_=c.type)
                        for c in self.case.columns
                        if c.name != "case_ref"
                    }
                ),
                changed,
            )

    def fill(self, db: Connection, fills: Sequence[Addition]) -> None:
        """Further categories of events already there; at least one."""
        if fills:
            timeline = self.timeline
            db.execute(
                timeline.update()
                .where(timeline.c.event_ref == sa.bindparam("_ref"))
                .values(categories=sa.bindparam("_categories", type_=JSON)),
                [{"_ref": a.event.event_ref, "_categories": sorted(a.bases)} for a in fills],
            )

    def remove(self, db: Connection, removal: Removal) -> None:
        mine = self.timeline.c.event_ref == removal.event_ref
        if removal.left:
            kept = sorted(removal.left)
            db.execute(self.timeline.update().where(mine).values(categories=kept))
        else:
            db.execute(self.timeline.delete().where(mine))
            self._recount(db, removal.case_ref)

    def shown(self, db: Connection, refs: Iterable[str]) -> dict[str, Held]:
        """These events as the timeline shows them, which knows no bases."""
        t = self.timeline.c
        return shown_by(db, refs, (t.event_ref, t.case_ref, t.categories, t.sequence, t.event_type))

    def _recount(self, db: Connection, case_ref: str) -> None:
        """The case's state from what is left of its timeline."""
        query = sa.select(self.timeline).where(self.timeline.c.case_ref == case_ref)
        state: dict[str, Any] | None = None
        for row in db.execute(query.order_by(self.timeline.c.sequence)):
            state = state_after(state, dict(row._mapping))
        mine = self.case.c.case_ref == case_ref
        if state is None:
            db.execute(self.case.delete().where(mine))
        else:
            db.execute(self.case.update().where(mine).values(state))


def state_after(state: dict[str, Any] | None, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A case's state after one more event. Events may be told late: the time they occurred
    decides which is the last, the sequence where that is equal."""
    at: datetime = entry["occurred_at"]
    if state is None:
        state = {
            "case_ref": entry["case_ref"],
            "subject_ref": entry["subject_ref"],
            "status": None,
            "status_at": None,
            "events": 0,
        }
    else:
        state = state.copy()
    state["events"] += 1
    if "last_sequence" not in state or (at, entry["sequence"]) >= (
        state["last_occurred_at"],
        state["last_sequence"],
    ):
        state["last_event_ref"] = entry["event_ref"]
        state["last_event_type"] = entry["event_type"]
        state["last_occurred_at"] = at
        state["last_sequence"] = entry["sequence"]
    status = _STATUS.get(entry["event_type"])
    if status is not None and (state["status_at"] is None or at >= state["status_at"]):
        state.update(status=status, status_at=at)
    return state


def shown_by(
    db: Connection, refs: Iterable[str], columns: tuple[sa.ColumnElement[Any], ...]
) -> dict[str, Held]:
    """Events as a table shows them. columns: ref, case, categories, sequence and type."""
    found: dict[str, Held] = {}
    for these in among(db, columns[0], refs):
        for ref, case, names, since, kind in db.execute(sa.select(*columns).where(these)):
            found[ref] = Held(
                kind, case, dict.fromkeys(names, ""), dict.fromkeys(names, int(since))
            )
    return found
