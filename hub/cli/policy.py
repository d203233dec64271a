"""`nrm-hub policy`: read, check and compare profiles, try one on history.

A profile is named by a shipped name (coe, uk), a file, or what a home recorded: a version, a log
position it was in force at, or `current`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import console, progress, table

if TYPE_CHECKING:
    from rich.progress import Progress

    from hub.audit.simulate import Found, Simulation
    from hub.domain.policy import PolicyProfile
    from hub.domain.profile_changes import Change, Changes

DIFFERS: Final = 3  # exit code: the profiles differ, or decisions would change
_NAMED = "Shipped name, file, or recorded in the home: a version, a log position, current."
_HEADINGS: Final = {
    "gains": "WHO WOULD RECEIVE MORE",
    "loses": "Who would receive less",
    "other": "What else differs",
}

app = typer.Typer(
    help="Policy profiles: what is in force, what a change does, and its two signatures.",
    no_args_is_help=True,
)


def _document(name: str, home: Path) -> dict[str, Any]:
    """A profile's document by whatever names it. Opens the home only if nothing else does."""
    from hub.authority import profiles
    from hub.domain.policy import SHIPPED
    from hub.home import Home
    from hub.hub import Reading

    if name in SHIPPED or Path(name).is_file() or name.endswith(".json"):
        return profiles.named(name)
    with Reading.open(Home(home)) as reading:
        return profiles.recorded(reading.exchange.log, name)


# -- one profile -----------------------------------------------------------------------------


