"""Make a backup, beside a running hub.

The log is copied first, in one snapshot, the secrets after it: whatever the copied log needs is
among them, for a secret is durable before anything is recorded under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from hub.backup.keys import KeyArchive, write_keys
from hub.backup.manifest import LOG, SETTINGS, Manifest, digest_of
from hub.errors import NotReady
from hub.home import Home, write_secret
from hub.store.copying import Progress, copy_out, in_silence
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
from hub.tlog import merkle

PAGE = 5_000


@dataclass(frozen=True)
class Made:
    """What a backup made. persons: secrets in the key archive; None if none was asked for."""

    head: int
    checkpoint: int
    digest: str
    persons: int | None


def make_backup(
    home: Home,
    to: Path,
    *,
    keys_to: Path | None = None,
    passphrase: str = "",
    recovery_to: Path | None = None,
    progress: Progress = in_silence,
) -> Made:
    """Write the log archive into the new folder `to`, the key archive into the file `keys_to`, and
    put or renew a copy of the recovery key. Raises NotReady where they would lie together."""
    settings, keys = home.settings(), home.keys()
    to = to.expanduser().absolute()
    _apart(to, keys_to, recovery_to)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise NotReady(f"{to} exists already: give each backup a folder of its own")
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    rows = copy_out(settings.store_url, to / LOG, progress)
    write_secret(to / SETTINGS, (home.path / "hub.toml").read_bytes())
    (to / LOG).chmod(0o600)
    with HubLog.open(f"sqlite:///{to / LOG}") as copied:
        head, latest = copied.head, copied.latest_checkpoint()
        root = root_of(copied)
    made = Manifest(
        hub=settings.hub_id,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        program=metadata.version("nrm-hub"),
        head=head,
        root=root.hex(),
        checkpoint=latest[0] if latest else 0,
        note=latest[1] if latest else "",
        rows=rows,
        files={name: digest_of(to / name) for name in (LOG, SETTINGS)},
    )
    persons = None
    with KeyStore.open(settings.keys_url) as secrets:
        if keys_to is not None:
            held = secrets.for_backup()
            hub_keys = {  # the hub's own identity in keys/own included
                one.relative_to(home.path / "keys").as_posix(): one.read_bytes()
                for one in sorted((home.path / "keys").rglob("*"))
                if one.is_file()
            }
            write_keys(keys_to, KeyArchive(settings.hub_id, head, hub_keys, held), passphrase)
            persons = len(held.sealed)
        if recovery_to is not None:
            secrets.recovery.keep_copy(recovery_to)
    digest = made.write(to, keys.signing)  # last: a folder without a manifest is no backup
    return Made(head, made.checkpoint, digest, persons)


def root_of(log: HubLog) -> bytes:
    """Root of the tree over all leaves of a log."""
    frontier = merkle.Frontier()
    for entry in _entries(log):
        frontier.append(merkle.leaf_hash(entry))
    return frontier.root()


def _entries(log: HubLog) -> Iterator[bytes]:
    position = 0
    while leaves := log.leaves(position + 1, PAGE):
        yield from (entry for _, entry in leaves)
        position = leaves[-1][0]


def _apart(to: Path, keys_to: Path | None, recovery_to: Path | None) -> None:
    """The three never lie together: one find would be enough to read everyone, erased or not."""
    folders = [to]
    for path in (keys_to, recovery_to):
        if path is None:
            continue
        folder = path.expanduser().absolute().parent
        if any(folder == one or one in folder.parents for one in folders):
            raise NotReady(
                f"{path} lies with another part of this backup: keep log, keys and recovery key"
                " in three places"
            )
        folders.append(folder)
