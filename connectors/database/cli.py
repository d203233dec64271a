"""Commands about the partner's database: `nrm-hub connector reconcile, rebuild, ddl, status`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from connectors.commands import event_types
from connectors.commands.ending import reported
from connectors.commands.printed import console, table

if TYPE_CHECKING:
    from connectors.sink import Aside, Sink

File = Annotated[Path, typer.Argument(help="Settings of the connector: partner.toml.")]
Via = Annotated[
    Literal["topics", "http"] | None,
    typer.Option(help="Where the messages are read again, if not as the settings say."),
]
Scratch = Annotated[
    Path | None,
    typer.Option(help="Folder in which the copy is made while this runs; it holds content."),
]

STALLED = 60  # seconds without anything applied, while deliveries wait


@reported
def reconcile(
    settings: File,
    repair: Annotated[bool, typer.Option("--repair", help="Make good what is found.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before repairing.")] = False,
    via: Via = None,
    scratch: Scratch = None,
) -> None:
    """Hold every row against what was delivered, and name what differs.

    The messages are read again, verified and opened, into a copy that is removed afterwards; the
    connector may run meanwhile. A topic holds only what was not acknowledged yet: --via http reads
    the hub's log. Exit status 3: something differs, and was not repaired.

    Example: nrm-hub connector reconcile partner.toml --via http
    """
    with _reconciliation(settings, via, scratch) as found:
        from connectors.reconciliation.repair import Repair

        compared = found.compare()
        _show(compared, found)
        at = datetime.now(UTC)
        wanted = repair and not compared.equal
        if not wanted or not (yes or typer.confirm("Write these rows as they were delivered?")):
            found.log(compared, at)
            raise typer.Exit(0 if compared.equal else 3)
        counted = Repair(found).run(at, compared.rows)
        from connectors.reconciliation.log import OUTCOMES

        for outcome, count in sorted(counted.items()):
            typer.echo(f"{count} {outcome}: {OUTCOMES[outcome]}")
        typer.echo("Logged in nrm_reconciliation; the running connector tells the hub.")
        if set(counted) - {"repaired"}:
            raise typer.Exit(3)


@reported
def rebuild(
    settings: File,
    into: Annotated[
        str | None,
        typer.Option(
            help="Database URL of an empty database to keep the copy in; '${NAME}' in it is filled "
            "from the environment."
        ),
    ] = None,
    via: Via = None,
    scratch: Scratch = None,
) -> None:
    """Build the tables anew from the messages, elsewhere, and compare: are they equal?

    Without --into the copy is removed again. The partner's database is only read. Exit status 3:
    they are not equal.

    Example: nrm-hub connector rebuild partner.toml --into sqlite:///copy.db --via http
    """
    from connectors.settings import from_environment

    with _reconciliation(settings, via, scratch, from_environment(into)) as found:
        compared = found.compare()
        _show(compared, found)
        if into is not None:
            typer.echo(f"The copy is kept, as of delivery {found.copy.position().sequence}.")
        if not compared.equal:
            raise typer.Exit(3)


@reported
def ddl(
    settings: Annotated[
        Path | None, typer.Argument(help="Settings of the connector: partner.toml.")
    ] = None,
    dialect: Annotated[
        Literal["postgresql", "mariadb", "sqlite"] | None,
        typer.Option(help="Of which database, when there are no settings yet."),
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(*event_types.NAMES, help="Only this event type; may be repeated."),
    ] = None,
    user: Annotated[str, typer.Option(help="The connector's user, for the GRANTs.")] = "nrm",
    database: Annotated[str, typer.Option(help="MariaDB: the database's name.")] = "casework",
    db_schema: Annotated[
        str | None,
        typer.Option(
            "--db-schema",
            "--schema",
            help="PostgreSQL: schema of the connector's tables, as sink.db_schema has it.",
        ),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="The other way: what takes all of it away again.")
    ] = False,
) -> None:
    """Print the tables and the rights a connector needs, for a DBA who lets no program make them.

    CREATE TABLEs of the books and default tables, then GRANTs for one user. Nothing is connected
    to. With settings, tables of the mapping file are among the GRANTs. With --drop the statements
    that take all of it away again, for good; your own tables stay (docs/connector-operations.md).

    Example: nrm-hub connector ddl --dialect postgresql --user nrm
    """
    from connectors.database.ddl import created
    from connectors.database.rights import grants, used, withdrawn
    from connectors.errors import SettingsError
    from connectors.sql import SqlSink

    if settings is not None:
        from connectors.mapping import load_mapping
        from connectors.settings import load_settings

        given = load_settings(settings).sink
        if given.kind != "sql" or given.url is None:
            raise SettingsError("only a sink of kind sql has tables")
        mapping = load_mapping(given.mapping) if given.mapping else None
        sink = SqlSink(given.url, "", "", mapping=mapping, db_schema=given.db_schema or db_schema)
        database = sink.database.url.database or database
    elif dialect is not None:
        url = {"sqlite": "sqlite:////nowhere/x.db"}.get(
            dialect, f"{dialect}://localhost/{database}"
        )
        sink, mapping = SqlSink(url, "", "", db_schema=db_schema), None
    else:
        raise SettingsError("name partner.toml, or --dialect postgresql, mariadb or sqlite")
    kinds = sink.tables.kinds()
    wanted = event_types.known(events, kinds) or kinds
    tables = [*sink.own_tables(), *(sink.tables.whole_layout(kind).table for kind in wanted)]
    sql = sink.database.engine.dialect
    named = used(mapping.maps) if mapping else []
    if drop:
        for made in reversed(tables):
            name = sql.identifier_preparer.format_table(made)
            typer.echo(f"DROP TABLE IF EXISTS {name};")
        for statement in withdrawn(sql, tables, named, user, database):
            typer.echo(f"{statement};")
    else:
        for made in tables:
            for statement in created(made, sql):
                typer.echo(f"{statement};")
            typer.echo()
        for statement in grants(sql, tables, named, user, database):
            typer.echo(f"{statement};")
    sink.close()


@reported
def status(
    settings: File,
    json_: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """How far this connector is: position, deliveries behind, quarantine, receipts, last success.

    Looks at the partner's books and asks the hub how far it is; the connector may run meanwhile.
    Exit status 3: something waits in quarantine, or deliveries wait and none was applied lately.

    Example: nrm-hub connector status partner.toml
    """
    from connectors.agency.identity import AgencyIdentity
    from connectors.commands.site import looked
    from connectors.errors import TransportDownError
    from connectors.settings import load_settings, open_inbox, open_sink
    from connectors.telling.lag import Newest

    loaded = load_settings(settings)
    identity = AgencyIdentity.load(loaded.home)
    sink = open_sink(loaded, identity)
    position, rows, owed, when = looked(sink, lambda: _books(sink))
    waiting = sum(row.state == "waiting" and row.sequence is not None for row in rows)
    since = None
    if when is not None:
        since = (datetime.now(UTC) - when).total_seconds()
    behind, away = None, ""
    try:
        inbox = open_inbox(loaded, identity)
        if isinstance(inbox, Newest):
            behind = inbox.newest(position) - position
        inbox.close()
    except TransportDownError as down:
        away = str(down)
    sink.close()
    applied = None if when is None else when.isoformat(timespec="seconds")
    if json_:
        told = {"agency": identity.agency, "hub": identity.hub.hub, "position": position}
        told |= {"last_applied": applied, "behind": behind, "hub_away": away or None}
        typer.echo(json.dumps({**told, "quarantine": waiting, "receipts_owed": owed}))
    else:
        typer.echo(f"position    delivery {position} of {identity.hub.hub} to {identity.agency}")
        if since is not None:
            typer.echo(f"applied     last {applied}, {since:.0f} s ago")
        if behind is not None or away:
            told_behind = f"not known: {away}" if away else f"{behind} deliveries"
            typer.echo(f"behind      {told_behind}")
        named = f": nrm-hub connector quarantine {settings}" if waiting else ""
        typer.echo(f"quarantine  {waiting} waiting{named}")
        typer.echo(f"receipts    {owed} not with the hub yet")
    if waiting or (behind and (since is None or since > STALLED)):
        raise typer.Exit(3)


def _books(sink: Sink) -> tuple[int, list[Aside], int, datetime | None]:
    """Last sequence, what is aside, how many receipts are owed, and when something was applied."""
    from connectors.landing import LandingSink

    last = sink.last_success() if isinstance(sink, LandingSink) else None
    return sink.position().sequence, sink.aside(), len(sink.owed(1_000)), last


@contextmanager
def _reconciliation(
    path: Path,
    via: Literal["topics", "http"] | None,
    scratch: Path | None,
    into: str | None = None,
) -> Iterator[Any]:
    from connectors.agency.identity import AgencyIdentity
    from connectors.errors import SettingsError
    from connectors.mapping import load_mapping
    from connectors.reconciliation.reconcile import Reconciliation
    from connectors.settings import load_settings, open_inbox, open_sink
    from connectors.sink import RecallPolicy
    from connectors.sql import SqlSink

    settings = load_settings(path)
    identity = AgencyIdentity.load(settings.home)
    sink = open_sink(settings, identity)
    if not isinstance(sink, SqlSink):
        raise SettingsError("only a sink of kind sql has tables to compare")
    inbox = open_inbox(settings.through(via), identity)
    with tempfile.TemporaryDirectory(prefix="nrm-copy-", dir=scratch) as folder:
        try:
            sink.prepare()
            found = Reconciliation(
                sink,
                inbox,
                identity,
                Path(folder),
                mapping=load_mapping(settings.sink.mapping) if settings.sink.mapping else None,
                recalls=RecallPolicy(settings.recalls.prefer, settings.recalls.own_basis),
                copy_url=into,
            )
            try:
                yield found
            finally:
                found.close()
        finally:
            inbox.close()
            sink.close()


def _show(compared: Any, found: Any) -> None:
    from connectors.reconciliation.compared import CAUSES

    shown = table("table", "row", "cause", "columns")
    for page in found.differences.pages():
        for one in page:
            shown.add_row(one.table, one.ref, one.cause, ", ".join(one.columns))
    if shown.row_count:
        console().print(shown)
    for cause, count in sorted(compared.causes.items()):
        typer.echo(f"{count} {cause}: {CAUSES[cause]}")
    kept = f"; {compared.kept} kept on an own basis, not compared" if compared.kept else ""
    verdict = "Equal" if compared.equal else "Not equal"
    typer.echo(f"{verdict}: {compared.rows} rows as of delivery {compared.sequence}{kept}")
