"""`nrm-hub audit redecide`: every decision in the log, made again with its own inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.options import HUB_HOME, AsJson, AsOf, HubHome
from hub.cli.printed import progress

DIVERGED = 3


def mount(app: typer.Typer) -> None:
    app.command()(redecide)


def redecide(
    out: Annotated[
        Path,
        typer.Option("--out", help="File for divergences (JSON Lines); the same command goes on."),
    ],
    home: HubHome = HUB_HOME,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Make every recorded decision again, with register, profile and case of its own position.

    One pass over the log: settlements, backfills, recalls, and what was looked at again when it was
    sent. Decisions that come out differently go to the file; none is expected. Killed, the same
    command goes on. Exit code 3: something differs, and the operator has to be told.

    Example: nrm-hub audit redecide --home hub-home --out divergences.jsonl
    """
    from hub.audit.output import Asked, Output
    from hub.audit.redecide import Redecision
    from hub.audit.replay import position_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading, progress(disable=json_) as bar:
        log = reading.exchange.log
        end = position_of(log, as_of) if as_of else 0
        with Output(out, log, Asked("redecide", reading.settings.hub_id, end)) as output:
            again = Redecision(
                log,
                reading.exchange.secrets,
                output.end,
                after=output.position,
                kept=output.kept,
            )
            task = bar.add_task("deciding again", total=max(output.end, 1))
            for found in again.run():
                for one in found:
                    output.write(one.as_dict())
                output.mark(again.position, again.kept())
                bar.update(task, completed=again.position)
            output.finish()
    told = {"position": output.end, **vars(again.counts)}
    if json_:
        typer.echo(json.dumps(told))
    else:
        typer.echo(
            f"{told['decisions']} decisions about {told['events']} events and "
            f"{told['sendings']} deliveries made again, up to position {told['position']}"
        )
        count = again.counts.divergences
        typer.echo(f"{count} come out differently: {out}" if count else "All come out the same.")
    if again.counts.divergences:
        raise typer.Exit(DIVERGED)
