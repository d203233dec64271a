"""Commands for an agency: its identity, and publishing events.

`agency` is a group of commands, `publish` one command; `nrm-hub` mounts both.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from connectors.commands.ending import reported
from connectors.commands.printed import console, table

HOME = typer.Option("--home", help="The identity's directory.", envvar="NRM_AGENCY_HOME")
DEFAULT_HOME = Path("agency")

agency = typer.Typer(
    help="This agency's identity: keys, and the hub it trusts.", no_args_is_help=True
)


@agency.command()
@reported
def init(
    agency: Annotated[str, typer.Argument(help="Identifier, e.g. SH-1.")],
    name: Annotated[str, typer.Option(help="Public name.")],
    role: Annotated[str, typer.Option(help="Role, e.g. shelter, police, ngo_support.")],
    home: Annotated[Path, HOME] = DEFAULT_HOME,
) -> None:
    """Make an identity with fresh keys.

    Example: nrm-hub agency init SH-1 --name "Shelter North" --role shelter --home sh-1
    """
    from connectors.agency.identity import AgencyIdentity
    from schemas import codelists

    identity = AgencyIdentity.create(home, agency, name, role)
    typer.echo(f"Made {identity.home}. Back up its *.key files; without them nothing opens.")
    roles = codelists.load("nrm.role").labels
    if role not in roles:
        near = get_close_matches(role, roles, 1)
        typer.secho(
            f"{role!r} is no role of the usual policy profile"
            + (f" (did you mean {near[0]!r}?)" if near else "")
            + "; ask the hub's operator whether theirs has it, or remove the directory and make it "
            f"again. Usual are: {', '.join(sorted(set(roles) - {'hub'}))}",
            err=True,
            fg=typer.colors.YELLOW,
        )
    named = "" if home == DEFAULT_HOME else f" --home {home}"
    typer.echo(f"Next: nrm-hub agency request{named} --out request.json")


@agency.command()
@reported
def request(
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    out: Annotated[
        Path | None, typer.Option(help="Write it here instead of to the terminal.")
    ] = None,
) -> None:
    """Write the enrolment request for the hub's operator.

    Example: nrm-hub agency request --home sh-1 --out sh-1-request.json
    """
    from connectors.agency.enrolment import verify_request
    from connectors.agency.identity import AgencyIdentity

    document = AgencyIdentity.load(home).enrolment_request()
    _hand_out(document, out, verify_request(document).fingerprint)


@agency.command()
@reported
def rotate(
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    out: Annotated[
        Path | None, typer.Option(help="Write it here instead of to the terminal.")
    ] = None,
) -> None:
    """Make new keys and write the request for them; the old ones serve until the answer.

    Example: nrm-hub agency rotate --home sh-1 --out sh-1-renewal.json
    """
    from connectors.agency.enrolment import verify_request
    from connectors.agency.identity import AgencyIdentity

    document = AgencyIdentity.load(home).rotate()
    _hand_out(document, out, verify_request(document).fingerprint)


@agency.command()
@reported
def install(
    approval: Annotated[Path, typer.Argument(help="The hub's answer.", exists=True)],
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    fingerprint: Annotated[
        str | None, typer.Option(help="Of the hub's key, as its operator told you.")
    ] = None,
) -> None:
    """Install the hub's approval; finishes an enrolment or a rotation.

    Example: nrm-hub agency install sh-1-approval.json --home sh-1
    """
    from connectors.agency.identity import AgencyIdentity

    identity = AgencyIdentity.load(home)
    first = not identity.enrolled
    installed = identity.install_approval(approval.read_bytes(), fingerprint=fingerprint)
    typer.echo(f"{identity.agency} is enrolled with hub {installed.hub} as {installed.role}.")
    if first and fingerprint is None:
        typer.secho(
            f"The hub's key has fingerprint {installed.fingerprint}. Ask its operator, by another "
            "channel, whether that is right before you send anything.",
            fg=typer.colors.YELLOW,
        )


@agency.command()
@reported
def show(home: Annotated[Path, HOME] = DEFAULT_HOME) -> None:
    """Say who this is and which hub it trusts. Nothing secret is shown.

    Example: nrm-hub agency show --home sh-1
    """
    from connectors.agency.enrolment import fingerprint
    from connectors.agency.identity import AgencyIdentity

    identity = AgencyIdentity.load(home)
    typer.echo(f"agency       {identity.agency}  ({identity.role}, {identity.name})")
    typer.echo(f"signing key  {identity.signing.key_id.hex()}")
    typer.echo(f"sealing key  {identity.sealing.key_id.hex()}")
    if not identity.enrolled:
        typer.echo("hub          none yet: nrm-hub agency request")
        return
    typer.echo(f"hub          {identity.hub.hub}")
    for key in identity.hub.keys.values():
        typer.echo(f"hub key      {fingerprint(key.public)}")
    typer.echo(f"topics       {identity.hub.topics_url or '-'}")
    typer.echo(f"http         {identity.hub.http_url or '-'}")


def _hand_out(document: bytes, out: Path | None, told: str) -> None:
    if out is None:
        typer.echo(document.decode(), nl=False)
    else:
        out.write_bytes(document)
        typer.echo(f"Wrote {out}: send it to the hub's operator.", err=True)
    typer.echo(f"Its fingerprint, to tell by another channel: {told}", err=True)


@reported
def publish(
    file: Annotated[Path, typer.Argument(help="Events: .json (one or a list) or .jsonl.")],
    home: Annotated[Path, HOME] = DEFAULT_HOME,
    via: Annotated[
        Literal["topics", "http"], typer.Option(help="How to reach the hub.")
    ] = "topics",
    url: Annotated[
        str | None, typer.Option(help="Address; what the approval says, if left out.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the hub's answer.")] = 120.0,
    group: Annotated[
        Path | None,
        typer.Option(help="A CSV of people, one row each: FILE is a template with {column}."),
    ] = None,
    apart: Annotated[
        bool,
        typer.Option(
            "--apart", help="Sign every event alone: nobody can tell how many were published."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
) -> None:
    """Publish the events of a file and print the hub's answer to each.

    Exit status 0 if all were accepted, 3 if any was refused. Publishing the same file again is
    safe: the hub gives the same answers. With --group every row of a CSV file gets events of its
    own, and GROUP.refused.csv lists whoever had one refused; docs/groups.md shows a template.

    Example: nrm-hub publish case.json --home ngo-1
    Example: nrm-hub publish referral.json --group workers.csv --home union-1
    """
    from connectors.agency.identity import AgencyIdentity
    from connectors.commands.documents import forget, is_kept, read_events
    from connectors.commands.group import Group
    from connectors.errors import InvalidEventError
    from connectors.submit import Limits, Publisher

    identity = AgencyIdentity.load(home)
    people = Group(file, group, datetime.now(UTC)) if group else None
    fresh = people is None and not is_kept(file)
    events = people.events() if people else read_events(file)
    transport = transport_of(identity, via, url)
    limits = Limits(give_up_seconds=wait, answer_seconds=min(wait, Limits().answer_seconds))
    if apart:
        limits = replace(limits, batch_events=1)
    with Console(stderr=True).status(f"Publishing {len(events)} events"):
        try:
            outcomes = Publisher(identity, transport, limits=limits).publish(events)
        except InvalidEventError:  # all are checked before the first is sent
            if fresh:
                forget(file)
            raise
    rows = [
        {**_row(event.type, outcome), "case": event.case}
        for event, outcome in zip(events, outcomes, strict=True)
    ]
    told = people.told(outcomes) if people else []
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    elif people:
        _print_group(told, people.refused_at)
    else:
        shown = table("event", "id", "outcome", "what to do")
        for row in rows:
            shown.add_row(row["type"], row["event_id"], _said(row), _next(row))
        console().print(shown)
    if not all(outcome.accepted for outcome in outcomes):
        raise typer.Exit(3)


def _print_group(told: list[Any], refused_at: Path) -> None:
    """One line per person; what was refused, and where it is listed."""
    shown = table("case", "accepted", "refused", "why")
    failed = 0
    for member, answers in told:
        refused = [answer for answer in answers if not answer.accepted]
        failed += bool(refused)
        why = ", ".join(dict.fromkeys(str(answer.reason) for answer in refused))
        shown.add_row(member.case, str(len(answers) - len(refused)), str(len(refused) or ""), why)
    console().print(shown)
    typer.echo(f"{len(told)} people, {len(told) - failed} with everything accepted.")
    if failed:
        typer.echo(f"{failed} with something refused: {refused_at}. Put right, then run it again.")


def _row(event_type: str, outcome: Any) -> dict[str, Any]:
    return {
        "type": event_type,
        "event_id": str(outcome.event_id),
        "accepted": outcome.accepted,
        "position": outcome.position,
        "step": outcome.step,
        "reason": outcome.reason,
        "guard": outcome.guard,
        "detail": outcome.detail,
        "in_flight": [
            {"recipient": one.recipient, "event_ref": one.event_ref, "categories": one.categories}
            for one in outcome.in_flight
        ],
        "in_flight_more": outcome.in_flight_more,
    }


def _next(row: dict[str, Any]) -> str:
    """What to do; of a withdrawal, what was on its way already and is called back."""
    sent = sorted({one["recipient"] for one in row["in_flight"]})
    if not sent:
        return row["detail"] or ""
    count = len(row["in_flight"]) + row["in_flight_more"]
    return f"{count} already sent to {', '.join(sent)}: called back; tell the person"


def _said(row: dict[str, Any]) -> str:
    if row["accepted"]:
        return f"accepted at {row['position']}"
    guard = f" ({row['guard']})" if row["guard"] else ""
    return f"refused at step {row['step']}: {row['reason']}{guard}"


def transport_of(identity: Any, via: str, url: str | None) -> Any:
    """How this identity reaches its hub. SettingsError if no address is known."""
    from connectors.agency.http_auth import signed_requests
    from connectors.agency.transport import HttpTransport, TopicTransport
    from connectors.errors import SettingsError
    from hub.topics import TopicError, open_topics

    address = url or (identity.hub.http_url if via == "http" else identity.hub.topics_url)
    if address is None:
        raise SettingsError(f"the approval names no address for {via}: give one with --url")
    if via == "http":
        return HttpTransport(address, signed_requests(identity))
    try:
        return TopicTransport(open_topics(address), identity)
    except TopicError as wrong:
        raise SettingsError(str(wrong)) from None
