"""`nrm-hub work`: what somebody has to do, who that is, and since when.

The list is a fold of the log; every command first follows what was recorded since, so it is
current whether the hub runs or not.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, table

if TYPE_CHECKING:
    from hub.domain.work import WorkItem
    from hub.exchange import Exchange

app = typer.Typer(help="What somebody has to do: the work list.", no_args_is_help=True)

Item = Annotated[str, typer.Argument(help="The item, or the first digits of it.")]
By = Annotated[str, typer.Option("--by", help="Who closes it; recorded in the log.")]


@app.command("list")
@reported
def list_items(
    home: HubHome = HUB_HOME,
    role: Annotated[str | None, typer.Option(help="Only of this role.")] = None,
    agency: Annotated[str | None, typer.Option(help="Only of this agency.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind; docs/work.md.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Also what waits for its time and what is done.")
    ] = False,
    last: Annotated[int, typer.Option(min=1, help="How many at most.")] = 200,
    json_: AsJson = False,
) -> None:
    """Open work items with their owners, what is due first coming first.

    With --role, overdue items that escalate to the role are shown too.

    Example: nrm-hub work list --home hub-home --role auditor --overdue
    """
    from hub.domain.work import DONE, MOOT, OPEN, WAITING
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        now = _follow(reading.exchange)
        rows = reading.exchange.log.work
        states = (WAITING, OPEN, MOOT, DONE) if all_ else (OPEN,)
        found = rows.standing(kind=kind, role=role, agency=agency, states=states, limit=last + 1)
        if role is not None:
            known = {one.item for one in found}
            found += [
                one
                for one in rows.escalated(role, now, last)
                if one.item not in known
                and kind in (None, one.kind)
                and agency in (None, one.agency)
            ]
        if overdue:
            found = [one for one in found if one.overdue(now)]
    if json_:
        typer.echo(json.dumps([said(one, now) for one in found[:last]], indent=1))
        return
    shown = table("item", "kind", "owner", "state", "due", "since", "case", ">position")
    for one in found[:last]:
        row = said(one, now)
        shown.add_row(
            one.item.hex[:12],
            one.kind,
            one.agency or one.role,
            row["state"],
            _until(one.due),
            row["since"][:10],
            one.case_id.hex[:8] if one.case_id else "-",
            str(one.position),
        )
    console().print(shown if found else "Nothing is to be done.")
    if len(found) > last:
        typer.echo(f"More than {last} items; narrow the list or give --last.", err=True)


@app.command()
@reported
def show(item: Item, home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """One item: what it says, whose it is, what opened and what closes it.

    Example: nrm-hub work show 3fa29c0b7d11 --home hub-home
    """
    from hub.domain.work_kinds import KINDS
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        now = _follow(reading.exchange)
        found = _find(reading.exchange, item)
    told = said(found, now)
    kind = KINDS[found.kind]
    if json_:
        typer.echo(json.dumps(told, indent=1))
        return
    shown = table("", "")
    shown.add_row("item", found.item.hex)
    shown.add_row("kind", f"{found.kind}: {kind.says}")
    shown.add_row("owner", f"{found.agency} ({found.role})" if found.agency else found.role)
    shown.add_row("escalates to", found.escalates or "-")
    shown.add_row("state", told["state"])
    shown.add_row("case", found.case_id.hex if found.case_id else "-")
    shown.add_row("opened", f"{told['since'][:16]} by log position {found.position}")
    shown.add_row("due", _until(found.due))
    shown.add_row("closes by", kind.closes)
    shown.add_row("detail", json.dumps(found.detail, sort_keys=True) if found.detail else "-")
    if found.closed_at is not None:
        by = found.closed_by or f"log position {found.closed_position}"
        shown.add_row("closed", f"{told['closed_at'][:16]} by {by}: {found.closed_because}")
    console().print(shown)


@app.command()
@reported
def close(
    item: Item,
    by: By,
    because: Annotated[str, typer.Option(help="A reason code of docs/work.md, e.g. done.")],
    home: HubHome = HUB_HOME,
) -> None:
    """Close an item: it was done, or need not be. Recorded in the log.

    Reasons are codes, so that nothing about a person gets into a log that is never erased. Timers
    that state an event of the hub (consent expiry, lapse of a referral) run all the same.

    Example: nrm-hub work close 3fa29c0b7d11 --by "A. Operator" --because done --home hub-home
    """
    _close(home, item, by, because, contested=False)


@app.command()
@reported
def contest(
    item: Item,
    by: By,
    because: Annotated[str, typer.Option(help="A reason code of docs/work.md.")],
    home: HubHome = HUB_HOME,
) -> None:
    """Contest a declared age dispute or a linked proceeding: the auditor has to examine it.

    Example: nrm-hub work contest 3fa29c0b7d11 --by NGO-1 --because not_founded --home hub-home
    """
    _close(home, item, by, because, contested=True)


@app.command()
@reported
def rebuild(home: HubHome = HUB_HOME) -> None:
    """Make the whole list again from the log; it comes out the same.

    Example: nrm-hub work rebuild --home hub-home
    """
    from consumers.work import WorkList
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        work = WorkList(reading.exchange)
        work.rebuild()
        count = len(reading.exchange.log.work.all())
    typer.echo(f"Followed the log to position {work.position}: {count} items.")


def said(item: WorkItem, now: datetime) -> dict[str, Any]:
    """An item as JSON."""
    return {
        "item": item.item.hex,
        "kind": item.kind,
        "role": item.role,
        "agency": item.agency or None,
        "escalates_to": item.escalates or None,
        "state": "overdue" if item.overdue(now) else item.state,
        "case": item.case_id.hex if item.case_id else None,
        "position": item.position,
        "since": item.since.isoformat(),
        "opens": item.opens.isoformat() if item.opens else None,
        "due": item.due.isoformat() if item.due else None,
        "detail": dict(item.detail),
        "closed_at": item.closed_at.isoformat() if item.closed_at else None,
        "closed_by": item.closed_by or None,
        "closed_because": item.closed_because or None,
        "closed_position": item.closed_position or None,
    }


def _until(due: datetime | None) -> str:
    """The last day, for what is due by the end of a day; else day and minute, UTC."""
    if due is None:
        return "-"
    if (due.hour, due.minute, due.second, due.microsecond) == (0, 0, 0, 0):
        return (due - timedelta(days=1)).date().isoformat()
    return due.strftime("%Y-%m-%d %H:%M")


def _follow(exchange: Exchange) -> datetime:
    from consumers.work import WorkList

    WorkList(exchange).catch_up()
    return exchange.clock.now()


def _find(exchange: Exchange, wanted: str) -> WorkItem:
    from hub.errors import Refused

    found = exchange.log.work.starting(wanted.lower()) if wanted else []
    if not found:
        raise Refused(0, "unknown_item", "there is no such item; see: nrm-hub work list --all")
    if len(found) > 1:
        raise Refused(0, "ambiguous_item", "several items begin so; give more digits")
    return found[0]


def _close(home: Any, item: str, by: str, because: str, *, contested: bool) -> None:
    from consumers.raising import close_item
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        _follow(reading.exchange)
        found = _find(reading.exchange, item)
        position = close_item(reading.exchange, found, by=by, because=because, contested=contested)
        _follow(reading.exchange)
    done = "contested; the auditor has to examine it" if contested else "closed"
    typer.echo(f"{found.kind} {found.item.hex[:12]} is {done} (log position {position}).")
