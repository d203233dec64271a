"""`nrm-hub demo`: a whole case through hub and partners, and their databases read back."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from connectors.commands.ending import between_steps, reported
from hub.cli.printed import console, lines, progress, table

if TYPE_CHECKING:
    from rich.console import Console

    from hub.scenario.live import Played
    from hub.scenario.story import Scenario

DIFFERS: Final = 3
PACE: Final = 0.2  # seconds between two events
LONGEST: Final = 30.0  # seconds all of them may take
STOPPING: Final = "Ends after this step and stops what it has started; asked again, at once."
MARKER: Final = "demo.json"  # only what a demo made, and listed here, is ever removed


@reported
def demo(
    home: Annotated[
        Path, typer.Option(help="Where the demo keeps the hub and everybody's databases.")
    ] = Path("demo-home"),
    scenario: Annotated[str, typer.Option(help="Which story: see `nrm-hub scenario list`.")] = "S1",
    kafka: Annotated[
        bool, typer.Option("--kafka", help="On a real Kafka, fetched and started here.")
    ] = False,
    store: Annotated[
        str,
        typer.Option(help="sqlite, postgres (started for the demo) or a server: postgresql://…"),
    ] = "sqlite",
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove an earlier demo first.")] = False,
) -> None:
    """Play a story live and read every partner's database back.

    Hub and consumers run here, with one connector process per agency. Every event is signed and
    published by the agency it comes from, one after another at a steady pace. Exit code 3 if a
    partner holds anything else than was released to it.

    Example: nrm-hub demo --scenario S4
    """
    from hub.scenario import shipped
    from hub.scenario.live import Live
    from hub.scenario.places import Servers
    from hub.scenario.story import read

    if scenario not in shipped.ids():
        raise typer.BadParameter(
            f"choose from {', '.join(shipped.ids())}; files of your own: nrm-hub scenario run",
            param_hint="--scenario",
        )
    story = read(shipped.load(scenario), scenario, scenario)
    home = home.absolute()
    _make_room(home, story, fresh)
    out = console()
    _menu(out, story)
    out.print(f"{story.id}: {story.title}", style="bold", markup=False)
    with ExitStack() as stack:
        between = stack.enter_context(between_steps(STOPPING))
        if kafka:
            out.print("Starting a real Kafka; the first time its jars are fetched …")
        servers = stack.enter_context(Servers(store, "kafka" if kafka else "embedded", keep=True))
        out.print(f"Enrolling {len(story.agencies)} agencies, starting hub and connectors …")
        places = servers.places(home, story.recipients)
        live = stack.enter_context(Live.open(story, home, places, between))
        started, pace = time.monotonic(), min(PACE, LONGEST / len(story.events))
        with progress() as bar:
            task = bar.add_task("each event published by its agency", total=len(story.events))
            for number, event in enumerate(story.events):
                # Paced, so that what is timed is the road and not a queue.
                time.sleep(max(0.0, started + number * pace - time.monotonic()))
                between()
                outcome = live.publish(event)
                if not outcome.accepted:
                    out.print(f"{event.id} refused: {outcome.reason}: {outcome.detail}")
                bar.advance(task)
        live.finish()
        played = live.judge(time.monotonic() - started)
    _show(out, story, played)
    if store == "postgres":
        out.print("\nThe PostgreSQL of this demo was started for it and is stopped again.")
    else:
        _next(out, home, story, played)
    if not played.result.ok:
        raise typer.Exit(DIFFERS)


def _make_room(home: Path, story: Scenario, fresh: bool) -> None:
    """An empty home with a list of what will be made in it. Exits if something is in the way."""
    marker = home / MARKER
    if marker.exists() and fresh:
        for name in json.loads(marker.read_text("utf-8"))["made"]:
            shutil.rmtree(home / name, ignore_errors=True)
        marker.unlink()
    made = ["hub", *story.agencies]
    if marker.exists():
        told = f"{home} holds an earlier demo; add --fresh to replace it, or give another --home"
    elif taken := [name for name in made if (home / name).exists()]:
        told = f"{home / taken[0]} exists and is not a demo's; give another --home"
    else:
        home.mkdir(parents=True, exist_ok=True)
        marker.write_text(json.dumps({"scenario": story.id, "made": made}), encoding="utf-8")
        return
    typer.secho(f"Error: {told}", err=True, fg=typer.colors.RED)
    raise typer.Exit(1)


def _menu(out: Console, story: Scenario) -> None:
    """Every story there is, one line each, and which one is played."""
    from hub.scenario import shipped

    shown = table("", "story", "")
    for one in shipped.ids():
        now = "this one" if one == story.id else f"--scenario {one}"
        shown.add_row(one, shipped.load(one)["title"], now)
    out.print(shown)


def _show(out: Console, story: Scenario, played: Played) -> None:
    out.print("Read back from each partner's own database:")
    headings = [f"{agency}\n{story.agencies[agency]}" for agency in story.recipients]
    shown = table("event", *(one if out.is_terminal else one.split()[0] for one in headings),
                  lines=True)  # fmt: skip
    for event in story.events:
        cells = [_cell(played, event.id, agency, event.agency) for agency in story.recipients]
        shown.add_row(lines(f"{event.id} {event.type}", f"by {event.agency}"), *cells)
    out.print(shown)
    out.print(
        "own: its own event. recalled: it was told to delete this. no …: withheld, and the reason. "
        "Empty: not involved, nothing was sent."
    )
    result = played.result
    if result.ok:
        out.print(
            "Every partner holds exactly what was released to it, less what it was told to delete.",
            style="bold",
        )
    for difference in result.differences:
        out.print(f"DIFFERS: {difference}", style="bold red", markup=False)
    out.print(
        f"{len(story.events)} events in {played.seconds:.1f} s. Submitted → row committed in a "
        f"partner's database: p50 {played.percentile(0.5) * 1000:.0f} ms, "
        f"p99 {played.percentile(0.99) * 1000:.0f} ms ({len(played.latencies)} deliveries)"
    )


def _cell(played: Played, event_id: str, agency: str, emitter: str) -> Text:
    """What one partner holds of one event, what it gave back, and what was withheld and why."""
    if agency == emitter:
        return Text("own", "dim")
    step = played.result.steps[event_id]
    held = set(played.held.get((agency, event_id), ()))
    gone = played.given.get((agency, event_id), set()) - held
    parts = []
    if held:
        parts.append(f"[green]{', '.join(sorted(held))}[/green]")
    if gone:
        parts.append(f"[yellow]recalled {', '.join(sorted(gone))}[/yellow]")
    by_reason: dict[str, list[str]] = {}
    for category, reason in sorted(step.get("withheld", {}).get(agency, {}).items()):
        if category not in held | gone:
            by_reason.setdefault(reason, []).append(category)
    for reason, names in by_reason.items():
        parts.append(f"[dim]no {', '.join(names)}: {reason}[/dim]")
    return Text.from_markup(lines(*parts))


def _next(out: Console, home: Path, story: Scenario, played: Played) -> None:
    """Three commands that work as printed, from here."""
    withheld = (
        (agency, event.uuid)
        for event in story.events
        for agency in played.result.steps[event.id].get("withheld", {})
    )
    agency, event_id = next(withheld, (story.recipients[0], story.events[0].uuid))
    place = home / "hub"
    if place.is_relative_to(Path.cwd()):
        place = place.relative_to(Path.cwd())
    commands: Sequence[Sequence[str]] = (
        ("audit", "replay", "--home", str(place), "--case", story.events[0].case),
        ("audit", "why", "--home", str(place), "--agency", agency, "--event", str(event_id)),
        ("audit", "verify", "--home", str(place)),
    )
    out.print("\nTry next:")
    for command in commands:
        out.print(f"  {program()} {shlex.join(command)}", soft_wrap=True, markup=False)


def program() -> str:
    """How this program is called from a shell that stands where this process does."""
    called = Path(sys.argv[0])
    found = shutil.which("nrm-hub")
    if called.name != "nrm-hub":
        return f"{shlex.quote(sys.executable)} -m hub.cli"
    if found is not None and Path(found).resolve() == called.resolve():
        return "nrm-hub"
    return shlex.quote(str(called))
