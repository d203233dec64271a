"""A connector that was taken over is one partner's loss: its credentials open nothing of another's.

RELIABILITY T8, and what goes with it: secrets are in no output, no address is spoken to that the
settings do not name, and files are their owner's.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from connectors.agency.http_auth import request_claims, sign_claims
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.agency.outcomes import read_outcomes
from connectors.agency.registry_cache import RegistryCache
from connectors.commands.connector import connector
from connectors.conformance import batch, opened_case
from connectors.errors import SettingsError, UntrustedError
from connectors.jsonl import JsonlSink
from connectors.opening.opener import Opener
from connectors.runner import Runner
from connectors.sql import SqlSink
from connectors.submit import Publisher
from hub.api.openapi import document
from hub.topics import Message, Topics, open_topics
from tests.api.conftest import Api
from tests.api.conftest import api as api  # noqa: PLC0414 - a fixture
from tests.api.conftest import world as world  # noqa: PLC0414 - a fixture
from tests.connectors.builder import MiniHub, case_opened, identity_recorded
from tests.connectors.commands.saying import said
from tests.connectors.conftest import CONNECTOR

ROOT = Path(__file__).parents[2]
CANARY = "CANARY-secret-5d1e"


class Two:
    """Two partners of one hub, and what lies on the topics of the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = MiniHub(topics_url=f"embedded:///{folder}/topics.db")
        self.police = self.hub.enrol(folder, "POL-1")
        self.shelter = self.hub.enrol(folder, "SH-1", "shelter")
        self.topics: Topics = open_topics(str(self.hub.topics_url))
        self.topics.ensure([*self.police.hub.topics.values(), *self.shelter.hub.topics.values()])
        [event] = self.hub.stated(self.shelter, identity_recorded())
        self.message = self.hub.message("POL-1", [self.hub.release("POL-1", event)])
        self.topics.append(self.police.hub.topics["deliveries"], [Message(self.message)])
        self.topics.append("nrm.registry", [Message(self.hub.registry())])

    def settings(self, text: str = '[sink]\nurl = "sqlite:///partner.db"\n') -> Path:
        path = self.folder / "partner.toml"
        path.write_text(f'home = "POL-1"\n{text}')
        return path


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    yield made
    made.topics.close()


# -- one partner's credentials -----------------------------------------------------------------


def test_no_route_takes_one_for_another(api: Api) -> None:
    """Every signed route of the API, asked in the name of POL-1 with the keys of SH-1."""
    thief, victim = api.world.identities["SH-1"], api.world.identities["POL-1"]
    tried = 0
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            if "security" not in operation:
                continue
            tried += 1
            target = path.replace("{event_id}", "0" * 32).replace("{item}", "0" * 12)
            claims = request_claims(
                "POL-1", victim.hub.hub, method, target, b"", now=datetime.now(UTC)
            )
            own = thief.signing
            posing: Any = SimpleNamespace(
                key_id=victim.signing.key_id, public=own.public, private=own.private
            )
            for key in (own, posing):
                token = sign_claims(key, claims)
                answer = api.client.request(
                    method, target, headers={"authorization": f"Bearer {token}"}
                )
                assert answer.status_code == 401, (method, path)
                assert b"POL-1" not in answer.content
    assert tried >= 7


