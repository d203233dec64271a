"""`nrm-hub connector map`: the mapping workbench."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from connectors.commands import event_types
from connectors.commands.ending import reported
from connectors.commands.printed import one_line, visible
from hub.cli.printed import console, table, terminal

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Connection

    from connectors.database.definitions import Found
    from connectors.findings import Finding
    from connectors.mapping import Mapping
    from connectors.mapping.checking import Withheld
    from connectors.workbench.proposing import Proposal

Read = TypeVar("Read")

DIFFERS: Final = 3
ANY_ROLE: Final = "none"


def mount(connector: typer.Typer) -> None:
    connector.command("map")(map_)


@reported
def map_(
    settings: Annotated[
        Path | None, typer.Argument(help="Your partner.toml, whose database is read.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="The database, in place of a partner.toml: postgresql://…; "
            "'${NAME}' in it is filled from the environment."
        ),
    ] = None,
    db_schema: Annotated[
        str | None, typer.Option(help="Schema of your tables, where it is not the usual one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("mapping.toml"),
    check: Annotated[
        Path | None, typer.Option(help="Only check this mapping file; propose nothing.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated.")
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(*event_types.NAMES, help="Only this event type; may be repeated."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(help=f"Your role; left out, your identity's. {ANY_ROLE}: leave nothing out."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every proposal, ask nothing.")] = False,
) -> None:
    """Propose a mapping file for your tables, or check one.

    Reads the definitions of your tables, and of rows only those of small lookup tables; proposes
    which column takes which field, with a score and a reason for each, and asks about every line.
    What your role is never given is left out. A file that is there is not overwritten unasked.
    With --check, everything that is wrong with a file is told at once; exit code 3 if anything is.

    Example: nrm-hub connector map partner.toml --out mapping.toml
    """
    from connectors.errors import SettingsError
    from connectors.settings import from_environment
    from schemas.registry import Schemas

    address, mine = _place(settings, from_environment(url))
    withheld = _withheld(role or mine)
    out_ = console()
    if check is not None:
        _checked(out_, check, address, withheld)
        return
    if address is None:
        raise SettingsError("name the database: a partner.toml, or --url")
    found = _tables(address, db_schema, tables or [])
    wanted = event_types.known(events, Schemas.load().types())
    proposal = _proposed(out_, found, withheld, wanted)
    if not yes:
        proposal = _asked(proposal, withheld)
    _write(out_, proposal, found, out, yes)


def _place(settings: Path | None, url: str | None) -> tuple[str | None, str | None]:
    """The database's address, and the role of the identity if there is one."""
    from connectors.agency.identity import AgencyIdentity
    from connectors.errors import ConnectorError, SettingsError
    from connectors.settings import load_settings

    if settings is None:
        return url, None
    if url is not None:
        raise SettingsError("give a partner.toml or --url, not both")
    loaded = load_settings(settings)
    if loaded.sink.url is None:
        raise SettingsError(f"{settings}: a mapping is for a sink of kind sql")
    try:
        role = AgencyIdentity.load(loaded.home).role
    except ConnectorError:
        role = None
    return loaded.sink.url, role


def _withheld(role: str | None) -> Withheld:
    from connectors.errors import SettingsError
    from hub.cli.role_matrix import withheld_for
    from schemas import codelists

    if role in (None, ANY_ROLE):
        return lambda _schema, _category: None
    assert role is not None
    if role not in codelists.load("nrm.role").labels:
        raise SettingsError(
            f"there is no role {role!r}: {', '.join(codelists.load('nrm.role').labels)}"
        )
    return withheld_for(role)


def _read(url: str, read: Callable[[Connection], Read]) -> Read:
    from connectors.database.engines import forbidden
    from connectors.errors import SettingsError, SinkDownError
    from connectors.sql import SqlDatabase

    database = SqlDatabase(_existing(url))
    try:
        with database.reading() as db:
            return read(db)
    except SinkDownError as wrong:
        if isinstance(wrong.__context__, Exception) and forbidden(wrong.__context__):
            raise SettingsError(
                "this user may not read the definitions of your tables, or its lists of codes: "
                "give --url with one who may, such as your own; the connector's need not"
            ) from None
        raise
    finally:
        database.close()


def _tables(url: str, schema: str | None, only: list[str]) -> Found:
    from connectors.errors import SettingsError
    from connectors.workbench.lookups import read_tables

    found = _read(url, lambda db: read_tables(db, schema, only))
    if not found.tables and not only:
        others = [one for one in _read(url, _schemas) if one != schema]
        raise SettingsError(
            f"there is no table in {'schema ' + schema if schema else 'the usual schema'} that "
            "this user sees"
            + (f"; there are some in {', '.join(others)}: give --db-schema" if others else "")
        )
    if missing := [one for one in only if one not in found.tables]:
        raise SettingsError(f"the database has no table {', '.join(missing)}")
    return found


def _schemas(db: Connection) -> list[str]:
    """Those with tables that are not the connector's own."""
    import sqlalchemy as sa

    inspector = sa.inspect(db)
    return [
        schema
        for schema in inspector.get_schema_names()
        if schema not in ("information_schema", "sys", "mysql", "performance_schema")
        and any(not name.startswith("nrm_") for name in inspector.get_table_names(schema))
    ]


def _existing(url: str) -> str:
    """SQLite makes a file for any name; here nothing is made."""
    from connectors.errors import SettingsError

    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise SettingsError(f"{path}: there is no such database")
    return url


