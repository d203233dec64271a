"""`nrm-hub connector discard`: leave a delivery unapplied, on purpose and on record."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported
from connectors.dead_letters import DISCARDS

LONGEST_NOTE = 200  # characters

Reason = StrEnum("Reason", [(code, code) for code in DISCARDS])  # type: ignore[misc]


@reported
def discard(
    settings: Annotated[Path, typer.Argument(help="Settings of the connector: partner.toml.")],
    row: Annotated[int, typer.Argument(help="The row, as `connector quarantine` shows it.")],
    reason: Annotated[Reason, typer.Option(help="Why it is never applied; the hub is told.")],
    note: Annotated[
        str, typer.Option(help="Words of your own; kept here, not told to the hub.")
    ] = "",
) -> None:
    """Never apply what a row of the quarantine holds; the hub is told why.

    Its content is removed from the quarantine. A recall cannot be discarded: it has to be
    answered, so redrive it.

    Example: nrm-hub connector discard partner.toml 3 --reason entered_by_hand
    """
    from connectors.agency.registry_cache import RegistryCache
    from connectors.commands.site import opened
    from connectors.dead_letters import a_recall
    from connectors.delivery import Arrived
    from connectors.errors import StopError
    from connectors.opening.opener import Opener

    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise StopError(f"a note is one line of at most {LONGEST_NOTE} characters: shorten it")
    _, identity, sink = opened(settings)
    try:
        sink.prepare()
        waiting = sink.quarantine()
        held = next((one for one in waiting if one.id == row), None)
        if held is None:
            raise StopError(
                f"row {row} is not waiting in quarantine: nrm-hub connector quarantine shows "
                "what is, with --all what became of the others"
            )
        opener = Opener(identity, RegistryCache(identity))
        # A message that did not open lies with the first of its sequences.
        sources = [held] if held.raw else [one for one in waiting if one.raw]
        read = [
            item
            for one in sources
            if one.sequence is not None
            for item in opener.reopen(one.raw, one.sequence)
            if item.sequence == held.sequence
        ]
        if a_recall(read):
            raise StopError(
                f"row {row} holds a recall, which has to be answered: remove the cause, then "
                "nrm-hub connector redrive"
            )
        if not sink.discard(row, reason.value, note, datetime.now(UTC)):
            raise StopError(f"row {row} was redriven or recalled meanwhile: nothing is left to do")
    finally:
        sink.close()
    typer.echo(f"Row {row} is discarded: {DISCARDS[reason.value]}.")
    if held.sequence is None:
        return  # not the hub's: nobody waits for an answer
    typer.echo("The running connector tells the hub.")
    if not any(isinstance(one, Arrived) for one in read):
        typer.echo(
            "It could not be read. If it was a recall, the hub goes on asking for its answer: "
            "have it sent again."
        )
