"""Restore a hub into a new home: verified before it is used, and never older than others know.

In order: open the archives and check that they belong together; copy the log beside the new home
and verify it, every leaf, every checkpoint, the signed head and root; look for evidence that the
hub had gone on after this backup; fill the new store; give back the secrets, without those the
recovery key has forgotten; record `HubRestored`; write `hub.toml`, which makes the home one. A
failure before that leaves no home.

After a loss (the hub had gone on, or nobody can say) the log begins another life: checkpoints are
signed by a new log key, so that the old one never signs two trees, and every recipient's delivery
log goes on behind what was sent before, with empty recalls in between, so that no sequence is given
twice. Agencies send again what was acknowledged after the backup.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import orjson

from hub.audit.verify import Verdict, verify_log
from hub.backup.evidence import Evidence, Search
from hub.backup.keys import KeyArchive, read_keys
from hub.backup.make import root_of
from hub.backup.manifest import LOG, SETTINGS, Manifest, digest_of
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.crypto.signing import SigningKey
from hub.errors import Inconsistent, NotReady, Refused
from hub.exchange import Exchange
from hub.home import Home, Settings, with_places, write_secret
from hub.publisher import delivery_stream
from hub.recording.draft import Draft, stream_id
from hub.shredder import Shredder
from hub.store import events as stored
from hub.store.copying import Progress, copy_in, in_silence
from hub.store.keystore import KeyStore
from hub.store.log import HubLog
from hub.store.recovery import read_recovery
from hub.tlog.note import NoteSigner
from hub.topics import open_topics

SCRATCH = "restoring.db"
PREPARED = "restoring.toml"
ANSWER_WITHIN = timedelta(days=7)  # T11, for empty recalls too


@dataclass(frozen=True)
class Wanted:
    """What to restore, from where, and what the operator knows or decides.

    checkpoints: notes kept by auditors or witnesses. after_loss: go on although the hub had gone on
    after this backup, or nobody can say. sequences: the last delivery each partner has applied.
    settings: places that replace those in the backup's `hub.toml` (store, keys, topics).
    """

    backup: Path
    keys: Path
    passphrase: str
    recovery: Path
    checkpoints: Sequence[str] = ()
    after_loss: bool = False
    sequences: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    by: str = "operator"


@dataclass(frozen=True)
class Restored:
    """What a restore did. erased_since: persons erased after the backup, and still erased."""

    head: int
    made_at: str
    persons: int
    erased_since: int
    after_loss: bool
    log_verifier: str
    evidence: Evidence


def restore(home: Home, wanted: Wanted, progress: Progress = in_silence) -> Restored:
    """Put the hub back into this home, which must not be one yet.

    Raises NotReady for archives that do not fit, Inconsistent for a log that does not stand, and
    Refused `rewound` or `unproven`, always before anything is filled.
    """
    if home.exists:
        raise NotReady(f"{home.path} already holds a hub; choose another --home")
    archive = read_keys(wanted.keys, wanted.passphrase)
    recovery = read_recovery(wanted.recovery)
    if recovery is None:
        raise NotReady(f"there is no recovery key at {wanted.recovery}")
    if recovery.key_id != archive.secrets.recovery_id:
        raise NotReady(f"{wanted.recovery} is not the recovery key this key archive was made under")
    signing_key = SigningKey.from_private(archive.hub_keys["signing.key"])
    manifest, digest = Manifest.read(wanted.backup, signing_key.public)
    if manifest.hub != archive.hub or archive.position < manifest.head:
        raise NotReady("the key archive is older than the log: give the one made with it, or later")
    former = SigningKey.from_private(archive.hub_keys["log.key"])
    log_key = SigningKey.generate() if wanted.after_loss else former
    with _new_folder(home.path):
        _write(home, wanted, archive, log_key)
        settings = home.settings(PREPARED)
        scratch = home.path / SCRATCH
        evidence = _examine(scratch, wanted, manifest, archive, settings, progress)
        seen = _seen(evidence, wanted)
        with (
            HubLog.open(settings.store_url) as log,
            KeyStore.open(settings.keys_url) as secrets,
        ):
            copy_in(scratch, log, another_life=wanted.after_loss, progress=progress)
            if log.head != manifest.head or root_of(log).hex() != manifest.root:
                raise Inconsistent("the restored log is not the backup's: empty it, restore again")
            since = secrets.restore(archive.secrets, recovery)
            secrets.recovery.keep_copy(wanted.recovery)
            names = Pseudonyms(archive.hub_keys["pseudonym.key"])
            exchange = Exchange(log, secrets, names, Clock())
            persons = Shredder(exchange).carry_over(since)
            verifier = str(NoteSigner(manifest.hub, log_key).verifier)
            fact = stored.HubRestored(
                originator_id=stream_id("restored", manifest.hub),
                originator_version=log.last_version(stream_id("restored", manifest.hub)) + 1,
                timestamp=exchange.clock.now(),
                hub=manifest.hub,
                backup=digest,
                head=manifest.head,
                after_loss=wanted.after_loss,
                seen=orjson.dumps(seen, option=orjson.OPT_SORT_KEYS),
                former_verifier=str(NoteSigner(manifest.hub, former).verifier),
                log_verifier=verifier,
                by=wanted.by,
            )
            exchange.commit(lambda draft: _record(draft, exchange, fact, seen, evidence.receipts))
        scratch.unlink()
        os.replace(home.path / PREPARED, home.path / SETTINGS)  # last: now it is a home
    return Restored(
        manifest.head,
        manifest.made_at,
        len(archive.secrets.sealed) - len(since & {one for one, _ in archive.secrets.sealed}),
        persons,
        wanted.after_loss,
        verifier,
        evidence,
    )


@contextmanager
def _new_folder(path: Path) -> Iterator[None]:
    """An empty folder, empty again if anything fails."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise NotReady(f"{path} is not empty: choose another --home")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield
    except BaseException:
        for one in path.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()
        raise


