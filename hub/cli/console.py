"""`nrm-hub console`: the pages for auditors, operators, agency officers and the rapporteur."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors.agency_cli import reported
from hub.cli.options import HUB_HOME, HubHome


@reported
def console(
    home: HubHome = HUB_HOME,
    host: Annotated[str, typer.Option(help="Address the console listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 0 takes a free one.")] = 8443,
) -> None:
    """Serve the console beside a running hub, or without one.

    Example: nrm-hub console --home hub-home
    """
    import uvicorn

    from hub.console.app import create_console
    from hub.console.desk import Console, LooksUnrecorded
    from hub.home import Home
    from hub.hub import Deciding

    with Deciding.open(Home(home)) as deciding:
        app = create_console(Console(deciding, LooksUnrecorded()))
        uvicorn.run(app, host=host, port=port, log_config=None, access_log=False)