def test_the_schema_registry_tells_everybody_the_same(api: Api) -> None:
    """It is public: no credentials, right or wrong, show more of it, or anything of an agency."""
    base = "/schema-registry"
    listed = api.client.get(f"{base}/subjects")
    assert listed.status_code == 200
    first = listed.json()[0]
    claims = request_claims(
        "POL-1", api.world.identities["POL-1"].hub.hub, "GET", f"{base}/subjects", b"",
        now=datetime.now(UTC),
    )  # fmt: skip
    tokens = [sign_claims(api.world.identities[who].signing, claims) for who in ("POL-1", "SH-1")]
    asking: list[dict[str, str]] = [
        {},
        *({"authorization": f"Bearer {token}"} for token in tokens),
        {"authorization": "Basic UE9MLTE6eA=="},
    ]
    paths = ("subjects", "schemas/types", f"subjects/{first}/versions/latest", "config",
             "subjects/nrm.deliveries.POL-1/versions", "POL-1")  # fmt: skip
    for path in paths:
        answers = {api.client.get(f"{base}/{path}", headers=one).content for one in asking}
        assert len(answers) == 1, path
        told = answers.pop()
        assert not any(name.encode() in told for name in api.world.identities), path
    for method in ("POST", "PUT", "DELETE"):
        answer = api.client.request(method, f"{base}/subjects/{first}/versions", headers=asking[1])
        assert answer.status_code >= 400, method


def test_what_lies_on_anothers_topic_opens_for_nobody_else(two: Two) -> None:
    opener = Opener(two.shelter, RegistryCache(two.shelter))
    assert opener.open(two.message).reason == "wrong_recipient"  # type: ignore[union-attr]
    inbox = TopicInbox(two.topics, two.shelter)
    inbox._deliveries = two.police.hub.topics["deliveries"]  # as if its settings were turned
    sink = SqlSink(f"sqlite:///{two.folder}/stolen.db", "SH-1", two.hub.hub_id)
    runner = Runner(inbox, sink, two.shelter)
    progress = runner.run_once()
    assert (progress.applied, progress.strangers, progress.receipts) == (0, 1, 0)
    sink.close()
    assert b"Synthetic" not in b"".join(p.read_bytes() for p in two.folder.glob("stolen.db*"))


def test_anothers_sealing_key_alone_opens_nothing_named_to_someone_else(two: Two) -> None:
    """The box is bound to its recipient: also with the right key the name has to be right."""
    home = two.folder / "SH-1" / "retired"
    home.mkdir(exist_ok=True)
    (home / "stolen.key").write_bytes((two.folder / "POL-1" / "sealing.key").read_bytes())
    thief = AgencyIdentity.load(two.folder / "SH-1")
    opened = Opener(thief, RegistryCache(thief)).open(two.message)
    assert opened.reason == "wrong_recipient"  # type: ignore[union-attr]


def test_a_partner_makes_no_registry_and_no_outcome(two: Two) -> None:
    impostor = MiniHub(two.hub.hub_id)
    impostor.key = two.shelter.signing
    impostor.agencies = two.hub.agencies
    impostor.position = 10**6
    cache = RegistryCache(two.police)
    with pytest.raises(UntrustedError):
        cache.update(impostor.registry())
    assert cache.position == -1


def test_receipts_are_signed_by_who_owes_them(two: Two) -> None:
    """SH-1's connector on POL-1's database: it would answer for POL-1 in its own name."""
    url = f"sqlite:///{two.folder}/partner.db"
    mine = SqlSink(url, "POL-1", two.hub.hub_id)
    mine.prepare()
    mine.claim()
    mine.apply(batch(opened_case(1)))
    theirs = SqlSink(url, "SH-1", two.hub.hub_id)
    theirs.prepare()
    with pytest.raises(SettingsError, match="books of 'POL-1'"):
        theirs.claim()
    file = two.folder / "deliveries.jsonl"
    first = JsonlSink(file, "POL-1", two.hub.hub_id)
    first.prepare()
    first.claim()
    second = JsonlSink(file, "SH-1", two.hub.hub_id)
    second.prepare()
    with pytest.raises(SettingsError, match="use another"):
        second.claim()
    for sink in (mine, theirs, first, second):
        sink.close()


def test_outcomes_of_another_are_not_read_as_ones_own(two: Two) -> None:
    sealed = Publisher(two.shelter, schemas=two.hub.schemas).prepare([case_opened()])
    two.topics.append(two.police.hub.topics["outcomes"], [Message(two.hub.outcomes(sealed))])
    [message] = two.topics.read(two.police.hub.topics["outcomes"], None, 10, 0.0)
    assert read_outcomes(message.value, two.police) == []


