"""The key store's contract on SQLite and PostgreSQL: an erased person's secret is nowhere."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from hub.store import keystore
from hub.store.epoch import MAGIC
from hub.store.errors import StoreBusy, StoreCorrupt, StoreFailed, StoreRefused, StoreUnavailable
from hub.store.keystore import KeyStore, SubjectErased
from hub.store.tables import Cursor
from tests.store.conftest import Server, postgres_url
from tests.store.samples import stream as person

ANA, BEN, CLEO = person("ana"), person("ben"), person("cleo")


@pytest.fixture(params=["sqlite", "postgres"])
def keys_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/secrets.db"
    return f"{postgres_url(request.getfixturevalue('server'))}&epoch_key={tmp_path}/epoch.key"


@pytest.fixture
def keys(keys_url: str) -> Iterator[KeyStore]:
    with KeyStore.open(keys_url) as opened:
        yield opened


# -- secrets --------------------------------------------------------------------------------------


def test_a_secret_is_made_once(keys: KeyStore) -> None:
    assert keys.secrets([ANA]) == {}
    made = keys.ensure([ANA, BEN])
    assert set(made) == {ANA, BEN}
    assert made[ANA] != made[BEN]
    assert all(len(secret) == 32 for secret in made.values())
    assert keys.ensure([BEN, CLEO])[BEN] == made[BEN]
    assert keys.secrets([ANA, BEN]) == made


def test_secrets_survive_reopening(keys_url: str) -> None:
    with KeyStore.open(keys_url) as keys:
        made = keys.ensure({person(n) for n in range(1200)})
    with KeyStore.open(keys_url) as keys:
        assert keys.secrets(set(made)) == made
        assert keys.secrets([ANA]) == {}


def test_two_processes_make_one_secret(keys_url: str) -> None:
    with KeyStore.open(keys_url) as one, KeyStore.open(keys_url) as two:
        assert one.ensure([ANA]) == two.ensure([ANA])
        assert two.secrets([ANA]) == one.secrets([ANA])


def test_threads_racing_to_make_secrets_agree(keys_url: str) -> None:
    with KeyStore.open(keys_url) as one, KeyStore.open(keys_url) as two:
        seen: list[dict[UUID, bytes]] = []

        def run(keys: KeyStore) -> None:
            for n in range(40):
                seen.append(keys.ensure([person(n), person(n + 1)]))

        threads = [threading.Thread(target=run, args=(keys,)) for keys in (one, two, one)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 120
        final = one.secrets([person(n) for n in range(41)])
        assert all(final[who] == secret for made in seen for who, secret in made.items())


def test_what_is_remembered_is_bounded(keys_url: str) -> None:
    with KeyStore.open(keys_url, cached=10) as keys:
        made: dict[UUID, bytes] = {}
        for n in range(50):
            made |= keys.ensure([person(n)])
        assert len(keys._known) == 10
        assert keys.secrets(list(made)) == made
        assert len(keys._known) == 10


# -- erasing --------------------------------------------------------------------------------------


def test_an_erased_person_has_no_secret_again(keys_url: str) -> None:
    with KeyStore.open(keys_url) as keys:
        made = keys.ensure([ANA, BEN, CLEO])
        report = keys.shred(ANA)
        assert (report.destroyed, report.survivors, report.epoch) == (1, 2, 2)
        assert keys.erased(ANA)
        assert not keys.erased(BEN)
    with KeyStore.open(keys_url) as keys:
        assert keys.secrets([ANA, BEN, CLEO]) == {BEN: made[BEN], CLEO: made[CLEO]}
        assert keys.erased_among([ANA, BEN]) == {ANA}
        with pytest.raises(SubjectErased) as raised:
            keys.ensure([ANA, person("new")])
        assert raised.value.subjects == {ANA}
        assert keys.secrets([person("new")]) == {}


def test_erasing_again_or_an_unknown_person(keys: KeyStore) -> None:
    keys.ensure([ANA])
    assert keys.shred(BEN).destroyed == 0
    assert keys.erased(BEN)
    epoch = keys.epoch
    again = keys.shred(BEN)
    assert (again.destroyed, again.epoch) == (0, epoch)
    with pytest.raises(SubjectErased):
        keys.ensure([BEN])


def test_several_are_erased_in_one_epoch(keys: KeyStore) -> None:
    made = keys.ensure([person(n) for n in range(30)])
    gone = [person(n) for n in range(0, 30, 2)]
    report = keys.shred(*gone)
    assert (report.destroyed, report.survivors, report.epoch) == (15, 15, 2)
    kept = {who: secret for who, secret in made.items() if who not in gone}
    assert keys.secrets(list(made)) == kept


def test_more_survivors_than_a_page(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.store.wrapped.PAGE", 7)
    made = keys.ensure([person(n) for n in range(50)])
    assert keys.shred(person(20)).survivors == 49
    del made[person(20)]
    assert keys.secrets([person(n) for n in range(50)]) == made


def test_what_another_process_remembers_does_not_outlive_an_erasure(keys_url: str) -> None:
    with KeyStore.open(keys_url) as hub, KeyStore.open(keys_url) as command:
        made = hub.ensure([ANA, BEN])
        command.shred(ANA)
        assert ANA not in hub._known or hub._state.epoch == 1  # it has not looked yet
        assert hub.secrets([ANA, BEN]) == {BEN: made[BEN]}
        assert set(hub._known) == {BEN}
        assert hub.erased(ANA)
        with pytest.raises(SubjectErased):
            hub.ensure([ANA])
        assert command.ensure([CLEO]) == hub.ensure([CLEO])


def test_erasing_while_others_write(keys_url: str) -> None:
    """Secrets made under the old epoch while a new one is prepared move with the rest."""
    with KeyStore.open(keys_url) as hub, KeyStore.open(keys_url) as command:
        made: dict[UUID, bytes] = {}
        failures: list[BaseException] = []

        def run() -> None:
            try:
                for n in range(150):
                    with suppress(StoreBusy):  # a busy machine; the hub would try again
                        made.update(hub.ensure([person(n)]))
                    who = person(n // 2)
                    assert hub.secrets([who]) == {x: made[x] for x in [who] if x in made}
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        for n in range(10):
            command.shred(person(("erased", n)))
        thread.join()
        assert failures == []
        assert command.epoch == 11
        assert command.secrets(list(made)) == made


def test_reading_while_an_erasure_ends(keys_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old epoch's key is destroyed between a reader's snapshot and its look at the file."""
    with KeyStore.open(keys_url) as hub, KeyStore.open(keys_url) as command:
        made = hub.ensure([ANA, BEN, CLEO])
        monkeypatch.setattr(command._tables, "scrub", lambda: None)  # waits for the reader below
        command.shred(CLEO)
        read = keystore.wrapped_of
        erasing = [person("first"), person("second")]

        def rows(c: Cursor, subjects: Sequence[UUID]) -> list[tuple[bytes, bytes]]:
            found = read(c, subjects)
            if erasing and ANA in subjects:
                command.shred(erasing.pop())
            return found

        monkeypatch.setattr(keystore, "wrapped_of", rows)
        assert hub.secrets([ANA, BEN]) == {ANA: made[ANA], BEN: made[BEN]}
        assert not erasing