def _proposed(out: Console, found: Found, withheld: Withheld, events: list[str]) -> Proposal:
    from rich.text import Text

    from connectors.errors import SettingsError
    from connectors.workbench.proposing import propose
    from connectors.workbench.writing import source_text
    from schemas.registry import Schemas

    proposal = propose(found, Schemas.load(), withheld=withheld, events=events)
    read = ", ".join(found.looked_into) or "none"
    told = f"{len(found.tables)} tables. Rows read: of lookup tables ({read})."
    out.print(one_line(told), markup=False)
    if not proposal.tables:
        raise SettingsError(
            "no column is like a field of any event: write the file by hand (docs/mapping.md), or "
            "leave the mapping out to get default tables"
        )
    # On a terminal the table's name stands above its columns, once: eighty columns are few.
    framed = terminal()
    shown = table(*("table",) * (not framed), "column", "takes", ">score", "why")
    for one in proposal.tables:
        if framed:
            shown.add_row(Text(one.table.name, style="bold"), "", "", "")
        for line in one.lines:
            name = line.column.name
            told = line.reason.removeprefix(f"{one.table.name}.{name} ")
            told = f"{told}. {line.blocked}" if line.blocked else told
            named = (f"  {name}",) if framed else (one.table.name, name)
            shown.add_row(*named, source_text(line), f"{line.score:.2f}", told)
    out.print(shown)
    _left_out(out, proposal)
    return proposal


def _left_out(out: Console, proposal: Proposal) -> None:
    """Who looks for a column of theirs is told why it takes nothing."""
    from connectors.workbench.writing import source_text

    by_reason: dict[str, list[str]] = {}
    for table_, line in proposal.left_out:
        why = proposal.withheld[f"{line.event}.{line.choice.name}"]
        by_reason.setdefault(why, []).append(
            f"{table_.name}.{line.column.name} ({source_text(line)})"
        )
    for why, columns in by_reason.items():
        out.print(one_line(f"Left out: {why}: {', '.join(columns)}"), markup=False)


def _asked(proposal: Proposal, withheld: Withheld) -> Proposal:
    from connectors.workbench.asking import Stopped, gone_through
    from connectors.workbench.proposing import alternatives, named
    from schemas.registry import Schemas

    try:
        return gone_through(
            proposal,
            lambda text: str(typer.prompt(visible(text), default="", show_default=False)),
            lambda text: typer.echo(visible(text)),
            lambda one, line: alternatives(one.table, line.column, Schemas.load(), withheld),
            lambda one, line, text: named(one.table, line.column, text, Schemas.load(), withheld),
        )
    except Stopped:
        typer.echo("Nothing was written.")
        raise typer.Exit(0) from None


def _write(out: Console, proposal: Proposal, found: Found, path: Path, yes: bool) -> None:
    from connectors.errors import SettingsError
    from connectors.mapping import parse_mapping
    from connectors.mapping.checking import check
    from connectors.workbench.writing import statements, unused, written
    from schemas.registry import Schemas

    text = written(proposal, found.looked_into)
    for note in unused(proposal):
        out.print(one_line(f"To do: {note}"), style="yellow", markup=False)
    if run := statements(proposal):
        out.print("What the owner of these tables may run for that:")
        for statement in run:
            out.print(one_line(statement), markup=False, soft_wrap=True)
    if not text:
        raise SettingsError(
            "nothing can be used as the tables are now: see above, then run this again"
        )
    mapping = parse_mapping(text, path)
    _sample(out, mapping)
    if path.exists():
        if yes:
            raise SettingsError(f"{path} is there already: give another --out, or take it away")
        if not typer.confirm(f"{path} is there already. Overwrite it?"):
            typer.echo("Nothing was written.")
            return
    path.write_text(text, encoding="utf-8")
    out.print(f"Written to {path}.", markup=False)
    tables = {one.place: one for one in found.tables.values()}
    findings = check(path, lambda _: replace(found, tables=tables), Schemas.load())
    _tell(out, [one for one in findings if one.level == "wrong"])
    out.print("Look through it, name it in partner.toml (sink.mapping), then: connector try")


def _sample(out: Console, mapping: Mapping) -> None:
    from connectors.tables.columns import to_text
    from connectors.workbench.sample import row
    from schemas.registry import Schemas

    out.print("\nAn invented event of each type, and the row it becomes:")
    shown = table("event says", "", "column", "row gets")
    for one in mapping.maps:
        shown.add_row(one.event, "", one.table, "")
        for column, (told, got) in row(one, Schemas.load()).items():
            shown.add_row(f"  {to_text(told)}", "→", column, to_text(got))
    out.print(shown)


def _checked(out: Console, path: Path, address: str | None, withheld: Withheld) -> None:
    from connectors.mapping.checking import check
    from connectors.workbench.lookups import read_named
    from schemas.registry import Schemas

    def read(names: Iterable[str]) -> Found:
        assert address is not None
        return _read(address, lambda db: read_named(db, names))

    findings = check(path, read if address else None, Schemas.load(), withheld)
    _tell(out, findings)
    wrong = [one for one in findings if one.level == "wrong"]
    if address is None:
        out.print("The file alone was looked at: give partner.toml or --url for the tables, too.")
    if wrong:
        raise typer.Exit(DIFFERS)
    out.print("It can be used." if not findings else "It can be used; look at the warnings.")


def _tell(out: Console, findings: list[Finding]) -> None:
    for one in findings:
        mark = "!!" if one.level == "wrong" else "? "
        fix = f" → {one.fix}" if one.fix else ""
        out.print(f"{mark}  {one.subject}: {one.text}{fix}", markup=False, soft_wrap=True)
