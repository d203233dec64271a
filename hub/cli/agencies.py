"""The operator's side of the `agency` group: approve, list, revoke, end and sign an agreement.

They work on a hub's home whether `serve` is running or not; each change is one transaction that
the running hub follows at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, DecidedBy, HubHome
from hub.cli.printed import console, lines, table


def mount(agency: typer.Typer) -> None:
    """Add the operator's side to the `agency` group."""
    agency.command()(approve)
    agency.command("list")(list_)
    agency.command()(revoke)
    agency.command("end-agreement")(end_agreement)
    agency.command("sign-agreement")(sign_agreement)


@reported
def approve(
    request: Annotated[Path, typer.Argument(help="The agency's enrolment request.")],
    home: HubHome = HUB_HOME,
    role: Annotated[
        str | None, typer.Option(help="Role to enrol it in, if not the one it asks for.")
    ] = None,
    by: DecidedBy = "operator",
    out: Annotated[
        Path | None, typer.Option(help="Write the approval here instead of to the terminal.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="The fingerprint was compared; do not ask.")
    ] = False,
) -> None:
    """Operator: enrol the agency of a request, or renew its keys.

    Compare the fingerprint with the agency by another channel, e.g. by telephone, first. The same
    request approved again gives the same approval.

    Example: nrm-hub agency approve sh-1-request.json --home hub-home --out sh-1-approval.json
    """
    from connectors.agency.enrolment import verify_approval, verify_request
    from hub.home import Home
    from hub.hub import Hub

    asked = verify_request(request.read_bytes())
    typer.echo(
        f"{asked.agency} ({asked.name}) asks to take part as {role or asked.role}.", err=True
    )
    typer.echo(f"Fingerprint of its request: {asked.fingerprint}", err=True)
    if not yes and typer.get_text_stream("stdin").isatty():
        typer.confirm("Has the agency confirmed this fingerprint?", abort=True, err=True)
    opened = Hub.open(Home(home))
    try:
        document = opened.enrolment.approve(request.read_bytes(), by=by, role=role)
        opened.ensure_topics()
    finally:
        opened.stop()
    if out is None:
        typer.echo(document.decode(), nl=False)
    else:
        out.write_bytes(document)
        typer.echo(f"Approved. Send {out} to the agency, which runs: nrm-hub agency install {out}")
    told = verify_approval(document, []).fingerprint
    typer.echo(f"Fingerprint of this hub, for the agency to compare: {told}", err=True)


@reported
def list_(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Operator: who takes part, with keys, agreement and opaque recipient reference.

    Example: nrm-hub agency list --home hub-home
    """
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        rows: list[dict[str, Any]] = [
            {
                "agency": one.agency,
                "name": one.name,
                "role": one.role,
                "agreement": one.agreement or "",
                "keys": [key.key_id.hex() for key in one.keys.values() if key.valid_to is None],
                "recipient_ref": reading.exchange.pseudonyms.recipient_ref(one.agency),
            }
            for one in reading.exchange.agencies
        ]
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = table("agency", "name", "role", "agreement", "valid keys", "recipient")
    for row in rows:
        shown.add_row(
            row["agency"],
            row["name"],
            row["role"],
            row["agreement"] or "none: receives nothing",
            lines(*row["keys"]) or "none: shut out",
            row["recipient_ref"],
        )
    console().print(shown)


@reported
def revoke(
    agency: Annotated[str, typer.Argument(help="Whose key.")],
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    home: HubHome = HUB_HOME,
    key: Annotated[
        str | None, typer.Option(help="Key id (hex, see: agency list); without it, all keys.")
    ] = None,
    by: DecidedBy = "operator",
) -> None:
    """Operator: refuse everything signed with a key from this log position on.

    If that leaves an agency without a key, nothing is sent to it either. It comes back with a new
    identity; what it has not had by then is sent under the new keys.

    Example: nrm-hub agency revoke SH-1 --home hub-home --reason "laptop stolen"
    """
    from hub.home import Home
    from hub.hub import Deciding

    try:
        wanted = bytes.fromhex(key) if key else None
    except ValueError:
        raise typer.BadParameter("a key id is hexadecimal; see: nrm-hub agency list") from None
    with Deciding.open(Home(home)) as opened:
        position = opened.enrolment.revoke(agency, wanted, reason=reason, by=by)
    typer.echo(
        f"Revoked at log position {position}: nothing later is accepted, nothing earlier changes."
    )


@reported
def end_agreement(
    agency: Annotated[str, typer.Argument(help="With whom.")],
    home: HubHome = HUB_HOME,
    by: DecidedBy = "operator",
) -> None:
    """Operator: end the data-sharing agreement; the agency receives nothing from here on.

    Example: nrm-hub agency end-agreement SH-1 --home hub-home
    """
    from hub.home import Home
    from hub.hub import Deciding

    with Deciding.open(Home(home)) as opened:
        position = opened.enrolment.end_agreement(agency, by=by)
    typer.echo(f"Ended at log position {position}.")


@reported
def sign_agreement(
    agency: Annotated[str, typer.Argument(help="With whom.")],
    home: HubHome = HUB_HOME,
    agreement: Annotated[
        str, typer.Option(help="Which agreement: its name or file number; recorded.")
    ] = "standard",
    by: DecidedBy = "operator",
) -> None:
    """Operator: sign a data-sharing agreement again with an agency whose agreement was ended.

    It receives from here on. What was decided meanwhile is not sent by itself: it comes with the
    next consent, accepted referral or appointment that calls for it.

    Example: nrm-hub agency sign-agreement SH-1 --agreement "order 12/2026" --home hub-home
    """
    from hub.home import Home
    from hub.hub import Deciding

    with Deciding.open(Home(home)) as opened:
        position = opened.enrolment.sign_agreement(agency, by=by, agreement=agreement)
    typer.echo(f"Signed at log position {position}: the agency receives from here on.")
