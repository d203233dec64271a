"""The part of `nrm-hub policy` that changes something: propose, approve, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome, OfficerFile
from hub.cli.policy import digest_of, tell_changes, warn
from hub.cli.printed import console, table


def mount(policy: typer.Typer) -> None:
    """Add these to the `policy` group."""
    policy.command()(propose)
    policy.command()(proposals)
    policy.command()(approve)
    policy.command()(history)


@reported
def propose(
    profile: Annotated[str, typer.Argument(help="Shipped name, or a file.")],
    officer: OfficerFile,
    reason: Annotated[str, typer.Option(help="Why; recorded in the log, and signed.")],
    home: HubHome = HUB_HOME,
) -> None:
    """Propose another profile. It decides nothing until another officer approves it.

    Look first: nrm-hub policy check, diff and simulate.

    Example: nrm-hub policy propose our-profile.json --officer own.key --reason "order 12"
    """
    from hub.authority import profiles
    from hub.authority.officer_file import load
    from hub.domain.profile_changes import changes
    from hub.home import Home
    from hub.hub import Deciding

    document = profiles.named(profile)
    checked = profiles.checked(document, profile)
    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        found = changes(opened.reading.exchange.policy(), checked)
        proposal = opened.publication.propose(document, key, reason)
    tell_changes(found)
    warn(document)
    typer.echo(f"Proposed at log position {proposal.position}. Another officer approves it with:")
    typer.echo(f"nrm-hub policy approve {proposal.digest.hex()} --officer KEYFILE --home {home}")


@reported
def proposals(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """What was proposed, newest first, and what came of it.

    A proposal is stale once another version has come in force: it is proposed again or dropped.

    Example: nrm-hub policy proposals --home hub-home
    """
    from hub.authority.publication import proposals_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as opened:
        known = proposals_of(opened.exchange.log, opened.settings.hub_id)
    rows = [
        {
            "digest": one.digest.hex(),
            "version": one.version,
            "state": known.state(one),
            "position": one.position,
            "at": one.at.isoformat(),
            "by": one.by,
            "reason": one.reason,
            "instead_of": one.base_position,
        }
        for one in known.newest_first()
    ]
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    shown = table("digest", "version", "state", ">position", "at", "proposed by", "reason")
    for row in rows:
        shown.add_row(
            str(row["digest"])[:16],
            str(row["version"]),
            str(row["state"]),
            str(row["position"]),
            str(row["at"])[:19],
            str(row["by"]),
            str(row["reason"]),
        )
    console().print(shown if rows else "Nothing was proposed.")


@reported
def approve(
    digest: Annotated[str, typer.Argument(help="The proposal's digest, or its first 8 digits.")],
    officer: OfficerFile,
    home: HubHome = HUB_HOME,
    profile: Annotated[
        Path | None, typer.Option(help="The file you read: refused if it is not what was proposed.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put another officer's proposal in force, exactly as it was proposed.

    Shows first what it changes, who would receive more before all else.

    Example: nrm-hub policy approve 3f9a61c2 --officer own.key --profile our-profile.json
    """
    from hub.authority import profiles
    from hub.authority.officer_file import load
    from hub.domain.profile_changes import changes
    from hub.errors import Refused
    from hub.home import Home
    from hub.hub import Deciding

    read = profiles.named(str(profile)) if profile is not None else None
    key = load(officer)
    with Deciding.open(Home(home)) as opened:
        proposal = opened.publication.proposal(digest)
        if read is not None and digest_of(read) != proposal.digest.hex():
            raise Refused(
                0, "other_document", f"{profile} is not what was proposed; compare: policy diff"
            )
        document = json.loads(proposal.document)
        typer.echo(f"{proposal.version}, proposed by {proposal.by}: {proposal.reason}", err=True)
        tell_changes(
            changes(opened.reading.exchange.policy(), profiles.checked(document, "proposal"))
        )
        if not yes and typer.get_text_stream("stdin").isatty():
            typer.confirm("Put it in force?", abort=True, err=True)
        position = opened.publication.approve(proposal.digest.hex(), key)
    typer.echo(f"Profile {proposal.version} decides from log position {position} on.")


@reported
def history(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Every version ever in force: since when, by whom proposed and by whom approved.

    `nrm-hub audit verify` checks the signatures.

    Example: nrm-hub policy history --home hub-home
    """
    from hub.authority.publication import proposals_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as opened:
        known = proposals_of(opened.exchange.log, opened.settings.hub_id)
    rows = [
        {
            "position": one.position,
            "at": one.at.isoformat(),
            "version": one.version,
            "digest": one.digest.hex(),
            "proposed_by": one.proposal.by if one.proposal else "",
            "proposed_at": one.proposal.position if one.proposal else None,
            "approved_by": one.approved_by,
            "reason": one.proposal.reason if one.proposal else "with the hub's first start",
        }
        for one in known.versions
    ]
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    headings = (">position", "at", "version", "digest", "proposed by", "approved by", "reason")
    shown = table(*headings)
    for row in rows:
        shown.add_row(
            str(row["position"]),
            str(row["at"])[:19],
            str(row["version"]),
            str(row["digest"])[:16],
            str(row["proposed_by"]),
            str(row["approved_by"]),
            str(row["reason"]),
        )
    console().print(shown)
