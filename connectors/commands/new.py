"""`nrm-hub connector new`: a package to start a connector of your own from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported


class Family(StrEnum):
    """What the sink is built on."""

    state = "state"
    messages = "messages"
    sql = "sql"
    plain = "plain"


@reported
def new(
    name: Annotated[str, typer.Argument(help="Its name, e.g. case-notes.")],
    family: Annotated[
        Family | None,
        typer.Option(
            help="Of a sink; left out: state. state: your system keeps cases and is told what is "
            "true now. messages: it is told what happened. sql: tables of your own in your "
            "database. plain: a file."
        ),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="The other way: from your system to the hub.")
    ] = False,
    into: Annotated[Path, typer.Option(help="The folder it is made in.")] = Path(),
) -> None:
    """Make a package for a connector of your own, which works and passes the conformance suite.

    Nothing is overwritten.

    Example: nrm-hub connector new case-notes --family state
    """
    from connectors.errors import SettingsError
    from connectors.kit.new import new_connector

    if source and family is not None:
        raise SettingsError("--family is for sinks: leave it out with --source")
    kind = "source" if source else (family or Family.state).value
    folder = new_connector(name, kind, into)
    typer.echo(f"Made {folder}. Next:")
    typer.echo(f'  cd {folder} && pip install -e ".[dev]" && python -m pytest')
    typer.echo("  then change it: README.md says where.")
