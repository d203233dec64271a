"""The command `nrm-hub connector registry`: schemas for readers of a relayed topic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import asked_to_stop, reported


@reported
def registry(
    settings: Annotated[Path, typer.Argument(help="Settings of the connector: partner.toml.")],
    listen: Annotated[str, typer.Option(help="Address and port to answer at.")] = "127.0.0.1:8081",
) -> None:
    """Serve the schemas of relayed topics, as a Confluent schema registry does, until stopped.

    Read-only, for everybody who reaches it: schemas are public. Needs neither hub nor broker.

    Example: nrm-hub connector registry partner.toml --listen 127.0.0.1:8081
    """
    from pydantic import ValidationError

    from connectors.errors import SettingsError
    from connectors.kinds import mistakes
    from connectors.relay.options import Options
    from connectors.relay.registry import RegistryServer
    from connectors.settings import load_settings

    loaded = load_settings(settings)
    if loaded.sink.kind != "relay":
        raise SettingsError("sink.kind is not relay: only relayed topics have readers' schemas")
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise SettingsError("--listen is an address and a port, as 127.0.0.1:8081")
    try:
        prefix = Options.model_validate(loaded.sink.options).prefix
    except ValidationError as wrong:
        raise SettingsError(mistakes(wrong, "sink.options")) from None
    stop = asked_to_stop()
    server = RegistryServer(host.strip("[]"), int(port), prefix).start()
    typer.echo(f"Schemas of {prefix}.* at {server.url}", err=True)
    server.wait(stop)
