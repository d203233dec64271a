"""`nrm-hub recalls`: what was called back from whom, and what became of it. Shows no content."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, lines, table

if TYPE_CHECKING:
    from hub.recalling.book import RecallRecord


@reported
def recalls(
    home: HubHome = HUB_HOME,
    case: Annotated[
        str | None, typer.Option(help="Only of this case, by its common reference.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Only those without an answer.")] = False,
    json_: AsJson = False,
) -> None:
    """Recalls to partners: sent, answered, with what outcome, and the time to purge.

    Open is every recall that no signed receipt has answered; its owner is the agency called upon
    and, once overdue, the auditor too. Time to purge runs from the recording of the withdrawal
    (or other cause) to the recording of the receipt that states the removal.

    Example: nrm-hub recalls --home hub-home --open
    """
    from hub.errors import Refused
    from hub.home import Home
    from hub.hub import Reading
    from hub.recalling.watch import RecallWatch

    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        only = exchange.pseudonyms.canonical("case", case) if case else None
        if only is not None and not exchange.log.stream(only, limit=1):
            raise Refused(0, "unknown_case", "no such case; check the reference")
        book = RecallWatch(exchange.log).book()
        assert book is not None
        now = exchange.clock.now()
        roles = {one.agency: one.role for one in exchange.agencies}
        found = [
            _row(one, roles.get(one.agency, "not enrolled"), now)
            for one in book
            if only in (None, one.case_id) and (one.open or not open_)
        ]
    if json_:
        typer.echo(json.dumps(found, indent=1))
        return
    if not found:
        console().print("No open recalls." if open_ else "Nothing was recalled.")
        return
    shown = table(
        "recall", ">cause", "recipient", "action", "recorded", "sent", "answered", "outcome",
        "own basis", ">time to purge", ">age", "overdue", "owner",
    )  # fmt: skip
    for row in found:
        shown.add_row(
            row["recall"],
            str(row["cause"]),
            row["recipient"],
            row["action"],
            row["recorded"][:19],
            (row["sent"] or "not yet")[:19],
            (row["answered"] or "-")[:19],
            lines(*row["outcomes"]) or row["state"],
            lines(*row["own_bases"]),
            "-" if row["purge_seconds"] is None else told(row["purge_seconds"]),
            told(row["age_seconds"]),
            "OVERDUE" if row["overdue"] else "",
            ", ".join(row["owners"]),
        )
    console().print(shown)


def _row(recall: RecallRecord, role: str, now: datetime) -> dict[str, Any]:
    overdue, purge = recall.overdue(now), recall.time_to_purge
    owners = [role, "auditor"] if overdue else [role] if recall.open else []
    return {
        # As its recipient knows it: by its delivery there, once it has been numbered.
        "recall": f"r{recall.sequence}" if recall.sequence else "-",
        "decision": recall.decision,
        "cause": recall.cause,
        "recipient": recall.agency,
        "action": recall.action,
        "state": recall.state,
        "recorded": recall.recorded_at.isoformat(),
        "sent": recall.sent_at.isoformat() if recall.sent_at else None,
        "due": recall.due.isoformat(),
        "answered": recall.answered_at.isoformat() if recall.answered_at else None,
        "outcomes": list(recall.outcomes),
        "own_bases": list(recall.own_bases),
        "purge_seconds": purge.total_seconds() if purge is not None else None,
        "age_seconds": recall.age(now).total_seconds(),
        "overdue": overdue,
        "owners": owners,
        "items": {event_id: list(names) for event_id, names in recall.items},
        "answers": [
            {
                "outcome": one.outcome,
                "event_ref": one.event_ref,
                "categories": list(one.categories),
                "own_basis": one.own_basis,
                "receipt": one.position,
                "recorded": one.recorded_at.isoformat(),
                "stated": one.stated_at.isoformat(),
            }
            for one in recall.answers
        ],
    }


def told(seconds: float) -> str:
    """A length of time as a person reads it: 42 s, 5 min, 3 h 10 min, 2 d 4 h."""
    whole = timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3_600)
    minutes, left = divmod(rest, 60)
    if whole.days:
        return f"{whole.days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{left} s"
