"""`nrm-hub officer`: who may propose and approve policy profiles, two at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome, OfficerFile
from hub.cli.printed import console, table

app = typer.Typer(
    help="The persons who together put a policy profile in force.", no_args_is_help=True
)


@app.command()
@reported
def create(
    name: Annotated[str, typer.Argument(help="Who this is: an office rather than a person.")],
    out: Annotated[
        Path, typer.Option(help="The key file. Yours alone: nobody else needs or may have it.")
    ],
) -> None:
    """Make your own key file, and beside it the request to be admitted as an officer.

    Example: nrm-hub officer create justice-legal --out justice-legal.key
    """
    from connectors.agency.enrolment import fingerprint
    from hub.authority.officer_file import create
    from hub.authority.officers import read_request

    asked = out.with_name(f"{out.name}.request.json")
    request = create(name, out)
    asked.write_bytes(request)
    typer.echo(f"Key: {out} (keep it where only you can read it). Request: {asked}")
    typer.echo(f"Fingerprint of the key: {fingerprint(read_request(request).public)}", err=True)


@app.command()
@reported
def admit(
    requests: Annotated[
        list[Path], typer.Argument(help="Requests: the first officers' together, then one by one.")
    ],
    home: HubHome = HUB_HOME,
    officer: Annotated[
        Path | None, typer.Option("--officer", help="An existing officer's key file; vouches.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="The fingerprints were compared; do not ask.")
    ] = False,
) -> None:
    """Put officers' public keys on record.

    Where there are none yet: two or more requests at once. Later: one request, and two existing
    officers vouch for it, each by running this with their own --officer key. Compare fingerprints
    by another channel first.

    Example: nrm-hub officer admit a.key.request.json b.key.request.json --home hub-home
    """
    from connectors.agency.enrolment import fingerprint
    from hub.authority.officer_file import load
    from hub.authority.officers import read_request
    from hub.crypto.envelope import EnvelopeError
    from hub.errors import Refused
    from hub.home import Home
    from hub.hub import Deciding

    documents = [path.read_bytes() for path in requests]
    for path, document in zip(requests, documents, strict=True):
        try:
            asked = read_request(document)
        except EnvelopeError as wrong:
            raise Refused(
                0, "bad_request", f"{path}: {wrong}; ask for it again: officer create"
            ) from None
        typer.echo(f"{asked.name}: fingerprint {fingerprint(asked.public)}", err=True)
    if not yes and typer.get_text_stream("stdin").isatty():
        typer.confirm("Have they confirmed these fingerprints?", abort=True, err=True)
    key = load(officer) if officer is not None else None
    with Deciding.open(Home(home)) as opened:
        publication = opened.publication
        if key is None:
            admissions = publication.found(documents)
        else:
            admissions = [publication.vouch(document, key) for document in documents]
    for one in admissions:
        if one.position is not None:
            typer.echo(f"{one.name} is an officer from log position {one.position} on.")
        else:
            typer.echo(f"{', '.join(one.vouched)} vouched for {one.name}; one more has to.")


@app.command("list")
@reported
def list_(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Officers, their keys' fingerprints, and since and until which log position they may sign.

    Example: nrm-hub officer list --home hub-home
    """
    from connectors.agency.enrolment import fingerprint
    from hub.authority.acts import officers_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as opened:
        officers = list(officers_of(opened.exchange.log, opened.settings.hub_id))
    rows = [
        {
            "name": one.name,
            "key": one.key_id.hex(),
            "fingerprint": fingerprint(one.public),
            "from": one.valid_from,
            "until": one.valid_to,
        }
        for one in officers
    ]
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = table("officer", "fingerprint", ">from position", "until")
    for row in rows:
        until = "" if row["until"] is None else f"revoked at {row['until']}"
        shown.add_row(str(row["name"]), str(row["fingerprint"]), str(row["from"]), until)
    console().print(shown if rows else "No officers yet: nrm-hub officer create, then admit.")


@app.command()
@reported
def revoke(
    name: Annotated[str, typer.Argument(help="The officer whose key is not valid any more.")],
    officer: OfficerFile,
    reason: Annotated[str, typer.Option(help="Why; recorded in the log.")],
    home: HubHome = HUB_HOME,
) -> None:
    """Revoke an officer's key, your own included. Two officers must remain.

    What the officer signed before stands.

    Example: nrm-hub officer revoke justice-legal --officer own.key --reason "left the ministry"
    """
    from hub.authority.officer_file import load
    from hub.home import Home
    from hub.hub import Deciding

    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        position = opened.publication.revoke(name, key, reason)
    typer.echo(f"Revoked at log position {position}; what was signed before stands.")
