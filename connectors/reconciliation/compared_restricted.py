"""Compared, restricted: what recalls took out of use and left in `nrm_restricted`.

Nobody tells its content again but a topic that still holds it. So a row is held against the recall
it stands on: one that no recall left there, or that a later recall had deleted, is "added"; one
that has to be kept and is not there is "missing", as far as its content can be told; and where it
can, what it says is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.reconciliation.compared import Difference, Sides, by_key, pages
from connectors.reconciliation.replay import CopySink
from connectors.sql import SqlSink

_KEY: Final = ("event_ref", "category")
_LEAVES: Final = ("restrict", "delete_or_restrict")


def restricted_differences(sides: Sides) -> Iterator[Difference]:
    """Every row that does not stand on its recall. columns: the category."""
    theirs, ours = sides.partner.ledger.restricted, sides.copy.ledger.restricted
    taken = sides.copy.taken
    for page in pages(sides.theirs, theirs, _KEY, [*theirs.columns]):
        refs = sorted({row["event_ref"] for row in page})
        actions = by_key(sides.ours, taken, _KEY, refs, [*taken.columns])
        known = by_key(sides.ours, ours, _KEY, refs, [*ours.columns])
        for row in page:
            place = (row["event_ref"], row["category"])
            if place not in actions or actions[place]["action"] not in _LEAVES:
                yield Difference(theirs.name, place[0], "added", (place[1],))
            elif place in known and not _alike(row["content"], known[place]["content"]):
                yield Difference(theirs.name, place[0], "altered", (place[1],))
    for page in pages(sides.ours, ours, _KEY, [*ours.columns]):
        refs = sorted({row["event_ref"] for row in page})
        actions = by_key(sides.ours, taken, _KEY, refs, [*taken.columns])
        found = by_key(sides.theirs, theirs, _KEY, refs, [theirs.c[one] for one in _KEY])
        for row in page:
            place = (row["event_ref"], row["category"])
            # Where the recall left the choice, the partner may have deleted it since.
            if place not in found and actions[place]["action"] == "restrict":
                yield Difference(theirs.name, place[0], "missing", (place[1],))


def put_restricted(
    partner: SqlSink, db: Connection, copy: CopySink, ours: Connection, ref: str
) -> None:
    """What is left of an event on a recall's behalf, as the recalls left it."""
    theirs, mine, t = partner.ledger.restricted, copy.ledger.restricted, copy.taken.c
    query = sa.select(t.category, t.action).where(t.event_ref == ref)
    actions = {row.category: row.action for row in ours.execute(query)}
    stands = [category for category, action in actions.items() if action in _LEAVES]
    of_event = theirs.c.event_ref == ref
    db.execute(theirs.delete().where(of_event, theirs.c.category.not_in(stands)))
    there = set(db.execute(sa.select(theirs.c.category).where(of_event)).scalars())
    for row in ours.execute(sa.select(mine).where(mine.c.event_ref == ref)).mappings().all():
        category = row["category"]
        if category in there or actions[category] == "restrict":
            db.execute(theirs.delete().where(of_event, theirs.c.category == category))
            db.execute(theirs.insert().values(dict(row)))


def _alike(one: Any, other: Any) -> bool:
    """Whether two texts of content say the same, each as its database gave it."""
    try:
        return bool(_plain(json.loads(one)) == _plain(json.loads(other)))
    except (ValueError, TypeError):
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bool | int | float):
        return Decimal(str(int(value) if isinstance(value, bool) else value))
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    try:
        return Decimal(value)
    except ArithmeticError:
        return value
