"""Archives that do not fit, are damaged, or say less than others know: refused, nothing made."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from hub.backup.keys import WORK, KeyArchive, read_keys, write_keys
from hub.backup.make import make_backup
from hub.backup.manifest import LOG, NAME
from hub.backup.restore import Wanted, restore
from hub.crypto.signing import SigningKey
from hub.errors import HubError, Inconsistent, NotReady, Refused
from hub.home import Home
from hub.store.copying import COLUMNS, copy_out
from hub.store.log import HubLog
from hub.store.recovery import KeyBackup
from hub.tlog.checkpoint import Checkpoint
from hub.tlog.note import NoteSigner
from tests.backup.place import PASSPHRASE, Place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One backup; tests work on copies of it."""
    place = Place.open(tmp_path_factory.mktemp("made"))
    place.person("C1", "Ana")
    place.road.hub.checkpoints.step(now=True)
    place.backup()
    yield place
    place.close()


@pytest.fixture
def copy(made: Place, tmp_path: Path) -> Wanted:
    for name in ("backup", "vault", "safe"):
        shutil.copytree(made.folder / name, tmp_path / name)
    latest = made.road.hub.exchange.log.latest_checkpoint()
    assert latest is not None
    return Wanted(
        backup=tmp_path / "backup" / "one",
        keys=tmp_path / "vault" / "one.keys",
        passphrase=PASSPHRASE,
        recovery=tmp_path / "safe" / "recovery.key",
        checkpoints=[latest[1]],
    )


def changed_row(wanted: Wanted) -> None:
    """Somebody changes the log and the manifest's digest with it; the signature is theirs."""
    path = wanted.backup / NAME
    document = json.loads(path.read_text())
    document["head"] -= 1
    path.write_text(json.dumps(document))


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: list[tuple[str, Callable[[Wanted], object], type[HubError], str]] = [
    ("no manifest", lambda w: (w.backup / NAME).unlink(), NotReady, "holds no backup"),
    ("half a manifest", lambda w: (w.backup / NAME).write_text("{"), NotReady, "damaged"),
    ("an empty manifest", lambda w: (w.backup / NAME).write_text("[]"), NotReady, "not signed"),
    ("another head", changed_row, NotReady, "not signed by the hub"),
    ("a flipped bit", lambda w: flipped(w.backup / LOG), Inconsistent, "changed or damaged"),
    ("damaged keys", lambda w: flipped(w.keys), NotReady, "does not open"),
    ("other keys", lambda w: w.keys.write_bytes(b"not keys"), NotReady, "no key archive"),
    ("a huge work factor", lambda w: w.keys.write_bytes(b"NRMKEYS1\xff" + bytes(60)), NotReady,
     "no key archive"),
    ("damaged recovery key", lambda w: flipped(w.recovery), NotReady, "damaged or no recovery key"),
    ("no recovery key", lambda w: w.recovery.unlink(), NotReady, "there is no recovery key"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "damage", "error", "told"), DAMAGES, ids=[d[0] for d in DAMAGES])
def test_what_is_damaged_is_refused_and_leaves_no_home(
    what: str,
    damage: Callable[[Wanted], object],
    error: type[HubError],
    told: str,
    copy: Wanted,
    tmp_path: Path,
) -> None:
    damage(copy)
    with pytest.raises(error, match=told):
        restore(Home(tmp_path / "new"), copy)
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())


def test_the_wrong_passphrase(copy: Wanted, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="another passphrase"):
        restore(Home(tmp_path / "new"), replace(copy, passphrase="another passphrase"))


def test_the_recovery_key_of_another_hub(copy: Wanted, tmp_path: Path) -> None:
    other = Place.open(tmp_path / "other")
    other.backup()
    with pytest.raises(NotReady, match="is not the recovery key this key archive was made under"):
        restore(Home(tmp_path / "new"), replace(copy, recovery=other.recovery))
    # The archives of two hubs do not go together either.
    with pytest.raises(NotReady, match="not signed by the hub whose keys these are"):
        restore(Home(tmp_path / "new"), replace(other.wanted(), backup=copy.backup))
    other.close()


def test_a_home_that_is_one_or_is_not_empty(copy: Wanted, made: Place, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="already holds a hub"):
        restore(Home(made.home), copy)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("kept")
    with pytest.raises(NotReady, match="is not empty"):
        restore(Home(tmp_path / "full"), copy)
    assert (tmp_path / "full" / "file").read_text() == "kept"


