"""`nrm-hub connector practice`: a hub with invented persons, to try a connector on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from connectors.commands.ending import reported
from hub.cli.printed import console, progress, table

SHOWN: Final = 30  # deliveries listed


def mount(connector: typer.Typer) -> None:
    connector.command()(practice)


@reported
def practice(
    home: Annotated[
        Path, typer.Option(help="Folder for the practice hub, made by this command.")
    ] = Path("practice"),
    role: Annotated[str, typer.Option(help="Your role; docs/events.md lists them.")] = "shelter",
    scenario: Annotated[
        str | None,
        typer.Option(help="Which story is told; left out, one that brings much to this role."),
    ] = None,
    recall: Annotated[
        bool, typer.Option("--recall", help="Take everything back again: the persons are erased.")
    ] = False,
) -> None:
    """A hub with invented persons whose deliveries wait for your connector, in seconds.

    Write a partner.toml whose home is the folder this command names, and run the connector as you
    would with a real hub. Nothing has to stay running. With --recall everything is taken back: run
    the connector once more and look whether it is gone. Books that hold deliveries of a real hub
    refuse the practice hub, and the other way round.

    Example: nrm-hub connector practice --role shelter
    """
    from hub.scenario.practice import Practice, chosen

    if recall:
        resumed = Practice.resume(home)
        resumed.recall()
        resumed.close()
        typer.echo("Recalled. Run the connector once more: nrm-hub connector run … --once")
        return
    story, agency = chosen(role, scenario)
    with progress() as bar:
        task = bar.add_task("the story is told", total=len(story.events))
        begun = Practice.begin(home, story, agency, lambda done: bar.update(task, completed=done))
    out = console()
    shown = table(">sequence", "event")
    waiting = begun.waiting()
    for number, kind in waiting[:SHOWN]:
        shown.add_row(str(number), kind)
    if len(waiting) > SHOWN:
        shown.add_row("", f"and {len(waiting) - SHOWN} more")
    out.print(f"{story.id}: {story.title}. All persons are invented.", markup=False)
    out.print(shown)
    out.print(f"Waiting for {agency} ({role}) of hub {begun.hub_id}.", markup=False)
    out.print(f'In partner.toml: home = "{home / agency}"', markup=False)
    begun.close()
