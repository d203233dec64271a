"""The operator's commands: agencies, status, refusals, erasure, policy, a broker to try."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.agency_cli import reported

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="NRM_HUB_HOME", help="The hub's home directory.")
]
By = Annotated[str, typer.Option(help="Who decides this; recorded.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

subject = typer.Typer(help="A person's data as a whole.", no_args_is_help=True)
policy = typer.Typer(help="The policy profile in force.", no_args_is_help=True)
dev = typer.Typer(help="Servers to try things with; not for production.", no_args_is_help=True)


def mount(agency: typer.Typer) -> None:
    """Add the operator's side to the `agency` group."""
    agency.command()(approve)
    agency.command("list")(list_)
    agency.command()(revoke)
    agency.command("end-agreement")(end_agreement)


@reported
def approve(
    request: Annotated[Path, typer.Argument(help="The agency's enrolment request.")],
    home: HomeOption,
    role: Annotated[
        str | None, typer.Option(help="Role to enrol it in, if not the one it asks for.")
    ] = None,
    by: By = "operator",
    out: Annotated[Path | None, typer.Option(help="Write the approval here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="The fingerprint was compared.")] = False,
) -> None:
    """Operator: enrol the agency of a request, or renew its keys.

    Compare the fingerprint with the agency by another channel, e.g. by telephone, first.

    Example: nrm-hub agency approve sh-1-request.json --home hub-home --out sh-1-approval.json
    """
    from connectors.enrolment import verify_request
    from hub.home import Home
    from hub.hub import Hub

    asked = verify_request(request.read_bytes())
    typer.echo(f"{asked.agency} ({asked.name}) asks to take part as {role or asked.role}.")
    typer.echo(f"Fingerprint: {asked.fingerprint}")
    if not yes and out is not None and typer.get_text_stream("stdin").isatty():
        typer.confirm("Has the agency confirmed this fingerprint?", abort=True)
    opened = Hub.open(Home(home))
    try:
        document = opened.enrolment.approve(request.read_bytes(), by=by, role=role)
        opened.ensure_topics()
    finally:
        opened.stop()
    if out is None:
        typer.echo(document.decode())
    else:
        out.write_bytes(document)
        typer.echo(f"Approved. Send {out} to the agency, which runs: nrm-hub agency install {out}")


@reported
def list_(home: HomeOption, json_: AsJson = False) -> None:
    """Operator: who takes part, with keys, agreement and opaque recipient reference."""
    from hub.home import Home
    from hub.hub import Reading

    rows = []
    with Reading.open(Home(home)) as reading:
        for one in reading.exchange.agencies:
            keys = [k.key_id.hex() for k in one.keys.values() if k.valid_to is None]
            rows.append(
                {
                    "agency": one.agency,
                    "name": one.name,
                    "role": one.role,
                    "agreement": one.agreement or "",
                    "keys": keys,
                    "recipient_ref": reading.exchange.pseudonyms.recipient_ref(one.agency),
                }
            )
    if json_:
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table()
    for heading in ("agency", "name", "role", "agreement", "valid keys", "recipient"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            str(row["agency"]),
            str(row["name"]),
            str(row["role"]),
            str(row["agreement"]) or "none: receives nothing",
            "\n".join(row["keys"]) or "none: can publish nothing",
            str(row["recipient_ref"]),
        )
    Console().print(table)


@reported
def revoke(
    agency: Annotated[str, typer.Argument(help="Whose key.")],
    home: HomeOption,
    reason: Annotated[str, typer.Option(help="Why; recorded.")],
    key: Annotated[str | None, typer.Option(help="Key id (hex); without it, all keys.")] = None,
    by: By = "operator",
) -> None:
    """Operator: refuse everything signed with a key from this log position on.

    Example: nrm-hub agency revoke SH-1 --home hub-home --reason "laptop stolen"
    """
    from hub.home import Home
    from hub.hub import Hub

    opened = Hub.open(Home(home))
    try:
        wanted = bytes.fromhex(key) if key else None
        position = opened.enrolment.revoke(agency, wanted, reason=reason, by=by)
    finally:
        opened.stop()
    typer.echo(
        f"Revoked at log position {position}: nothing later is accepted, nothing earlier changes."
    )


@reported
def end_agreement(
    agency: Annotated[str, typer.Argument(help="With whom.")], home: HomeOption, by: By = "operator"
) -> None:
    """Operator: end the data-sharing agreement; the agency receives nothing from here on."""
    from hub.home import Home
    from hub.hub import Hub

    opened = Hub.open(Home(home))
    try:
        position = opened.enrolment.end_agreement(agency, by=by)
    finally:
        opened.stop()
    typer.echo(f"Ended at log position {position}.")


@reported
def status(home: HomeOption, json_: AsJson = False) -> None:
    """Positions, checkpoints, and per recipient what was sent and what was answered.

    Example: nrm-hub status --home hub-home
    """
    from hub.draft import stream_id
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        counts = reading.exchange.log.counts()
        followers = counts.followers
        rows = [
            {
                "agency": one.agency,
                "marked": reading.exchange.last_version(stream_id("deliveries", one.agency)),
                "sent": followers.get(f"sent/{one.agency}", 0),
                "acknowledged": followers.get(f"acknowledged/{one.agency}", 0),
            }
            for one in reading.exchange.agencies
        ]
    said = {
        "position": counts.head,
        "checkpoint": counts.checkpoint,
        "recorded": dict(counts.by_topic),
        "recipients": rows,
    }
    if json_:
        typer.echo(json.dumps(said, indent=1))
        return
    typer.echo(f"Log position {counts.head}, {counts.checkpoint} under a signed checkpoint.")
    table = Table(title="Recipients (delivery sequences)")
    for heading in ("agency", "marked", "sent", "acknowledged", "waiting"):
        table.add_column(heading, justify="left" if heading == "agency" else "right")
    for row in rows:
        waiting = int(row["marked"]) - int(row["acknowledged"])
        table.add_row(*(str(row[name]) for name in list(row)), str(waiting))
    Console().print(table)


@reported
def refusals(
    home: HomeOption,
    agency: Annotated[str | None, typer.Option(help="Only of this sender.")] = None,
    last: Annotated[int, typer.Option(help="How many, newest last.")] = 50,
    json_: AsJson = False,
) -> None:
    """What was refused: sender, step, reason and what to do; never content.

    Example: nrm-hub refusals --home hub-home --agency SH-1
    """
    from collections import deque

    from hub.home import Home
    from hub.hub import Reading
    from hub.store import events as stored

    found: deque[dict[str, object]] = deque(maxlen=last)
    with Reading.open(Home(home)) as reading:
        log, after = reading.exchange.log, 0
        while page := log.read(after, 5_000, frozenset({stored.Refused.TOPIC})):
            for one in page:
                event = one.event
                assert isinstance(event, stored.Refused)
                if agency in (None, event.agency):
                    found.append(
                        {
                            "position": one.position,
                            "at": event.timestamp.isoformat(),
                            "agency": event.agency,
                            "event_id": event.event_id.hex() if event.event_id else None,
                            "step": event.step,
                            "reason": event.reason,
                            "guard": event.guard,
                            "detail": event.detail,
                        }
                    )
            after = page[-1].position
    if json_:
        typer.echo(json.dumps(list(found), indent=1))
        return
    table = Table()
    for heading in ("position", "at", "agency", "step", "reason", "what to do"):
        table.add_column(heading)
    for row in found:
        reason = f"{row['reason']}" + (f" ({row['guard']})" if row["guard"] else "")
        table.add_row(
            str(row["position"]),
            str(row["at"])[:19],
            str(row["agency"]),
            str(row["step"]),
            reason,
            str(row["detail"]),
        )
    Console().print(table)


@subject.command()
@reported
def shred(
    person: Annotated[str, typer.Argument(help="The person's common reference.")],
    home: HomeOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy a person's secret: nothing recorded about them can be read again, ever.

    The log and all proofs still verify. Partners are told to delete by an erasure granted as an
    event (SubjectRequestDecided, action key_destroyed); this command alone tells nobody.

    Example: nrm-hub subject shred C1 --home hub-home
    """
    from hub.home import Home
    from hub.hub import Hub

    if not yes:
        typer.confirm("This cannot be undone. Destroy the person's secret?", abort=True)
    opened = Hub.open(Home(home))
    try:
        known = opened.exchange.pseudonyms.canonical("subject", person)
        destroyed = opened.shredder.shred(known)
    finally:
        opened.stop()
    if not destroyed:
        typer.echo("Error: nobody of this reference has a secret here; check it.", err=True)
        raise typer.Exit(1)
    typer.echo("Destroyed. Backups of the key store from before today must be destroyed too.")


@policy.command()
@reported
def show(home: HomeOption, json_: AsJson = False) -> None:
    """The release matrix in force: roles by categories.

    Example: nrm-hub policy show --home hub-home
    """
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        profile = reading.exchange.policy()
    if json_:
        typer.echo(json.dumps({r: dict(row) for r, row in profile.matrix.items()}, indent=1))
        return
    roles = list(profile.matrix)
    table = Table(title=f"Policy profile {profile.version}; modes: docs/release.md")
    table.add_column("category")
    for role in roles:
        table.add_column(role.replace("_", " "))
    categories = sorted({category for row in profile.matrix.values() for category in row})
    for category in categories:
        table.add_row(category, *(profile.mode(role, category) for role in roles))
    Console().print(table)


@dev.command()
@reported
def kafka(
    home: Annotated[Path, typer.Option(help="Where the broker keeps its data.")] = Path("kafka"),
) -> None:
    """Run a real Kafka on this machine until Ctrl-C; fetches it if needed, Java included.

    Example: nrm-hub dev kafka --home kafka, then: nrm-hub serve --topics kafka://…
    """
    import threading

    from hub.topics.broker import BrokerError, LocalBroker
    from hub.topics.jars import JarsError

    try:
        with LocalBroker(home) as broker:
            typer.echo(f"Kafka is running: {broker.url} (Ctrl-C stops it)")
            threading.Event().wait()
    except (BrokerError, JarsError) as wrong:
        typer.echo(f"Error: {wrong}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo(f"Stopped at {datetime.now(UTC):%H:%M}.")
