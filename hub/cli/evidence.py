"""`nrm-hub audit bundle` and `audit absence`: files that anybody can check offline. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.cli.options import HUB_HOME, AsOf, HubHome
from hub.cli.printed import progress
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.audit.evidence import Made
    from hub.audit.evidence.bundle import Signing
    from hub.audit.evidence.gathered import Tell
    from hub.exchange import Exchange

Out = Annotated[Path, typer.Option("--out", help="The file to write; must not exist yet.")]
Earlier = Annotated[
    Path | None,
    typer.Option(help="A checkpoint somebody kept: also shows that nothing was rewritten since."),
]
Case = Annotated[str | None, typer.Option(help="All of a case, by its common reference.")]


def bundle_(
    out: Out,
    home: HubHome = HUB_HOME,
    case: Case = None,
    agency: Annotated[
        str | None, typer.Option(help="All an agency was sent, and its receipts.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="One event (its id or log position) and what it led to.")
    ] = None,
    holder: Annotated[
        str | None,
        typer.Option(help="Agency that will hold it: its own share, opened. Else no content."),
    ] = None,
    as_of: AsOf = None,
    earlier: Earlier = None,
) -> None:
    """Write evidence that anyone can check offline with nrm-verify; of a case, agency or event.

    Without --holder: decisions, deliveries and receipts, and no content; for an auditor or court.
    docs/evidence.md says what each kind tells whoever holds it.

    Example: nrm-hub audit bundle --home hub-home --case C1 --out c1.zip
    """
    from hub.audit.evidence import Asked, bundle

    asked = Asked(case, event, agency, holder, None, as_of, _read(earlier))
    made = _make(home, out, lambda exchange, by, tell: bundle(exchange, asked, by, tell))
    if holder is not None:
        typer.echo(f"{made.opened} parts opened, for {holder} and nobody else.")
        if made.left_out:
            typer.echo(
                f"{made.left_out} events are left out: their rows would tell {holder} more than it "
                "holds (docs/evidence.md 1)."
            )


def absence_(
    out: Out,
    case: Annotated[str, typer.Option(help="The case, by its common reference.")],
    agency: Annotated[str, typer.Option(help="The agency that was told nothing of it.")],
    home: HubHome = HUB_HOME,
    category: Annotated[
        list[str] | None, typer.Option(help="Only of this category (several); default: anything.")
    ] = None,
    as_of: AsOf = None,
    earlier: Earlier = None,
) -> None:
    """Write the hub's signed word that nothing of a case was released to an agency, with the rows.

    Refused, with a list, if something was. What such a word can and cannot prove: docs/evidence.md.

    Example: nrm-hub audit absence --home hub-home --agency POL-1 --case C1 --out no.zip
    """
    from hub.audit.evidence import Asked, absence

    asked = Asked(case, None, agency, None, category, as_of, _read(earlier))
    _make(home, out, lambda exchange, by, tell: absence(exchange, asked, by, tell))


def _make(home: Path, out: Path, work: Callable[[Exchange, Signing, Tell], Made]) -> Made:
    from hub.home import Home, write_secret
    from hub.hub import Reading

    if out.exists():
        raise Refused(0, "file_exists", f"{out} is there already; choose another --out")
    where = Home(home)
    with Reading.open(where) as reading, progress() as bar:
        task = bar.add_task("reading", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        by = reading.signing(where.keys())
        made = work(reading.exchange, by, tell)
    write_secret(out, made.content)
    typer.echo(
        f"{out}: {made.rows} rows, {len(made.content)} bytes, as of position {made.as_of} under "
        f"the checkpoint of {made.tree_size} entries."
    )
    if len(made.cosigned) < len(by.witnesses):
        typer.echo(
            f"Cosigned by {len(made.cosigned)} of {len(by.witnesses)} witnesses; for one that all "
            "have cosigned see nrm-hub status, then ask again."
        )
    keys = [f"--log-key '{by.log_key}'", *(f"--witness '{one}'" for one in made.cosigned)]
    typer.echo(f"To check it: nrm-verify {out} {' '.join(keys)}")
    return made


def _read(earlier: Path | None) -> bytes | None:
    if earlier is None:
        return None
    try:
        return earlier.read_bytes()
    except OSError as wrong:
        raise Refused(0, "unreadable", f"{earlier} cannot be read: {wrong.strerror}") from None


def mount(app: typer.Typer) -> None:
    """The two commands, in the group they belong to."""
    app.command("bundle")(bundle_)
    app.command("absence")(absence_)