def test_without_any_sign_of_how_far_the_hub_had_gone(copy: Wanted, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--checkpoint") as unproven:
        restore(Home(tmp_path / "new"), replace(copy, checkpoints=[]))
    assert unproven.value.reason == "unproven"
    with pytest.raises(Refused, match=r"LAW-1, NGO-1 \(--sequence") as unknown:
        restore(
            Home(tmp_path / "new"),
            replace(copy, checkpoints=[], after_loss=True, sequences={"SH-1": 4}),
        )
    assert unknown.value.reason == "unproven"


def test_a_checkpoint_of_a_larger_log_or_of_another_one(
    copy: Wanted, made: Place, tmp_path: Path
) -> None:
    hub = made.road.hub
    signer = NoteSigner(hub.settings.hub_id, hub.keys.log)
    larger = Checkpoint(hub.settings.hub_id, 10_000, bytes(32)).sign([signer]).decode()
    with pytest.raises(Refused, match="log position 10000 was given out") as rewound:
        restore(Home(tmp_path / "new"), replace(copy, checkpoints=[larger]))
    assert rewound.value.reason == "rewound"
    forked = Checkpoint(hub.settings.hub_id, 3, bytes(32)).sign([signer]).decode()
    with pytest.raises(NotReady, match="the log was forked"):
        restore(Home(tmp_path / "new"), replace(copy, checkpoints=[forked]))
    stranger = NoteSigner(hub.settings.hub_id, SigningKey.generate())
    theirs = Checkpoint(hub.settings.hub_id, 3, bytes(32)).sign([stranger]).decode()
    for note in (theirs, "nothing"):
        with pytest.raises(NotReady, match="not signed by this hub's log key"):
            restore(Home(tmp_path / "new"), replace(copy, checkpoints=[note]))


def test_a_row_changed_under_a_signed_checkpoint(copy: Wanted, made: Place, tmp_path: Path) -> None:
    """Whoever holds the hub's signing key and changes history is caught by the tree."""
    import sqlite3

    from hub.backup.manifest import Manifest, digest_of

    with sqlite3.connect(copy.backup / LOG) as db:
        db.execute("UPDATE stored_events SET state = CAST(state || x'00' AS BLOB) WHERE rowid = 4")
    db.close()
    manifest, _ = Manifest.read(copy.backup, made.road.hub.keys.signing.public)
    files = {**manifest.files, LOG: digest_of(copy.backup / LOG)}
    replace(manifest, files=files).write(copy.backup, made.road.hub.keys.signing)
    with pytest.raises(Inconsistent, match="position 4: row and leaf differ"):
        restore(Home(tmp_path / "new"), copy)


def test_three_parts_in_one_place_are_refused(made: Place, tmp_path: Path) -> None:
    home, to = Home(made.home), tmp_path / "backup"
    for keys, recovery in (
        (to / "keys", None),
        (None, to / "recovery.key"),
        (tmp_path / "k" / "keys", tmp_path / "k" / "recovery.key"),
    ):
        with pytest.raises(NotReady, match="three places"):
            make_backup(home, to, keys_to=keys, passphrase=PASSPHRASE, recovery_to=recovery)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_a_file_in_use_and_a_short_passphrase(made: Place, tmp_path: Path) -> None:
    home = Home(made.home)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("kept")
    with pytest.raises(NotReady, match="a folder of its own"):
        make_backup(home, tmp_path / "used")
    (tmp_path / "vault").mkdir()
    keys = tmp_path / "vault" / "keys"
    with pytest.raises(NotReady, match="12 characters"):
        make_backup(home, tmp_path / "a", keys_to=keys, passphrase="short")
    keys.write_text("kept")
    with pytest.raises(NotReady, match="exists already"):
        make_backup(home, tmp_path / "b", keys_to=keys, passphrase=PASSPHRASE)
    assert keys.read_text() == "kept"
    assert not (tmp_path / "a" / NAME).exists(), "a folder without a manifest is no backup"


def test_key_archives_round_trip_and_are_their_owners_only(tmp_path: Path) -> None:
    archive = KeyArchive(
        "hub",
        7,
        {"signing.key": b"s" * 32},
        KeyBackup(b"r" * 16, ((uuid4(), b"sealed"),), frozenset({uuid4()})),
    )
    path = tmp_path / "keys"
    write_keys(path, archive, PASSPHRASE)
    assert path.read_bytes()[8] < WORK == 17, "quick here, slow in use"
    assert read_keys(path, PASSPHRASE) == archive
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"signing.key" not in path.read_bytes()


def test_a_copy_is_one_moment_although_the_hub_goes_on(tmp_path: Path) -> None:
    """Rows, leaves and counts of a copy agree while another thread appends."""
    place = Place.open(tmp_path)
    place.person("C1", "Ana")
    log = place.road.hub.exchange.log
    stop = threading.Event()

    def busy() -> None:
        place.road.hub.topics.close()
        n = 0
        while not stop.is_set():
            n += 1
            place.road.hub.enrolment.end_agreement("LAW-1", by=f"{n}")

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        heads = []
        for n in range(5):
            rows = copy_out(log.url, tmp_path / f"copy-{n}.db")
            assert rows["stored_events"] == rows["leaves"]
            with HubLog.open(f"sqlite:///{tmp_path}/copy-{n}.db") as copied:
                heads.append(copied.head)
                assert copied.head == rows["leaves"]
                assert sum(copied.counts().by_topic.values()) == copied.head
        assert heads == sorted(heads)
        assert heads[0] < heads[-1]
    finally:
        stop.set()
        writer.join()
        place.close()


def test_every_table_of_a_log_is_copied(made: Place, tmp_path: Path) -> None:
    """A table somebody adds is lost in a restore unless `copying` knows it."""
    import sqlite3

    with sqlite3.connect(made.home / "events.db") as db:
        asked = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = {name for (name,) in db.execute(asked)}
        columns = {
            table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in tables
        }
    db.close()
    assert tables - {"stored_events", "about"} == set(COLUMNS)
    assert {table: set(COLUMNS[table]) for table in COLUMNS} == {
        table: columns[table] for table in COLUMNS
    }