@app.command()
@reported
def show(
    profile: Annotated[str, typer.Argument(help=_NAMED)] = "current",
    home: HubHome = HUB_HOME,
    whole: Annotated[
        bool, typer.Option("--document", help="Print the document itself, to copy and change.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """A profile: the release matrix, whose signature deliveries carry, and who could join them.

    Modes: A always, D once concerned, C with consent, K child by default else consent, X child
    only, N never; docs/release.md.

    Example: nrm-hub policy show --home hub-home
    """
    from hub.authority import profiles
    from hub.domain.joining import joining, told

    document = _document(profile, home)
    if whole:
        typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
        return
    checked = profiles.checked(document, profile)
    sentences = told(joining(checked))
    if json_:
        matrix = {role: dict(row) for role, row in checked.matrix.items()}
        evidence = {role: checked.evidence_for(role) for role in checked.matrix}
        said = {
            "version": checked.version,
            "title": document.get("title", ""),
            "digest": digest_of(document),
            "matrix": matrix,
            "evidence": evidence,
            "joining": sentences,
            "warnings": _findings(document),
        }
        typer.echo(json.dumps(said, indent=1))
        return
    typer.echo(f"Policy profile {checked.version}. {document.get('title', '')}".rstrip())
    typer.echo(f"Digest {digest_of(document)}")
    roles = list(checked.matrix)
    shown = table("category", *(role.replace("_", " ") for role in roles))
    categories = sorted({category for row in checked.matrix.values() for category in row})
    for category in categories:
        shown.add_row(category, *(checked.mode(role, category) for role in roles))
    console().print(shown)
    typer.echo("Who could join deliveries, and on what:")
    for sentence in sentences:
        typer.echo(f"- {sentence}")
    warn(document)


@app.command()
@reported
def check(
    profile: Annotated[str, typer.Argument(help=_NAMED)],
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Every error in a profile, each with its place and code, and what in it should surprise you.

    Exit code 1 if there is an error. Warnings are no errors: a country may choose so.

    Example: nrm-hub policy check our-profile.json
    """
    from hub.domain import profile_check

    document = _document(profile, home)
    errors = profile_check.errors(document)
    if json_:
        said = {
            "errors": [_finding(one) for one in errors],
            "warnings": [] if errors else _findings(document),
        }
        typer.echo(json.dumps(said, indent=1))
    elif errors:
        for one in errors:
            typer.echo(f"ERROR {one}")
    else:
        typer.echo(f"{document['version']} is complete. Digest {digest_of(document)}")
        warn(document)
    if errors:
        raise typer.Exit(1)


def digest_of(document: Mapping[str, Any]) -> str:
    from hashlib import sha256

    from hub.authority import profiles

    return sha256(profiles.written(document)).hexdigest()


def _finding(one: Any) -> dict[str, str]:
    return {"code": one.code, "where": one.where, "detail": one.detail}


def _findings(document: Mapping[str, Any]) -> list[dict[str, str]]:
    from hub.domain import profile_check

    return [_finding(one) for one in profile_check.warnings(document)]


def warn(document: Mapping[str, Any]) -> None:
    from hub.domain import profile_check

    for one in profile_check.warnings(document):
        typer.echo(f"WARNING {one}")


# -- two profiles ----------------------------------------------------------------------------


@app.command()
@reported
def diff(
    old: Annotated[str, typer.Argument(help=f"What is. {_NAMED}")],
    new: Annotated[str, typer.Argument(help="What would be; named in the same way.")],
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Which roles would receive more, which less, and what else differs. Exit code 3 if anything.

    Texts and versions alone are no difference: they decide nothing.

    Example: nrm-hub policy diff current our-profile.json --home hub-home
    """
    from hub.authority import profiles
    from hub.domain.profile_changes import changes

    first = profiles.checked(_document(old, home), old)
    second = profiles.checked(_document(new, home), new)
    found = changes(first, second)
    if json_:
        said = {
            "from": first.version,
            "to": second.version,
            "differ": bool(found),
            **{part: [_change(one) for one in getattr(found, part)] for part in _HEADINGS},
        }
        typer.echo(json.dumps(said, indent=1))
    else:
        typer.echo(f"{first.version} → {second.version}")
        tell_changes(found)
    if found:
        raise typer.Exit(DIFFERS)


def _change(one: Change) -> dict[str, str]:
    return {
        "part": one.part,
        "role": one.role,
        "what": one.what,
        "before": one.before,
        "after": one.after,
        "words": one.words,
    }


def tell_changes(found: Changes) -> None:
    out = console()
    for part, heading in _HEADINGS.items():
        those: tuple[Change, ...] = getattr(found, part)
        loud = "bold red" if part == "gains" and those else "bold"
        out.print(f"[{loud}]{heading}: {len(those) or 'nobody' if part != 'other' else len(those)}")
        if not those:
            continue
        shown = table("role", "what", "change", "in words", "part")
        for one in those:
            shown.add_row(one.role, one.what, f"{one.before} → {one.after}", one.words, one.part)
        out.print(shown)


# -- history under another profile -----------------------------------------------------------


@app.command()
@reported
def simulate(
    profile: Annotated[str, typer.Argument(help=_NAMED)],
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Replay the whole recorded history under a profile; list every decision that would change.

    One line per (event, agency, category), with what was decided and what would have been: when
    the event was recorded, by backfill, by recall, or between decision and sending. Reads only.
    With --json: one object per line, the last one the totals. Exit code 3 if anything changes.

    Example: nrm-hub policy simulate our-profile.json --home hub-home
    """
    from hub.audit.simulate import Simulation
    from hub.authority import profiles
    from hub.home import Home
    from hub.hub import Reading

    proposed = profiles.checked(_document(profile, home), profile)
    with Reading.open(Home(home)) as reading, progress(disable=json_) as bar:
        simulation = Simulation(reading.exchange, proposed)
        for role, agencies in simulation.closed_to().items():
            typer.echo(
                f"The profile has no row for {role}: {', '.join(agencies)} would receive nothing.",
                err=True,
            )
        count = 0
        for found in _watched(bar, simulation):
            count += len(found)
            for one in found:
                typer.echo(json.dumps(_found(one)) if json_ else _line(one))
    _total(simulation, proposed, count, json_)
    if count:
        raise typer.Exit(DIFFERS)


def _watched(bar: Progress, simulation: Simulation) -> Iterable[list[Found]]:
    task = bar.add_task("replaying", total=max(simulation.end, 1))
    for found in simulation.cases():
        bar.update(task, completed=simulation.done)
        yield found


def _found(one: Found) -> dict[str, Any]:
    difference = one.difference
    return {
        "at": one.at,
        "phase": difference.phase,
        "event": one.event,
        "event_id": difference.event_id,
        "type": one.type,
        "agency": difference.agency,
        "role": one.role,
        "category": difference.category,
        "change": difference.change,
        "before": difference.before,
        "after": difference.after,
    }


def _line(one: Found) -> str:
    difference = one.difference
    about = f"position {one.event}"
    if one.at != one.event:
        about += f" at {one.at}"
    return (
        f"{difference.change.upper():7} {difference.agency} ({one.role}) {difference.category}: "
        f"{difference.before} → {difference.after}; {one.type}, {about}, {difference.phase}"
    )


def _total(simulation: Simulation, proposed: PolicyProfile, count: int, json_: bool) -> None:
    from hub.audit.compared import CHANGES

    totals = {role: dict(simulation.totals[role]) for role in sorted(simulation.totals)}
    if json_:
        said = {
            "version": proposed.version,
            "head": simulation.end,
            "cases": simulation.counted,
            "events": simulation.events,
            "decisions": simulation.decisions,
            "changed": count,
            "roles": totals,
        }
        typer.echo(json.dumps({"totals": said}))
        return
    if totals:
        shown = table("role", *(f">{change}" for change in CHANGES))
        for role, by_change in totals.items():
            shown.add_row(role, *(str(by_change.get(change, 0)) for change in CHANGES))
        console().print(shown)
    typer.echo(
        f"{simulation.counted} cases, {simulation.events} events, {simulation.decisions} decisions "
        f"up to log position {simulation.end}: {count or 'none'} would change under "
        f"{proposed.version}."
    )
