"""`nrm-hub demo`: a whole case through hub and partners, and their databases read back."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from connectors.agency_cli import reported

if TYPE_CHECKING:
    from hub.scenario.live import Played
    from hub.scenario.story import Scenario

DIFFERS = 3


@reported
def demo(
    home: Annotated[
        Path, typer.Option(help="Where the demo keeps the hub and everybody's databases.")
    ] = Path("demo-home"),
    scenario: Annotated[str, typer.Option(help="Which story: see `nrm-hub scenario list`.")] = "S1",
    kafka: Annotated[
        bool, typer.Option("--kafka", help="On a real Kafka, fetched and started here.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove an earlier demo first.")] = False,
) -> None:
    """Play a story: hub, consumers and one connector per agency; then read every database back.

    Exit code 3 if a partner holds anything else than was released to it.

    Example: nrm-hub demo --scenario S4
    """
    from hub import scenarios
    from hub.cli.serve import quiet_logs
    from hub.scenario.live import Live
    from hub.scenario.places import Places
    from hub.scenario.story import read

    if scenario not in scenarios.ids():
        raise typer.BadParameter(f"choose from {', '.join(scenarios.ids())}")
    home = home.resolve()
    if (home / "hub").exists() and not fresh:
        typer.echo(f"Error: {home} holds an earlier demo; add --fresh to replace it.", err=True)
        raise typer.Exit(1)
    if fresh and (home / "hub").exists():
        shutil.rmtree(home)
    quiet_logs()
    console = Console(width=None if sys.stdout.isatty() else 160)
    story = read(scenarios.load(scenario), scenario, scenario)
    console.print(f"[bold]{story.id}: {story.title}[/bold]")
    with ExitStack() as stack:
        places = Places()
        if kafka:
            from hub.topics.broker import LocalBroker

            console.print("Fetching and starting a real Kafka …")
            places = Places(topics=stack.enter_context(LocalBroker(home / "kafka")).url)
        console.print(f"Enrolling {len(story.agencies)} agencies, starting hub and connectors …")
        live = stack.enter_context(Live.open(story, home, places))
        started = time.monotonic()
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console
        ) as bar:
            task = bar.add_task("publishing, each event as its agency", total=len(story.events))
            for event in story.events:
                outcome = live.publish(event)
                if not outcome.accepted:
                    console.print(f"{event.id} refused: {outcome.reason}: {outcome.detail}")
                bar.advance(task)
        live.finish()
        played = live.judge(time.monotonic() - started)
    _show(console, story, played)
    _next(console, home, story, played)
    if not played.result.ok:
        raise typer.Exit(DIFFERS)


def _show(console: Console, story: Scenario, played: Played) -> None:
    table = Table(
        title="Read back from each partner's own database (own: its own event; – reason: withheld)",
        show_lines=True,
    )
    table.add_column("event")
    for agency in story.recipients:
        table.add_column(f"{agency}\n{story.agencies[agency]}")
    for event in story.events:
        step = played.result.steps[event.id]
        cells = [f"{event.id} {event.type}\nby {event.agency}"]
        for agency in story.recipients:
            if agency == event.agency:
                cells.append("[dim]own[/dim]")
                continue
            lines = []
            held = played.held.get((agency, event.id), {})
            if held:
                lines.append("[green]" + ", ".join(sorted(held)) + "[/green]")
            gone = set(step.get("releases", {}).get(agency, {}).get("categories", ())) - set(held)
            if gone:
                lines.append("[yellow]recalled: " + ", ".join(sorted(gone)) + "[/yellow]")
            withheld = {
                category: reason
                for category, reason in step.get("withheld", {}).get(agency, {}).items()
                if category not in held
            }
            by_reason: dict[str, list[str]] = {}
            for category, reason in sorted(withheld.items()):
                by_reason.setdefault(reason, []).append(category)
            for reason, names in by_reason.items():
                lines.append(f"[dim]– {', '.join(names)}: {reason}[/dim]")
            cells.append("\n".join(lines))
        table.add_row(*cells)
    console.print(table)
    result = played.result
    if result.ok:
        console.print(
            "Every partner holds exactly what was released to it, less what it was told to delete."
        )
    for difference in result.differences:
        console.print(f"[red]DIFFERS[/red] {difference}")
    console.print(
        f"{len(story.events)} events in {played.seconds:.1f} s; submit → row in a partner's "
        f"database: p50 {played.median * 1000:.0f} ms, p99 {played.percentile(0.99) * 1000:.0f} ms "
        f"({len(played.latencies)} rows). Empty cells: not involved, nothing sent."
    )


def _next(console: Console, home: Path, story: Scenario, played: Played) -> None:
    case = story.events[0].case
    agency, event_id = next(
        (
            (agency, event.uuid)
            for event in story.events
            for agency in played.result.steps[event.id].get("withheld", {})
        ),
        (story.recipients[0], story.events[0].uuid),
    )
    program = "nrm-hub"
    if shutil.which(program) is None and Path(sys.argv[0]).name == program:
        program = sys.argv[0]  # installed, but not where the shell looks
    console.print("\nTry next:")
    for command in (
        f"{program} audit replay --home {home / 'hub'} --case {case}",
        f"{program} audit why --home {home / 'hub'} --agency {agency} --event {event_id}",
        f"{program} audit verify --home {home / 'hub'}",
    ):
        console.print(f"  {command}", soft_wrap=True, highlight=False)
