"""`nrm-hub backup`, `nrm-hub restore`: three parts, three places (docs/operations-backup.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported
from hub.cli.options import HUB_HOME, AsJson, DecidedBy, HubHome
from hub.errors import NotReady

Passphrase = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="Its first line opens the key archive; asked if absent."
    ),
]


@reported
def backup(
    to: Annotated[Path, typer.Option(help="New folder for the log archive.")],
    home: HubHome = HUB_HOME,
    keys_to: Annotated[
        Path | None, typer.Option(help="New file for the key archive, in another place.")
    ] = None,
    passphrase_file: Passphrase = None,
    recovery_key_to: Annotated[
        Path | None,
        typer.Option(help="Copy of the recovery key, in a third place; erasures follow it there."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Back up a hub while it runs: log, keys and recovery key, each to a place of its own.

    Whoever is erased later stays erased when this is restored.

    Example: nrm-hub backup --home hub-home --to /backup/monday --keys-to /vault/monday.keys
    --passphrase-file /vault/passphrase --recovery-key-to /safe/recovery.key
    """
    from hub.backup.make import make_backup
    from hub.home import Home
    from hub.store.keystore import KeyStore

    place = Home(home)
    settings = place.settings()
    passphrase = _passphrase(passphrase_file, twice=True) if keys_to else ""
    with _shown("copying", quiet=json_) as progress:
        made = make_backup(
            place,
            to,
            keys_to=keys_to,
            passphrase=passphrase,
            recovery_to=recovery_key_to,
            progress=progress,
        )
    with KeyStore.open(settings.keys_url) as secrets:
        copies = secrets.recovery.copies()
    if json_:
        said = {
            "head": made.head,
            "checkpoint": made.checkpoint,
            "backup": made.digest,
            "persons": made.persons,
            "recovery_copies": [{"path": str(c.path), "behind": c.behind} for c in copies],
        }
        typer.echo(json.dumps(said))
        return
    typer.echo(
        f"Log archive in {to}: {made.head} entries, {made.checkpoint} under a signed checkpoint"
    )
    if made.persons is None:
        typer.echo(
            "No key archive: without one nothing restored can be read (--keys-to).", err=True
        )
    else:
        typer.echo(f"Key archive in {keys_to}: the hub's keys and {made.persons} persons' secrets")
    if not copies:
        typer.echo(
            "The recovery key has no copy: if this machine is lost, no key archive opens"
            " (--recovery-key-to).",
            err=True,
        )
    for copy in copies:
        if copy.behind is None:
            typer.echo(f"{copy.path} is away: bring it back, or make another copy.", err=True)
        elif copy.behind:
            typer.echo(f"{copy.path} is {copy.behind} erasures behind.", err=True)
        else:
            typer.echo(f"Recovery key copied to {copy.path}")


@reported
def restore(
    archive: Annotated[Path, typer.Argument(help="The log archive, a folder.")],
    keys: Annotated[Path, typer.Option(help="The key archive.")],
    recovery_key: Annotated[Path, typer.Option(help="The recovery key.")],
    home: HubHome = HUB_HOME,
    passphrase_file: Passphrase = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="Newest checkpoint kept by an auditor or witness; may be repeated."),
    ] = None,
    after_loss: Annotated[
        bool,
        typer.Option(
            "--after-loss", help="The hub had gone on after this backup, or nobody can say."
        ),
    ] = False,
    sequence: Annotated[
        list[str] | None,
        typer.Option(help="With --after-loss, AGENCY=N: the last delivery it applied."),
    ] = None,
    store: Annotated[str | None, typer.Option(help="Another place for the event store.")] = None,
    secrets: Annotated[str | None, typer.Option(help="Another place for the key store.")] = None,
    topics: Annotated[str | None, typer.Option(help="Other topics.")] = None,
    by: DecidedBy = "operator",
    json_: AsJson = False,
) -> None:
    """Put a hub back into a new home: verified first, and never older than others know.

    Refused as `rewound` if anybody has seen more of this hub than the backup holds, and as
    `unproven` if nothing shows that nobody has: docs/operations-backup.md says what to do.

    Example: nrm-hub restore /backup/monday --home new-home --keys /vault/monday.keys
    --passphrase-file /vault/passphrase --recovery-key /safe/recovery.key
    """
    from hub.backup.restore import Wanted
    from hub.backup.restore import restore as put_back
    from hub.home import Home

    places = {"store.url": store, "store.keys": secrets, "topics.url": topics}
    wanted = Wanted(
        backup=archive,
        keys=keys,
        passphrase=_passphrase(passphrase_file),
        recovery=recovery_key,
        checkpoints=[one.read_text("utf-8") for one in checkpoint or ()],
        after_loss=after_loss,
        sequences=dict(_sequence(one) for one in sequence or ()),
        settings={name: value for name, value in places.items() if value is not None},
        by=by,
    )
    with _shown("verifying and copying", quiet=json_) as progress:
        done = put_back(Home(home), wanted, progress)
    if json_:
        typer.echo(json.dumps({k: v for k, v in asdict(done).items() if k != "evidence"}))
        return
    typer.echo(f"Restored in {home}: {done.head} entries, as of {done.made_at}, all verified")
    typer.echo(
        f"{done.persons} persons' secrets; {done.erased_since} persons erased after the backup"
        " stay erased"
    )
    if done.after_loss:
        typer.echo(
            "What was acknowledged after the backup is missing: ask every agency to publish again"
            f" what it sent since {done.made_at}. Checkpoints are signed by another log key from"
            f" here on: {done.log_verifier}",
            err=True,
        )
    typer.echo(f"Next: nrm-hub audit verify --home {home}, then nrm-hub serve --home {home}")


def _sequence(text: str) -> tuple[str, int]:
    agency, _, number = text.partition("=")
    if not agency or not number.isdigit():
        raise typer.BadParameter("write AGENCY=NUMBER", param_hint="--sequence")
    return agency, int(number)


def _passphrase(file: Path | None, *, twice: bool = False) -> str:
    if file is None:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
    lines = file.read_text("utf-8").splitlines()
    if not lines or not lines[0]:
        raise NotReady(f"{file} is empty: its first line is the passphrase")
    return lines[0]


@contextmanager
def _shown(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    from hub.cli.printed import progress

    with progress(disable=quiet) as bar:
        task = bar.add_task(what, total=1)
        yield lambda done, of: bar.update(task, completed=done, total=max(of, 1))
