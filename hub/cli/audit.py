"""`nrm-hub audit`: replay a case, ask why, verify the log. Reads only; shows no content."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from hub.audit import Entry, Verdict, Why, replay_case, verify_log, why
from hub.audit import conservation as accounted
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, lines, progress, table
from hub.home import Home
from hub.hub import Reading

DIVERGED = 3  # exit code: a decision made again differs, or the log does not stand

app = typer.Typer(
    help="What happened, who was told what, why, and whether the log is what it was.",
    no_args_is_help=True,
)


@app.command()
def replay(
    case: Annotated[str, typer.Option(help="The case's common reference, e.g. C1.")],
    home: HubHome = HUB_HOME,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="Log position, date (its end, UTC) or instant; default: now."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Replay a case: every event up to a position or time, and what was decided on it then.

    Example: nrm-hub audit replay --home hub-home --case C1 --as-of 2026-03-16
    """
    with Reading.open(Home(home)) as reading:
        entries = replay_case(reading.exchange, case, as_of)
    if json_:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return
    title = f"Case {case}" + (f" as of {as_of}" if as_of else "")
    headings = (">position", "recorded", "event", "released", "withheld", "then")
    shown = table(*headings, title=title, lines=True)
    for entry in entries:
        shown.add_row(*_row(entry))
    console().print(shown)


def _row(entry: Entry) -> tuple[str, ...]:
    erased = " (erased)" if entry.erased else ""
    released = [
        f"{agency}: " + ", ".join(f"{c} ({b})" for c, b in sorted(bases.items()))
        for agency, bases in sorted(entry.released.items())
    ]
    withheld = [
        f"{agency}: " + ", ".join(f"{c} ({r[0]})" for c, r in sorted(reasons.items()))
        for agency, reasons in sorted(entry.withheld.items())
    ]
    after = [f"recall to {recall['to']}" for recall in entry.recalls]
    after += [
        f"{agency} also gets {len(events)} earlier event{'s' if len(events) > 1 else ''}"
        for agency, events in entry.backfill.items()
    ]
    return (
        str(entry.position),
        entry.recorded_at[:19],
        lines(f"{entry.type}{erased}", f"by {entry.agency}", entry.event_id),
        lines(*released),
        lines(*withheld),
        lines(*after),
    )


@app.command("why")
def why_(
    agency: Annotated[str, typer.Option(help="The agency that was told, or not told.")],
    event: Annotated[str, typer.Option(help="Event id (UUID) or the event's log position.")],
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Why an agency was, or was not, told of an event; decided again from what was recorded.

    Exit code 3 if the decision made again differs from the recorded one.

    Example: nrm-hub audit why --home hub-home --agency POL-1 --event 42
    """
    with Reading.open(Home(home)) as reading:
        answer = why(reading.exchange, agency, event)
    if json_:
        typer.echo(json.dumps(asdict(answer), indent=1))
    else:
        _explain(answer)
    if answer.divergent:
        raise typer.Exit(DIVERGED)


def _explain(answer: Why) -> None:
    out = console()
    out.print(
        f"{answer.type} by {answer.emitter}, position {answer.position}, recorded "
        f"{answer.recorded_at[:19]}; policy {answer.policy}, register as of position "
        f"{answer.parties}. For {answer.agency} ({answer.role}):"
    )
    if not answer.categories:
        out.print("It is the agency's own event: nothing was decided about it.")
        return
    shown = table("category", "recorded decision", "rule", "decided again", "how it went")
    for category, line in sorted(answer.categories.items()):
        shown.add_row(
            category, line.recorded, line.rule, "same" if line.same else line.again, line.fate
        )
    out.print(shown)
    if answer.divergent:
        out.print("[bold]The decision made again differs: report this to the operator.[/bold]")


@app.command()
def verify(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Recompute the whole log against its rows, checkpoints and signatures. Exit code 3: problems.

    Example: nrm-hub audit verify --home hub-home
    """
    verdict = Verdict(0, 0, 0)
    with Reading.open(Home(home)) as reading, progress(disable=json_) as bar:
        verifier, hub_id = reading.log_verifier, reading.settings.hub_id
        task = bar.add_task("verifying", total=max(reading.exchange.log.head, 1))
        for verdict in verify_log(reading.exchange.log, hub_id, verifier):
            bar.update(task, completed=verdict.checked)
    if json_:
        typer.echo(json.dumps(verdict.as_dict()))
    else:
        typer.echo(
            f"{verdict.head} entries, {verdict.checkpoints} checkpoints, "
            f"{verdict.covered} entries under a verified checkpoint"
        )
        typer.echo(
            f"{verdict.policy_versions} versions of the policy profile, "
            f"{verdict.policy_signed} put in force by two officers' signatures"
        )
        typer.echo(f"log key: {verifier}")
        for problem in verdict.problems:
            typer.echo(f"PROBLEM: {problem}", err=True)
        typer.echo("The log does not stand." if verdict.problems else "Everything stands.")
    if verdict.problems:
        raise typer.Exit(DIVERGED)


@app.command()
def conservation(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Account for every part of every event: released, withheld, pending, quarantined or purged.

    Counts (event, agency, category). Exit code 3 if anything is unaccounted for.

    Example: nrm-hub audit conservation --home hub-home
    """
    with Reading.open(Home(home)) as reading:
        balance = accounted(reading.exchange.log)
    if json_:
        typer.echo(json.dumps({**asdict(balance), "even": balance.even}))
    else:
        shown = table(">accepted", *(f">{name}" for name in balance.classes))
        shown.add_row(str(balance.accepted), *(str(one) for one in balance.classes.values()))
        console().print(shown)
        for problem in balance.problems:
            typer.echo(f"PROBLEM: {problem}", err=True)
        typer.echo("Everything is accounted for." if balance.even else "It does not come out even.")
    if not balance.even:
        raise typer.Exit(DIVERGED)
