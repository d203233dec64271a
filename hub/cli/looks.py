"""`nrm-hub audit looks`: who opened what at the console."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, table


def mount(audit: typer.Typer) -> None:
    """Add this to the `audit` group."""
    audit.command()(looks)


def looks(
    home: HubHome = HUB_HOME,
    viewer: Annotated[str, typer.Option(help="Only this viewer's.")] = "",
    case: Annotated[str, typer.Option("--case", help="Only at this case, e.g. C1.")] = "",
    since: Annotated[
        str | None, typer.Option(help="After this log position, date or instant.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Who opened which page or asked which question about what, and who was refused.

    Example: nrm-hub audit looks --case C1 --since 2026-03-01 --home hub-home
    """
    from hub.audit.looks import looks as recorded
    from hub.audit.looks import position_before
    from hub.audit.replay import case_named
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as opened:
        log = opened.exchange.log
        found = list(
            recorded(
                log,
                viewer=viewer,
                about=case_named(opened.exchange, case).hex if case else "",
                after=position_before(log, since) if since else 0,
            )
        )
    if json_:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    shown = table(">position", "at", "viewer", "role", "page", "about", "refused")
    for one in found:
        shown.add_row(
            str(one.position),
            one.at[:19],
            one.viewer,
            " ".join(filter(None, (one.role, one.agency))),
            one.page,
            one.about,
            one.refused,
        )
    console().print(shown if found else "Nobody looked.")
