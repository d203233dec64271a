"""I7: an erased person's content and keys are in no file: data, logs, segments, partners, backups.

A whole scenario is played with a canary in every free-text field, backed up, and one delivery is
left in quarantine. Then the person is erased. Every file there is, is searched for every canary and
every key that ever opened one of them: raw, in hexadecimal, base64 and UTF-16, and within whatever
is compressed. What must still stand is asked for too: the log, its proofs, and the reasons.
"""

from __future__ import annotations

import base64
import gzip
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest

from hub.api.metrics import Metrics
from hub.audit import replay_case, verify_log, why
from hub.backup.keys import read_keys
from hub.backup.make import make_backup
from hub.crypto.compartment import compartment_key
from hub.home import Home
from hub.publisher import delivery_stream
from hub.recording.accepted import key_context
from hub.store import events as stored
from hub.store.recovery import read_recovery
from hub.tlog import merkle
from hub.tlog.tiles import TileReader
from schemas import wire
from tests.played import play, scenario
from tests.privacy.canaries import Canary, files, found_in, planted, readings
from tests.road import CONSENT, Road

PREFIX = wire.SEALED_DELIVERIES.prefix
PASSPHRASE = "correct horse battery"


@dataclass
class Story:
    """A played scenario, and what to look for."""

    road: Road
    folders: list[Path]
    canaries: list[Canary]
    keys: dict[str, bytes] = field(default_factory=dict)
    prefix: str = ""
    began: float = field(default_factory=time.time)
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> str:
        return str(self.document["events"][0]["case"])

    @property
    def ngo(self) -> str:
        return str(self.document["events"][0]["agency"])

    @property
    def subject(self) -> UUID:
        return self.road.hub.exchange.pseudonyms.canonical("subject", self.ref)

    def everything(self) -> list[Path]:
        """Every file; of servers that other tests share, those written to since this one began."""
        own, *shared = self.folders
        written = [p for one in shared for p in files(one) if _written(p) >= self.began - 1]
        return files(own) + written

    def remains(self, paths: list[Path] | None = None) -> list[str]:
        """Canaries and keys found anywhere, or in these files."""
        paths = self.everything() if paths is None else paths
        assert len(paths) > 20
        found = found_in(paths, self.canaries)
        wanted = {name: writings(key) for name, key in self.keys.items()}
        for path in paths:
            content = readings(path)
            found += [
                f"{name} in {path.name}"
                for name, shapes in wanted.items()
                if any(shape in content for shape in shapes)
            ]
        return found

    def publish(self, type_: str, **data: Any) -> None:
        self.road.time.at += timedelta(minutes=1)
        outcome = self.road.publish(self.ngo, type_, self.ref, **data)
        assert outcome.accepted, outcome
        self.road.settle()

    def erase(self) -> None:
        asked = {"request_id": "q1", "right": "erasure", "due_on": "2026-07-01"}
        self.publish("SubjectRequestReceived", **asked)
        granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
        self.publish("SubjectRequestDecided", request_id="q1", **granted)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def writings(key: bytes) -> list[bytes]:
    """A key as it might be written."""
    made = [key, key.hex().encode(), key.hex().upper().encode(), key.hex().encode("utf-16-le")]
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + key)
        made.append(text[4 * ((shift + 2) // 3) : 4 * ((shift + len(key)) // 3)])
    return made


@pytest.fixture(params=["sqlite and embedded", "postgres and kafka"])
def story(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Story]:
    document, canaries = planted(scenario("S1"))
    folders, urls, prefix = [tmp_path], {}, ""
    if request.param == "postgres and kafka":
        server = request.getfixturevalue("postgres")
        broker = request.getfixturevalue("kafka_broker")
        folders += [server.folder, Path(broker.home)]
        prefix = f"erasure-{tmp_path.name}"
        urls = {
            "store": server.new_database(),
            "keys": f"{server.new_database()}?epoch_key={tmp_path / 'hub' / 'epoch.key'}",
            "topics": f"{broker.url}?prefix={prefix}",
        }
    began = time.time()
    road = play(tmp_path, document, **urls)
    told = Story(road, folders, canaries, prefix=prefix, began=began, document=document)
    road.time.at = datetime.fromisoformat("2026-06-01T09:00:00+00:00")
    yield told
    for runner in road.partners.values():
        runner._inbox.close()
    road.close()


def keys_of(story: Story) -> dict[str, bytes]:
    """Keys that open something of the person: their secret, some compartments' own keys, the epoch
    key, and what opens them in backups."""
    exchange, subject = story.road.hub.exchange, story.subject
    secret = exchange.secrets.secrets({subject})[subject]
    recovery = exchange.secrets.recovery.read()
    assert recovery is not None
    leaf = recovery.key.key_for(subject.bytes)
    assert leaf is not None
    found = {
        "secret": secret,
        "recovery leaf": leaf,
        "epoch": (story.road.folder / "hub" / "epoch.key").read_bytes()[32:64],
        "recovery root": recovery.key.nodes[""],
    }
    case_id = exchange.pseudonyms.canonical("case", story.ref)
    for one in exchange.log.stream(case_id)[::16]:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            for sealed in event.compartments[:1]:
                key = compartment_key(secret, key_context(event.digest), sealed.name)
                found[f"{one.position} {sealed.name}"] = key
    return found


def backed_up(story: Story) -> None:
    for name in ("vault", "safe"):
        (story.road.folder / name).mkdir()
    make_backup(
        Home(story.road.folder / "hub"),
        story.road.folder / "backup",
        keys_to=story.road.folder / "vault" / "keys",
        passphrase=PASSPHRASE,
        recovery_to=story.road.folder / "safe" / "recovery.key",
    )


class _Unknown:
    """A partner that does not know a schema as yet: what comes is quarantined, keys and all."""

    def by_id(self, schema_id: bytes) -> None:
        return None


def quarantined(story: Story) -> None:
    """A lawyer joins whose connector is out of date: all that is caught up on is quarantined."""
    road = story.road
    road.enrol("LEG-9", "legal_rep")
    runner = road.partner("LEG-9")
    opening = runner.reader.opener._deliveries
    known, opening._schemas = opening._schemas, _Unknown()  # type: ignore[assignment]
    scope = {"LEG-9": ["identity", "contact", "health", "protection", "criminal_justice"]}
    story.publish("ConsentGiven", consent_id="k9", scope=scope, **CONSENT)
    story.publish(
        "ReferralMade",
        referral_id="r9",
        to_agency="LEG-9",
        services=["legal_aid"],
        urgency="routine",
        basis="k9",
        respond_by="2026-12-01T00:00:00+00:00",
    )
    told = road.publish("LEG-9", "ReferralAccepted", story.ref, referral_id="r9")
    assert told.accepted, told
    road.settle()
    rows = runner._sink.quarantine()
    assert len(rows) > 3
    keys = [key for key in story.keys.values() if any(key in row.raw for row in rows)]
    assert keys, "what is quarantined can be redriven, so it holds keys"
    opening._schemas = known


def test_an_erased_person_is_nowhere(
    story: Story, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    exchange, names = story.road.hub.exchange, story.road.hub.exchange.pseudonyms
    backed_up(story)
    story.keys = keys_of(story)
    quarantined(story)
    story.keys |= keys_of(story)
    before = story.remains(files(story.road.folder))
    assert any(line.startswith("epoch in") for line in before), "the search finds what is there"
    assert any(line.startswith("Kanarie") for line in before), "partners hold what they may"
    assert not any(line.startswith("secret in") for line in before), "never in clear at rest"
    entries = replay_case(story.road.hub.exchange, story.ref)
    archived = read_keys(story.road.folder / "vault" / "keys", PASSPHRASE)

    marked = {
        names.recipient_ref(one.agency): exchange.last_version(delivery_stream(one.agency))
        for one in exchange.agencies
    }
    if story.prefix:
        assert boxes(story), "Kafka keeps the last segment as long as nobody writes on"
        _short_segments(story)
        time.sleep(0.2)

    story.erase()

    _leave_the_topics(story, marked)
    assert story.remains() == []
    spoken = caplog.text + "".join(capfd.readouterr()) + Metrics(story.road.hub).text().decode()
    assert [c.word for c in story.canaries if c.word in spoken] == []
    assert story.subject.hex not in spoken

    # The backup from before, with its passphrase and every recovery key there is.
    for path in (story.road.folder / "safe" / "recovery.key",
                 story.road.hub.exchange.secrets.recovery.path):  # fmt: skip
        held = read_recovery(path)
        assert held is not None
        assert held.key.key_for(story.subject.bytes) is None
        assert story.subject in held.erased
    assert story.subject in dict(archived.secrets.sealed)

    _still_stands(story, len(entries))


def _still_stands(story: Story, before: int) -> None:
    """Tombstones, the log, every proof, and every reason."""
    hub = story.road.hub
    entries = replay_case(hub.exchange, story.ref)
    assert [entry.erased for entry in entries[:before]] == [True] * before
    assert not entries[-1].erased, "the erasure itself can still be read"

    hub.checkpoints.step(now=True)
    log = hub.exchange.log
    *_, verdict = verify_log(log, hub.settings.hub_id, hub.checkpoints.verifier)
    assert verdict.problems == []
    assert verdict.covered == verdict.head
    reader = TileReader(log.read_tile, verdict.head)
    root, leaves = reader.root(), dict(log.leaves(1, verdict.head))
    for entry in entries:
        assert merkle.verify_inclusion(
            merkle.leaf_hash(leaves[entry.position]),
            entry.position - 1,
            verdict.head,
            reader.inclusion_path(entry.position - 1),
            root,
        )
    for entry in entries[::4]:
        for agency in {*entry.released, *entry.withheld}:
            answer = why(hub.exchange, agency, str(entry.position))
            assert not answer.divergent, f"{agency}, position {entry.position}"


def test_the_search_finds_what_is_hidden(tmp_path: Path) -> None:
    """A search that finds nothing proves something only if it would have found it."""
    word = Canary("KanarieSucheZz", "", "")
    hidden = {
        "gzip": b"head" + gzip.compress(b"before KanarieSucheZz after") + b"tail",
        "base64": base64.b64encode(b"abc before KanarieSucheZz after"),
        "base64+1": base64.b64encode(b"abcd before KanarieSucheZz after"),
        "base64+2": base64.b64encode(b"abcde before KanarieSucheZz after"),
        "hex": b"before KanarieSucheZz".hex().encode(),
        "utf-16": "before KanarieSucheZz".encode("utf-16-le"),
    }
    for name, content in hidden.items():
        (tmp_path / name).write_bytes(content)
    assert len(found_in(files(tmp_path), [word])) == len(hidden)


# -- topics ----------------------------------------------------------------------------------


def boxes(story: Story) -> dict[str, list[int]]:
    """Sealed deliveries still in any file of the topics: first sequences by recipient."""
    if story.prefix:
        segments = [p for p in story.everything() if story.prefix in str(p) and p.suffix == ".log"]
    else:
        segments = [p for p in story.everything() if p.name.startswith("topics.db")]
    assert segments
    found: dict[str, list[int]] = {}
    for path in segments:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue  # deleted meanwhile, as it should be
        assert not story.prefix or _codecs(data) <= {0}, "no segment is compressed"
        at = data.find(PREFIX)
        while at >= 0:
            start = io.BytesIO(data[at + len(PREFIX) : at + 400])
            _, recipient = read_data(start, "string"), read_data(start, "string")
            found.setdefault(recipient, []).append(read_data(start, "long"))
            at = data.find(PREFIX, at + 1)
    return found


def read_data(start: io.BytesIO, kind: str) -> Any:
    return fastavro.schemaless_reader(start, kind, None)


def _codecs(segment: bytes) -> set[int]:
    """Compression of every record batch: base offset 8, length 4, epoch 4, magic 1, CRC 4, then
    two bytes of attributes whose lowest three bits name the codec."""
    found, at = set(), 0
    while at + 23 <= len(segment):
        size = int.from_bytes(segment[at + 8 : at + 12], "big")
        if size == 0:
            break
        found.add(int.from_bytes(segment[at + 21 : at + 23], "big") & 7)
        at += 12 + size
    return found


def _leave_the_topics(story: Story, before: dict[str, int]) -> None:
    """Whatever was sealed before the erasure is deleted, behind the receipts for it."""
    deadline = time.monotonic() + 120
    while old := [
        (recipient, first)
        for recipient, firsts in boxes(story).items()
        for first in firsts
        if first <= before[recipient]
    ]:
        assert time.monotonic() < deadline, f"trimmed segments stay on the disk: {old}"
        time.sleep(0.2)


def _short_segments(story: Story) -> None:
    """What ten minutes do in use, a moment does here."""
    from hub.topics.kafka import ConfigResource, ConfigResourceType

    topics = story.road.hub.topics._inner  # type: ignore[attr-defined]
    names = [
        f"{story.prefix}{story.road.hub.exchange.pseudonyms.topic('nrm.d', agency)}"
        for agency in story.road.partners
    ]
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, {"segment.ms": "100"}) for name in names
    ]
    topics.cluster.ask(lambda admin: admin.alter_configs(resources))
