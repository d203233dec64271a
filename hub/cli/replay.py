"""`nrm-hub audit replay`: a case, a partner's tables or the whole hub, as of any position or time;
`nrm-hub audit compare`: a partner's own tables held against them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.options import HUB_HOME, AsJson, AsOf, HubHome
from hub.cli.printed import console, lines, progress, table

if TYPE_CHECKING:
    from hub.audit import Entry

DIVERGED = 3  # exit code: a difference was found

CaseMaybe = Annotated[
    str | None, typer.Option("--case", help="A case, by its common reference, e.g. C1.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="File to write (JSON Lines); the same command goes on with it."),
]


def mount(app: typer.Typer) -> None:
    app.command()(replay)
    app.command()(compare)


def replay(
    home: HubHome = HUB_HOME,
    case: CaseMaybe = None,
    agency: Annotated[
        str | None, typer.Option(help="A partner's tables, as rows with digests for content.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="Only this table; may be repeated.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything there is in the hub.")] = False,
    as_of: AsOf = None,
    out: Out = None,
    json_: AsJson = False,
) -> None:
    """Replay a case, a partner's tables or the whole hub from the log, as of a position or time.

    A case is printed. The other two go to the file --out names; killed, the same command goes on.
    No content is written: a partner's rows hold digests under a key sealed to the partner, in
    FILE.key, which `connector digest` takes.

    Example: nrm-hub audit replay --home hub-home --case C1 --as-of 2026-03-16
    """
    if sum((case is not None, agency is not None, all_)) != 1:
        raise typer.BadParameter("give one of --case, --agency and --all")
    if case is not None:
        _case(home, case, as_of, json_)
    elif out is None:
        raise typer.BadParameter("name the file to write", param_hint="--out")
    elif agency is not None:
        _tables(home, agency, frozenset(tables or ()), as_of, out)
    else:
        _whole(home, as_of, out)


# -- a case ----------------------------------------------------------------------------------


def _case(home: Path, case: str, as_of: str | None, json_: bool) -> None:
    from hub.audit import replay_case
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        entries = replay_case(reading.exchange, case, as_of)
    if json_:
        typer.echo(json.dumps([asdict(entry) for entry in entries], indent=1))
        return
    title = f"Case {case}" + (f" as of {as_of}" if as_of else "")
    headings = (">position", "recorded", "event", "released", "withheld", "then")
    shown = table(*headings, title=title, lines=True)
    for entry in entries:
        shown.add_row(*_row(entry))
    console().print(shown)


def _row(entry: Entry) -> tuple[str, ...]:
    erased = " (erased)" if entry.erased else ""
    loud = f"!! {entry.loud.upper()}" if entry.loud else ""
    released = [
        f"{agency}: " + ", ".join(f"{c} ({b})" for c, b in sorted(bases.items()))
        for agency, bases in sorted(entry.released.items())
    ]
    withheld = [
        f"{agency}: " + ", ".join(f"{c} ({r[0]})" for c, r in sorted(reasons.items()))
        for agency, reasons in sorted(entry.withheld.items())
    ]
    after = [
        f"!! through break-glass to {agency}: {sum(map(len, events.values()))} items"
        for agency, events in sorted(entry.through.items())
    ]
    after += [f"recall to {recall['to']}" for recall in entry.recalls]
    after += [
        f"{agency} also gets {len(events)} earlier event{'s' if len(events) > 1 else ''}"
        for agency, events in entry.backfill.items()
    ]
    after += [
        f"held back from {held['agency']}: {sum(map(len, held['items'].values()))} items"
        for held in entry.held_back
        if held["items"]
    ]
    return (
        str(entry.position),
        entry.recorded_at[:19],
        lines(loud, f"{entry.type}{erased}", f"by {entry.agency}", entry.event_id),
        lines(*released),
        lines(*withheld),
        lines(*after),
    )


# -- a partner's tables ----------------------------------------------------------------------


def _tables(home: Path, agency: str, tables: frozenset[str], as_of: str | None, out: Path) -> None:
    from connectors.agency.comparison_key import ComparisonKey, sealed
    from hub.audit.delivered import Delivered
    from hub.audit.output import Asked, Output
    from hub.audit.partner_tables import PartnerTables
    from hub.audit.replay import position_of
    from hub.home import Home
    from hub.hub import Reading

    place = Home(home)
    with Reading.open(place) as reading, progress() as bar:
        exchange, hub = reading.exchange, reading.settings.hub_id
        end = position_of(exchange.log, as_of) if as_of else 0
        filters = {"agency": agency, "tables": sorted(tables)}
        asked = Asked("partner tables", hub, end, filters)
        with Output(out, exchange.log, asked) as output:
            spool = _spool(out, output.resumed)
            with Delivered(spool, exchange.log, output.end, agency) as delivered:
                rebuilt = PartnerTables(exchange, hub, agency, delivered)
                task = bar.add_task("reading the log", total=max(output.end, 1))
                for reached in delivered.read():
                    bar.update(task, completed=reached)
                task = bar.add_task("cases", total=None)
                for done in rebuilt.make():
                    bar.update(task, completed=done)
                rows = -1
                for text in rebuilt.lines(tables):
                    output.write_line(text)
                    rows += 1
                sequence, key = rebuilt.sequence, rebuilt.key
            known = exchange.agencies.get(agency)
            assert known is not None
            one = ComparisonKey(agency, hub, sequence, key)
            key_file = out.with_name(out.name + ".key")
            key_file.write_bytes(sealed(one, known.sealing_public, place.keys().signing))
            digest = output.finish()
        _remove(spool)
    typer.echo(
        f"{rows} rows of {agency} as of position {output.end}, after delivery {sequence}\n"
        f"sha256 {digest}\n"
        f"For the partner: nrm-hub connector digest partner.toml --key {key_file.name}"
    )


def compare(
    ours: Annotated[Path, typer.Argument(help="Made by `audit replay --agency`.")],
    theirs: Annotated[Path, typer.Argument(help="Made by the partner, `connector digest`.")],
    json_: AsJson = False,
) -> None:
    """Hold a partner's own tables against those rebuilt from the log. Exit code 3: they differ.

    Example: nrm-hub audit compare rebuilt.jsonl theirs.jsonl
    """
    from hub.audit.compare_rows import compare as compared

    count = 0
    for one in compared(ours, theirs):
        count += 1
        if json_:
            typer.echo(json.dumps(asdict(one)))
        else:
            what = f"{one.what}: {', '.join(one.columns)}" if one.columns else one.what
            typer.echo(f"{one.table} {one.row}: {what}")
    if not json_:
        typer.echo(f"{count} rows differ." if count else "The partner holds what the log says.")
    if count:
        raise typer.Exit(DIVERGED)


# -- the whole hub ---------------------------------------------------------------------------


def _whole(home: Path, as_of: str | None, out: Path) -> None:
    from hub.audit.output import Asked, Output
    from hub.audit.replay import position_of
    from hub.audit.whole import Whole
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading, progress() as bar:
        log = reading.exchange.log
        end = position_of(log, as_of) if as_of else 0
        with Output(out, log, Asked("whole", reading.settings.hub_id, end)) as output:
            spool = _spool(out, output.resumed)
            whole = Whole(reading.exchange, output)
            tasks = {}
            for phase, done, of in whole.make(spool):
                if phase not in tasks:
                    tasks[phase] = bar.add_task(phase, total=max(of, 1))
                bar.update(tasks[phase], completed=done)
            digest = output.finish()
        _remove(spool)
    typer.echo(f"{whole.cases} cases as of position {output.end}\nsha256 {digest}")


def _spool(out: Path, resumed: bool) -> Path:
    """The file of metadata beside the output: gone on with, or begun anew."""
    spool = out.with_name(out.name + ".spool")
    if not resumed:
        _remove(spool)
    return spool


def _remove(spool: Path) -> None:
    for path in spool.parent.glob(f"{spool.name}*"):
        path.unlink()
