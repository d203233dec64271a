"""`nrm-hub connector try`: a connector tried out on invented persons, and nothing left of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from connectors.commands import event_types
from connectors.commands.ending import between_steps, reported
from hub.cli.printed import console, progress, table

if TYPE_CHECKING:
    from rich.console import Console

    from connectors.landed import Landed
    from connectors.settings import PartnerSettings
    from hub.scenario.trial import Seen

DIFFERS: Final = 3
SHOWN: Final = 160  # letters of one row
STOPPING: Final = (
    "Ends after this step, and takes away what it has made. Asked again it ends at once: then "
    "nrm-hub connector try … --undo takes that away."
)


def mount(connector: typer.Typer) -> None:
    connector.command("try")(try_)


@reported
def try_(
    settings: Annotated[
        Path | None,
        typer.Argument(help="Your partner.toml; left out, a database made for the trial."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(help="Which story is told; left out, one that brings much to your role."),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="Your role; left out, that of your identity, or shelter.")
    ] = None,
    events: Annotated[
        list[str] | None,
        typer.Option(
            *event_types.NAMES,
            help="Choose a story that brings this event type, show only its rows; may be repeated.",
        ),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            help="Elsewhere than partner.toml says: sqlite:///twin.db, postgresql://…, or a file "
            "for JSON lines. A database gets the mapped tables, empty. '${NAME}' is filled from "
            "the environment."
        ),
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Only take away what a killed trial has left.")
    ] = False,
) -> None:
    """Try a connector: a story of invented persons lands in your system, and is recalled again.

    Needs no hub: one is made in a temporary folder and removed. What is sent to your role lands
    where partner.toml says, is read back and shown; then all of it is recalled, and what remains
    is shown. At the end everything the trial has made is taken away. Refused where deliveries of a
    real hub are. Exit code 3 if something was quarantined, or is still there after the recall.

    Example: nrm-hub connector try partner.toml --into sqlite:///twin.db
    """
    from connectors.settings import from_environment
    from hub.scenario.practice import Practice, brought, chosen
    from hub.scenario.trial import Trial, take_away
    from hub.scenario.trial import into as elsewhere
    from schemas.registry import Schemas

    wanted = frozenset(event_types.known(events, Schemas.load().types()))
    with (
        between_steps(STOPPING) as between,
        tempfile.TemporaryDirectory(prefix="nrm-try-", ignore_cleanup_errors=True) as scratch,
    ):
        loaded = _loaded(settings, Path(scratch))
        if into is not None:
            loaded = elsewhere(loaded, str(from_environment(into)), Path.cwd())
        story, agency = chosen(role or _role(loaded), scenario, wanted)
        out = console()
        if undo:
            practice = Practice.begin(Path(scratch) / "practice", story, agency)
            gone = take_away(practice, loaded)
            practice.close()
            out.print("Taken away." if gone else "There is nothing of a trial here.")
            return
        out.print(f"{story.id}: {story.title}. All persons are invented.", markup=False)
        if lacking := sorted(wanted - brought(story, agency)):
            out.print(f"No story brings this role {', '.join(lacking)}.", style="yellow")
        with progress() as bar:
            task = bar.add_task("the story is told", total=len(story.events))

            def told(events: int) -> None:
                bar.update(task, completed=events)
                between()

            practice = Practice.begin(Path(scratch) / "practice", story, agency, told)
        try:
            with Trial.open(practice, loaded, wanted, between) as trial:
                good = _delivered(out, trial.deliver())
                between()
                after = trial.recall()
                good = _recalled(out, after) and good
        finally:
            practice.close()
        if after.rows is None:
            out.print("The trial's books are taken away; what your system keeps of it is its own.")
        elif after.leaves:
            out.print(
                f"The trial's books are taken away. Your system keeps {after.leaves}, until its "
                "own people remove that: see the page of this kind."
            )
        else:
            out.print("What the trial has made is taken away again.")
    if not good:
        raise typer.Exit(DIFFERS)


def _delivered(out: Console, seen: Seen) -> bool:
    out.print(
        f"\n{seen.delivered} deliveries, {seen.answered} answered with a signed receipt.",
        style="bold",
    )
    if seen.rows is None and seen.sent:
        out.print("Your system took these, in this order; look there whether it shows the same:")
        _sent(out, seen)
    elif seen.rows is None:
        out.print("This kind of sink cannot be read back here: look into your system. The books:")
        _holdings(out, seen)
    else:
        _rows(out, seen.rows)
    for one in seen.quarantined:
        out.print(
            f"Quarantined: sequence {one.sequence}, {one.reason}: {one.detail}", style="red",
            markup=False,
        )  # fmt: skip
    return not seen.quarantined


def _recalled(out: Console, seen: Seen) -> bool:
    out.print("\nAll persons are erased: everything is recalled.", style="bold")
    still = [one for one in seen.rows or () if one.content]
    kept = {b for bases in seen.held.values() for b in bases.values()}
    if still and not seen.held:
        out.print("Still there, though the books hold nothing:", style="red")
        _rows(out, still)
    elif seen.held:
        out.print("Kept on an own basis, as partner.toml has it:")
        _holdings(out, seen)
        _rows(out, still)
    elif seen.rows is None and seen.sent:
        recalls = sum(one.kind == "recalled" for one in seen.sent)
        out.print(
            f"Your system took {recalls} recalls, and its answers are its word that the content is "
            "gone. It cannot be looked into from here: search it for what stands above."
        )
    elif seen.rows is None:
        out.print("Gone by the books: look into your system whether it is.")
    else:
        out.print("Gone: the books hold nothing, and nothing of it was found.")
    for one in [one for one in seen.rows or () if not one.content]:
        out.print(f"A row stays in {one.place}, emptied ({one.about}).", markup=False)
    return bool(kept) or not still


def _rows(out: Console, rows: list[Landed]) -> None:
    shown = table("where", "what", "content")
    for one in rows:
        told = ", ".join(f"{name}={value}" for name, value in one.content.items())
        shown.add_row(one.place, one.about, _cut(told))
    out.print(shown if rows else "Nothing landed.", markup=False)


def _cut(told: str) -> str:
    return told if len(told) <= SHOWN else f"{told[: SHOWN - 1]}…"


def _sent(out: Console, seen: Seen) -> None:
    from connectors.landed import flat

    shown = table(">delivery", "message", "about", "content")
    for one in seen.sent:
        told = ", ".join(f"{name}={value}" for name, value in flat(one.fields).items())
        shown.add_row(str(one.sequence), one.kind, one.event_type, _cut(told))
    out.print(shown, markup=False)


def _holdings(out: Console, seen: Seen) -> None:
    shown = table("event", "category", "basis")
    for (kind, _), bases in seen.held.items():
        for category, basis in sorted(bases.items()):
            shown.add_row(kind, category, basis)
    out.print(shown)


def _loaded(path: Path | None, scratch: Path) -> PartnerSettings:
    from connectors.settings import load_settings

    if path is None:
        path = scratch / "partner.toml"
        path.write_text('home = "none"\n[sink]\nurl = "sqlite:///partner.db"\n', "utf-8")
    return load_settings(path)


def _role(settings: PartnerSettings) -> str:
    from connectors.agency.identity import AgencyIdentity
    from connectors.errors import ConnectorError

    try:
        return AgencyIdentity.load(settings.home).role
    except ConnectorError:
        return "shelter"
