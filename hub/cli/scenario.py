"""`nrm-hub scenario`: whole cases through the whole pipeline; how a profile is tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from connectors.commands.ending import reported
from hub.cli.options import AsJson
from hub.cli.printed import console, progress, table

if TYPE_CHECKING:
    from rich.progress import Progress

    from hub.scenario import Result, Scenario

DIFFERS: Final = 3  # exit code: something is not as the file expects, or a partner holds other

app = typer.Typer(
    help="Play whole cases through a fresh hub, connectors and partners' databases.",
    no_args_is_help=True,
)

Files = Annotated[
    list[str], typer.Argument(help="Scenario files, or ids of scenarios that come with the hub.")
]


@app.command()
@reported
def run(
    files: Files,
    json_: AsJson = False,
    store: Annotated[
        str,
        typer.Option(help="sqlite, postgres (started for this run) or a server: postgresql://…"),
    ] = "sqlite",
    topics: Annotated[
        str, typer.Option(help="embedded, kafka (started for this run) or kafka://host:port")
    ] = "embedded",
    home: Annotated[
        Path | None, typer.Option(help="Keep everything here, one folder per scenario.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Profile to decide by: a file, or coe or uk; default: coe.")
    ] = None,
) -> None:
    """Run scenarios and compare decisions and partners' databases with what is expected.

    Each runs on a hub of its own, made for it: agencies enrolled, every event signed and published
    by its agency, a connector and a database for every partner, all read back at the end. Nothing
    is left behind without --home. Exit code 3 if anything differs; every difference is listed.

    Example: nrm-hub scenario run my-country.json --profile my-profile.json --json
    """
    from hub.scenario import Servers, run

    scenarios = _load(files)
    _check_homes(home, scenarios)
    results = []
    with Servers(store, topics, keep=home is not None) as servers, progress(disable=json_) as bar:
        for scenario in scenarios:
            results.append(
                run(
                    scenario,
                    servers,
                    home=home / scenario.id if home else None,
                    profile=profile,
                    progress=_advancing(bar, scenario),
                )
            )
            if not json_:
                _tell(results[-1])
    _end(results, json_)


@app.command()
@reported
def check(
    files: Files,
    home: Annotated[Path, typer.Option(help="What `scenario run --home` kept.")],
    json_: AsJson = False,
) -> None:
    """Judge again what an earlier run kept: decisions from its log, partners from their databases.

    Exit code 3 if anything differs.

    Example: nrm-hub scenario check my-country.json --home kept
    """
    from hub.errors import NotReady
    from hub.scenario import judge

    results = []
    for scenario in _load(files):
        if not (home / scenario.id / "hub" / "hub.toml").exists():
            raise NotReady(
                f"{home} keeps no run of {scenario.id}; make one with: "
                f"nrm-hub scenario run … --home {home}"
            )
        results.append(judge(scenario, home / scenario.id))
        if not json_:
            _tell(results[-1])
    _end(results, json_)


@app.command("list")
def list_() -> None:
    """The scenarios that come with the hub; `nrm-hub demo --scenario ID` plays one live.

    Example: nrm-hub scenario list
    """
    from hub.scenario import shipped

    shown = table("id", ">events", "story", "why it is hard")
    for scenario_id in shipped.ids():
        document = shipped.load(scenario_id)
        events = str(len(document["events"]))
        shown.add_row(scenario_id, events, document["title"], document["why_hard"])
    console().print(shown)


def _load(files: Sequence[str]) -> list[Scenario]:
    """A file wins over a shipped scenario of the same name."""
    from hub.scenario import shipped
    from hub.scenario.story import ScenarioError, load, read

    found: list[Scenario] = []
    for file in files:
        if not Path(file).exists() and file in shipped.ids():
            found.append(read(shipped.load(file), file, file))
        else:
            found += load(Path(file))
    names = [one.id for one in found]
    for name in names:
        if names.count(name) > 1:
            raise ScenarioError(f"two of these scenarios have the id {name!r}: run them apart")
    return found


def _check_homes(home: Path | None, scenarios: Sequence[Scenario]) -> None:
    from hub.errors import NotReady

    for scenario in scenarios:
        if home is not None and (home / scenario.id).exists():
            raise NotReady(
                f"{home / scenario.id} exists: choose another --home, or look at what it holds "
                f"with: nrm-hub scenario check … --home {home}"
            )


def _advancing(bar: Progress, scenario: Scenario) -> Callable[[str], None]:
    task = bar.add_task(scenario.id, total=len(scenario.events))
    return lambda _event_id: bar.advance(task)


def _tell(result: Result) -> None:
    count = len(result.differences)
    said = "as expected" if result.ok else f"{count} difference{'s' if count > 1 else ''}"
    out = console()
    out.print(
        f"{result.scenario.id}: {len(result.scenario.events)} events, {said}, "
        f"{result.seconds:.1f} s ({result.scenario.title})",
        markup=False,
    )
    if result.differences:
        names = ("kind", "event", "agency", "category", "what")
        shown = table(*names)
        for one in result.differences:
            row: dict[str, Any] = one.as_dict()
            shown.add_row(*(row.get(name, "") for name in names))
        out.print(shown)
    for note in result.notes:
        out.print(f"note: {note}", markup=False)


def _end(results: Sequence[Result], json_: bool) -> None:
    if json_:
        typer.echo(json.dumps({"scenarios": [one.as_dict() for one in results]}, indent=1))
    if not all(one.ok for one in results):
        raise typer.Exit(DIFFERS)
