"""`nrm-hub consent`: a case's consent records, as record, receipt or health-care resource.

These commands open the person's sealed content with the hub's key store: they are for those who
answer to the person. They decide nothing and record nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, CaseRef, HubHome
from hub.cli.printed import console, lines, table

if TYPE_CHECKING:
    from hub.consent.records import ConsentRecord, Statement

app = typer.Typer(
    help="What the person agreed to: records, receipts, what has to be reviewed.",
    no_args_is_help=True,
)
ConsentId = Annotated[str, typer.Option("--consent", help="The consent record's id, e.g. c1.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="File to write, readable by you alone; else printed.")
]


@app.command()
@reported
def show(case: CaseRef, home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Every consent record of a case: its state, its scope, and who stated what when.

    Where agencies state different things about one consent, both stand there, side by side.

    Example: nrm-hub consent show --home hub-home --case C1
    """
    from hub.consent.reading import consent_records
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        found = consent_records(exchange, case, exchange.clock.now().date())
    if json_:
        typer.echo(json.dumps([_told(one) for one in found], indent=1, ensure_ascii=False))
        return
    out = console()
    if not found:
        out.print("The case has no consent record.")
    for record in found:
        out.print(escape(_headline(record)), soft_wrap=True)
        scope = table("may be shown to", "categories")
        for agency, pairs in sorted(record.scope.items()):
            scope.add_row(agency, ", ".join(sorted(pairs)))
        if record.scope and not record.erased:
            out.print(scope)
        history = table(">position", "recorded", "statement", "by", "says")
        for one in record.statements:
            history.add_row(
                str(one.position), one.recorded_at.isoformat()[:19], one.type, one.agency,
                lines(*_says(one)),
            )  # fmt: skip
        out.print(history)
        for difference in record.differences:
            said = "; ".join(f"{who} at {at}: {value}" for who, at, value in difference.said)
            told = escape(f"DIFFERENT STATEMENTS about {difference.about}: {said}")
            out.print(told, soft_wrap=True)
        if record.to_review:
            out.print("REVIEW: somebody noted that the person may not have been free to refuse.")
        out.print()


def _headline(record: ConsentRecord) -> str:
    if record.erased:
        return f"Consent {record.consent_id}: {record.state}; what was said has been erased"
    until = f"until {record.valid_until}" if record.valid_until else "no last day"
    history = "with" if record.covers_history else "without"
    by = record.describing.get("given_by", "not said")
    return (
        f"Consent {record.consent_id}: {record.state}, {until}, {history} what was recorded "
        f"before; given by {by}"
    )


def _says(one: Statement) -> list[str]:
    if one.content is None:
        return ["(erased)"]
    said = {name: value for name, value in one.content.items() if name != "consent_id"}
    told = [f"{name}: {_short(value)}" for name, value in sorted(said.items())]
    if one.in_flight:
        sent = ", ".join(f"{to} ({count})" for to, count in sorted(one.in_flight.items()))
        told.append(f"in flight, called back: {sent}")
    return told


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{who} ({' '.join(names)})" for who, names in sorted(value.items()))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _told(record: ConsentRecord) -> dict[str, Any]:
    return {
        "consent": record.consent_id,
        "state": record.state,
        "erased": record.erased,
        "scope": {
            agency: sorted(pairs)
            for agency, pairs in sorted(record.scope.items())
            if not record.erased
        },
        "covers_history": record.covers_history,
        "valid_until": record.valid_until.isoformat() if record.valid_until else None,
        "to_review": record.to_review,
        "statements": [
            {
                "position": one.position,
                "event": one.event_id,
                "type": one.type,
                "agency": one.agency,
                "role": one.role,
                "occurred": one.occurred_at.isoformat(),
                "recorded": one.recorded_at.isoformat(),
                "said": one.content,
                "in_flight": dict(one.in_flight),
            }
            for one in record.statements
        ],
        "differences": [
            {
                "about": one.about,
                "said": [{"agency": w, "position": at, "value": v} for w, at, v in one.said],
            }
            for one in record.differences
        ],
    }


@app.command()
@reported
def review(home: HubHome = HUB_HOME, json_: AsJson = False) -> None:
    """Consents of which somebody noted that the person may not have been free to refuse.

    Nothing is withheld because of the note: the law gives the decision to a person. Talk to the
    person alone, with an interpreter of their choice; a withdrawal stops everything at once.

    Example: nrm-hub consent review --home hub-home
    """
    from hub.consent.reading import consents_to_review
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        found = consents_to_review(reading.exchange)
    if json_:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    shown = table(">position", "recorded", "case", "consent", "noted by", "risk")
    for row in found:
        cells = (row["recorded"][:19], row["case"] or "(erased)", row["consent"], row["agency"])
        shown.add_row(str(row["position"]), *cells, row["coercion_risk"])
    console().print(shown if found else "Nothing to review.")


@app.command("record")
@reported
def record_(
    case: CaseRef,
    consent: ConsentId,
    home: HubHome = HUB_HOME,
    format_: Annotated[
        Literal["27560", "fhir"],
        typer.Option("--format", help="ISO/IEC TS 27560 as JSON-LD, or a FHIR R4 Consent."),
    ] = "27560",
    out: Out = None,
) -> None:
    """One consent record as a standard document; a tombstone after an erasure.

    Example: nrm-hub consent record --home hub-home --case C1 --consent c1 --format fhir
    """
    from hub.consent import fhir, iso27560
    from hub.consent.parties import named_in
    from hub.consent.reading import consent_record
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        found = consent_record(exchange, case, consent, exchange.clock.now().date())
        names, hub = named_in(exchange.agencies), reading.settings.hub_id
        written = fhir.resource if format_ == "fhir" else iso27560.record
        document = written(found, names, hub=hub)
    _write(out, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


@app.command()
@reported
def receipt(
    case: CaseRef,
    consent: ConsentId,
    home: HubHome = HUB_HOME,
    lang: Annotated[str, typer.Option("--lang", help="Language: en, fr, ro or uk.")] = "en",
    out: Out = None,
) -> None:
    """A page the person can keep: who may know what, until when, and how to take it back.

    It names agencies: ask first whether it is safe for the person to have it on them.

    Example: nrm-hub consent receipt --home hub-home --case C1 --consent c1 --lang uk --out r.html
    """
    from hub.consent.parties import named_in
    from hub.consent.reading import consent_record
    from hub.consent.receipt import receipt as page
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        exchange = reading.exchange
        found = consent_record(exchange, case, consent, exchange.clock.now().date())
        html = page(found, named_in(exchange.agencies), lang, hub=reading.settings.hub_id)
    _write(out, html)


def _write(out: Path | None, text: str) -> None:
    """To a file of its reader alone, or to standard output."""
    if out is None:
        typer.echo(text, nl=False)
        return
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    typer.echo(f"Written: {out}", err=True)