def _write(home: Home, wanted: Wanted, archive: KeyArchive, log_key: SigningKey) -> None:
    (home.path / "keys").mkdir(mode=0o700)
    for name, key in {**archive.hub_keys, "log.key": log_key.private}.items():
        path = home.path / "keys" / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_secret(path, key)
    text = with_places((wanted.backup / SETTINGS).read_text("utf-8"), wanted.settings)
    (home.path / PREPARED).write_text(text, "utf-8")


def _examine(
    scratch: Path,
    wanted: Wanted,
    manifest: Manifest,
    archive: KeyArchive,
    settings: Settings,
    progress: Progress,
) -> Evidence:
    """Copy the log to `scratch`, verify all of it, and look for what others have seen."""
    for name, digest in manifest.files.items():
        if digest_of(wanted.backup / name) != digest:
            raise Inconsistent(f"{wanted.backup / name} was changed or damaged: use another backup")
    shutil.copyfile(wanted.backup / LOG, scratch)
    former = NoteSigner(manifest.hub, SigningKey.from_private(archive.hub_keys["log.key"]))
    signing_key = SigningKey.from_private(archive.hub_keys["signing.key"])
    with HubLog.open(f"sqlite:///{scratch}") as log:
        verdict = Verdict(0, 0, 0)
        for verdict in verify_log(log, manifest.hub, former.verifier):
            progress(verdict.checked, manifest.head)
        if log.head != manifest.head or root_of(log).hex() != manifest.root:
            verdict.problems.append("head or root are not those of the manifest")
        if verdict.problems:
            raise Inconsistent(f"the backup does not stand ({verdict.problems[0]}): use another")
        names = Pseudonyms(archive.hub_keys["pseudonym.key"])
        search = Search(log, names, manifest.hub, signing_key.public)
        for note in wanted.checkpoints:
            search.in_checkpoint(note, former.verifier)
        if _there(settings.topics_url):
            topics = open_topics(settings.topics_url)
            try:
                search.in_topics(topics)
            finally:
                topics.close()
    return search.found


def _there(topics_url: str) -> bool:
    """Whether topics may hold anything: an embedded log that is not there yet holds nothing."""
    scheme, _, rest = topics_url.partition("://")
    return scheme != "embedded" or Path(rest.partition("?")[0]).exists()


def _seen(evidence: Evidence, wanted: Wanted) -> dict[str, int]:
    """Per recipient the sequence after which numbering goes on, or Refused."""
    if not wanted.after_loss:
        if evidence.newer:
            raise Refused(
                0,
                "rewound",
                f"the hub had gone on after this backup: {'; '.join(evidence.newer)}. Restore a"
                " newer backup; if there is none, read docs/operations-backup.md, then use"
                " --after-loss",
            )
        if not evidence.looked_at:
            raise Refused(
                0,
                "unproven",
                "nothing outside shows how far the hub had gone: give the newest checkpoint that"
                " an auditor or witness holds (--checkpoint), or restore with --after-loss",
            )
        return {}
    seen = {
        agency: max(recorded, evidence.sequences.get(agency, 0), wanted.sequences.get(agency, 0))
        for agency, recorded in evidence.recorded.items()
        if agency in evidence.sequences or agency in wanted.sequences
    }
    if missing := sorted(set(evidence.recorded) - set(seen)):
        raise Refused(
            0,
            "unproven",
            f"say the last delivery that these have applied: {', '.join(missing)}"
            " (--sequence AGENCY=N; each sees it with nrm-hub connector check)",
        )
    return seen


def _record(
    draft: Draft,
    exchange: Exchange,
    fact: stored.HubRestored,
    seen: Mapping[str, int],
    receipts: Mapping[str, int],
) -> None:
    """What was restored; and an empty recall for every sequence that was given out and lost."""
    position = draft.add(fact)
    draft.tracking.update(receipts)
    body = {"action": "delete", "due": (draft.now + ANSWER_WITHIN).isoformat(), "items": []}
    for agency, last in sorted(seen.items()):
        stream = delivery_stream(agency)
        for sequence in range(exchange.version_of(draft, stream) + 1, last + 1):
            draft.add(
                stored.Sending(
                    originator_id=stream,
                    originator_version=sequence,
                    timestamp=draft.now,
                    agency=agency,
                    kind="recall",
                    case_id=bytes(16),
                    subject_id=bytes(16),
                    event_position=position,
                    decision=position,
                    items=orjson.dumps(body),
                )
            )
