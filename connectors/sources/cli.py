"""Commands of an agency that publishes from its own systems: `nrm-hub source …`."""

from __future__ import annotations

import csv
import json
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from connectors.commands.ending import asked_to_stop, reported
from connectors.commands.printed import console, log_to_stderr, one_line, table, visible

source = typer.Typer(
    help="Publish from this agency's own systems: outbox, tables, folder.", no_args_is_help=True
)

_PROGRESS_SECONDS = 5.0
_MARKS = {"ok": "ok", "warning": "?", "wrong": "!!"}

File = Annotated[Path, typer.Argument(help="Settings of the source: source.toml.")]


@source.command()
@reported
def run(
    settings: File,
    once: Annotated[
        bool, typer.Option("--once", help="Send what is there and end, do not wait for more.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say every round.")] = False,
) -> None:
    """Send rows to the hub and write its answers back, until told to stop (SIGTERM, Ctrl-C).

    It can be killed at any moment: the next run goes on where it was. With --once the exit status
    is 0 if nothing stands refused, 3 if something does, 1 if the hub was away.

    Example: nrm-hub source run source.toml
    """
    from connectors import collector

    loaded, identity, found = _opened(settings)
    log_to_stderr("%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("connectors").setLevel(logging.INFO if verbose else logging.WARNING)
    runner = _runner(loaded, identity, found)
    try:
        if once:
            _run_once(runner, found, settings, loaded)
            return
        stop = asked_to_stop()
        typer.echo(f"{identity.agency}: sending from {loaded.source_name}", err=True)
        collector.rest()
        runner.run(stop)
    finally:
        found.close()


def _run_once(runner: Any, found: Any, settings: Path, loaded: Any) -> None:
    import time

    from connectors.errors import TransportDownError

    found.prepare()
    accepted = refused = 0
    told = time.monotonic()
    while True:
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            typer.echo(f"{accepted} accepted, {refused} refused so far", err=True)
        progress = runner.run_once()
        accepted += progress.accepted
        refused += progress.refused
        if progress.waiting:
            why = "; ".join(runner.alarms.values())
            raise TransportDownError(f"{accepted} accepted, {refused} refused, others wait: {why}")
        if progress.idle:
            if not getattr(found, "busy", bool)():
                break
            time.sleep(0.2)
    status = found.status()
    refused += getattr(found, "unread", 0)
    typer.echo(f"{accepted} accepted, {refused} refused")
    if refused or status.refused:
        typer.echo(f"What to do: {_remedy(loaded, settings)}", err=True)
        raise typer.Exit(3)


def _remedy(loaded: Any, settings: Path) -> str:
    if loaded.kind == "folder":
        return f"the reports in {loaded.folder.path / 'refused'}"
    return f"nrm-hub source report {settings}"


@source.command()
@reported
def check(
    settings: File,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Say all that is missing, each with its fix: settings, keys, system, hub. Sends nothing.

    Exit status 1 if something is wrong, so that nothing would flow; warnings alone are 0.

    Example: nrm-hub source check source.toml
    """
    from datetime import UTC, datetime

    from connectors.checks.source import look_at_source

    found = look_at_source(settings, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    else:
        for one in found:
            typer.echo(visible(f"{_MARKS[one.level]:5} {one.subject:10} {_under(one.text)}"))
            if one.fix:
                typer.echo(visible(f"      {'':10} -> {_under(one.fix)}"))
    if any(one.level == "wrong" for one in found):
        raise typer.Exit(1)


def _under(text: str) -> str:
    """Further lines below the first."""
    return text.replace("\n", "\n" + " " * 17)


@source.command()
@reported
def status(
    settings: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """How many rows are ready, held, accepted, refused. Exit status 3 if any is refused.

    Example: nrm-hub source status source.toml
    """
    _, _, found = _opened(settings)
    found.prepare()
    told = found.status()
    found.close()
    oldest = told.oldest_ready.isoformat(timespec="seconds") if told.oldest_ready else None
    counts = {"ready": told.ready, "held": told.held, "accepted": told.accepted}
    counts["refused"] = told.refused
    if as_json:
        typer.echo(json.dumps({**counts, "oldest_ready": oldest, "notes": list(told.notes)}))
    else:
        for name, count in counts.items():
            typer.echo(f"{name:9} {count}")
        if oldest:
            typer.echo(f"oldest    {oldest}")
        for note in told.notes:
            typer.echo(f"          {one_line(note)}")
    if told.refused:
        raise typer.Exit(3)


@source.command()
@reported
def report(
    settings: File,
    last: Annotated[int, typer.Option(min=1, help="How many at most.")] = 1000,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--as", help="How it is printed.")
    ] = "table",
) -> None:
    """Rows that stand refused or held: where they are, why, and what to do. None of their content.

    Example: nrm-hub source report source.toml
    """
    loaded, _, found = _opened(settings)
    found.prepare()
    rows = [
        {
            "row": one.place,
            "outcome": one.state,
            "step": one.step,
            "reason": one.reason,
            "guard": one.guard,
            "field": one.field,
            "what to do": one.fix,
        }
        for one in found.report(last)
    ]
    found.close()
    if form == "json":
        for row in rows:
            typer.echo(json.dumps(row))
        return
    heads = ("row", "outcome", "step", "reason", "guard", "field", "what to do")
    if form == "csv":
        sheet = csv.DictWriter(sys.stdout, heads)
        sheet.writeheader()
        sheet.writerows(rows)
        return
    shown = table(*heads)
    for row in rows:
        shown.add_row(*("" if row[name] is None else str(row[name]) for name in heads))
    if rows:
        console().print(shown)
    elif loaded.kind == "folder":
        typer.echo(f"Nothing waits in a file that is read. Files read: {_remedy(loaded, settings)}")
    else:
        typer.echo("Nothing is refused or held.")


@source.command()
@reported
def retry(settings: File) -> None:
    """Offer every refused row again, after its cause was removed elsewhere.

    For a cause in the row itself, put the row right: docs/publish-outbox.md.

    Example: nrm-hub source retry source.toml
    """
    from connectors.errors import SettingsError

    loaded, _, found = _opened(settings)
    found.prepare()
    release = getattr(found, "release", None)
    if release is None or loaded.kind == "folder":
        found.close()
        raise SettingsError("nothing to release: drop the rest file into the folder again")
    typer.echo(f"{release()} rows are offered again")
    found.close()


@source.command()
@reported
def ddl(
    dialect: Annotated[
        Literal["postgresql", "mariadb", "sqlite"], typer.Argument(help="Which database.")
    ],
    name: Annotated[str, typer.Option("--table", help="Name of the table.")] = "nrm_outbox",
    example: Annotated[
        bool, typer.Option("--trigger", help="Add a trigger as an example.")
    ] = False,
    slot: Annotated[
        Path | None,
        typer.Option("--slot", help="Not the outbox: what these settings need to follow the log."),
    ] = None,
) -> None:
    """Print the statements that make the outbox table, or what following the log needs.

    Example: nrm-hub source ddl postgresql > nrm_outbox.sql
    """
    if slot is not None:
        typer.echo(_slot_ddl(dialect, slot), nl=False)
        return
    from connectors.sources.outbox.ddl import ddl as statements
    from connectors.sources.outbox.ddl import trigger

    typer.echo(statements(dialect, name), nl=False)
    if example:
        typer.echo(trigger(dialect, name), nl=False)


def _slot_ddl(dialect: str, path: Path) -> str:
    from connectors.database.engines import read_url
    from connectors.errors import SettingsError
    from connectors.sources.changes.mapping import load_changes_mapping
    from connectors.sources.settings import load_source_settings
    from connectors.sources.slot.ddl import slot_ddl

    given = load_source_settings(path).database
    if dialect != "postgresql" or given is None or given.slot is None or given.mapping is None:
        raise SettingsError(
            '--slot is for postgresql, and for settings with kind = "changes" and database.slot'
        )
    user = read_url(str(given.url), "database.url").username or "nrm_source"
    return slot_ddl(load_changes_mapping(given.mapping), given.slot, user)


def _opened(path: Path) -> tuple[Any, Any, Any]:
    from connectors.agency.identity import AgencyIdentity
    from connectors.sources.settings import load_source_settings, open_source

    settings = load_source_settings(path)
    identity = AgencyIdentity.load(settings.home)
    return settings, identity, open_source(settings, identity)


def _runner(settings: Any, identity: Any, found: Any) -> Any:
    from connectors.commands.agency import transport_of
    from connectors.sources.runner import SourceRunner
    from connectors.submit import Limits, Publisher

    limits = Limits(
        answer_seconds=settings.hub.answer_seconds, give_up_seconds=settings.hub.give_up_seconds
    )
    if settings.hub.apart:
        limits = replace(limits, batch_events=1)
    transport = transport_of(identity, settings.hub.via, settings.hub.url)
    publisher = Publisher(identity, transport, limits=limits)
    return SourceRunner(found, identity, publisher, pace=settings.source_pace(), on_alarm=_tell)


def _tell(reason: str, detail: str, raised: bool) -> None:
    from connectors.sources.runner import ALARMS

    if raised:
        told = f"ALARM {reason}: {ALARMS[reason]} ({detail})"
        typer.secho(visible(told).replace("\n", "\n  "), err=True)
    else:
        typer.secho(f"over  {reason}", err=True)
