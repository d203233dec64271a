"""`nrm-hub serve`: hub, consumers and API in one command, or some of them."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="NRM_HUB_HOME", help="The hub's home directory.")
]
PARTS = ("hub", "consumers", "api")


def quiet_logs(verbose: bool = False) -> None:
    """Logs as JSON lines on standard error; single requests only when asked for."""
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=typer.get_text_stream("stderr")),
    )


def serve(
    home: HomeOption,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Run only these parts ({', '.join(PARTS)}); may be repeated."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address the API listens on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API; 0 takes a free one.")] = None,
    hub_id: Annotated[
        str, typer.Option(help="First run only: public identifier, never to be changed.")
    ] = "nrm-hub",
    store: Annotated[
        str, typer.Option(help="First run only: sqlite:///events.db or postgresql://…")
    ] = "sqlite:///events.db",
    keys: Annotated[
        str,
        typer.Option(help="First run only: where subject secrets live, apart from the store."),
    ] = "sqlite:///secrets.db",
    topics: Annotated[
        str, typer.Option(help="First run only: embedded:///topics.db or kafka://host:port")
    ] = "embedded:///topics.db",
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate chain (PEM) of the API.")
    ] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request.")] = False,
) -> None:
    """Run the hub: admission, decisions, deliveries, receipts, checkpoints and the HTTP API.

    The first run makes the home and says what to do next. Stops cleanly on Ctrl-C and SIGTERM.

    Example: nrm-hub serve --home hub-home
    """
    from hub.api.server import serve_api
    from hub.home import Home
    from hub.hub import Hub

    parts = frozenset(only or PARTS)
    if not parts <= set(PARTS):
        raise typer.BadParameter(f"choose from {', '.join(PARTS)}", param_hint="--only")
    quiet_logs(verbose)
    place = Home(home)
    first = not place.exists
    if first:
        place.init(
            hub_id,
            store=store,
            keys=keys,
            topics=topics,
            host=host or "127.0.0.1",
            port=8441 if port is None else port,
        )
    settings = place.settings()
    stop = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stop.set())
    hub = Hub.open(place)
    api = None
    try:
        hub.start(parts)
        if "api" in parts:
            api = serve_api(
                hub,
                host or settings.host,
                settings.port if port is None else port,
                certificate=(
                    (str(certificate), str(private_key)) if certificate and private_key else None
                ),
            )
        _say(home, settings.hub_id, api.url if api else None, first)
        while not stop.wait(0.5):
            if hub.failure is not None:
                raise typer.Exit(1)
    finally:
        if api is not None:
            api.stop()
        hub.stop()
        if hub.failure is not None:
            typer.echo(f"Error: the hub stopped: {hub.failure}", err=True)


def _say(home: Path, hub_id: str, url: str | None, first: bool) -> None:
    typer.echo(f"Hub {hub_id} is running from {home}" + (f", API at {url}" if url else ""))
    if first:
        typer.echo(
            "This is a new hub. Next, in another terminal:\n"
            "  nrm-hub agency init SH-1 --name 'A shelter' --role shelter --home sh-1\n"
            "  nrm-hub agency request --home sh-1 --out sh-1-request.json\n"
            f"  nrm-hub agency approve sh-1-request.json --home {home} --out sh-1-approval.json\n"
            "  nrm-hub agency install sh-1-approval.json --home sh-1\n"
            "The whole way is in docs/tutorial.md."
        )
