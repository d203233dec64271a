"""`nrm-hub scenario`: whole cases through the whole pipeline; how a profile is tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from connectors.agency_cli import reported

DIFFERS = 3  # exit code: something is not as the file expects, or a partner holds something else

app = typer.Typer(
    help="Play whole cases through a fresh hub, connectors and partners' databases.",
    no_args_is_help=True,
)


@app.command()
@reported
def run(
    files: Annotated[list[Path], typer.Argument(help="Scenario files (docs/scenarios.md).")],
    json_: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    store: Annotated[
        str, typer.Option(help="sqlite, postgres (started for this run) or postgresql://…")
    ] = "sqlite",
    topics: Annotated[
        str, typer.Option(help="embedded, kafka (started for this run) or kafka://host:port")
    ] = "embedded",
    home: Annotated[
        Path | None, typer.Option(help="Keep everything here, one folder per scenario.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Policy profile to decide by, instead of the default.")
    ] = None,
) -> None:
    """Run scenarios and compare decisions and partners' databases with what is expected.

    Exit code 3 if anything differs; every difference is listed.

    Example: nrm-hub scenario run my-country.json --profile my-profile.json --json
    """
    from hub.scenario import Servers, load, run

    results = []
    with Servers(store, topics, keep=home is not None) as servers:
        for scenario in [one for file in files for one in load(file)]:
            with Progress(disable=json_, transient=True) as progress:
                results.append(
                    run(
                        scenario,
                        servers,
                        home=home / scenario.id if home else None,
                        profile=profile,
                        progress=_advancing(progress, scenario.id, len(scenario.events)),
                    )
                )
            if not json_:
                _tell(results[-1])
    if json_:
        typer.echo(json.dumps({"scenarios": [one.as_dict() for one in results]}, indent=1))
    if not all(one.ok for one in results):
        raise typer.Exit(DIFFERS)


def _advancing(progress: Progress, name: str, total: int) -> Callable[[str], None]:
    task = progress.add_task(name, total=total)
    return lambda event_id: progress.advance(task)  # noqa: ARG005


def _tell(result: object) -> None:
    from hub.scenario import Result

    assert isinstance(result, Result)
    said = "as expected" if result.ok else f"{len(result.differences)} differences"
    typer.echo(
        f"{result.scenario.id}  {result.scenario.title}: {len(result.scenario.events)} events, "
        f"{said}, {result.seconds:.1f} s"
    )
    if result.differences:
        table = Table()
        rows = [one.as_dict() for one in result.differences]
        names = list(dict.fromkeys(name for row in rows for name in row))
        for name in names:
            table.add_column(name)
        for row in rows:
            table.add_row(*(_text(row.get(name)) for name in names))
        Console().print(table)
    for note in result.notes:
        typer.echo(f"note: {note}")


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@app.command("list")
def list_() -> None:
    """The scenarios that come with the hub; `nrm-hub demo --scenario ID` plays one."""
    from hub import scenarios

    table = Table()
    for heading in ("id", "story", "why it is hard"):
        table.add_column(heading)
    for scenario_id in scenarios.ids():
        document = scenarios.load(scenario_id)
        table.add_row(scenario_id, document["title"], document["why_hard"])
    Console().print(table)
