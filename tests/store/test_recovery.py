"""The recovery key: an erasure reaches it and its copies, whatever is interrupted or away."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from hub.store import recovery
from hub.store.errors import StoreCorrupt, StoreRefused
from hub.store.keystore import KeyStore
from hub.store.recovery import MAGIC, Recovery, RecoveryFile, read_recovery

ANA, BEN = uuid4(), uuid4()


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    (tmp_path / "home").mkdir()
    opened = KeyStore.open(f"sqlite:///{tmp_path}/home/secrets.db")
    opened.ensure([ANA, BEN])
    return opened


def opens(path: Path) -> set[str]:
    held = read_recovery(path)
    assert held is not None
    return {name for name, one in (("ana", ANA), ("ben", BEN)) if held.key.key_for(one.bytes)}


def test_a_hub_that_never_made_a_backup_has_none(keys: KeyStore, tmp_path: Path) -> None:
    keys.shred(ANA)
    assert not (tmp_path / "home" / "recovery.key").exists()
    assert keys.recovery.copies() == []


def test_an_old_backup_opens_for_all_but_the_erased(keys: KeyStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy.key"
    secrets = keys.secrets([ANA, BEN])
    old = keys.for_backup()
    keys.recovery.keep_copy(copy)
    assert opens(copy) == {"ana", "ben"}
    keys.shred(ANA)
    assert opens(copy) == opens(keys.recovery.path) == {"ben"}
    assert [state.behind for state in keys.recovery.copies()] == [0]

    held = read_recovery(copy)
    assert held is not None
    (tmp_path / "new").mkdir()
    with KeyStore.open(f"sqlite:///{tmp_path}/new/secrets.db") as restored:
        assert restored.restore(old, held) == {ANA}
        assert restored.secrets([ANA, BEN]) == {BEN: secrets[BEN]}
        assert restored.erased(ANA)
        with pytest.raises(StoreRefused, match="holds secrets already"):
            restored.restore(old, held)
        # It makes backups of its own under the same key, and the old one still opens.
        assert restored.for_backup().recovery_id == old.recovery_id


def test_a_copy_that_is_away_is_told_later(keys: KeyStore, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    keys.recovery.keep_copy(volume / "copy.key")
    volume.rename(tmp_path / "unmounted")
    keys.shred(ANA)
    assert keys.recovery.copies()[0].behind is None
    assert not volume.exists(), "nothing is made where nothing is mounted"
    (tmp_path / "unmounted").rename(volume)
    assert keys.recovery.copies()[0].behind == 1
    assert opens(volume / "copy.key") == {"ana", "ben"}
    keys.close()
    with KeyStore.open(f"sqlite:///{tmp_path}/home/secrets.db") as again:
        assert opens(volume / "copy.key") == {"ben"}
        assert again.recovery.copies()[0].behind == 0


@pytest.mark.parametrize("step", ["write", "overwrite", "replace"])
def test_interrupted_at_any_step_a_whole_key_is_left_and_the_erasure_is_finished(
    step: str, keys: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.for_backup()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    name, where = {
        "write": ("_write", recovery),
        "overwrite": ("_overwrite", RecoveryFile),
        "replace": ("replace", os),
    }[step]
    with monkeypatch.context() as patched:
        patched.setattr(where, name, dies)
        with pytest.raises(KeyboardInterrupt):
            keys.shred(ANA)
    keys.close()
    assert opens(tmp_path / "home" / "recovery.key") >= {"ben"}
    with KeyStore.open(f"sqlite:///{tmp_path}/home/secrets.db") as again:
        assert again.erased(ANA)
        assert opens(tmp_path / "home" / "recovery.key") == {"ben"}
        assert [one for one, _ in again.for_backup().sealed] == [BEN]


def test_a_copy_replaced_by_something_else_is_not_overwritten(
    keys: KeyStore, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(Recovery.fresh(os.urandom).to_bytes())
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear colleague")
    for path, told in ((other, "another hub's"), (letter, "no recovery key")):
        before = path.read_bytes()
        with pytest.raises(StoreRefused, match=told):
            keys.recovery.keep_copy(path)
        assert path.read_bytes() == before
    keys.shred(ANA)
    assert opens(other) == {"ana", "ben"}


def test_a_lost_key_with_copies_is_not_quietly_replaced(keys: KeyStore, tmp_path: Path) -> None:
    """Another key would open no earlier backup."""
    keys.recovery.keep_copy(tmp_path / "copy.key")
    keys.recovery.path.unlink()
    with pytest.raises(StoreRefused, match="put one back there first"):
        keys.for_backup()
    keys.shred(ANA)
    assert opens(tmp_path / "copy.key") == {"ben"}, "the erasure reached the copy all the same"


def test_a_backup_under_another_key_or_changed_is_refused(keys: KeyStore, tmp_path: Path) -> None:
    backup = keys.for_backup()
    held = keys.recovery.read()
    assert held is not None
    (tmp_path / "new").mkdir()
    with KeyStore.open(f"sqlite:///{tmp_path}/new/secrets.db") as new:
        with pytest.raises(StoreRefused, match="not the one the backup was made under"):
            new.restore(backup, Recovery.fresh(os.urandom))
        (one, sealed), *_ = backup.sealed
        swapped = type(backup)(backup.recovery_id, ((one, sealed[:-1] + b"\0"),), frozenset())
        with pytest.raises(StoreCorrupt, match="does not open"):
            new.restore(swapped, held)
        assert new.secrets([ANA, BEN]) == {}


@pytest.mark.parametrize(
    "data", [b"", MAGIC, b"x" * 200, MAGIC + bytes(60)], ids=["empty", "cut", "other", "no sum"]
)
def test_what_is_no_recovery_key(data: bytes, tmp_path: Path) -> None:
    assert Recovery.from_bytes(data) is None
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(StoreRefused, match="damaged or no recovery key"):
        read_recovery(tmp_path / "key")


def test_the_file_is_its_owners_only_and_reads_back(keys: KeyStore) -> None:
    keys.for_backup()
    keys.shred(ANA)
    assert keys.recovery.path.stat().st_mode & 0o777 == 0o600
    held = keys.recovery.read()
    assert held is not None
    again = Recovery.from_bytes(held.to_bytes())
    assert again is not None
    assert dict(again.key.nodes) == dict(held.key.nodes)
    assert again.erased == {ANA}
