"""`nrm-hub audit export-log`, `check-log`, `proof`, `check-proof`: the log in others' hands.

What exports and proves needs the hub's home; what checks needs files and keys only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.options import HUB_HOME, AsJson, HubHome
from hub.cli.printed import progress
from hub.errors import NotReady

DIFFERS = 3  # exit code: it does not stand

Vkeys = Annotated[
    list[str] | None,
    typer.Option("--vkey", help="Key you trust, of the log or of a witness; may be repeated."),
]
Quorum = Annotated[int, typer.Option(min=0, help="How many of the witnesses must have cosigned.")]


def mount(audit: typer.Typer) -> None:
    """Add the commands to the group."""
    audit.command("export-log")(export_log)
    audit.command("check-log")(check_log)
    audit.command()(proof)
    audit.command("check-proof")(check_proof)


def export_log(
    folder: Annotated[Path, typer.Argument(help="Folder to write into; made if missing.")],
    home: HubHome = HUB_HOME,
    json_: AsJson = False,
) -> None:
    """Write the log as files that anybody can check: hashes and signatures, nothing personal.

    Run again, it adds what is new. Exit code 3 if the folder holds a checkpoint that this log does
    not continue: a fork; nothing is changed then.

    Example: nrm-hub audit export-log --home hub-home /srv/nrm-log
    """
    from hub.clock import wall_clock
    from hub.home import Home
    from hub.hub import ReadingLog
    from hub.transparency.export import Exported, ForkFound
    from hub.transparency.export import export_log as export

    done = Exported(0, 0)
    with ReadingLog.open(Home(home)) as reading, progress(disable=json_) as bar:
        task = bar.add_task("exporting", total=None)
        try:
            for done in export(
                reading.log,
                folder,
                key=reading.log_verifier,
                witnesses=reading.transparency.keys,
                now=wall_clock().timestamp(),
            ):
                bar.update(task, total=done.files, completed=done.done)
        except ForkFound as fork:
            typer.secho(f"!! {fork}", err=True, fg=typer.colors.RED)
            raise typer.Exit(DIFFERS) from None
    if json_:
        typer.echo(json.dumps({"size": done.size, "files": done.files, "written": done.written}))
        return
    typer.echo(f"{done.size} entries in {folder}: {done.files} files, {done.written} of them new")
    typer.echo(f"log key: {reading.log_verifier}")


def check_log(
    folder: Annotated[Path, typer.Argument(help="Folder of an exported log.")],
    earlier: Annotated[
        list[Path] | None,
        typer.Option(help="Checkpoint or proof kept from before, or a folder of such."),
    ] = None,
    vkey: Vkeys = None,
    quorum: Quorum = 0,
    json_: AsJson = False,
) -> None:
    """Check an exported log with nothing but files and keys: every entry, tile and checkpoint.

    Exit code 0: it stands. 3: it does not; each line names a code (docs/transparency.md), the file
    and the entry. Without --vkey the keys in the folder are used: they say whose log it claims to
    be, and prove nothing about that.

    Example: nrm-hub audit check-log /srv/nrm-log --vkey VKEY --earlier last-year.checkpoint
    """
    from hub.tlog.recompute import LogFlaw
    from hub.transparency.check import LogVerdict, Problem, Trust
    from hub.transparency.check import check_log as check
    from hub.transparency.folder import LogFolder

    place = LogFolder(folder)
    if not folder.is_dir():
        raise NotReady(f"{folder} is no folder of an exported log")
    verdict = LogVerdict()
    try:
        trust = Trust.of(vkey, quorum) if vkey else Trust.in_folder(place, quorum)
        with progress(disable=json_) as bar:
            task = bar.add_task("checking", total=None)
            for verdict in check(place, trust, _kept(earlier or [])):
                bar.update(task, total=max(verdict.size, 1), completed=verdict.checked)
    except LogFlaw as flaw:
        verdict.problems.append(Problem(flaw.reason, flaw.where, flaw.says))
    if json_:
        typer.echo(json.dumps({**verdict.as_dict(), "keys_given": bool(vkey)}))
    else:
        _tell(verdict, bool(vkey))
    if verdict.problems:
        raise typer.Exit(DIFFERS)


def _kept(paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    from hub.tlog.note import MOST_BYTES

    for path in paths:
        for one in sorted(path.iterdir()) if path.is_dir() else [path]:
            if one.is_file():
                with one.open("rb") as file:
                    yield str(one), file.read(2 * MOST_BYTES + 1)


def _tell(verdict: Any, keys_given: bool) -> None:
    typer.echo(
        f"{verdict.checked} of {verdict.size} entries of {verdict.origin or 'the log'} recomputed; "
        f"{verdict.earlier} earlier checkpoints; cosigned by "
        f"{', '.join(verdict.witnesses) or 'no known witness'}"
    )
    if verdict.unchecked_files:
        typer.echo(f"{verdict.unchecked_files} files lie beyond the checkpoint, not looked at")
    if not keys_given:
        typer.echo("The keys were taken from the folder itself: compare them, or give --vkey.")
    for problem in verdict.problems:
        typer.echo(f"PROBLEM: {problem}", err=True)
    typer.echo("The log does not stand." if verdict.problems else "Everything stands.")


def proof(
    event: Annotated[str, typer.Argument(help="Event id (UUID), or a log position.")],
    out: Annotated[Path, typer.Option(help="File to write, by custom *.tlog-proof.")],
    home: HubHome = HUB_HOME,
) -> None:
    """Write a proof that an event, or any row of the log, is under a signed checkpoint.

    Example: nrm-hub audit proof 42 --home hub-home --out event.tlog-proof
    """
    from hub.audit.why import accepted_event
    from hub.clock import wall_clock
    from hub.home import Home
    from hub.hub import Reading
    from hub.transparency.prove import prove

    with Reading.open(Home(home)) as reading:
        log = reading.exchange.log
        position = (
            int(event)
            if event.isascii() and event.isdigit() and len(event) < 19
            else accepted_event(reading.exchange, event).position
        )
        made = prove(
            log, position, witnesses=reading.transparency.keys, now=wall_clock().timestamp()
        )
    out.write_bytes(bytes(made))
    typer.echo(f"Position {position} is proved in {out}; check it: nrm-hub audit check-proof")


def check_proof(
    file: Annotated[Path, typer.Argument(help="A *.tlog-proof.")],
    vkey: Annotated[
        list[str],
        typer.Option(help="Key you trust, of the log or of a witness; may be repeated."),
    ],
    quorum: Quorum = 0,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="At the hub: also compare with the row in its store."),
    ] = None,
) -> None:
    """Check a proof with no network and no hub: the entry is in the log. Exit code 3: it is not.

    Example: nrm-hub audit check-proof event.tlog-proof --vkey VKEY
    """
    from hub.tlog.note import MOST_BYTES
    from hub.tlog.proof import TlogProofError
    from hub.tlog.recompute import LogFlaw
    from hub.transparency import prove
    from hub.transparency.check import Trust

    with file.open("rb") as opened:
        data = opened.read(2 * MOST_BYTES + 1)
    try:
        proved = prove.check_proof(data, Trust.of(vkey, quorum))
    except (TlogProofError, LogFlaw) as wrong:
        typer.echo(f"PROBLEM: {wrong}", err=True)
        typer.echo("The proof does not hold.")
        raise typer.Exit(DIFFERS) from None
    typer.echo(
        f"Position {proved.position} of {proved.size}: entry {proved.entry.hex()}; cosigned by "
        f"{', '.join(proved.witnesses) or 'no known witness'}"
    )
    if home is not None and not _same_row(home, proved):
        typer.echo(f"PROBLEM: position {proved.position}: row and leaf differ", err=True)
        typer.echo("The proof holds, and the hub's row was changed.")
        raise typer.Exit(DIFFERS)
    typer.echo("The proof holds." if home is None else "The proof holds, and the row is the same.")


def _same_row(home: Path, proved: Any) -> bool:
    from hub.home import Home
    from hub.hub import ReadingLog
    from hub.transparency.prove import entry_of_row

    with ReadingLog.open(Home(home)) as reading:
        return entry_of_row(reading.log, proved.position) == bytes(proved.entry)
