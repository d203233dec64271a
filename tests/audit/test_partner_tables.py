"""A partner's tables rebuilt from the log are, byte for byte, what its own database holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.agency import comparison_key
from connectors.agency.inbox import TopicInbox
from connectors.errors import UntrustedError
from connectors.runner import Runner
from connectors.sink import RecallPolicy
from connectors.sql import SqlSink
from connectors.tables.row_digest import partner_lines
from hub.audit.delivered import Delivered
from hub.audit.partner_tables import PartnerTables
from hub.crypto.signing import SigningKey
from hub.topics import open_topics
from tests.cli.programs import nrm
from tests.played import NAMES, play, scenario
from tests.road import CONSENT, Road, shelter_joins

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter", "IMM-1": "immigration_enforcement"}
NAME = {"given_name": "Ana", "family_name": "B", "date_of_birth": "1990-05-01"}
COSTS = {"domains": ["medical"], "health_needs": "Kanarie"}
WHOLE = {"consent_id": "c1", "extent": "all", "leave_nrm": False}


def rebuilt(
    road: Road, agency: str, end: int | None = None, spool: Path | str = ":memory:"
) -> list[bytes]:
    exchange = road.hub.exchange
    with Delivered(spool, exchange.log, end or exchange.log.head, agency) as delivered:
        list(delivered.read())
        tables = PartnerTables(exchange, road.hub.settings.hub_id, agency, delivered)
        list(tables.make())
        return list(tables.lines())


def held(road: Road, agency: str) -> list[bytes]:
    """The same, told by the partner of its own database."""
    [sink] = [one for one in road.sinks if one.ledger._agency == agency]
    key = road.hub.exchange.pseudonyms.comparison_key(agency, sink.position().sequence)
    return list(partner_lines(sink, agency, road.hub.settings.hub_id, key))


def assert_same(road: Road) -> dict[str, list[bytes]]:
    """Of every partner; returns the lines."""
    road.settle()
    found = {}
    for agency in road.partners:
        found[agency] = held(road, agency)
        assert rebuilt(road, agency) == found[agency], agency
    return found


def partner(road: Road, agency: str, url: str, recalls: RecallPolicy) -> None:
    identity = road.identities[agency]
    sink = SqlSink(url, agency, identity.hub.hub, recalls=recalls)
    road.sinks.append(sink)
    inbox = TopicInbox(open_topics(road.hub.settings.topics_url), identity)
    road.partners[agency] = Runner(inbox, sink, identity)


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    road.close()


def case_with_shelter(road: Road, *categories: str) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, *categories)


@pytest.mark.parametrize("name", NAMES)
def test_every_partner_of_every_scenario(tmp_path: Path, name: str) -> None:
    road = play(tmp_path, scenario(name))
    try:
        assert sum(map(len, assert_same(road).values())) > 20
    finally:
        road.close()


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_a_case_step_by_step(tmp_path: Path, where: str, request: pytest.FixtureRequest) -> None:
    """Corrections, recalls, a category caught up on, a correction taken back, an amount."""
    new: Callable[[], str] | None = None
    stores = {}
    if where == "postgres":
        new = request.getfixturevalue("new_postgres_database")
        stores = {"store": new(), "keys": f"{new()}?epoch_key={tmp_path / 'epoch.key'}"}
    road = Road.open(tmp_path, ROLES, **stores)
    try:
        for agency in ("SH-1", "IMM-1"):
            road.partner(agency, new() if new else None)
        case_with_shelter(road, "identity", "health", "financial")
        named = road.publish("NGO-1", "IdentityRecorded", "C1", **NAME)
        assert named.accepted
        road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
        assert_same(road)
        right = {"corrects_event": str(named.event_id), "field": "given_name"}
        for value in ("Anna", "Hanna"):
            [outcome] = road.publish_all("NGO-1", [corrected(road, {**right, "new_value": value})])
            assert outcome.accepted, outcome
            lines = assert_same(road)["SH-1"]
        assert sum(b'"table":"record_corrected"' in one for one in lines) == 2
        scope = {"SH-1": ["health"]}
        amended = {"valid_until": "2027-03-01", "reason": "narrowed", "scope": scope}
        assert road.publish("NGO-1", "ConsentAmended", "C1", consent_id="c1", **amended).accepted
        assert_same(road)
        again = {**CONSENT, "scope": {"SH-1": ["identity"]}}
        assert road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c2", **again).accepted
        assert_same(road)
        road.publish("NGO-1", "ConsentWithdrawn", "C1", **{**WHOLE, "consent_id": "c2"})
        road.publish("NGO-1", "ConsentWithdrawn", "C1", **WHOLE)
        left = assert_same(road)["SH-1"]
        assert not any(b'"category":"identity"' in one for one in left)
        assert any(b'"table":"nrm_case"' in one for one in left)
    finally:
        road.close()


def corrected(road: Road, data: dict[str, Any]) -> Any:
    event = road.event("RecordCorrected", "C1", **data)
    return type(event)(
        event.type, event.case, event.data, occurred_at=event.occurred_at,
        corrects_type="IdentityRecorded",
    )  # fmt: skip


@pytest.mark.parametrize(
    "recalls",
    [
        RecallPolicy(own_basis={"health": "Medical Records Act s. 3"}),
        RecallPolicy(prefer="restrict"),
    ],
    ids=["kept on its own basis", "restricted"],
)
def test_answers_to_recalls(road: Road, tmp_path: Path, recalls: RecallPolicy) -> None:
    partner(road, "SH-1", f"sqlite:///{tmp_path / 'sh.db'}", recalls)
    case_with_shelter(road, "identity", "health")
    road.publish("NGO-1", "IdentityRecorded", "C1", **NAME)
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    before = assert_same(road)["SH-1"]
    road.publish("NGO-1", "ConsentWithdrawn", "C1", **WHOLE)
    after = assert_same(road)["SH-1"]
    assert before != after
    assert any(b"own:Medical Records Act" in one for one in after) == bool(recalls.own_basis)


def test_what_lies_in_quarantine_is_not_there_until_it_is_redriven(
    road: Road, tmp_path: Path
) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.settle()
    [sink] = road.sinks
    with sink.database.writing() as db:
        db.execute(
            sa.text("CREATE TABLE needs_assessed (event_ref TEXT PRIMARY KEY, bad TEXT NOT NULL)")
        )
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    road.settle()
    assert sink.quarantine()
    lines = rebuilt(road, "SH-1")
    assert not any(b'"table":"needs_assessed"' in one for one in lines)
    with sink.database.writing() as db:
        db.execute(sa.text("DROP TABLE needs_assessed"))
    sink.tables._ready.clear()
    from connectors.agency.registry_cache import RegistryCache
    from connectors.opening.opener import Opener
    from connectors.redriving import redrive

    identity = road.identities["SH-1"]
    registry = RegistryCache(identity)
    assert redrive(sink, Opener(identity, registry), at=road.time.at) == (1, 0)
    lines = assert_same(road)["SH-1"]
    assert any(b'"table":"needs_assessed"' in one for one in lines)


def test_no_content_is_written_and_no_value_can_be_tried_out(road: Road) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    lines = assert_same(road)["SH-1"]
    assert b"Kanarie" not in b"".join(lines)
    digests = [
        json.loads(one)["content"]
        for one in lines
        if b'"needs_assessed"' in one and b"content" in one
    ]
    assert len(set(digests)) == len(digests) == 2, "equal content does not show as equal"


def test_as_of_a_position_it_stays_the_same(road: Road) -> None:
    """Later events change nothing; an erasure leaves everything but the digests."""
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    assert_same(road)
    end, before = road.hub.exchange.log.head, rebuilt(road, "SH-1")
    road.publish("NGO-1", "IdentityRecorded", "C1", **NAME)
    road.publish("NGO-1", "ConsentWithdrawn", "C1", **WHOLE)
    assert_same(road)
    assert rebuilt(road, "SH-1", end) == before
    assert rebuilt(road, "SH-1") != before
    person = road.hub.exchange.pseudonyms.canonical("subject", "C1")
    assert road.hub.shredder.shred(person)
    after = rebuilt(road, "SH-1", end)
    assert [{**json.loads(one), "content": ""} for one in after] == [
        {**json.loads(one), "content": ""} for one in before
    ]
    contents = {json.loads(one).get("content") for one in after}
    assert contents == {None, "erased"}


def test_begun_again_it_goes_on(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    whole = assert_same(road)["SH-1"]
    monkeypatch.setattr("hub.audit.walk.PAGE", 3)
    exchange, spool = road.hub.exchange, tmp_path / "spool"
    for _ in range(200):
        with Delivered(spool, exchange.log, exchange.log.head, "SH-1") as delivered:
            if next(delivered.read(), None) is None:
                break
    assert rebuilt(road, "SH-1", spool=spool) == whole


# -- the way from auditor to partner and back ------------------------------------------------


def settings(road: Road, agency: str) -> Path:
    path = road.folder / f"{agency}.toml"
    path.write_text(
        f'home = "{road.folder / agency}"\n[sink]\nkind = "sql"\nurl = "{road.urls[agency]}"\n',
        encoding="utf-8",
    )
    return path


def test_auditor_and_partner_compare_by_files(road: Road, tmp_path: Path) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.publish("NGO-1", "IdentityRecorded", "C1", **NAME)
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    road.settle()
    home, ours, theirs = tmp_path / "hub", tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    done = nrm("audit", "replay", "--home", home, "--agency", "SH-1", "--out", ours)
    assert done.code == 0, done.err
    key = tmp_path / "ours.jsonl.key"
    assert road.hub.exchange.pseudonyms.comparison_key("SH-1", 1).hex() not in key.read_text()
    told = ("connector", "digest", settings(road, "SH-1"), "--key", key, "--out", theirs)
    assert nrm(*told).code == 0
    assert ours.read_bytes() == theirs.read_bytes()
    same = nrm("audit", "compare", ours, theirs)
    assert (same.code, same.out) == (0, "The partner holds what the log says.\n")
    assert not list(tmp_path.glob("*.spool*"))

    with sqlite3.connect(tmp_path / "SH-1.db") as database:
        database.execute("UPDATE identity_recorded SET given_name = 'Eva'")
        database.execute("DELETE FROM needs_assessed")
        database.execute("UPDATE nrm_case SET status = 'closed'")
    database.close()
    assert nrm(*told).code == 0
    differs = nrm("audit", "compare", ours, theirs, "--json")
    assert differs.code == 3
    found = [json.loads(one) for one in differs.out.splitlines()]
    assert [(one["table"], one["what"], one["columns"]) for one in found] == [
        ("identity_recorded", "differs", ["content"]),
        ("needs_assessed", "missing", []),
        ("nrm_case", "differs", ["status"]),
    ]


def test_only_the_tables_asked_for(road: Road, tmp_path: Path) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity")
    road.settle()
    out = tmp_path / "one.jsonl"
    asked = ("--agency", "SH-1", "--table", "nrm_timeline", "--out", out)
    assert nrm("audit", "replay", "--home", tmp_path / "hub", *asked).code == 0
    tables = {json.loads(one).get("table") for one in out.read_bytes().splitlines()}
    assert tables == {None, "nrm_timeline"}


def test_states_that_cannot_be_compared_are_refused(road: Road, tmp_path: Path) -> None:
    road.partner("SH-1")
    case_with_shelter(road, "identity")
    road.settle()
    early, late = tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    early.write_bytes(b"".join(rebuilt(road, "SH-1")))
    road.publish("NGO-1", "IdentityRecorded", "C1", **NAME)
    road.settle()
    late.write_bytes(b"".join(rebuilt(road, "SH-1")))
    refused = nrm("audit", "compare", early, late)
    assert refused.code == 1
    assert "other_rows" in refused.err
    late.write_bytes(b"no rows\n")
    assert "not_row_digests" in nrm("audit", "compare", early, late).err
    no_such = ("--agency", "SH-9", "--out", tmp_path / "x")
    assert "unknown_agency" in nrm("audit", "replay", "--home", tmp_path / "hub", *no_such).err


def test_a_key_of_somebody_elses_choosing_is_not_used(road: Road) -> None:
    """Whoever could choose the key could try out what the digests stand for."""
    identity = road.identities["SH-1"]
    hub, ours = road.hub.settings.hub_id, road.hub.keys.signing
    mine, sealing = comparison_key.ComparisonKey("SH-1", hub, 3, bytes(32)), identity.sealing_keys
    [public] = {one.public for one in sealing.values()}

    def opened(file: bytes, agency: str = "SH-1") -> comparison_key.ComparisonKey:
        known = {ours.key_id: ours.public}
        return comparison_key.opened(file, agency, hub, known.get, sealing)

    assert opened(comparison_key.sealed(mine, public, ours)) == mine
    with pytest.raises(UntrustedError, match="not known"):
        opened(comparison_key.sealed(mine, public, SigningKey.generate()))
    with pytest.raises(UntrustedError, match="another agency"):
        opened(comparison_key.sealed(mine, public, ours), "POL-1")
    file = json.loads(comparison_key.sealed(mine, public, ours))
    file["body"] = file["body"].replace('"sequence":3', '"sequence":4')
    with pytest.raises(UntrustedError, match="trusted"):
        opened(json.dumps(file).encode())
    with pytest.raises(UntrustedError, match="no key file"):
        opened(b"[]")


def test_a_cases_status_is_of_what_is_left(road: Road) -> None:
    """A case as its last events say, told late or early."""
    road.partner("SH-1")
    case_with_shelter(road, "identity", "health")
    road.time.at += timedelta(days=2)
    road.publish("NGO-1", "NeedsAssessed", "C1", **COSTS)
    lines = assert_same(road)["SH-1"]
    [case] = [json.loads(one) for one in lines if b'"table":"nrm_case"' in one]
    assert case["last_event_type"] == "NeedsAssessed"
