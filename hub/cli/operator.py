"""The operator's commands: status, refusals, erasure, a broker to try things with.

They work on a hub's home whether `serve` is running or not.
"""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.commands.ending import asked_to_stop, reported
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, table

subject = typer.Typer(help="A person's data as a whole.", no_args_is_help=True)
dev = typer.Typer(help="Servers to try things with; not for production.", no_args_is_help=True)


# -- what is going on --------------------------------------------------------------------------


@reported
def status(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Positions, checkpoints, refusals, and per recipient what was sent and what was answered.

    Sequences are delivery numbers, per recipient and without gap. "waiting" are deliveries the
    partner has not answered: look there first when something does not arrive.

    Example: nrm-hub status --home hub-home
    """
    from consumers.witnesses.health import SILENT, witness_health
    from hub.audit import break_glass
    from hub.home import Home
    from hub.hub import Reading
    from hub.publisher import FOLLOWER
    from hub.recording.draft import delivery_stream
    from hub.store import events as stored

    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        counts = exchange.log.counts()
        followers = counts.followers
        undecided = exchange.log.read(
            followers.get(FOLLOWER, 0), 1_000, frozenset({stored.Settled.TOPIC})
        )
        rows = [
            {
                "agency": one.agency,
                "role": one.role,
                "marked": (marked := exchange.last_version(delivery_stream(one.agency))),
                "sent": followers.get(f"sent/{one.agency}", 0),
                "acknowledged": (answered := followers.get(f"acknowledged/{one.agency}", 0)),
                "waiting": marked - answered,
            }
            for one in exchange.agencies
        ]
        profile = exchange.profile.version if exchange.profile else ""
        work, overdue = exchange.log.work.counts(exchange.clock.now())
        settings = reading.settings
        glass = break_glass(exchange)
        copies = exchange.secrets.recovery.copies()
        now = exchange.clock.now()
        witnesses = witness_health(exchange.log, reading.transparency.witnesses)
    recorded = counts.by_topic
    said = {
        "hub": settings.hub_id,
        "store": settings.store_url.partition("://")[0],
        "topics": settings.topics_url.partition("://")[0],
        "policy": profile,
        "position": counts.head,
        "checkpoint": counts.checkpoint,
        "accepted": recorded.get(stored.EventAccepted.TOPIC, 0),
        "refused": recorded.get(stored.Refused.TOPIC, 0),
        "publisher_lag": len(undecided),
        "work_open": work,
        "work_overdue": overdue,
        "recorded": dict(recorded),
        "break_glass": glass.counts(),
        "emergency_mode": [str(one.ends_on) for one in glass.emergency],
        "recovery_copies": [{"path": str(one.path), "behind": one.behind} for one in copies],
        "witnesses": [one.as_dict() for one in witnesses],
        "recipients": rows,
    }
    if json_:
        typer.echo(json.dumps(said, indent=1))
        return
    typer.echo(
        f"Hub {said['hub']}: {said['store']} store, {said['topics']} topics, policy {profile}"
    )
    typer.echo(
        f"Log position {counts.head}, {counts.checkpoint} under a signed checkpoint; "
        f"{said['accepted']} events accepted, {said['refused']} refused (nrm-hub refusals); "
        f"{len(undecided)} settled events not yet followed by the publisher"
    )
    typer.echo(f"Work list: {work} open, {overdue} of them overdue (nrm-hub work list)")
    if glass.open or glass.unreviewed:
        typer.echo(
            f"!! Break-glass: {glass.open} open, {glass.unreviewed} not reviewed, "
            f"{glass.overdue} of them overdue (nrm-hub audit breakglass)"
        )
    for one in glass.emergency:
        typer.echo(f"!! Emergency mode until {one.ends_on}, declared by {one.agency}")
    for copy in copies:
        if copy.behind != 0:
            behind = "away" if copy.behind is None else f"{copy.behind} erasures behind"
            typer.echo(f"!! Recovery key's copy {copy.path} is {behind}: docs/operations-backup.md")
    for witness in witnesses:
        when = f"{witness.at.isoformat()[:19]}, {witness.behind} behind" if witness.at else "never"
        loud = "!! " if witness.at is None or now - witness.at > SILENT else ""
        typer.echo(f"{loud}Witness {witness.name}: cosigned {witness.size} entries at {when}")
    shown = table("recipient", "role", ">marked", ">sent", ">acknowledged", ">waiting")
    for row in rows:
        shown.add_row(*(str(value) for value in row.values()))
    console().print(shown)


@reported
def refusals(
    home: HubHome = HUB_HOME,
    agency: Annotated[str | None, typer.Option(help="Only of this sender.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, newest last.")] = 50,
    json_: AsJson = False,
) -> None:
    """What was refused: sender, step, reason and what to do; never content.

    Steps and reasons: docs/admission.md.

    Example: nrm-hub refusals --home hub-home --agency SH-1
    """
    from uuid import UUID

    from hub.home import Home
    from hub.hub import Reading
    from hub.store import events as stored

    found: deque[dict[str, Any]] = deque(maxlen=last)
    with Reading.open(Home(home)) as reading:
        for one in reading.exchange.log.every(frozenset({stored.Refused.TOPIC})):
            event = one.event
            assert isinstance(event, stored.Refused)
            if agency in (None, event.agency):
                found.append(
                    {
                        "position": one.position,
                        "at": event.timestamp.isoformat(),
                        "agency": event.agency,
                        "event_id": str(UUID(bytes=event.event_id)) if event.event_id else None,
                        "step": event.step,
                        "reason": event.reason,
                        "guard": event.guard,
                        "detail": event.detail,
                    }
                )
    if json_:
        typer.echo(json.dumps(list(found), indent=1))
        return
    shown = table(">position", "at", "sender", "event", ">step", "reason", "what to do")
    for row in found:
        reason = f"{row['reason']}" + (f" ({row['guard']})" if row["guard"] else "")
        shown.add_row(
            str(row["position"]),
            row["at"][:19],
            row["agency"],
            row["event_id"] or "-",
            str(row["step"]),
            reason,
            row["detail"],
        )
    console().print(shown if found else "Nothing was refused.")


# -- persons -----------------------------------------------------------------------------------


@subject.command()
@reported
def shred(
    person: Annotated[str, typer.Argument(help="The person's common reference.")],
    home: HubHome = HUB_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy a person's secret: nothing recorded about them can be read again, ever.

    The log and all proofs still verify. Partners are told to delete by an erasure granted as an
    event (SubjectRequestDecided, action key_destroyed); this command alone tells nobody.

    Example: nrm-hub subject shred C1 --home hub-home --yes
    """
    from hub.home import Home
    from hub.hub import Deciding

    if not yes:
        typer.confirm("This cannot be undone. Destroy the person's secret?", abort=True, err=True)
    with Deciding.open(Home(home)) as opened:
        known = opened.reading.exchange.pseudonyms.canonical("subject", person)
        destroyed = opened.shredder.shred(known)
    if not destroyed:
        typer.echo("Error: nobody of this reference has a secret here; check it.", err=True)
        raise typer.Exit(1)
    typer.echo("Destroyed. Backups made before do not open for them; see: nrm-hub status")


# -- to try things -----------------------------------------------------------------------------


@dev.command()
@reported
def kafka(
    home: Annotated[Path, typer.Option("--home", help="Where the broker keeps its data.")] = Path(
        "kafka"
    ),
) -> None:
    """Run a real Kafka on this machine until Ctrl-C; fetches it if needed, Java included.

    Example: nrm-hub dev kafka --home kafka, then: nrm-hub serve --topics kafka://127.0.0.1:PORT
    """

    from hub.topics.broker import LocalBroker

    stop = asked_to_stop()
    typer.echo("Starting Kafka; the first time its jars are fetched …", err=True)
    with LocalBroker(home) as broker:
        typer.echo(f"Kafka is running: {broker.url} (Ctrl-C stops it)")
        while not stop.wait(1.0):
            if broker.pid is None:
                raise typer.Exit(1)
    typer.echo("Stopped.")
