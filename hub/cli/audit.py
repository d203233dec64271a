"""`nrm-hub audit`: ask why, verify the log, account for everything. Reads only; shows no content.

Replay, decisions made again and exports have files of their own beside this one; what is handed out
to be checked elsewhere is in `hub/cli/evidence.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import exports, questions, redecide, replay
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, lines, progress, table

if TYPE_CHECKING:
    from hub.audit import BreakGlass, Why
    from hub.domain.breakglass import Invocation

DIVERGED = 3  # exit code: a decision made again differs, or the log does not stand

app = typer.Typer(
    help="What happened, who was told what, why, and whether the log is what it was.",
    no_args_is_help=True,
)
app.command()(questions.ask)


replay.mount(app)
redecide.mount(app)
exports.mount(app)


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
    from hub.audit import why
    from hub.home import Home
    from hub.hub import Reading

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
def breakglass(
    home: HubHome = HUB_HOME,
    case: Annotated[
        str | None, typer.Option(help="Only of this case, by its common reference.")
    ] = None,
    unreviewed: Annotated[
        bool, typer.Option("--unreviewed", help="Only those nobody has reviewed.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Every break-glass: who, why, what it opened, what came through, and what the review found.

    Emergency mode is listed too; it opens nothing. Exit code 3 if a review is overdue.

    Example: nrm-hub audit breakglass --home hub-home --unreviewed
    """
    from hub.audit import break_glass
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        found = break_glass(reading.exchange, case)
    shown = [one for one in found.invocations if not (unreviewed and one.reviews)]
    if json_:
        typer.echo(
            json.dumps(
                {
                    **found.counts(),
                    "invocations": [_invocation(one, found) for one in shown],
                    "emergency_mode": [
                        {**asdict(one), "running": one.running(found.now)} for one in found.declared
                    ],
                },
                indent=1,
                default=str,
            )
        )
    else:
        _tell_break_glass(found, shown)
    if found.overdue:
        raise typer.Exit(DIVERGED)


def _invocation(one: Invocation, found: BreakGlass) -> dict[str, Any]:
    return {
        **asdict(one),
        "open": one.open(found.now),
        "overdue": one.overdue(found.now),
        "reviewed_late": one.reviewed_late,
    }


def _tell_break_glass(found: BreakGlass, shown: list[Invocation]) -> None:
    out = console()
    rows = table(
        ">position", "invoked", "by", "why", "opened", "until", "came through", "review", lines=True
    )
    for one in shown:
        refused = sorted(set(one.requested) - set(one.opened))
        items = sum(map(len, one.through.values()))
        rows.add_row(
            str(one.position),
            one.at.isoformat()[:19],
            f"{one.agency} ({one.role})",
            one.reason,
            lines(
                ", ".join(one.opened) or "nothing",
                f"not for this role: {', '.join(refused)}" if refused else "",
            ),
            one.closes.isoformat()[:16] + (" OPEN" if one.open(found.now) else ""),
            lines(*(f"{event}: {', '.join(sorted(c))}" for event, c in one.through.items()))
            or f"{items}",
            _review(one, found),
        )
    out.print(rows if shown else "No break-glass.")
    for declared in found.declared:
        state = "RUNNING" if declared.running(found.now) else "ended"
        out.print(
            f"Emergency mode at position {declared.position} by {declared.agency}, until "
            f"{declared.ends_on} ({state}): {', '.join(declared.measures)}. It opens nothing."
        )
    out.print(
        f"{found.open} open, {found.unreviewed} not reviewed, {found.overdue} of them overdue"
    )


def _review(one: Invocation, found: BreakGlass) -> str:
    if not one.reviews:
        due = one.review_due.isoformat()[:16]
        return f"OVERDUE since {due}" if one.overdue(found.now) else f"due {due}"
    told = {True: "person told", False: "person NOT told", None: "person told: not said"}
    recalled = sum(map(len, one.recalled.values()))
    stays = sum(map(len, one.stays.values()))
    return lines(
        *(
            f"{review.outcome} by {review.by} at {review.at.isoformat()[:16]}, "
            f"{told[review.person_informed]}"
            for review in one.reviews
        ),
        "LATE" if one.reviewed_late else "",
        f"{recalled} recalled" if recalled else "",
        f"{stays} stay on another basis" if stays else "",
    )


@app.command()
def verify(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Recompute the whole log against its rows, checkpoints and signatures. Exit code 3: problems.

    Example: nrm-hub audit verify --home hub-home
    """
    from hub.audit import Verdict, verify_log
    from hub.home import Home
    from hub.hub import ReadingLog

    verdict = Verdict(0, 0, 0)
    with ReadingLog.open(Home(home)) as reading, progress(disable=json_) as bar:
        verifier, hub_id = reading.log_verifier, reading.settings.hub_id
        task = bar.add_task("verifying", total=max(reading.log.head, 1))
        for verdict in verify_log(reading.log, hub_id, verifier):
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
            f"{verdict.policy_signed} put in force by two officers' signatures; "
            f"{verdict.viewers_signed} viewers of the console granted by two"
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
    from hub.audit import conservation as accounted
    from hub.home import Home
    from hub.hub import Reading

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
