"""Commands of a partner's connector: `nrm-hub connector …`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from connectors.commands.check import check
from connectors.commands.discard import discard
from connectors.commands.ending import asked_to_stop, reported
from connectors.commands.new import new
from connectors.commands.printed import console, log_to_stderr, table, visible
from connectors.commands.site import looked
from connectors.commands.site import opened as _opened
from connectors.database import cli as database_cli
from connectors.relay.cli import registry

connector = typer.Typer(
    help="Bring the hub's deliveries into this partner's own database.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="Settings of the connector: partner.toml.")]

connector.command()(check)
connector.command()(discard)
connector.command()(new)


@connector.command()
@reported
def run(
    settings: File,
    once: Annotated[
        bool, typer.Option("--once", help="Take what is there and end, do not wait for more.")
    ] = False,
    via: Annotated[
        Literal["topics", "http"] | None,
        typer.Option(help="How to reach the hub, if not as the settings say."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Serve metrics for Prometheus at HOST:PORT.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say every round.")] = False,
) -> None:
    """Run the connector until it is told to stop (SIGTERM, Ctrl-C).

    With --once --via http, whatever the topic no longer has is taken from the hub's log: after your
    database was lost, or put back from a copy.

    Example: nrm-hub connector run partner.toml
    """
    from connectors import collector
    from connectors.agency.registry_cache import RegistryCache
    from connectors.opening.ahead import Ahead, processors
    from connectors.runner import Runner
    from connectors.settings import open_inbox, open_notices

    loaded, identity, sink = _opened(settings)
    log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("connectors").setLevel(logging.INFO if verbose else logging.WARNING)
    inbox, registry = open_inbox(loaded.through(via), identity), RegistryCache(identity)
    if loaded.pace.ahead and processors() > 1:
        inbox = Ahead(inbox, identity.home, registry)
    notices = open_notices(loaded, identity)
    told: dict[str, Any] = {"notices": notices}
    server = None
    if metrics is not None:
        from connectors.telling.metrics import ConnectorMetrics, MetricsServer

        counted = ConnectorMetrics()
        told["on_progress"] = counted.progress
        server = MetricsServer(counted, metrics, inbox)
    pace = loaded.pace.pace()
    runner = Runner(inbox, sink, identity, registry, pace=pace, on_alarm=_tell, **told)
    if metrics is not None:
        counted.runner = runner
    try:
        if once:
            _run_once(runner)
        else:
            stop = asked_to_stop()
            typer.echo(f"{identity.agency}: waiting for deliveries of {identity.hub.hub}", err=True)
            collector.rest()
            runner.run(stop)
    finally:
        if server is not None:
            server.close()
        inbox.close()
        sink.close()
        if notices is not None:
            notices.close()


def _run_once(runner: Any) -> None:
    applied = quarantined = 0
    while True:
        progress = runner.run_once()
        applied += progress.applied
        quarantined += progress.quarantined
        if progress.idle:
            break
    typer.echo(f"{applied} applied, {quarantined} quarantined")
    if "sequence_gap" in runner.alarms:
        typer.secho(f"Stopped: {runner.alarms['sequence_gap'].detail}", err=True)
        raise typer.Exit(4)


def _tell(alarm: Any, raised: bool) -> None:
    from connectors.telling.alarms import ALARMS

    if raised:
        told = f"ALARM {alarm.reason}: {ALARMS[alarm.reason]} ({alarm.detail})"
        typer.secho(visible(told).replace("\n", "\n  "), err=True)
    else:
        typer.secho(f"over  {alarm.reason}", err=True)


@connector.command()
@reported
def quarantine(
    settings: File,
    all_: Annotated[
        bool, typer.Option("--all", help="Also those redriven, recalled or discarded since.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="The same as JSON, one list.")] = False,
) -> None:
    """List what could not be applied, and why.

    Example: nrm-hub connector quarantine partner.toml
    """
    from connectors.dead_letters import DISCARDS, SIDES, owner
    from connectors.delivery import REASONS
    from schemas import wire

    _, _, sink = _opened(settings)
    meanings = {**REASONS, **{wire.DISCARDED + code: text for code, text in DISCARDS.items()}}
    rows = [
        {
            "row": row.id,
            "sequence": row.sequence,
            "reason": row.reason,
            "what it means": ": ".join(filter(None, (meanings.get(row.reason), row.detail))),
            "who acts": SIDES[owner(row.reason)] if row.state == "waiting" else "nobody",
            "since": row.arrived_at.isoformat(timespec="seconds"),
            "state": row.state,
        }
        for row in looked(sink, lambda: sink.quarantine(waiting_only=not all_))
    ]
    sink.close()
    if json_:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        typer.echo("Nothing in quarantine.")
        return
    shown = table(">row", ">sequence", *list(rows[0])[2:])
    for row in rows:
        shown.add_row(*("-" if value is None else str(value) for value in row.values()))
    console().print(shown)
    typer.echo(
        f"Once the cause is removed: nrm-hub connector redrive {settings}. Never to be applied: "
        f"nrm-hub connector discard {settings} ROW --reason CODE. docs/dead-letters.md",
        err=True,
    )


@connector.command()
@reported
def redrive(
    settings: File,
    row: Annotated[int | None, typer.Option(help="Only this row of the quarantine.")] = None,
) -> None:
    """Try what is in quarantine again, after its cause was removed.

    Example: nrm-hub connector redrive partner.toml
    """
    from connectors.agency.registry_cache import RegistryCache
    from connectors.delivery import REASONS
    from connectors.opening.opener import Opener
    from connectors.redriving import redrive as drive
    from connectors.settings import open_inbox

    loaded, identity, sink = _opened(settings)
    sink.prepare()
    registry = RegistryCache(identity)
    inbox = open_inbox(loaded, identity)
    signed = inbox.registry()
    if signed is not None:
        registry.update(signed)
    inbox.close()

    def told(number: int, reason: str, detail: str) -> None:
        meaning = REASONS.get(reason, reason)
        typer.echo(visible(f"row {number} still: {reason}: {detail or meaning}"))

    opener = Opener(identity, registry)
    applied, failed = drive(sink, opener, at=datetime.now(UTC), only=row, told=told)
    typer.echo(f"{applied} applied, {failed} still in quarantine")
    typer.echo("The running connector sends the receipts.")
    sink.close()
    if failed:
        raise typer.Exit(3)


@connector.command()
@reported
def digest(
    settings: File,
    key: Annotated[Path, typer.Option(help="The key file the hub's auditor gave you.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; standard output if left out.")
    ] = None,
) -> None:
    """Tell what your tables hold, row by row, with digests in place of content.

    For an auditor, who holds them against what the hub's log says you should have. The key is
    sealed to you, so nobody who gets these lines can try out what stands in your rows. Only the
    connector's own tables are told; those a mapping file fills are yours.

    Example: nrm-hub connector digest partner.toml --key rebuilt.jsonl.key --out theirs.jsonl
    """
    from connectors.agency.comparison_key import opened
    from connectors.agency.registry_cache import RegistryCache
    from connectors.errors import SettingsError
    from connectors.sql import SqlSink
    from connectors.tables.row_digest import partner_lines

    _, identity, sink = _opened(settings)
    if not isinstance(sink, SqlSink):
        raise SettingsError("only a sink of kind sql has tables to compare")
    registry = RegistryCache(identity)

    def public_of(key_id: bytes) -> bytes | None:
        known = registry.hub_key(key_id)
        return known.public if known else None

    agency, hub = identity.agency, identity.hub.hub
    one = opened(key.read_bytes(), agency, hub, public_of, identity.sealing_keys)
    lines = partner_lines(sink, agency, hub, one.key)
    if out is None:
        stream = typer.get_binary_stream("stdout")
        for text in lines:
            stream.write(text)
    else:
        part = out.with_name(out.name + ".part")  # the file gets its name once it is whole
        with part.open("wb") as file:
            file.writelines(lines)
        part.replace(out)
        typer.echo(f"Written to {out}: give it to the auditor.", err=True)
    sink.close()


connector.command()(registry)
connector.command()(database_cli.reconcile)
connector.command()(database_cli.rebuild)
connector.command()(database_cli.ddl)
connector.command()(database_cli.status)
