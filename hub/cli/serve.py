"""`nrm-hub serve`: hub, consumers and API in one command, or some of them."""

from __future__ import annotations

import logging
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from connectors.commands.ending import asked_to_stop, reported
from hub.cli.options import HUB_HOME, HubHome

PARTS: Final = ("hub", "consumers", "api")


@reported
def serve(
    home: HubHome = HUB_HOME,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Run only this part ({', '.join(PARTS)}); may be repeated."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(envvar="NRM_HUB_HOST", help="Address the API listens on.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(envvar="NRM_HUB_PORT", help="Port of the API; 0 takes a free one."),
    ] = None,
    hub_id: Annotated[
        str | None,
        typer.Option(
            help="First run: public identifier, never to be changed; nrm-hub if left out."
        ),
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="First run: postgresql://…; a file in the home if left out.")
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            help="First run: where subject secrets live, apart from the store: "
            "postgresql://…?epoch_key=/path/epoch.key; a file in the home if left out."
        ),
    ] = None,
    topics: Annotated[
        str | None,
        typer.Option(help="First run: kafka://host:port; a file in the home if left out."),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="First run: profile to decide by, coe, uk or a file.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate chain (PEM) of the API.")
    ] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    console: Annotated[
        bool,
        typer.Option("--console", help="Serve the console too; its settings stand in hub.toml."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request.")] = False,
) -> None:
    """Run the hub: admission, decisions, deliveries, receipts, checkpoints and the HTTP API.

    The first run makes the home and says what to do next. Stops cleanly on Ctrl-C and SIGTERM. In
    processes of their own: one with --only hub, one with --only consumers, one with --only api.

    Example: nrm-hub serve --home hub-home
    """
    from connectors import collector
    from hub import telemetry
    from hub.api.metrics import HubCollector
    from hub.api.server import serve_api
    from hub.authority import profiles
    from hub.cli import logs
    from hub.cli.console import say
    from hub.home import Home
    from hub.hub import Deciding, Hub

    parts = frozenset(only or PARTS)
    if not parts <= set(PARTS):
        raise typer.BadParameter(f"choose from {', '.join(PARTS)}", param_hint="--only")
    if (certificate is None) != (private_key is None):
        raise typer.BadParameter("give both --certificate and --private-key, or neither")
    logs.configure(logging.DEBUG if verbose else logging.INFO)
    place = Home(home)
    first = not place.exists
    given = {
        "hub-id": hub_id,
        "store": store,
        "keys": keys,
        "topics": topics,
        "profile": profiles.setting(profile) if profile else None,
    }
    if first:
        if profile is not None:  # before anything is made that would name it
            profiles.checked(profiles.named(str(profile)), str(profile))
        place.init(
            hub_id or "nrm-hub",
            **{name: value for name, value in given.items() if value and name != "hub-id"},
            host=host or "127.0.0.1",
            port=8441 if port is None else port,
        )
    else:
        place.keeps_to(given)
    settings = place.settings()
    stop = asked_to_stop()
    with ExitStack() as stack:
        hub = Hub.open(place)
        stack.callback(hub.stop)
        if (wanted := telemetry.asked(settings.telemetry)) is not None:
            stack.callback(telemetry.Telemetry(wanted, HubCollector(hub)).stop)
        collector.rest()
        hub.start(parts | {"timers"} if "consumers" in parts else parts)
        url = None
        if "api" in parts:
            files = (str(certificate), str(private_key)) if certificate and private_key else None
            api = serve_api(
                hub,
                host or settings.host,
                settings.port if port is None else port,
                certificate=files,
            )
            stack.callback(api.stop)  # before the hub: what was begun is answered
            url = api.url
        _say(home, settings.hub_id, parts, url, first)
        if console:
            from hub.console.serving import serve_console

            served = serve_console(stack.enter_context(Deciding.open(place)))
            stack.callback(served.stop)
            say(served, home)
        while not stop.wait(0.2) and hub.failure is None:
            pass
        failure = hub.failure
    if failure is not None:
        typer.secho(f"Error: the hub stopped: {failure}", err=True, fg=typer.colors.RED)
        raise typer.Exit(1)
    typer.echo("Stopped.", err=True)


def _say(home: Path, hub_id: str, parts: frozenset[str], url: str | None, first: bool) -> None:
    which = "" if parts == set(PARTS) else f" ({', '.join(sorted(parts))} only)"
    typer.echo(f"Hub {hub_id} is running from {home}{which}" + (f", API at {url}" if url else ""))
    if first:
        place = shlex.quote(str(home))
        typer.echo(
            "This is a new hub. Next, in another terminal:\n"
            "  nrm-hub agency init SH-1 --name 'Shelter North' --role shelter --home sh-1\n"
            "  nrm-hub agency request --home sh-1 --out sh-1-request.json\n"
            f"  nrm-hub agency approve sh-1-request.json --home {place} --out sh-1-approval.json\n"
            "  nrm-hub agency install sh-1-approval.json --home sh-1\n"
            f"The whole way is in docs/tutorial.md. Back up {place}/keys: without them nothing can "
            "be read or proven."
        )
