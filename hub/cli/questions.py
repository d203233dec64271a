"""`nrm-hub audit ask`: the catalogue of questions, and any of them answered."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.options import HUB_HOME, AsJson, AsOf, HubHome
from hub.cli.printed import console, lines, progress, table

if TYPE_CHECKING:
    from hub.audit.questions import Answer, Question

FOUND = 3  # exit code: something stands there that must not


def ask(
    question: Annotated[
        str | None, typer.Argument(metavar="[QUESTION]", help="Q01 to Q24; none: list them all.")
    ] = None,
    home: HubHome = HUB_HOME,
    case: Annotated[
        str | None, typer.Option("--case", help="A case, by its common reference or its id.")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", help="A person, by their common reference.")
    ] = None,
    agency: Annotated[str | None, typer.Option("--agency", help="An agency, by its id.")] = None,
    as_of: AsOf = None,
    happened_before: Annotated[
        str | None,
        typer.Option("--happened-before", help="Only what happened by this date or instant."),
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="2026, 2026-Q1 or 2026-03.")
    ] = None,
    table_: Annotated[
        str | None, typer.Option("--table", help="A table: nrm-hub statistics tables.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="A connector's mapping file.")
    ] = None,
    schemas: Annotated[
        Path | None, typer.Option("--schemas", help="Folder of schema files that are to come.")
    ] = None,
    theirs: Annotated[
        Path | None,
        typer.Option("--theirs", help="What the partner's `connector digest` wrote."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell what the question takes and rests on.")
    ] = False,
    json_: AsJson = False,
    csv_: Annotated[bool, typer.Option("--csv", help="Print the rows as CSV.")] = False,
) -> None:
    """Ask one of 24 questions of the log: who received what, was it covered, what must be empty.

    Each takes its own parameters: --explain tells them, docs/questions.md has all. Exit code 3 if
    something was found that must not be there.

    Example: nrm-hub audit ask Q06 --home hub-home
    """
    from hub.audit.questions import named

    if question is None:
        _list(json_)
        return
    wanted = named(question)
    if explain:
        _explain(wanted)
        return
    given = {
        "case": case,
        "person": person,
        "agency": agency,
        "as_of": as_of,
        "happened_before": happened_before,
        "period": period,
        "table": table_,
        "mapping": str(mapping) if mapping else None,
        "schemas": str(schemas) if schemas else None,
        "theirs": str(theirs) if theirs else None,
    }
    wanted.checked(given)  # before the hub is opened
    found = _answer(wanted, home, given, quiet=json_ or csv_)
    if json_:
        typer.echo(json.dumps(found.as_dict(), indent=1))
    elif csv_:
        typer.echo(found.as_csv(), nl=False)
    else:
        _tell(found)
    if found.alarming:
        raise typer.Exit(FOUND)


def _answer(question: Question, home: Path, given: dict[str, str | None], *, quiet: bool) -> Answer:
    from hub.audit.questions import Hub, answer
    from hub.home import Home
    from hub.hub import Reading

    with (
        Reading.open(Home(home)) as reading,
        progress(disable=quiet) as bar,
        tempfile.TemporaryDirectory() as folder,
    ):

        def rows_of(agency: str, end: int) -> Path:
            from hub.audit.rebuilt import rebuild

            return rebuild(reading.exchange, reading.settings.hub_id, agency, end, Path(folder))

        hub = Hub(
            reading.exchange,
            reading.settings.hub_id,
            reading.log_verifier,
            reading.settings.upcoming,
            rows_of,
        )
        task = bar.add_task(question.id, total=None)
        return answer(
            question,
            hub,
            given,
            lambda done, total: bar.update(task, completed=done, total=max(total, 1)),
        )


def _list(json_: bool) -> None:
    from hub.audit.questions import QUESTIONS

    if json_:
        said = [
            {
                "id": one.id,
                "who": one.who,
                "asked": one.asked,
                "must_be_empty": one.must_be_empty,
                "parameters": _parameters(one),
                "example": one.command,
            }
            for one in QUESTIONS.values()
        ]
        typer.echo(json.dumps(said, indent=1))
        return
    shown = table("", "who asks", "question", "with", lines=True)
    for one in QUESTIONS.values():
        asked = lines(one.asked, "Must find nothing." if one.must_be_empty else "")
        shown.add_row(one.id, one.who, asked, lines(*_options(one)))
    console().print(shown)


def _parameters(question: Question) -> list[dict[str, object]]:
    from hub.audit.questions import option

    return [
        {"option": option(one.name), "means": one.means, "required": one.required}
        for one in question.parameters
        if not one.text
    ]


def _options(question: Question) -> list[str]:
    from hub.audit.questions import option

    return [
        option(one.name) if one.required else f"[{option(one.name)}]"
        for one in question.parameters
        if not one.text
    ]


def _explain(question: Question) -> None:
    out = console()
    out.print(f"{question.id} ({question.who}): {question.asked}", markup=False)
    for one in _parameters(question):
        needed = "required" if one["required"] else "optional"
        out.print(f"  {one['option']}  {one['means']} ({needed})", markup=False)
    out.print("Columns:")
    for column in question.columns:
        out.print(f"  {column.name}: {column.means}", markup=False)
    out.print(f"Rests on: {question.rests_on}", markup=False)
    out.print(f"Cannot tell: {question.cannot_tell}", markup=False)
    if question.proof:
        out.print(f"To prove it: {question.proof}", markup=False)
    out.print(f"Example: {question.command} --home hub-home", markup=False)


def _tell(found: Answer) -> None:
    from hub.audit.questions.answer import shown

    out = console()
    out.print(f"{found.question}: {found.asked}", markup=False)
    if found.rows:
        rows = table(*(one.name for one in found.columns))
        for row in found.rows:
            rows.add_row(*(shown(cell) for cell in row))
        out.print(rows)
    else:
        out.print("No rows.")
    for name, value in found.summary.items():
        out.print(f"{name}: {shown(value)}", markup=False)
    for note in found.notes:
        out.print(note, markup=False)
    if found.proof:
        out.print(f"To prove it: {found.proof}", markup=False)
    if found.verdict:
        out.print(f"Verdict: {found.verdict}", markup=False)
    out.print(f"As of log position {found.position}, {found.as_of.isoformat()[:19]}")
