"""`nrm-hub viewer`: who may open the console; two officers grant, one revokes."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome, OfficerFile
from hub.cli.printed import console, table

app = typer.Typer(
    help="Who may open the console: granted by two officers, revoked by any one.",
    no_args_is_help=True,
)


@app.command()
@reported
def grant(
    viewer: Annotated[str, typer.Argument(help="Name of the person, as pages and logs show it.")],
    role: Annotated[str, typer.Option(help="auditor, operator, agency_officer or rapporteur.")],
    officer: OfficerFile,
    home: HubHome = HUB_HOME,
    agency: Annotated[str, typer.Option(help="Whose officer; for agency_officer only.")] = "",
    issuer: Annotated[
        str, typer.Option(help="The person's OpenID provider: its issuer, https://…")
    ] = "",
    subject: Annotated[
        str, typer.Option(help="The provider's name for the person: the claim that hub.toml names.")
    ] = "",
    passkey: Annotated[
        bool, typer.Option("--passkey", help="The person registers a passkey with a code instead.")
    ] = False,
) -> None:
    """Propose that somebody may open the console. It counts once another officer approves.

    With --passkey it prints the first half of a one-time code: tell it to the person and to nobody
    else. The officer who approves gets the second half.

    Example: nrm-hub viewer grant audit-1 --role auditor --passkey --officer own.key
    """
    from hub.authority.granting import Granting
    from hub.authority.officer_file import load
    from hub.authority.viewers import OIDC, PASSKEY, Grant, spelt
    from hub.home import Home
    from hub.hub import Deciding

    how = PASSKEY if passkey else OIDC
    asked: Any = role
    wanted = Grant(viewer, asked, agency, how, issuer, subject)
    wanted.check()
    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        step = Granting(opened.reading.exchange, opened.reading.settings.hub_id).propose(
            wanted, key
        )
    if step.half:
        typer.echo(f"First half of the code, for {viewer} alone: {spelt(step.half)}")
    typer.echo(f"Proposed at log position {step.position}. Another officer approves it with:")
    typer.echo(f"nrm-hub viewer approve {step.position} --officer KEYFILE --home {home}")


@app.command()
@reported
def approve(
    proposal: Annotated[int, typer.Argument(help="Log position of the proposal.")],
    officer: OfficerFile,
    home: HubHome = HUB_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Sign another officer's proposal; the person may open the console from then on.

    Shows first who it is, as what, and how they sign in.

    Example: nrm-hub viewer approve 42 --officer own.key --home hub-home
    """
    from hub.authority.granting import Granting
    from hub.authority.officer_file import load
    from hub.authority.viewers import CODE_LIFE, spelt
    from hub.home import Home
    from hub.hub import Deciding

    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        granting = Granting(opened.reading.exchange, opened.reading.settings.hub_id)
        proposed = granting.open_proposal(proposal)
        asked = proposed.grant
        whose = f" of {asked.agency}" if asked.agency else ""
        how = f"{asked.subject} at {asked.issuer}" if asked.issuer else "a passkey"
        typer.echo(
            f"{asked.viewer}, {asked.role}{whose}, signs in by {how}; proposed by {proposed.by}",
            err=True,
        )
        if not yes and typer.get_text_stream("stdin").isatty():
            typer.confirm("Let this person open the console?", abort=True, err=True)
        step = granting.approve(proposal, key)
    if step.half:
        typer.echo(f"Second half of the code, for {asked.viewer} alone: {spelt(step.half)}")
        typer.echo(f"Both halves together register one passkey, within {CODE_LIFE.days} days.")
    typer.echo(f"{asked.viewer} may open the console from log position {step.position} on.")


@app.command()
@reported
def revoke(
    viewer: Annotated[str, typer.Argument(help="Who may not open the console any more.")],
    officer: OfficerFile,
    reason: Annotated[str, typer.Option(help="Why; recorded in the log.")],
    home: HubHome = HUB_HOME,
) -> None:
    """End a grant, or take back a proposal. Every session of the person ends with the next page.

    Example: nrm-hub viewer revoke audit-1 --officer own.key --reason "left the office"
    """
    from hub.authority.granting import Granting
    from hub.authority.officer_file import load
    from hub.home import Home
    from hub.hub import Deciding

    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        position = Granting(opened.reading.exchange, opened.reading.settings.hub_id).revoke(
            viewer, key, reason
        )
    typer.echo(f"Revoked at log position {position}; every session of {viewer} has ended.")


@app.command("list")
@reported
def list_(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Everybody ever proposed, newest first: role, sign-in, who signed, and what came of it.

    `nrm-hub audit verify` checks the signatures.

    Example: nrm-hub viewer list --home hub-home
    """
    from hub.authority.granting import viewers_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as opened:
        known = viewers_of(opened.exchange.log, opened.settings.hub_id)
    by_proposal = {one.proposal.position: one for one in known.history}
    rows = []
    for one in sorted(known.proposals.values(), key=lambda found: -found.position):
        granted = by_proposal.get(one.position)
        enrolled = known.enrolled(granted) if granted and one.grant.how == "passkey" else None
        rows.append(
            {
                "viewer": one.grant.viewer,
                "role": one.grant.role,
                "agency": one.grant.agency,
                "how": one.grant.how,
                "issuer": one.grant.issuer,
                "subject": one.grant.subject,
                "state": known.state(one),
                "proposal": one.position,
                "granted": granted.position if granted else None,
                "since": granted.at.isoformat() if granted else "",
                "proposed_by": one.by,
                "approved_by": granted.by if granted else "",
                "passkey": enrolled,
            }
        )
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    headings = ("viewer", "role", "signs in by", "state", ">proposal", ">grant", "signed by")
    shown = table(*headings)
    for row in rows:
        how = str(row["subject"] or row["how"])
        if row["passkey"] is False:
            how += " (not registered yet)"
        signed_by = " and ".join(
            str(row[name]) for name in ("proposed_by", "approved_by") if row[name]
        )
        shown.add_row(
            str(row["viewer"]),
            " ".join(filter(None, (str(row["role"]), str(row["agency"])))),
            how,
            str(row["state"]),
            str(row["proposal"]),
            str(row["granted"] or ""),
            signed_by,
        )
    console().print(shown if rows else "No viewers yet: two officers grant them, viewer grant.")
