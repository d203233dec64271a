"""`nrm-hub statistics`: tables for the national rapporteur; publishing is next door.

Whatever is printed here may be shown: true counts never reach this file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, AsOf, HubHome
from hub.cli.printed import console, table
from hub.cli.statistics_publishing import (
    PeriodName,
    Suppression,
    TableName,
    book_at,
    publish,
    said_of,
)
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.statistics.tables import Table

app = typer.Typer(
    help="Tables for the national rapporteur: aggregates, small numbers hidden.",
    no_args_is_help=True,
)


@app.command()
@reported
def tables(json_: AsJson = False) -> None:
    """The tables there are and what each counts; every cell is defined in docs/statistics.md.

    Example: nrm-hub statistics tables
    """
    from hub.statistics.tables import TABLES

    if json_:
        said = [
            {
                "table": one.name,
                "title": one.title,
                "counts": one.counts,
                "levels": [level.title for level in one.levels],
                "timing": one.timing,
                "dp": one.persons and one.closed,
            }
            for one in TABLES.values()
        ]
        typer.echo(json.dumps(said, indent=1))
        return
    shown = table("table", "title", "divided by", "what is counted")
    for one in TABLES.values():
        shown.add_row(one.name, one.title, ", ".join(x.title for x in one.levels), one.counts)
    console().print(shown)


@app.command()
@reported
def show(
    name: TableName,
    period: PeriodName,
    home: HubHome = HUB_HOME,
    as_of: AsOf = None,
    suppression: Suppression = "lt5",
    json_: AsJson = False,
) -> None:
    """A table as it could be published now, small numbers already hidden. Publishes nothing.

    Do not pass it on: only what is published is checked against everything published before.

    Example: nrm-hub statistics show funnel --period 2026-Q1 --home hub-home
    """
    from hub.audit import position_of
    from hub.home import Home
    from hub.hub import Reading
    from hub.statistics import editions

    wanted = editions.find(name)
    kind = editions.protection(suppression)
    if kind == "dp":
        raise Refused(0, "bad_suppression", "a preview with dp would spend epsilon; use lt5 or k10")
    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        asked = editions.ended(period, exchange.clock.now())
        position = position_of(exchange.log, as_of)
        book = book_at(exchange, position, quiet=json_)
        ledger = editions.Ledger.read(exchange.log)
        figures = editions.preview(exchange, ledger, wanted, asked, kind, book)
    if json_:
        said = {"table": name, "period": period, "position": position, "suppression": kind}
        typer.echo(json.dumps({**said, "published": False, "figures": figures}, indent=1))
        return
    typer.echo(f"NOT PUBLISHED. {wanted.title}, {period}, as known at log position {position}")
    _print(wanted, figures)


app.command()(publish)


@app.command()
@reported
def revisions(
    name: TableName, period: PeriodName, home: HubHome = HUB_HOME, json_: AsJson = False
) -> None:
    """A table as published then and as known now, side by side.

    "now" is what another edition could show: what has changed by a few people still reads as
    published before, marked with *.

    Example: nrm-hub statistics revisions funnel --period 2026-Q1 --home hub-home
    """
    from hub.home import Home
    from hub.hub import Reading
    from hub.statistics import editions
    from hub.statistics.rows import changes

    wanted = editions.find(name)
    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        asked = editions.ended(period, exchange.clock.now())
        ledger = editions.Ledger.read(exchange.log)
        before = ledger.of(wanted, asked)
        if not before:
            raise Refused(0, "not_published", f"{name} is not published for {period}")
        figures = before[-1].figures
        if before[-1].suppression != "dp":  # another draw of noise would spend epsilon
            book = book_at(exchange, exchange.log.head, quiet=json_)
            kind = before[-1].suppression
            figures = editions.preview(exchange, ledger, wanted, asked, kind, book)
    if json_:
        said = [{**said_of(one, "published", 0), "figures": one.figures} for one in before]
        for one in said:
            del one["news"], one["event"]
        typer.echo(json.dumps({"editions": said, "now": figures}, indent=1))
        return
    first = before[0]
    then = f"published {first.published_at:%Y-%m-%d}"
    shown = table(wanted.title, f">{then}", ">as known now", ">difference")
    for line in changes(wanted, first.figures, figures):
        shown.add_row(*line)
    console().print(shown)
    typer.echo(_MARKS)
    dates = ", ".join(f"{one.number}: {one.published_at:%Y-%m-%d}" for one in before)
    typer.echo(f"Editions: {dates}")


@app.command()
@reported
def export(
    home: HubHome = HUB_HOME,
    out: Annotated[Path, typer.Option("--out", help="Directory; made if missing.")] = Path(
        "statistics"
    ),
    period: Annotated[str | None, typer.Option("--period", help="Only this one.")] = None,
) -> None:
    """Write what was published: CSV with metadata (CSVW), charts (SVG) and pages (HTML).

    Every edition has its own files; the page of a period shows the newest. Nothing unpublished is
    written.

    Example: nrm-hub statistics export --home hub-home --out statistics
    """
    from hub.home import Home
    from hub.hub import Reading
    from hub.statistics import drawing
    from hub.statistics.editions import Ledger
    from hub.statistics.periods import Period

    if period is not None:
        Period.parse(period)
    with Reading.open(Home(home)) as reading:
        ledger = Ledger.read(reading.exchange.log)
        hub = reading.settings.hub_id
    chosen = [one for one in ledger.editions if period in (None, one.period)]
    if not chosen:
        raise Refused(0, "not_published", "nothing is published yet: nrm-hub statistics publish")
    out.mkdir(parents=True, exist_ok=True)
    files = drawing.files(hub, chosen)
    for file, text in files.items():
        (out / file).write_text(text, "utf-8")
    typer.echo(f"{len(files)} files in {out}; open {out / 'index.html'}")


_MARKS = (
    "<n: from 1 to n - 1. c: hidden, so that small numbers cannot be worked out. "
    "*: as published before. PnD: n days. Zeros below the first level are left out."
)


def _print(wanted: Table, figures: Any) -> None:
    from hub.statistics.rows import rows

    lines = [one for one in rows(wanted, figures) if one.number != 0 or one.depth < 2]
    timed = any(one.median for one in lines)
    shown = table("", ">figure", *((">median", ">9 of 10 within") if timed else ()))
    for one in lines:
        days = (one.median, one.p90) if timed else ()
        shown.add_row("  " * one.depth + one.label, one.figure, *days)
    console().print(shown)
    typer.echo(_MARKS)