# -- copies of a wrapped secret -------------------------------------------------------------------


def test_a_secret_put_back_from_a_backup_does_not_unwrap(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/secrets.db"
    with KeyStore.open(url) as keys:
        keys.ensure([ANA, BEN])
        backup = sqlite3.connect(tmp_path / "secrets.db")
        row = backup.execute("SELECT * FROM secrets WHERE subject_id = ?", (ANA.bytes,)).fetchone()
        keys.shred(ANA)
        backup.execute("INSERT INTO secrets VALUES (?, ?)", row)
        backup.execute("DELETE FROM erased")
        backup.execute("UPDATE state SET generation = generation + 1")
        backup.commit()
        backup.close()
        with pytest.raises(StoreCorrupt):
            keys.secrets([ANA])


def test_a_secret_moved_onto_another_person_does_not_unwrap(tmp_path: Path) -> None:
    with KeyStore.open(f"sqlite:///{tmp_path}/secrets.db") as keys:
        keys.ensure([ANA, BEN])
        keys._forget()
        with keys._tables.write() as c:
            c.execute(
                "UPDATE secrets SET wrapped = (SELECT wrapped FROM secrets WHERE subject_id = ?)"
                " WHERE subject_id = ?",
                (ANA.bytes, BEN.bytes),
            )
        with pytest.raises(StoreCorrupt, match=str(BEN)):
            keys.secrets([BEN])


def test_an_older_copy_of_the_whole_store_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/secrets.db"
    with KeyStore.open(url) as keys:
        keys.ensure([ANA, BEN])
    shutil.copy(tmp_path / "secrets.db", tmp_path / "backup.db")
    with KeyStore.open(url) as keys:
        keys.shred(ANA)
    shutil.copy(tmp_path / "backup.db", tmp_path / "secrets.db")
    with pytest.raises(StoreRefused, match="epoch 1"):
        KeyStore.open(url)


# -- I7: key bytes are in no file -----------------------------------------------------------------


def writings(secret: bytes) -> dict[str, bytes]:
    """The ways a key is found written: raw, hexadecimal, base64 at each alignment, UTF-16."""
    found = {"raw": secret, "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode()}
    found["utf-16"] = secret.hex().encode("utf-16-le")
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        found[f"base64+{shift}"] = text[4 * ((shift + 2) // 3) : 4 * ((shift + 32) // 3)]
    return found


def files_holding(secret: bytes, *folders: Path) -> list[str]:
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                found += [
                    f"{path}: {how}" for how, text in writings(secret).items() if text in data
                ]
    return found


def current_key(path: Path) -> bytes:
    data = path.read_bytes()
    assert data.startswith(MAGIC)
    return data[32:64]


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    secret = os.urandom(32)
    for n, text in enumerate(
        [
            secret,
            secret.hex().encode(),
            base64.b64encode(b"ab" + secret),
            secret.hex().encode("utf-16"),
        ]
    ):
        (tmp_path / f"{n}").write_bytes(b"before" + text + b"after")
    assert len({line.split(":")[0] for line in files_holding(secret, tmp_path)}) == 4


def test_after_an_erasure_no_file_holds_the_secret_or_the_old_epoch_key(
    keys_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folders = [tmp_path]
    postgres = keys_url.startswith("postgresql")
    if postgres:
        folders.append(request.getfixturevalue("server").folder)
    with KeyStore.open(keys_url) as keys:
        made = keys.ensure([ANA, BEN, CLEO])
        old = current_key(tmp_path / "epoch.key")
        assert files_holding(old, *folders) == [f"{tmp_path}/epoch.key: raw"]
        keys.shred(ANA)
        if postgres:
            with psycopg.connect(request.getfixturevalue("server").url, autocommit=True) as admin:
                admin.execute("CHECKPOINT")
        for secret in (made[ANA], old, made[BEN]):
            assert files_holding(secret, *folders) == []
        new = current_key(tmp_path / "epoch.key")
        assert files_holding(new, *folders) == [f"{tmp_path}/epoch.key: raw"]
    for secret in (made[ANA], old):
        assert files_holding(secret, *folders) == []


def test_wrapped_copies_left_in_a_log_are_of_the_old_epoch_only(tmp_path: Path) -> None:
    """What the files may still hold of the erased person is the wrapped form: find it in a copy
    of the write-ahead log taken before, and show that the present key does not open it."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with KeyStore.open(f"sqlite:///{tmp_path}/secrets.db") as keys:
        keys.ensure([ANA, BEN])
        with keys._tables.read() as c:
            c.execute("SELECT wrapped FROM secrets WHERE subject_id = ?", (ANA.bytes,))
            wrapped = bytes(c.fetchall()[0]["wrapped"])
        log = (tmp_path / "secrets.db-wal").read_bytes()
        assert wrapped in log
        keys.shred(ANA)
        assert not any(wrapped in path.read_bytes() for path in tmp_path.iterdir())
        store = (tmp_path / "epoch.key").read_bytes()[8:24]
        key = AESGCM(current_key(tmp_path / "epoch.key"))
        for epoch in (1, 2):
            context = b"nrm subject secret\x00" + store + epoch.to_bytes(8, "big") + ANA.bytes
            with pytest.raises(InvalidTag):
                key.decrypt(wrapped[:12], wrapped[12:], context)


# -- killed at every step -------------------------------------------------------------------------

SHRED = """
import sys
from hub.store.keystore import KeyStore
from tests.store.samples import stream as person
with KeyStore.open(sys.argv[1]) as keys:
    keys.shred(person("ana"))
"""
STEPS = [
    "shred_after_mark",
    "shred_after_key",
    "shred_before_commit",
    "shred_after_rewrap",
    "shred_after_overwrite",
    "shred_after_replace",
]


def shred_and_die(keys_url: str, step: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHRED, keys_url],
        env={"NRM_CRASH_AT": step, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 137, done.stderr.decode()


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_killed_at_any_step_is_finished_by_the_next_opening(
    keys_url: str, tmp_path: Path, step: str
) -> None:
    with KeyStore.open(keys_url) as keys:
        made = keys.ensure([ANA, BEN, CLEO])
    old = current_key(tmp_path / "epoch.key")
    shred_and_die(keys_url, step)
    with KeyStore.open(keys_url) as keys:
        assert keys.erased(ANA)
        assert keys.secrets([ANA, BEN, CLEO]) == {BEN: made[BEN], CLEO: made[CLEO]}
        with pytest.raises(SubjectErased):
            keys.ensure([ANA])
        assert keys.epoch == 2
        assert files_holding(old, tmp_path) == []
        assert files_holding(made[ANA], tmp_path) == []
        assert not (tmp_path / "epoch.key.next").exists()
        keys.shred(BEN)
        assert keys.secrets([CLEO]) == {CLEO: made[CLEO]}


@pytest.mark.parametrize("step", STEPS)
def test_a_running_hub_finishes_what_a_killed_command_began(
    keys_url: str, tmp_path: Path, step: str
) -> None:
    with KeyStore.open(keys_url) as hub:
        made = hub.ensure([ANA, BEN])
        old = current_key(tmp_path / "epoch.key")
        shred_and_die(keys_url, step)
        assert hub.secrets([ANA, BEN]) == {BEN: made[BEN]}
        assert hub.ensure([BEN]) == {BEN: made[BEN]}
        assert files_holding(old, tmp_path) == []
    with KeyStore.open(keys_url) as hub:
        assert hub.secrets([ANA, BEN]) == {BEN: made[BEN]}
        assert files_holding(old, tmp_path) == []


def test_killed_twice(keys_url: str, tmp_path: Path) -> None:
    with KeyStore.open(keys_url) as keys:
        made = keys.ensure([ANA, BEN])
    for step in ("shred_after_mark", "shred_after_key", "shred_before_commit"):
        shred_and_die(keys_url, step)
    with KeyStore.open(keys_url) as keys:
        assert keys.secrets([ANA, BEN]) == {BEN: made[BEN]}


# -- the epoch key's file -------------------------------------------------------------------------


def test_the_files_are_their_owners_only(tmp_path: Path) -> None:
    with KeyStore.open(f"sqlite:///{tmp_path}/secrets.db") as keys:
        keys.ensure([ANA])
        keys.shred(ANA)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"secrets.db", "epoch.key"} <= set(modes)


@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_without_the_epoch_key_the_store_does_not_open_and_changes_nothing(
    tmp_path: Path, damage: str
) -> None:
    url, path = f"sqlite:///{tmp_path}/secrets.db", tmp_path / "epoch.key"
    with KeyStore.open(url) as keys:
        made = keys.ensure([ANA])
    good = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(good[:-1] if damage == "cut" else good[:40] + b"?" + good[41:])
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"epoch\.key"):
            KeyStore.open(url)
    path.write_bytes(good)
    with KeyStore.open(url) as keys:
        assert keys.secrets([ANA]) == made


def test_the_epoch_key_of_another_store_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with KeyStore.open(f"sqlite:///{tmp_path}/{name}/secrets.db") as keys:
            keys.ensure([ANA])
    shutil.copy(tmp_path / "a" / "epoch.key", tmp_path / "b" / "epoch.key")
    with pytest.raises(StoreRefused, match="another"):
        KeyStore.open(f"sqlite:///{tmp_path}/b/secrets.db")


@pytest.mark.parametrize("failing", [None, "state", "key"])
def test_a_first_opening_that_was_interrupted_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str | None
) -> None:
    url = f"sqlite:///{tmp_path}/secrets.db"
    if failing is not None:
        names = {"state": "read", "key": "settle"}

        def fail(*arguments: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"hub.store.epoch.EpochFile.{names[failing]}", fail)
            with pytest.raises(KeyboardInterrupt):
                KeyStore.open(url)
    with KeyStore.open(url) as keys:
        made = keys.ensure([ANA])
    with KeyStore.open(url) as keys:
        assert keys.secrets([ANA]) == made


def test_postgres_needs_to_be_told_where_the_epoch_key_is(server: Server) -> None:
    with pytest.raises(StoreRefused, match="epoch_key"):
        KeyStore.open(postgres_url(server))


@pytest.mark.parametrize("address", ["mysql://x/y?epoch_key=/tmp/e", "", "sqlite:///:memory:"])
def test_an_address_that_is_not_a_key_store_is_refused(address: str) -> None:
    with pytest.raises(StoreRefused):
        KeyStore.open(address)


# -- failing databases ----------------------------------------------------------------------------


def test_a_full_disk_closes_the_key_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/secrets.db"
    made: dict[UUID, bytes] = {}
    with KeyStore.open(url) as keys:
        connection: Any = keys._tables
        connection._connection.execute("PRAGMA max_page_count=20").fetchall()
        with pytest.raises(StoreFailed):
            for n in range(10_000):
                made |= keys.ensure([person((n, m)) for m in range(100)])
        assert made
        with pytest.raises(StoreFailed, match="reopen"):
            keys.ensure([person("one more")])
        assert keys.secrets(list(made)) == made
    with KeyStore.open(url) as keys:
        assert keys.secrets(list(made)) == made


def test_a_writer_elsewhere_is_waited_for_and_then_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.keytables.LOCK_SECONDS", 1)
    with KeyStore.open(f"sqlite:///{tmp_path}/secrets.db") as keys:
        other = sqlite3.connect(tmp_path / "secrets.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            keys.ensure([ANA])
        other.execute("ROLLBACK")
        other.close()
        assert keys.ensure([ANA])


def test_a_key_store_goes_on_after_its_server_restarted(server: Server, tmp_path: Path) -> None:
    url = f"{postgres_url(server)}&epoch_key={tmp_path}/epoch.key"
    with KeyStore.open(url) as keys:
        made = keys.ensure([ANA])
        server.restart()
        with suppress(StoreUnavailable):  # the first use may meet the dead connection
            keys.secrets([ANA])
        assert keys.secrets([ANA]) == made
        assert keys.ensure([ANA, BEN])[ANA] == made[ANA]
