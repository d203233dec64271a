"""`nrm-hub person`: what whoever answers to the person can tell and hand out.

Statement, requests, export; feedback is in `feedback.py`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hub.cli import feedback
from hub.cli.options import HUB_HOME, AsJson, CaseRef, DecidedBy, HubHome
from hub.cli.printed import console, lines, progress, table
from hub.errors import NotReady

if TYPE_CHECKING:
    from hub.person.reading import Tell

app = typer.Typer(
    help="What the person may know and ask: statement, requests, export, feedback.",
    no_args_is_help=True,
)


@app.command()
def statement(
    case: CaseRef,
    lang: Annotated[str, typer.Option(help="en, fr, ro or uk.")] = "en",
    format_: Annotated[
        Literal["html", "pdf"], typer.Option("--format", help="A page, or a document to print.")
    ] = "html",
    out: Annotated[
        Path | None, typer.Option(help="Write it here; HTML goes to the terminal without.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(help="Whom to ask, in the person's language, e.g. a helpline.")
    ] = None,
    discreet: Annotated[
        bool, typer.Option("--discreet", help="A neutral title, and no agency's name.")
    ] = False,
    complaints: Annotated[
        bool,
        typer.Option(
            "--complaints", help="Show feedback and complaints: never where others may read it."
        ),
    ] = False,
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Tell a person in plain words who received what about them, when, why, and what came back.

    Made from metadata: it holds no content, no name and no address. Feedback and complaints are
    left out, because somebody they are about may read it. docs/person.md.

    Example: nrm-hub person statement --home hub-home --case C1 --lang uk --format pdf --out c1.pdf
    """
    from hub.home import Home
    from hub.hub import Reading
    from hub.person.document import document
    from hub.person.reading import read
    from hub.person.wording import Wording

    wording = Wording.load(lang)
    if out is not None:
        _in_a_folder(out)
    if format_ == "pdf" and out is None and not json_:
        raise NotReady("a PDF needs a file to go to: --out FILE")
    with Reading.open(Home(home)) as reading, _watched("reading", json_) as tell:
        found = read(reading.exchange, case, complaints=complaints, tell=tell)
    if json_:
        made = document(found.account, found.agencies, reference=case, made_at=found.now)
        _hand_out((json.dumps(made, indent=1) + "\n").encode(), out)
        return
    from hub.person import pages
    from hub.person.statement import statement as written

    page = written(
        found.account,
        found.agencies,
        wording,
        reference=case,
        made_on=found.now.date(),
        contact=contact,
        discreet=discreet,
        complaints=complaints,
    )
    _hand_out(pages.pdf(page) if format_ == "pdf" else pages.html(page), out)
    for missing in sorted(wording.missing):
        typer.echo(f"No plain words in {lang} for {missing}: shown as it is.", err=True)


@app.command("requests")
def requests_(
    case: CaseRef,
    open_: Annotated[bool, typer.Option("--open", help="Only those without an answer.")] = False,
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """A person's data-protection requests: what for, due when, answered or overdue.

    Due on the day stated, at the latest a month after it was received; with an extension (the
    same request received again with a later day) at most three.

    Example: nrm-hub person requests --home hub-home --case C1 --open
    """
    from hub.home import Home
    from hub.hub import Reading
    from hub.person.document import request_document
    from hub.person.reading import read

    with Reading.open(Home(home)) as reading:
        found = read(reading.exchange, case)
    today = found.now.date()
    shown = [one for one in found.account.requests if one.open or not open_]
    if json_:
        typer.echo(json.dumps([request_document(one, today) for one in shown], indent=1))
        return
    if not shown:
        typer.echo("No request is waiting." if open_ else "No request is on record.")
        return
    rows = table("request", "right", "received", "by", "due", "state", "answer")
    for one in shown:
        rows.add_row(
            one.request_id,
            one.right or "(not on record)",
            one.received_at.date().isoformat() if one.received_at else "-",
            one.received_by or "-",
            f"{one.due_on or '-'}{' (extended)' if one.extended else ''}",
            one.state(today),
            _answer(one.outcome, one.exemption, one.action),
        )
    console().print(rows)


def _answer(outcome: str, exemption: str, action: str) -> str:
    told = [part for part in (exemption, action) if part != "none"]
    return lines(f"{outcome}{': ' if told else ''}{', '.join(told)}") if outcome else "-"


@app.command()
def export(
    case: CaseRef,
    request: Annotated[str, typer.Option(help="The granted request it answers.")],
    out: Annotated[Path, typer.Option(help="A new file; only its owner may read it.")],
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", help="A category a partial grant excludes; repeat it."),
    ] = None,
    by: DecidedBy = "operator",
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """All the hub holds about a person, content included, for a granted request; recorded.

    Needs a request for access or portability that an agency of the case granted within the last
    month. The file holds everything: hand it over safely and delete it here.

    Example: nrm-hub person export --home hub-home --case C1 --request q1 --out c1-data.json
    """
    from connectors.agency.identity import write_whole
    from hub.home import Home
    from hub.hub import Hub
    from hub.person.export import export as made_for

    if out.exists():
        raise NotReady(f"{out} exists already; name a new file")
    _in_a_folder(out)
    hub = Hub.open(Home(home))
    try:
        with _watched("reading", json_) as tell:
            made = made_for(
                hub.exchange, case, request, by=by, leave_out=leave_out or (), tell=tell
            )
    finally:
        hub.stop()
    write_whole(out, made.content)
    if json_:
        told = {"events": made.events, "position": made.position, "sha256": made.digest.hex()}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"Wrote {made.events} events to {out}, recorded at position {made.position}.")
    typer.echo(f"SHA-256 {made.digest.hex()}")


def _in_a_folder(out: Path) -> None:
    if not out.absolute().parent.is_dir():
        raise NotReady(f"{out.parent} is not a folder; make it first")


def _hand_out(made: bytes, out: Path | None) -> None:
    from connectors.agency.identity import write_whole

    if out is None:
        sys.stdout.write(made.decode())
        return
    write_whole(out, made)
    typer.echo(f"Wrote {out}. Hand it to the person where nobody else sees it.", err=True)


@contextmanager
def _watched(what: str, quiet: bool) -> Iterator[Tell]:
    """Progress by agency."""
    with progress(disable=quiet) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


app.command()(feedback.feedback)