# -- secrets -----------------------------------------------------------------------------------


def spellings(secret: bytes) -> list[bytes]:
    """A secret as somebody might print it."""
    return [
        secret,
        secret.hex().encode(),
        base64.b64encode(secret),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        repr(secret).encode(),
    ]


COMMANDS = [
    ["check", "partner.toml"],
    ["check", "partner.toml", "--json"],
    ["run", "partner.toml", "--once", "--verbose"],
    ["quarantine", "partner.toml", "--all"],
    ["redrive", "partner.toml"],
    ["discard", "partner.toml", "1", "--reason", "test_data"],
    ["digest", "partner.toml", "--key", "none"],
]
WRONG = {
    "a database that is away": f'[sink]\nurl = "postgresql://a:{CANARY}@127.0.0.1:1/x"\n',
    "from the environment": '[sink]\nurl = "postgresql://a:${NRM_TEST_CANARY}@127.0.0.1:1/x"\n',
    "not a database": f'[sink]\nurl = "{CANARY}"\n',
    "a kind of database nobody knows": f'[sink]\nurl = "oracle://a:{CANARY}@host/x"\n',
    "a file": '[sink]\nurl_file = "secret.url"\n',
    "a setting that is unknown": f'[sink]\nurl = "sqlite:///p.db"\npassword = "{CANARY}"\n',
    "a value of another type": f'[sink]\nkind = ["{CANARY}"]\n',
    "not TOML": f'[sink]\nurl = "{CANARY}\n',
    "a sink nobody has": f'[sink]\nkind = "nobodys"\n[sink.options]\ntoken = "{CANARY}"\n',
    "a hub's address with credentials": (
        '[sink]\nurl = "sqlite:///p.db"\n'
        f'[inbox]\nvia = "http"\nurl = "http://a:{CANARY}@127.0.0.1:1"\n'
    ),
    "nothing wrong": '[sink]\nurl = "sqlite:///p.db"\n',
}


