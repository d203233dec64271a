"""Files for who has GnuPG only: the real program opens them; certificates not fit are refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.conformance import CANARY, batch, claimed, demographics, identity, recalled
from connectors.errors import SettingsError, SinkDownError
from connectors.files.drop import LocalDrop
from connectors.files.folder import Options, open_sink
from connectors.files.formats import Forms
from connectors.files.manifest import Signer
from connectors.files.openpgp import OpenPgp
from connectors.files.sink import FilesSink
from connectors.kinds import Place
from connectors.sink import RecallPolicy
from schemas.registry import Schemas
from tests.connectors.files.file_bench import KEY, FileBench, age_keys, read

pytestmark = pytest.mark.gpg


class Office:
    """A partner's keyring, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.gpg("--list-keys")

    def gpg(self, *words: str, given: bytes | None = None) -> bytes:
        done = subprocess.run(
            ["gpg", "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback",
             "--passphrase", "", "--trust-model", "always", *words],
            env={"PATH": os.environ["PATH"], "GNUPGHOME": str(self.home)},
            input=given, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        return done.stdout

    def key(self, name: str, *, at: str = "", lasts: str = "never", to_encrypt: bool = True) -> str:
        """A new key; its fingerprint. at: when it was made. lasts: of the key to encrypt to."""
        then = ["--faked-system-time", at] if at else []
        self.gpg(*then, "--quick-gen-key", name, "ed25519", "cert", "never")
        listed = self.gpg("--with-colons", "--list-keys", f"={name}").decode().splitlines()
        mark = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        if to_encrypt:
            self.gpg(*then, "--quick-add-key", mark, "cv25519", "encr", lasts)
        return mark

    def exported(self, path: Path, *marks: str, secret: bool = False) -> Path:
        way = "--export-secret-keys" if secret else "--export"
        path.write_bytes(self.gpg("--armor", way, *marks))
        return path


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    assert shutil.which("gpg"), "GnuPG is not installed: make test-services"
    home = Path(tempfile.mkdtemp(prefix="nrm-gpg"))  # short: an agent's socket lies in it
    yield Office(home)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def theirs(office: Office) -> str:
    return office.key("registry")


def test_the_real_program_opens_them_also_after_a_recall(
    office: Office, theirs: str, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    mine = office.exported(tmp_path / "office.asc", theirs)
    second = office.exported(tmp_path / "second.asc", office.key("second registry", lasts="1y"))

    def opening(recalls: RecallPolicy | None, known: Schemas) -> FilesSink:
        seals = [OpenPgp([mine, second], tmp_path / "files.state.db.pgp")]
        return FilesSink(
            tmp_path / "files.state.db",
            LocalDrop(tmp_path / "drop"),
            Forms("csv", known),
            Signer("POL-1", "test-hub", KEY),
            seals=seals,
            recalls=recalls,
        )

    bench = FileBench(tmp_path / "drop", tmp_path / "files.state.db", opening)
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2), identity(3, "e-3")))
    assert not any(CANARY.encode() in one.read_bytes() for one in bench.folder.iterdir())
    assert (tmp_path / "files.state.db.pgp").stat().st_mode & 0o077 == 0

    def opened() -> list[dict[str, str]]:
        [document] = bench.folder.glob("*.manifest.json")
        listed = json.loads(document.read_bytes())["files"]
        assert {one["encryption"] for one in listed} == {"openpgp"}
        found = []
        for one in listed:
            data = office.gpg("--decrypt", str(bench.folder / one["name"]))
            found += list(read(one["name"].removesuffix(".pgp"), data))
        return found

    assert [row["given_name"] for row in opened() if row.get("given_name")] == [CANARY, CANARY]
    claimed(bench).apply(batch(recalled(4, ("e-1", ["identity"]))))
    assert [row["event_ref"] for row in opened() if row.get("given_name")] == ["e-3"]
    packets = office.gpg("--list-packets", str(next(bench.folder.glob("*.csv.pgp"))))
    assert packets.count(b":pubkey enc packet:") == 3, "both offices, and the connector itself"
    bench.close()


@pytest.mark.parametrize(
    ("which", "says"),
    [
        ("expired", "has expired on 2024-02-01"),
        ("revoked", "was revoked by its owner"),
        ("to sign only", "has no key to encrypt to"),
    ],
)
def test_nothing_is_encrypted_to_a_certificate_that_is_not_fit(
    office: Office, theirs: str, tmp_path: Path, which: str, says: str
) -> None:
    """Whole before: it is told by the check, waits in the run, and a new file ends it at once."""
    if which == "expired":
        bad = office.key(which, at="20240101T000000", lasts="31d")
    else:
        bad = office.key(which, to_encrypt=which == "revoked")
    if which == "revoked":
        way_back = (office.home / "openpgp-revocs.d" / f"{bad}.rev").read_bytes()
        office.gpg("--import", given=way_back.replace(b":-----BEGIN", b"-----BEGIN"))
    path = office.exported(tmp_path / "office.asc", bad)
    pgp = OpenPgp([path], tmp_path / "own.pgp")
    [finding] = pgp.check()
    assert finding.level == "wrong"
    assert says in finding.text
    assert "ask its owner" in finding.fix
    pgp.prepare()
    with pytest.raises(SinkDownError, match=says):
        pgp.seal(b"row")
    office.exported(path, theirs)
    assert office.gpg("--decrypt", given=pgp.seal(b"row")) == b"row"
    [finding] = pgp.check()
    assert (finding.level, theirs in finding.text) == ("ok", True)


def test_files_that_are_no_certificate(office: Office, theirs: str, tmp_path: Path) -> None:
    other = office.key("other")
    path = tmp_path / "office.asc"

    def refused() -> str:
        with pytest.raises(SettingsError) as wrong:
            OpenPgp([path], tmp_path / "own.pgp")
        return str(wrong.value)

    assert "cannot be read" in refused()
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\n")
    assert "holds no OpenPGP certificates" in refused()
    office.exported(path, theirs, other)
    assert "holds 2 OpenPGP certificates" in refused(), "a whole keyring is nobody's wish"
    office.exported(path, theirs, secret=True)
    assert "holds a secret key" in refused()


def test_from_age_to_openpgp(
    office: Office, theirs: str, tmp_path: Path, police: AgencyIdentity
) -> None:
    """New files are OpenPGP; what lies there stays, and a recall reaches both."""
    (tmp_path / "drop").mkdir()
    office.exported(tmp_path / "office.asc", theirs)
    place = Place("POL-1", "test-hub", police.home, tmp_path, RecallPolicy())
    both = {"encrypt_to": (age_keys(tmp_path)[1],), "openpgp_certificates": (Path("office.asc"),)}
    for sequence, names in enumerate((["encrypt_to"], ["encrypt_to", "openpgp_certificates"]), 1):
        way = {name: both[name] for name in names}
        sink = open_sink(Options.model_validate({"path": "drop", **way}), place)
        sink.prepare()
        sink.claim()
        sink.apply(batch(identity(sequence, f"e-{sequence}")))
    assert sorted(one.suffix for one in (tmp_path / "drop").glob("deliveries-*")) == [
        ".age",
        ".pgp",
    ]
    assert len(sink.landed()) == 2
    sink.apply(batch(recalled(3, ("e-1", ["identity"]), ("e-2", ["identity"]))))
    assert not list((tmp_path / "drop").glob("deliveries-*"))
    sink.close()
