"""Files: whole or not there, signed, rewritten on recall; what a partner takes is answered for."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    corrected,
    demographics,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.conformance import NOW as AT
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.files.age import Age
from connectors.files.folder import Options, open_sink
from connectors.files.manifest import MEDIA_TYPE
from connectors.kinds import Place
from connectors.settings import load_settings
from connectors.settings import open_sink as open_any
from connectors.sink import RecallPolicy
from hub.crypto.signing import SignatureError, pae
from tests.connectors.files.file_bench import KEY, FileBench, age_keys, read
from tests.connectors.files.test_folder_conformance import folder_bench

NEEDED = "age is not installed: make test-services"
POINTS = (
    "before_remote", "before_rename", "before_rename:2", "before_rename:3", "before_rename:4",
    "after_remote", "before_sink_commit", "after_sink_commit",
)  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FileBench]:
    bench = folder_bench(tmp_path, "csv")
    yield bench
    bench.close()


def names(bench: FileBench) -> list[str]:
    return sorted(path.name for path in bench.folder.iterdir())


def test_a_batch_is_files_by_type_and_a_manifest(bench: FileBench) -> None:
    claimed(bench).apply(batch(opened_case(1), identity(2), identity(3, "e-3")))
    span = "0000000001-0000000003"
    assert names(bench) == [
        f"batch-{span}.manifest.json",
        f"batch-{span}.manifest.json.sig",
        f"case_opened-{span}.csv",
        f"identity_recorded-{span}.csv",
    ]
    told = json.loads((bench.folder / f"batch-{span}.manifest.json").read_bytes())
    assert (told["hub"], told["agency"], told["first"], told["last"]) == ("test-hub", "POL-1", 1, 3)
    assert [(one["event_type"], one["rows"], one["edition"]) for one in told["files"]] == [
        ("CaseOpened", 1, 1),
        ("IdentityRecorded", 2, 1),
    ]
    assert all(path.stat().st_mode & 0o007 == 0 for path in bench.folder.iterdir())


def test_the_signature_is_checked_by_openssl(bench: FileBench, tmp_path: Path) -> None:
    claimed(bench).apply(batch(opened_case(1)))
    [document] = bench.folder.glob("*.manifest.json")
    key_id, text = Path(f"{document}.sig").read_text().split()
    assert key_id == KEY.key_id.hex()
    prefix = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what comes before the key
    pem = base64.encodebytes(prefix + KEY.public).decode()
    (tmp_path / "key.pem").write_text(
        f"-----BEGIN PUBLIC KEY-----\n{pem}-----END PUBLIC KEY-----\n"
    )
    (tmp_path / "sig").write_bytes(base64.b64decode(text))

    def verified(body: bytes) -> bool:
        (tmp_path / "signed").write_bytes(pae(MEDIA_TYPE, body))
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in",
             "signed", "-sigfile", "sig"],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    assert verified(document.read_bytes())
    assert not verified(document.read_bytes().replace(b"POL-1", b"POL-2"))
    document.write_bytes(document.read_bytes().replace(b"POL-1", b"POL-2"))
    with pytest.raises(SignatureError):
        bench.listed()


# -- kills ---------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_no_half_file_has_a_name(bench: FileBench, point: str) -> None:
    what = batch(opened_case(1), identity(2), poison(3))
    dies_applying(bench, what, point)
    for name in names(bench):
        if name.startswith((".", "batch-")):
            continue
        assert list(read(name, (bench.folder / name).read_bytes())), name
    bench.listed()  # and whatever manifest is there tells the truth
    sink = claimed(bench)
    assert (sink.owed(10) != []) == (point == "after_sink_commit")
    sink.apply(what)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    assert len(bench.rows()) == 2
    assert not [name for name in names(bench) if name.startswith(".")]


@pytest.mark.parametrize("point", [*POINTS, "held", "after_rename"])
def test_killed_in_a_recall(bench: FileBench, point: str) -> None:
    claimed(bench).apply(batch(identity(1), demographics(2), identity(3, "e-3")))
    recall = batch(recalled(4, ("e-1", ["identity"]), ("e-3", ["identity"])), opened_case(5))
    dies_applying(bench, recall, point)
    sink = claimed(bench)
    if len(sink.owed(10)) > 1:
        assert CANARY.encode() not in bench.stored()
    sink.apply(recall)
    assert CANARY.encode() not in bench.stored()
    assert (bench.shown("e-1") or {})["gender"] == "f"
    assert bench.shown("e-3") is None
    assert bench.shown("e-0") is not None
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"] * 2


@pytest.mark.parametrize("point", [*POINTS[:3], "held", "removing", "after_remote"])
def test_killed_while_a_file_goes_it_is_not_taken_for_taken(bench: FileBench, point: str) -> None:
    claimed(bench).apply(batch(identity(1)))
    recall = batch(recalled(2, ("e-1", ["identity"])))
    dies_applying(bench, recall, point)
    claimed(bench).apply(recall)
    [told] = bench.folder.glob("recall-*.json")
    assert json.loads(told.read_bytes())["items"][0]["taken"] == []
    assert names(bench) == ["recall-0000000002.json", "recall-0000000002.json.sig"]


def test_what_a_cut_off_attempt_left_goes(bench: FileBench) -> None:
    """The next attempt takes another batch: part of it is quarantined by then."""
    dies_applying(bench, batch(identity(1), opened_case(2)), "after_remote")
    assert bench.shown("e-1") is not None
    claimed(bench).apply(batch(poison(1, "e-1"), opened_case(2)))
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()
    assert [name for name in names(bench) if "0000000001" in name] == []


def test_a_rewrite_that_was_cut_off_is_ended_though_its_recall_is_not(bench: FileBench) -> None:
    """The recall is quarantined meanwhile: file, manifest and books agree all the same."""
    claimed(bench).apply(batch(identity(1), identity(2, "e-2")))
    dies_applying(bench, batch(recalled(3, ("e-1", ["identity"]))), "before_rename:3")
    sink = claimed(bench)
    sink.apply(batch(poison(3), opened_case(4)))
    bench.listed()
    assert bench.shown("e-2") is not None
    sink.apply(batch(recalled(5, ("e-1", ["identity"]), ("e-2", ["identity"]))))
    assert CANARY.encode() not in bench.stored()


def test_redriven_alone_more_than_once(bench: FileBench) -> None:
    """One sequence in two batches of files: names are given once."""
    sink = claimed(bench)
    sink.apply(batch(poison(1), poison(2)))
    first, second = sink.quarantine()
    sink.redrive(first.id, [identity(1)], AT)
    sink.redrive(second.id, [demographics(2)], AT)
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert (bench.shown("e-1") or {})["gender"] == "f"
    assert CANARY.encode() not in bench.stored()


# -- what a partner does with files --------------------------------------------------------


def test_recalled_from_a_file_that_was_taken(bench: FileBench, tmp_path: Path) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), opened_case(2)))
    [file] = bench.folder.glob("identity_*.csv")
    file.rename(tmp_path / "taken.csv")
    recall = batch(recalled(3, ("e-1", ["identity"])))
    with pytest.raises(SinkDownError, match=r"recall-0000000003\.json\.done"):
        sink.apply(recall)
    assert sink.position().sequence == 2
    told = json.loads((bench.folder / "recall-0000000003.json").read_bytes())
    assert told["answer"] == "recall-0000000003.json.done"
    assert told["items"] == [
        {
            "event_ref": "e-1",
            "case_ref": "nc-1",
            "subject_ref": "ns-1",
            "categories": ["identity"],
            "taken": [file.name],
        }
    ]
    (tmp_path / "taken.csv").unlink()
    (bench.folder / told["answer"]).touch()
    claimed(bench).apply(recall)  # also after a restart
    assert [e.outcome for e in bench.open().owed(10)[-1].exceptions] == ["deleted"]
    claimed(bench).apply(batch(recalled(4, ("e-1", ["identity"]))))  # nothing left to ask about


@pytest.mark.parametrize("others", [0, 1])
def test_taken_at_the_very_moment(bench: FileBench, tmp_path: Path, others: int) -> None:
    """Between being read and being replaced: it is not put back, and the partner is asked."""
    sink = claimed(bench)
    sink.apply(batch(identity(1), *[identity(2, "e-2")] * others))
    [file] = bench.folder.glob("identity_*.csv")
    recall = batch(recalled(2 + others, ("e-1", ["identity"])))
    drop = sink.files.drop
    hold = drop.hold

    def taken_then_held(name: str) -> bool:
        file.rename(tmp_path / "taken.csv")
        return hold(name)

    drop.hold = taken_then_held  # type: ignore[method-assign]
    with pytest.raises(SinkDownError, match="done"):
        sink.apply(recall)
    drop.hold = hold  # type: ignore[method-assign]
    assert not file.exists()
    [told] = bench.folder.glob("recall-*.json")
    assert json.loads(told.read_bytes())["items"][0]["taken"] == [file.name]
    with pytest.raises(SinkDownError, match="done"):
        claimed(bench).apply(recall)
    Path(f"{told}.done").touch()
    claimed(bench).apply(recall)
    assert bench.open().position().sequence == 2 + others


def test_taken_after_a_recall_was_cut_off(bench: FileBench, tmp_path: Path) -> None:
    """The connector died before it removed the file; the partner took it before it came back."""
    claimed(bench).apply(batch(identity(1)))
    recall = batch(recalled(2, ("e-1", ["identity"])))
    dies_applying(bench, recall, "before_remote")
    [file] = bench.folder.glob("identity_*.csv")
    file.rename(tmp_path / "taken.csv")
    with pytest.raises(SinkDownError, match="done"):
        claimed(bench).apply(recall)
    (tmp_path / "taken.csv").rename(file)
    dies_applying(bench, recall, "held")
    assert not file.exists(), "out of others' reach"
    assert CANARY.encode() in bench.stored()
    claimed(bench).apply(recall)
    assert CANARY.encode() not in bench.stored()


def test_a_taken_file_holds_up_nothing_but_its_recall(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    for path in bench.folder.iterdir():
        path.unlink()
    sink.apply(batch(corrected(2, "e-1", "family_name", "Right"), opened_case(3)))
    assert sink.position().sequence == 3
    assert (bench.shown("e-9") or {})["new_value"] == "Right"


@pytest.mark.parametrize(("answers", "waits"), [("always", True), ("never", False)])
def test_when_answers_are_waited_for(tmp_path: Path, answers: Any, waits: bool) -> None:
    bench = folder_bench(tmp_path, "jsonl")
    sink = claimed(bench)
    sink.files._answers = answers
    sink.apply(batch(identity(1), identity(2, "e-2")))
    if answers == "never":
        [file] = bench.folder.glob("deliveries-*")
        file.unlink()
    recall = batch(recalled(3, ("e-1", ["identity"])))
    if waits:
        with pytest.raises(SinkDownError, match="done"):
            sink.apply(recall)
        assert b"e-1" not in next(bench.folder.glob("deliveries-*")).read_bytes(), "gone already"
    else:
        sink.apply(recall)
        assert sink.position().sequence == 3
    bench.close()


def test_a_file_somebody_changed_is_not_signed_anew(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), identity(2, "e-2")))
    [file] = bench.folder.glob("identity_*.csv")
    good = file.read_bytes()
    file.write_bytes(good.replace(CANARY.encode(), b"Somebody else"))
    recall = batch(recalled(3, ("e-1", ["identity"])))
    with pytest.raises(SinkDownError, match="somebody changed it"):
        sink.apply(recall)
    assert sink.position().sequence == 2
    file.write_bytes(good)
    sink.apply(recall)
    assert bench.shown("e-1") is None
    assert bench.shown("e-2") is not None


def test_a_rewritten_file_is_of_the_next_edition(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2)))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    [document] = bench.folder.glob("batch-*.json")
    [file] = json.loads(document.read_bytes())["files"]
    assert (file["edition"], file["rows"]) == (2, 1)


def test_an_unmounted_folder_is_no_taken_file(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    bench.folder.rename(bench.folder.with_name("away"))
    with pytest.raises(SinkDownError, match="is not there"):
        sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    bench.folder.with_name("away").rename(bench.folder)
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert CANARY.encode() not in bench.stored()


def test_a_value_no_column_takes_is_named(bench: FileBench) -> None:
    sink = claimed(bench)
    with pytest.raises(SinkRefusedError, match=r"IdentityRecorded\.date_of_birth") as refused:
        sink.apply(batch(opened_case(1), identity(2, date_of_birth="sometime")))
    assert (refused.value.sequence, refused.value.reason) == (2, "value_unsuitable")
    sink.apply(batch(opened_case(1), identity(2)))
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(corrected(3, "e-1", "date_of_birth", "sometime")))
    assert refused.value.sequence == 3


def test_what_lies_there_and_is_nobodys(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    assert [one.level for one in sink.check()] == ["ok", "warning"], "others may look in"
    bench.folder.chmod(0o750)
    assert [one.level for one in sink.check()] == ["ok"]
    (bench.folder / "holiday.xls").touch()
    assert [one.level for one in sink.check()] == ["ok", "warning"]
    assert "1 files" in sink.check()[1].text


# -- encrypted -----------------------------------------------------------------------------


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[FileBench]:
    bench = folder_bench(tmp_path, "csv", encrypted=True)
    yield bench
    bench.close()


def test_waiting_for_an_answer_writes_nothing_again(sealed: FileBench) -> None:
    sink = claimed(sealed)
    sink.apply(batch(identity(1)))
    sink.apply(batch(identity(2, "e-2"), demographics(3, "e-2")))
    next(sealed.folder.glob("identity_*001.csv.age")).unlink()
    recall = batch(recalled(4, ("e-1", ["identity"]), ("e-2", ["identity"])))
    seen = set()
    for _ in range(4):
        with pytest.raises(SinkDownError, match="done"):
            sink.apply(recall)
        [file] = sealed.folder.glob("identity_*003.csv.age")
        journal = sealed.state.with_name(sealed.state.name + ".journal").read_bytes()
        seen.add((file.read_bytes(), journal))
    assert len(seen) == 1
    (sealed.folder / "recall-0000000004.json.done").touch()
    sink.apply(recall)
    assert (sealed.shown("e-2") or {})["gender"] == "f"
    assert CANARY.encode() not in sealed.stored()


@pytest.mark.age
def test_the_real_age_opens_what_we_write(sealed: FileBench, tmp_path: Path) -> None:
    assert shutil.which("age"), NEEDED
    claimed(sealed).apply(batch(identity(1)))
    assert not any(CANARY.encode() in one.read_bytes() for one in sealed.folder.iterdir())
    [file] = sealed.folder.glob("identity_*.csv.age")
    assert sealed.age is not None
    theirs = sealed.age[0]
    subprocess.run(["age-keygen", "-o", str(tmp_path / "other")], check=True, capture_output=True)

    def opened(key: Path) -> bytes | None:
        done = subprocess.run(
            ["age", "--decrypt", "--identity", str(key), str(file)],
            check=False, capture_output=True,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else None

    assert CANARY.encode() in (opened(theirs) or b"")
    assert opened(tmp_path / "other") is None
    [document] = sealed.folder.glob("*.manifest.json")
    [listed] = json.loads(document.read_bytes())["files"]
    assert listed["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.age
def test_keys_the_real_programs_make(tmp_path: Path, police: AgencyIdentity) -> None:
    """age-keygen's and ssh-keygen's recipients, both at once."""
    assert shutil.which("age"), NEEDED
    (tmp_path / "drop").mkdir()
    made = subprocess.run(
        ["age-keygen", "-o", str(tmp_path / "age.key")], check=True, capture_output=True, text=True
    )
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ssh")], check=True
    )
    recipients = (made.stderr.split()[-1], (tmp_path / "ssh.pub").read_text().strip())
    place = Place("POL-1", "test-hub", police.home, tmp_path, RecallPolicy())
    sink = open_sink(Options(path=Path("drop"), encrypt_to=recipients), place)
    sink.prepare()
    sink.claim()
    sink.apply(batch(identity(1)))
    sink.close()
    [file] = (tmp_path / "drop").glob("*.jsonl.age")
    for key in ("age.key", "ssh"):
        done = subprocess.run(
            ["age", "--decrypt", "--identity", str(tmp_path / key), str(file)],
            check=True, capture_output=True,
        )  # fmt: skip
        assert CANARY.encode() in done.stdout


def test_a_lost_key_waits_and_says_so(sealed: FileBench) -> None:
    claimed(sealed).apply(batch(identity(1)))
    key = sealed.state.with_name(sealed.state.name + ".age")
    assert key.stat().st_mode & 0o077 == 0
    kept = key.read_bytes()
    key.unlink()
    recall = batch(recalled(2, ("e-1", ["identity"])))
    with pytest.raises(SinkDownError, match="put back the key"):
        claimed(sealed).apply(recall)
    key.write_bytes(kept)
    key.chmod(0o600)
    claimed(sealed).apply(recall)
    assert sealed.shown("e-1") is None


def test_format_and_encryption_may_change(tmp_path: Path, police: AgencyIdentity) -> None:
    """What lies there stays as it is, and a recall reaches all of it."""
    (tmp_path / "drop").mkdir()
    recipient = age_keys(tmp_path)[1]
    place = Place("POL-1", "test-hub", police.home, tmp_path, RecallPolicy())
    ways: list[dict[str, Any]] = [
        {"format": "csv"},
        {"format": "parquet", "encrypt_to": [recipient]},
        {"format": "jsonl", "encrypt_to": [recipient]},
    ]
    for n, way in enumerate(ways, 1):
        sink = open_sink(Options(path=Path("drop"), **way), place)
        sink.prepare()
        sink.claim()
        sink.apply(batch(identity(n, f"e-{n}")))
        sink.close()
    assert len(list((tmp_path / "drop").glob("*-000000000*.*"))) == 9
    everything = batch(recalled(4, *[(f"e-{n}", ["identity"]) for n in (1, 2, 3)]))
    plain = open_sink(Options(path=Path("drop")), place)
    plain.prepare()
    plain.claim()
    with pytest.raises(SinkDownError, match="put encrypt_to back"):
        plain.apply(everything)
    plain.close()
    sink = open_sink(Options(path=Path("drop"), encrypt_to=(recipient,)), place)
    sink.prepare()
    sink.claim()
    sink.apply(everything)
    sink.close()
    assert sorted(path.name for path in (tmp_path / "drop").iterdir()) == [
        "recall-0000000004.json",
        "recall-0000000004.json.sig",
    ]


def test_age_keys_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no age recipient"):
        Age(["age1whatever"], tmp_path / "own.age")
    (tmp_path / "own.age").write_text("no key\n")
    (tmp_path / "own.age").chmod(0o600)
    recipient = "age17pms3087x900065qk7wml99t235xedusnlh24daflft3h9m9x5ks2rflmw"
    with pytest.raises(SettingsError, match="put the file back"):
        Age([recipient], tmp_path / "own.age").prepare()


# -- as settings have it -------------------------------------------------------------------


def test_from_settings(tmp_path: Path, police: AgencyIdentity) -> None:
    (tmp_path / "drop").mkdir()
    text = f'home = "{police.home}"\n[sink]\nkind = "folder"\n[sink.options]\npath = "drop"\n'
    (tmp_path / "partner.toml").write_text(text + 'format = "parquet"\n')
    sink = open_any(load_settings(tmp_path / "partner.toml"), police)
    sink.prepare()
    sink.claim()
    sink.apply(batch(identity(1)))
    sink.close()
    assert len(list((tmp_path / "drop").glob("identity_recorded-*.parquet"))) == 1
    assert (tmp_path / "files.state.db").exists()
    (tmp_path / "partner.toml").write_text(text + 'format = "xls"\n')
    with pytest.raises(SettingsError, match=r"sink\.options\.format"):
        open_any(load_settings(tmp_path / "partner.toml"), police)


def test_a_folder_that_is_not_there(tmp_path: Path, police: AgencyIdentity) -> None:
    place = Place("POL-1", "test-hub", police.home, tmp_path, RecallPolicy())
    sink = open_sink(Options(path=Path("nowhere")), place)
    with pytest.raises(SinkDownError, match="make it, or mount it"):
        sink.prepare()
    assert [one.level for one in sink.check()] == ["wrong"]
    sink.close()


def test_books_put_back_from_a_copy_do_not_leave_files_that_no_recall_would_find(
    bench: FileBench,
) -> None:
    sink = claimed(bench)
    sink.apply(batch(opened_case(1)))
    sink.close()
    books = bench.state.parent.glob(f"{bench.state.name}*")
    kept = {path: path.read_bytes() for path in books}
    sink = claimed(bench)
    sink.apply(batch(identity(2)))
    sink.apply(batch(demographics(3)))
    sink.close()
    for path in bench.state.parent.glob(f"{bench.state.name}*"):
        path.unlink()
    for path, data in kept.items():
        path.write_bytes(data)
    with pytest.raises(SinkDownError, match="after 1"):
        claimed(bench)
    for name in names(bench):
        if "-0000000002" in name or "-0000000003" in name:
            (bench.folder / name).unlink()
    sink = claimed(bench)
    sink.apply(batch(identity(2), demographics(3)))
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    assert CANARY.encode() not in bench.stored()


def test_a_file_put_back_after_its_recall_stops_the_connector(bench: FileBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(opened_case(1), identity(2)))
    [file] = bench.folder.glob("identity_recorded-*")
    older = file.read_bytes()
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    sink.close()
    file.write_bytes(older)
    with pytest.raises(SinkDownError, match="put back from a copy"):
        bench.open()
    file.unlink()
    assert bench.open().position().sequence == 3
