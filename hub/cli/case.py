"""`nrm-hub case`: where a case stands. Reads only; shows no content."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, AsOf, HubHome
from hub.cli.printed import console, lines, table

app = typer.Typer(help="Where a case stands: states, parties, consents.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Where a case stands: states, parties, consents."""


@app.command()
@reported
def show(
    case: Annotated[str, typer.Option(help="The case's common reference, e.g. C1, or its id.")],
    home: HubHome = HUB_HOME,
    as_of: AsOf = None,
    json_: AsJson = False,
) -> None:
    """Every region of the case with the event it rests on, who is involved and why.

    Also: referrals waiting for an answer, consents, the age procedure goes by, open break-glass
    windows, and what several agencies said about one matter, side by side. For what was decided on
    each event: nrm-hub audit replay.

    Example: nrm-hub case show --case C1 --home hub-home --as-of 2026-03-16
    """
    from hub.audit import standing_of
    from hub.home import Home
    from hub.hub import Reading

    with Reading.open(Home(home)) as reading:
        found = standing_of(reading.exchange, case, as_of)
    if json_:
        typer.echo(json.dumps(found.as_dict(), indent=1))
        return
    out = console()
    out.print(
        f"Case {case} as of {found.as_of[:19]}, log position {found.position}: "
        f"{found.events} event{'s' if found.events != 1 else ''}"
    )
    shown = table("region", "of", "state", ">position", "since")
    for one in found.regions:
        position, since = one["position"] or "-", (one["since"] or "-")[:19]
        shown.add_row(one["region"], one["about"] or "-", one["state"], str(position), since)
    out.print(shown)
    out.print(f"Age: {_age(found.age)}. Guardian: {found.guardian or 'none'}.")
    parties = table("involved", "why")
    for agency, why in found.involved.items():
        parties.add_row(agency, lines(*why))
    for agency in found.left:
        parties.add_row(f"{agency} (left)", "the person left; only a new referral brings it back")
    out.print(parties)
    _waiting(found.waiting)
    _consents(found.consents)
    for one in found.windows:
        until, names = one["closes"][:19], ", ".join(one["categories"])
        out.print(f"Break-glass: {one['agency']} until {until}: {names}")
    _matters(found.matters)
    for one in found.out_of_order:
        out.print(
            f"Note: {one['event']} at position {one['position']} came while {one['region']} "
            f"stood at {one['state'] or 'nothing'}; recorded, it changed no state."
        )


def _age(age: dict[str, bool]) -> str:
    if age["child"]:
        return "a child for everybody"
    if age["enforcement_dispute"]:
        return "an adult; a child in procedure, disputed by an enforcement agency"
    return "an adult"


def _waiting(waiting: list[dict[str, str]]) -> None:
    if waiting:
        shown = table("waiting", "id", "from", "to", "answer due")
        for one in waiting:
            due = (one["respond_by"] or "-")[:19]
            shown.add_row(one["kind"], one["id"], one["from"], one["to"], due)
        console().print(shown)


def _consents(consents: list[dict[str, object]]) -> None:
    if not consents:
        return
    shown = table("consent", "state", "counts", "valid until", "history", "for")
    for one in consents:
        scope = one["scope"]
        assert isinstance(scope, dict)
        named = [f"{agency}: {', '.join(names)}" for agency, names in scope.items()]
        shown.add_row(
            str(one["id"]),
            str(one["state"]),
            "yes" if one["counts"] else "no",
            str(one["valid_until"]),
            "yes" if one["covers_history"] else "no",
            lines(*named),
        )
    console().print(shown)


def _matters(matters: list[dict[str, object]]) -> None:
    if not matters:
        return
    shown = table("several agencies on", "agreed", "agency", "said", ">position", "at")
    for one in matters:
        statements = one["statements"]
        assert isinstance(statements, list)
        for said in statements:
            shown.add_row(
                str(one["about"]),
                "no" if one["differ"] else "yes",
                said["agency"],
                said["said"],
                str(said["position"]),
                said["at"][:19],
            )
    console().print(shown)