@pytest.mark.parametrize("wrong", WRONG)
def test_no_command_shows_a_secret(
    two: Two,
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(two.folder)
    monkeypatch.setenv("NRM_TEST_CANARY", CANARY)
    (two.folder / "secret.url").write_text(f"postgresql://a:{CANARY}@127.0.0.1:1/x\n")
    two.settings(WRONG[wrong])
    told = b""
    for command in COMMANDS:
        result = CliRunner().invoke(connector, command, env={"COLUMNS": "300"})
        chain: BaseException | None = result.exception
        while chain is not None:
            if not isinstance(chain, SystemExit):
                told += f"{chain!r} {chain}".encode()
            chain = chain.__cause__
        told += result.output.encode()
    printed = capfd.readouterr()
    told += (caplog.text + printed.out + printed.err).encode()
    assert CANARY.encode() not in told
    for key in (two.folder / "POL-1").rglob("*.key"):
        for spelled in spellings(key.read_bytes()):
            assert spelled not in told, key.name
    assert b"Synthetic" not in told, "nor what an event says"


def test_the_list_of_processes_shows_no_secret(two: Two) -> None:
    two.settings('[sink]\nurl = "postgresql://a:${NRM_TEST_CANARY}@127.0.0.1:1/x"\n')
    process = subprocess.Popen(
        [*CONNECTOR, "run", "partner.toml"],
        cwd=two.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NRM_TEST_CANARY": CANARY},
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        said_so = b""
        while b"partner_down" not in said_so:
            line = process.stderr.readline()
            assert line, said_so
            said_so += line
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"partner.toml" in command
        assert CANARY.encode() not in command + said_so
    finally:
        process.kill()
        process.communicate()


# -- addresses ---------------------------------------------------------------------------------

GUARD = """
import json, sys
seen = []
def audit(event, arguments):
    if event == "socket.connect":
        seen.append(["connect", str(arguments[1])])
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        seen.append([event, str(arguments[0])])
    elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        seen.append([event, str(arguments[0])])
sys.addaudithook(audit)
from connectors.commands.connector import connector
for command in json.loads(sys.argv[1]):
    connector(command, standalone_mode=False)
print("SEEN " + json.dumps(seen))
"""


PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.2:9")


RUN_AND_CHECK = (("run", "partner.toml", "--once"), ("check", "partner.toml"))


def addresses(folder: Path, commands: Sequence[Sequence[str]] = RUN_AND_CHECK) -> list[list[str]]:
    """Every connection, look-up and process of a run and a check, as the interpreter saw it."""
    done = subprocess.run(
        [sys.executable, "-c", GUARD, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), **PROXIES},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    [line] = [one for one in done.stdout.splitlines() if one.startswith("SEEN ")]
    if commands is RUN_AND_CHECK:
        assert "applied" in done.stdout, done.stdout + done.stderr
    found: list[list[str]] = json.loads(line.removeprefix("SEEN "))
    return found


@pytest.mark.parametrize(
    "sink",
    ['url = "sqlite:///partner.db"', 'kind = "jsonl"\npath = "deliveries.jsonl"'],
)
def test_a_connector_on_topics_of_this_machine_speaks_to_nobody(two: Two, sink: str) -> None:
    two.settings(f"[sink]\n{sink}\n")
    assert addresses(two.folder) == []


def test_over_http_it_speaks_to_the_hub_alone(api: Api, tmp_path: Path) -> None:
    port = api.client.base_url.port
    (tmp_path / "partner.toml").write_text(
        f'home = "{api.world.identities["SH-1"].home}"\n'
        '[sink]\nurl = "sqlite:///partner.db"\n'
        f'[inbox]\nvia = "http"\nurl = "http://127.0.0.1:{port}"\n'
    )
    seen = addresses(tmp_path)
    assert seen
    looked_up = {where for what, where in seen if what == "socket.getaddrinfo"}
    assert looked_up <= {"127.0.0.1"}
    others = {(what, where) for what, where in seen if what != "socket.getaddrinfo"}
    assert others == {("connect", str(("127.0.0.1", port)))}


class Silent:
    """A server of this machine that ends every connection. All kinds are away from it alike."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._listener.accept()[0].close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIlkVOY+KqOhrS8FhRFZffGd163L6tpcA7RuUg7jcA3u"
ELSEWHERE = {
    "mariadb": 'url = "mariadb://nrm:x@127.0.0.1:PORT/casework"',
    "webhook": (
        'kind = "webhook"\n[sink.options]\nurl = "http://127.0.0.1:PORT/nrm"\n'
        f'secrets = ["whsec_{base64.b64encode(bytes(24)).decode()}"]'
    ),
    "fhir": 'kind = "fhir"\n[sink.options]\nurl = "http://127.0.0.1:PORT/fhir"\ntoken = "x"',
    "dhis2": (
        'kind = "dhis2"\n[sink.options]\nurl = "http://127.0.0.1:PORT"\ntoken = "x"\n'
        'program = "IpHINAT79UW"\norg_unit = "DiszpKrYNg8"\nmapping = "cases.toml"'
    ),
    "primero": (
        'kind = "primero"\n[sink.options]\nurl = "http://127.0.0.1:PORT"\nusername = "nrm"\n'
        'password = "x"\nmodule = "primeromodule-cp"\nmapping = "cases.toml"'
    ),
    "sftp": (
        'kind = "sftp"\n[sink.options]\nhost = "127.0.0.1"\nport = PORT\nuser = "nrm"\n'
        f'password = "x"\nhost_keys = ["{HOST_KEY}"]\nseconds = 5'
    ),
    "relay": (
        'kind = "relay"\n[sink.options]\nservers = ["127.0.0.1:PORT"]\nsecurity = "plaintext"\n'
        'timeout_seconds = 1\nregistry = "http://127.0.0.1:PORT"'
    ),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_a_connector_speaks_to_the_address_named_and_to_no_other(
    two: Two, silent: Silent, kind: str
) -> None:
    """Neither to proxies of the environment, nor where a configuration of SSH leads."""
    if kind in ("dhis2", "primero"):
        shipped = ROOT / f"tests/case_systems/{kind}_mapping.toml"
        (two.folder / "cases.toml").write_bytes(shipped.read_bytes())
    ssh = two.folder / ".ssh"
    ssh.mkdir()
    (ssh / "config").write_text("Host *\nHostname 127.0.0.2\nPort 9\n")
    text = ELSEWHERE[kind].replace("PORT", str(silent.port))
    two.settings(
        f"[sink]\n{text}\n"
        f'[notice]\nto = ["a@b.c"]\nsender = "d@e.f"\nhost = "127.0.0.1"\nport = {silent.port}\n'
    )
    seen = addresses(two.folder, [["check", "partner.toml"]])
    there = ["connect", str(("127.0.0.1", silent.port))]
    assert seen.count(there) >= 2, "the mail server and the sink's own system"
    others = [one for one in seen if one != there and one[1] not in ("127.0.0.1", "None")]
    # ctypes asks these of this machine where a library lies: asyncssh's, when it is imported.
    searches = ("/sbin/ldconfig", "/usr/bin/gcc", "/usr/bin/cc", "gcc", "cc", "ld", "objdump")
    assert [o for o in others if o[0] != "subprocess.Popen" or o[1] not in searches] == []


def test_a_database_server_is_the_one_named(two: Two) -> None:
    """libpq connects below the interpreter: what the kernel lists is looked at instead."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        two.settings(f'[sink]\nurl = "postgresql://nrm@127.0.0.1:{port}/casework"\n')
        process = subprocess.Popen(
            [*CONNECTOR, "run", "partner.toml"],
            cwd=two.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            listening.settimeout(30)
            connection, _ = listening.accept()
            time.sleep(0.2)
            assert remote_ends(process.pid) == {("127.0.0.1", port)}
            connection.close()
        finally:
            process.kill()
            process.wait()


def remote_ends(pid: int) -> set[tuple[str, int]]:
    """Where the open TCP connections of a process lead, from /proc."""
    mine = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(one)
        if target.startswith("socket:["):
            mine.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            parts = line.split()
            address, port = parts[2].split(":")
            if parts[9] in mine and int(port, 16):
                host = ".".join(str(byte) for byte in bytes.fromhex(address[-8:])[::-1])
                found.add((host, int(port, 16)))
    return found


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sink",
    ['url = "sqlite:///made/partner.db"', 'kind = "jsonl"\npath = "made/deliveries.jsonl"'],
)
def test_every_file_it_makes_is_its_owners(two: Two, sink: str) -> None:
    made = two.folder / "made"
    made.mkdir()
    two.settings(f"[sink]\n{sink}\n")
    before = os.umask(0o022)
    try:
        said("connector", "run", two.settings(f"[sink]\n{sink}\n"), "--once")
    finally:
        os.umask(before)
    files = [one for one in made.rglob("*") if one.is_file()]
    assert files
    assert [one.name for one in files if one.stat().st_mode & 0o077] == []
    secret = [*(two.folder / "POL-1").rglob("*.key")]
    assert len(secret) == 3
    assert [one.name for one in secret if one.stat().st_mode & 0o077] == []


def test_a_partners_own_database_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "own.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE client (ref text)"))
    path.chmod(0o640)
    sink = SqlSink(f"sqlite:///{path}", "POL-1", "test-hub")
    sink.prepare()
    sink.close()
    assert path.stat().st_mode & 0o777 == 0o640
