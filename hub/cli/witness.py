"""`nrm-hub witness`: what another agency runs to cosign a hub's checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import asked_to_stop, reported


@reported
def witness(
    home: Annotated[Path, typer.Option("--home", help="The witness's directory.")] = Path(
        "witness-home"
    ),
    log: Annotated[
        list[str] | None,
        typer.Option(help="vkey of a log to watch; may be repeated, and is remembered."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="First run: the name it cosigns under, e.g. witness.example/nrm."),
    ] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = (
        "127.0.0.1:8442"
    ),
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate chain (PEM).")] = None,
    private_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
) -> None:
    """Cosign a hub's checkpoints as long as each continues the one before (docs/transparency.md).

    The first run makes the home and its key. Logs may also be edited in HOME/logs. Stops cleanly on
    Ctrl-C and SIGTERM. Exit code 3 if this witness holds evidence of a fork when it stops.

    Example: nrm-hub witness --home witness-home --name witness.example/nrm --log VKEY
    """
    import logging

    from hub.cli import logs as logging_
    from hub.clock import wall_clock
    from hub.witness.book import Book
    from hub.witness.home import WitnessHome
    from hub.witness.server import serve_witness
    from hub.witness.witness import Witness

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter("give HOST:PORT", param_hint="--listen")
    if (certificate is None) != (private_key is None):
        raise typer.BadParameter("give both --certificate and --private-key, or neither")
    logging_.configure(logging.INFO)
    place = WitnessHome(home)
    if not place.exists:
        if name is None:
            raise typer.BadParameter("the first run needs one", param_hint="--name")
        place.init(name)
    elif name is not None and name != place.cosigner().name:
        raise typer.BadParameter("this witness has another name already", param_hint="--name")
    place.watch(log or ())
    watched = place.logs()
    if not watched:
        raise typer.BadParameter("give the vkey of a log", param_hint="--log")
    stop = asked_to_stop()
    book = Book(place.path / "witness.db")
    judge = Witness(place, book, watched, lambda: wall_clock().timestamp())
    files = (str(certificate), str(private_key)) if certificate and private_key else None
    server = serve_witness(judge, host.strip("[]"), int(port), certificate=files)
    typer.echo(f"Witness {judge.cosigner.name} cosigns at {server.url} for:")
    for key in watched:
        typer.echo(f"  {key.name}")
    typer.echo(f"vkey, for the hub's operator and for auditors: {judge.cosigner.verifier}")
    _tell(place.evidence())
    stop.wait()
    server.stop()
    book.close()
    if _tell(place.evidence()):
        raise typer.Exit(3)
    typer.echo("Stopped.", err=True)


def _tell(evidence: list[Path]) -> bool:
    """Say loudly what is on record. Whether a fork is."""
    forks = [one for one in evidence if one.name.startswith("fork")]
    for one in forks:
        typer.secho(
            f"!! FORK: a log signed two heads of one size. Give this file to the auditors: {one}",
            err=True,
            fg=typer.colors.RED,
        )
    if others := len(evidence) - len(forks):
        typer.echo(
            f"{others} heads were offered without a valid proof; see {evidence[0].parent}", err=True
        )
    return bool(forks)
