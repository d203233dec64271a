"""`nrm-hub console`: the pages for auditors, operators, agency officers and the rapporteur."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.commands.ending import asked_to_stop, reported
from hub.cli.options import HUB_HOME, HubHome

if TYPE_CHECKING:
    from hub.console.serving import ConsoleServer


@reported
def console(
    home: HubHome = HUB_HOME,
    host: Annotated[
        str | None, typer.Option(envvar="NRM_CONSOLE_HOST", help="Address the console listens on.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(envvar="NRM_CONSOLE_PORT", help="Its port; 0 takes a free one."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request.")] = False,
) -> None:
    """Serve the console beside a running hub, or without one. Settings: [console] in hub.toml.

    Who may open it is granted by two officers. Stops cleanly on Ctrl-C and SIGTERM.

    Example: nrm-hub console --home hub-home
    """
    from hub.cli import logs
    from hub.console.serving import serve_console
    from hub.home import Home
    from hub.hub import Deciding

    logs.configure(logging.DEBUG if verbose else logging.INFO)
    stop = asked_to_stop()
    with Deciding.open(Home(home)) as deciding:
        served = serve_console(deciding, host=host, port=port)
        try:
            say(served, home)
            stop.wait()
        finally:
            served.stop()
    typer.echo("Stopped.", err=True)


def say(served: ConsoleServer, home: Path) -> None:
    """Where the console is, and what comes first where nobody may open it yet."""
    typer.echo(f"Console at {served.url}")
    if not served.entrance.grants.viewers().standing:
        typer.echo(
            "Nobody may open it yet. Two officers let people in; each with a key of their own:\n"
            f"  nrm-hub officer list --home {home}\n"
            f"  nrm-hub viewer grant NAME --role auditor --passkey --officer KEY --home {home}\n"
            f"  nrm-hub viewer approve POSITION --officer OTHERKEY --home {home}\n"
            "No officers yet? nrm-hub officer create, then officer admit (docs/console.md)."
        )
