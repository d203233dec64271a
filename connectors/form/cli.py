"""`nrm-hub agency form`: the form served on this machine, until it is told to stop."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from connectors.commands.agency import DEFAULT_HOME, HOME
from connectors.commands.ending import reported


def mount(agency: typer.Typer) -> None:
    """Add the form to the `agency` group."""
    agency.command()(form)


@reported
def form(
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; any free one if 0.")] = 0,
    via: Annotated[
        Literal["topics", "http"], typer.Option(help="How events reach the hub.")
    ] = "http",
    url: Annotated[
        str | None, typer.Option(help="The hub's address; what the approval says, if left out.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Open it in the browser of this machine.")
    ] = False,
) -> None:
    """Serve a form to state events with, to this machine's browsers only.

    The address it prints holds a secret of this run: whoever has it and sits at this machine can
    state events as this agency. Ctrl-C ends it.

    Example: nrm-hub agency form --home ngo-1
    """
    import uvicorn

    from connectors.agency.identity import AgencyIdentity
    from connectors.commands.agency import transport_of
    from connectors.errors import SettingsError
    from connectors.form.app import Desk, create_form, publish_with
    from connectors.form.foretold import foretold
    from connectors.submit import Limits

    identity = AgencyIdentity.load(home)
    transport = transport_of(identity, via, url)
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        raise SettingsError(f"port {port} is in use: give another with --port, or 0") from None
    number = listener.getsockname()[1]
    secret = secrets.token_urlsafe(24)
    limits = Limits(answer_seconds=10.0, give_up_seconds=30.0)
    address = url if via == "http" else None
    desk = Desk(
        identity,
        publish_with(identity, transport, limits),
        lambda event: foretold(identity, event, address),
    )
    app = create_form(desk, secret, number)
    place = f"http://127.0.0.1:{number}/{secret}/"
    typer.echo(f"{identity.agency}: open {place} in a browser on this machine. Ctrl-C ends it.")
    door = None
    if show:
        import webbrowser

        door = _door(identity.home, place)
        webbrowser.open(door.as_uri())
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off"
    )
    try:
        with suppress(KeyboardInterrupt):  # how the server says that it was told to stop
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        if door is not None:
            door.unlink(missing_ok=True)


def _door(home: Path, place: str) -> Path:
    """A page for this user alone that leads to the form. The address itself would stand in the list
    of processes, as what the browser was started with, for every user of this machine to see."""
    from connectors.agency.identity import write_whole

    door = home / "form.html"
    text = f'<!doctype html><meta http-equiv="refresh" content="0; url={place}"><a href="{place}">'
    write_whole(door, f"{text}nrm-hub agency form</a>\n".encode())
    return door
