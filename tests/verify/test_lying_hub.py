"""A hub that signs anything: what its own keys cannot make right, and how it is found out.

Rows are rewritten, the tree is built over them and signed with the hub's real keys. What is left
against it is what others signed, the rules, and its own other signatures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.crypto.signing import SigningKey
from hub.store import events as stored
from hub.tlog.note import Cosigner, Note
from nrm_verify import decisions
from nrm_verify.effects import Budget
from nrm_verify.log import Checkpoint, Key
from tests.road import Road
from tests.verify.made import (
    checked,
    failing,
    head,
    lied,
    made,
    made_absence,
    members,
    program,
    resigned,
    rewritten,
)


@pytest.fixture(scope="module")
def case(road: Road) -> bytes:
    return made(road.hub, case="C1")


def rows(road: Road, kind: type[stored.StoreEvent]) -> list[tuple[int, Any]]:
    found = road.hub.exchange.log.read(0, 10_000)
    return [(one.position, one.event) for one in found if isinstance(one.event, kind)]


def test_an_honest_rewriting_verifies(road: Road, case: bytes) -> None:
    """The helper itself lies about nothing: the same rows give a bundle that stands."""
    position, _ = rows(road, stored.Settled)[0]
    checked(lied(road.hub, case, {position: rewritten(road.hub, position)}), road.hub)


# -- 10: decisions ---------------------------------------------------------------------------


def release_more(record: dict[str, Any]) -> None:
    record["decided"]["SH-1"] = dict.fromkeys(record["categories"], "consent:c1")


def withhold(record: dict[str, Any]) -> None:
    record["decided"]["SH-1"] = {name: ["no_consent"] for name in record["categories"]}


def another_basis(record: dict[str, Any]) -> None:
    for name in record["decided"]["SH-1"]:
        record["decided"]["SH-1"][name] = "statutory_minimum"


def to_an_outsider(record: dict[str, Any]) -> None:
    record["decided"]["POL-1"] = dict.fromkeys(record["categories"], "public_task")


def to_nobody_known(record: dict[str, Any]) -> None:
    record["decided"]["XX-1"] = dict.fromkeys(record["categories"], "public_task")


def a_child(record: dict[str, Any]) -> None:
    record["age"] = [True, False]


def clock(record: dict[str, Any]) -> None:
    record["clock_trusted"] = False


def backfilled(record: dict[str, Any]) -> None:
    record.setdefault("backfill", {})["POL-1"] = {record["event"]: {"identity": "public_task"}}


def recalled(record: dict[str, Any]) -> None:
    record["recalls"] = [{"to": "SH-1", "action": "delete", "items": {record["event"]: ["x"]}}]


def left(record: dict[str, Any]) -> None:
    record["left"] = ["NGO-1"]


def rebased(record: dict[str, Any]) -> None:
    record["rebased"] = {"SH-1": {record["event"]: {"identity": "public_task"}}}


def other_categories(record: dict[str, Any]) -> None:
    record["categories"] = ["health"]


def other_policy(record: dict[str, Any]) -> None:
    record["policy"] = "other-1"


def other_event(record: dict[str, Any]) -> None:
    record["event"] = "0"


def not_one(record: dict[str, Any]) -> None:
    record.pop("age")


def odd(record: dict[str, Any]) -> None:
    record["decided"] = [1]


def deep(record: dict[str, Any]) -> None:
    record["outsiders"] = [[["not_involved"]]]


def more_categories(record: dict[str, Any]) -> None:
    record["decided"]["SH-1"]["health"] = "consent:c1"


def recalled_twice(record: dict[str, Any]) -> None:
    record["recalls"] = [{"to": "SH-1", "action": "", "items": {}}] * 2


LIES = [
    more_categories, recalled_twice, release_more, withhold, another_basis, to_an_outsider,
    to_nobody_known, a_child, clock, backfilled, recalled, left, rebased, other_categories,
    other_policy, other_event, not_one, odd, deep,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_decision_recorded_otherwise(
    road: Road, case: bytes, lie: Callable[[dict[str, Any]], None]
) -> None:
    position, settled = rows(road, stored.Settled)[-1]  # of IdentityRecorded
    record = json.loads(settled.settlement)
    lie(record)
    row = rewritten(road.hub, position, settlement=json.dumps(record).encode())
    failure = failing(lied(road.hub, case, {position: row}))
    assert (failure.step, failure.code, failure.exit) == (10, "decision_differs", 7), failure
    assert str(position) in failure.text


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"event": ' + b"[" * 50_000,
        b'{"age": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe",
        b"",
        b"[]",
        b"null",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_record_that_is_none(road: Road, case: bytes, text: bytes) -> None:
    for kind, name in ((stored.Settled, "settlement"), (stored.EventAccepted, "facts")):
        position, _ = rows(road, kind)[-1]
        row = rewritten(road.hub, position, **{name: text})
        failure = failing(lied(road.hub, case, {position: row}))
        assert (failure.step, failure.code) == (10, "decision_differs"), failure


def test_work_is_bounded(road: Road, case: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would keep the verifier busy for days is put down."""
    monkeypatch.setattr(decisions, "Budget", lambda: Budget(10))
    failure = failing(case)
    assert (failure.step, failure.code, failure.exit) == (10, "too_large", 3)


def test_an_event_of_more_parts_than_any_hub_took(road: Road, case: bytes) -> None:
    position, accepted = rows(road, stored.EventAccepted)[-1]
    part = accepted.compartments[0]
    for fields in ({"compartments": (part,) * 65}, {"leaves": (bytes(32),) * 257}):
        row = rewritten(road.hub, position, **fields)
        assert failing(lied(road.hub, case, {position: row})).code == "bad_row"
    row = rewritten(road.hub, position, personal=bytes(1 << 20))
    assert failing(lied(road.hub, case, {position: row})).code == "bad_row"


def test_facts_that_are_not_what_was_decided_on(road: Road, case: bytes) -> None:
    position, accepted = rows(road, stored.EventAccepted)[1]  # ConsentGiven
    facts = json.loads(accepted.facts)
    facts["scope"] = {"POL-1": ["identity"]}
    row = rewritten(road.hub, position, facts=json.dumps(facts).encode())
    assert failing(lied(road.hub, case, {position: row})).code == "decision_differs"


def test_another_profile_or_register_than_recorded(road: Road, case: bytes) -> None:
    [(position, published)] = rows(road, stored.PolicyPublished)
    document = json.loads(published.document)
    document["matrix"]["shelter"]["identity"] = "N"
    row = rewritten(road.hub, position, document=json.dumps(document).encode())
    assert failing(lied(road.hub, case, {position: row})).code == "decision_differs"
    row = rewritten(road.hub, position, version="other-1")
    assert failing(lied(road.hub, case, {position: row})).code == "register_incomplete"
    row = rewritten(road.hub, position, document=b"{}")
    assert failing(lied(road.hub, case, {position: row})).code == "bad_row"


# -- 8, 9: what agencies signed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "step", "code"),
    [
        ({"signature": bytes(64)}, 8, "bad_agency_signature"),
        ({"header": b"\xc3\x01" + bytes(20)}, 8, "bad_evidence"),
        ({"head": b""}, 8, "bad_evidence"),
        ({"event_id": bytes(16)}, 8, "bad_evidence"),
        ({"event_type": "CaseClosed"}, 8, "bad_evidence"),
        ({"schema_id": bytes(32)}, 8, "bad_evidence"),
        ({"emitter": "SH-1"}, 8, "bad_evidence"),
        ({"role": "police"}, 8, "bad_evidence"),
        ({"digest": bytes(32)}, 8, "bad_evidence"),
        ({"index": 1}, 8, "bad_evidence"),
        ({"path": (bytes(32),)}, 8, "bad_evidence"),
        ({"leaves": tuple(bytes([n]) * 32 for n in range(8))}, 9, "bad_commitment"),
        ({"leaves": ()}, 9, "bad_commitment"),
        ({"categories": ("health",)}, 9, "bad_commitment"),
        ({"compartments": ()}, 9, "bad_commitment"),
    ],
    ids=str,
)
def test_an_event_nobody_signed(
    road: Road, case: bytes, fields: dict[str, Any], step: int, code: str
) -> None:
    position, _ = rows(road, stored.EventAccepted)[-1]
    row = rewritten(road.hub, position, **fields)
    failure = failing(lied(road.hub, case, {position: row}))
    assert (failure.step, failure.code) == (step, code), failure


def test_an_event_signed_with_a_key_of_the_hubs_making(road: Road, case: bytes) -> None:
    position = next(p for p, one in rows(road, stored.AgencyEnrolled) if one.agency == "NGO-1")
    own = SigningKey.generate()
    row = rewritten(road.hub, position, public=own.public)
    assert failing(lied(road.hub, case, {position: row})).code == "bad_agency_signature"
    row = rewritten(road.hub, position, key_id=own.key_id)
    failure = failing(lied(road.hub, case, {position: row}))
    assert (failure.code, failure.exit) == ("unknown_key", 5)


# -- 6: rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda row: row[:60], "bad_row"),
        (lambda row: row + b"\0", "bad_row"),
        (lambda row: row[:5], "newer_version"),
        (lambda row: row.replace(b"nrm.Case.Settled", b"nrm.Case.Settlee"), "newer_version"),
        (lambda row: row.replace(b"\xc3\x01", b"\xc3\x01\xff", 1), "newer_version"),
        (lambda row: bytes(16) + row[16:], "gap_in_stream"),
        (lambda row: row[:16] + b"\xff" * 4 + row[20:], "gap_in_stream"),
    ],
)  # fmt: skip
def test_rows_no_hub_writes(
    road: Road, case: bytes, change: Callable[[bytes], bytes], code: str
) -> None:
    position, _ = rows(road, stored.Settled)[-1]
    row = change(rewritten(road.hub, position))
    failure = failing(lied(road.hub, case, {position: row}))
    assert (failure.step, failure.code) == (6, code), failure


def test_another_hubs_first_row(road: Road, case: bytes) -> None:
    row = rewritten(road.hub, 1, hub="other-hub")
    assert failing(lied(road.hub, case, {1: row})).code == "wrong_hub"
    row = rewritten(road.hub, 1, public=SigningKey.generate().public)
    assert failing(lied(road.hub, case, {1: row})).code == "bad_hub_signature"


def test_no_agency_has_two_delivery_logs(road: Road, case: bytes) -> None:
    position, _ = rows(road, stored.Sending)[0]
    row = bytes(16) + rewritten(road.hub, position)[16:]
    assert failing(lied(road.hub, case, {position: row})).code == "bad_row"


# -- 11, 12: deliveries and receipts -----------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"items": b'{"bases": {"identity": "public_task"}}'}, "delivery_differs"),
        ({"items": b'{"bases": {"health": "consent:c1"}}'}, "delivery_differs"),
        ({"items": b'{"bases": {}}'}, "delivery_differs"),
        ({"items": b"{}"}, "delivery_differs"),
        ({"items": b"["}, "delivery_differs"),
        ({"kind": "recall"}, "delivery_differs"),
        ({"event_position": 11}, "delivery_differs"),
        ({"decision": 12}, "delivery_differs"),
        ({"case_id": bytes(16)}, "claims_differ"),
    ],
    ids=str,
)
def test_a_delivery_that_was_not_owed(
    road: Road, case: bytes, fields: dict[str, Any], code: str
) -> None:
    position, _ = next(
        (p, one) for p, one in reversed(rows(road, stored.Sending)) if one.agency == "SH-1"
    )
    row = rewritten(road.hub, position, **fields)
    assert failing(lied(road.hub, case, {position: row})).code == code


@pytest.mark.parametrize("items", [b"{}", b"[]", b"[" * 50_000, b'{"bases": [1]}', b"\xff"])
def test_a_delivery_about_another_case_that_says_nothing(road: Road, items: bytes) -> None:
    """Rows whose case is not in the file are looked at too: they are shown."""
    data = made_absence(road.hub, agency="SH-1", case="C1", categories=["health"])
    position, _ = next((p, one) for p, one in rows(road, stored.Sending) if one.agency == "SH-1")
    row = rewritten(road.hub, position, case_id=bytes(16), items=items)
    failure = failing(lied(road.hub, data, {position: row}))
    assert (failure.step, failure.code) == (11, "delivery_differs")


def test_a_delivery_log_with_a_gap(road: Road) -> None:
    data = made(road.hub, agency="SH-1")
    position, sending = next(
        (p, one) for p, one in reversed(rows(road, stored.Sending)) if one.agency == "SH-1"
    )
    row = rewritten(road.hub, position, originator_version=sending.originator_version + 1)
    assert failing(lied(road.hub, data, {position: row})).code == "gap_in_deliveries"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"signature": bytes(64)}, "bad_receipt"),
        ({"receipt": b"\xc3\x01"}, "bad_receipt"),
        ({"last_sequence": 9}, "receipt_differs"),
        ({"first_sequence": 2}, "receipt_differs"),
    ],
    ids=str,
)
def test_a_receipt_nobody_signed(
    road: Road, case: bytes, fields: dict[str, Any], code: str
) -> None:
    [(position, _)] = rows(road, stored.Received)
    row = rewritten(road.hub, position, **fields)
    failure = failing(lied(road.hub, case, {position: row}))
    assert (failure.step, failure.code) == (12, code)


# -- 3, 4: keys, witnesses, history ------------------------------------------------------------


def test_the_log_key_given_decides(road: Road, case: bytes, tmp_path: Path) -> None:
    vkey = str(road.hub.checkpoints.verifier)
    assert checked(case, road.hub).trust.log_key is not None
    other = Key.parse(members(made_elsewhere(tmp_path))["log/vkey"].decode())
    failure = failing(case, log_key=other)
    assert (failure.step, failure.code, failure.exit) == (3, "wrong_log", 9)
    assert vkey in failure.text
    # A checkpoint signed by another key under the same name.
    forged = resigned(case, {"log/vkey": f"{other.text}\n".encode()}, road.hub.keys.signing)
    assert failing(forged).code == "wrong_log"


def made_elsewhere(folder: Path) -> bytes:
    road = Road.open(folder, {"NGO-1": "ngo_support"})
    try:
        road.publish(
            "NGO-1", "CaseOpened", "C9", jurisdiction="XX", channel="outreach", age_status="adult"
        )
        return made(road.hub, case="C9")
    finally:
        road.close()


def test_witnesses_and_a_quorum(road: Road, case: bytes) -> None:
    note = Note.parse(members(case)["log/checkpoint"])
    witnesses = [Cosigner(f"witness-{n}", SigningKey.generate()) for n in range(3)]
    signed = note.adding(*(one.line(note.text, 1_800_000_000) for one in witnesses[:2]))
    data = resigned(case, {"log/checkpoint": bytes(signed)}, road.hub.keys.signing)
    keys = [Key.parse(str(one.verifier)) for one in witnesses]
    report = checked(data, road.hub, witnesses=keys, quorum=2)
    assert report.trust.cosigned == ["witness-0", "witness-1"]
    failure = failing(data, witnesses=keys, quorum=3)
    assert (failure.code, failure.exit) == ("few_witnesses", 5)
    # One key twice is one witness; a cosignature of another text is none.
    assert failing(data, witnesses=[keys[0], keys[0]], quorum=2).code == "few_witnesses"
    wrong = note.adding(witnesses[0].line("other\n1\nAAAA\n", 1_800_000_000))
    data = resigned(case, {"log/checkpoint": bytes(wrong)}, road.hub.keys.signing)
    assert failing(data, witnesses=keys[:1]).code == "bad_log_signature"


def test_a_fork_against_a_checkpoint_somebody_kept(
    road: Road, case: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    position, _ = rows(road, stored.Settled)[-1]
    other = lied(road.hub, case, {position: rewritten(road.hub, position, policy="other-1")})
    kept = tmp_path / "kept.txt"
    kept.write_bytes(members(other)["log/checkpoint"])
    bundle = tmp_path / "case.zip"
    bundle.write_bytes(case)
    code, told = program(capsys, bundle, "--earlier", kept)
    assert code == 10
    assert "fork" in told
    kept.write_bytes(members(case)["log/checkpoint"])
    code, told = program(capsys, bundle, "--earlier", kept)
    assert code == 0
    assert "nothing up to entry" in told


def test_history_since_an_earlier_checkpoint(road: Road, tmp_path: Path) -> None:
    log = road.hub.exchange.log
    road.hub.checkpoints.step(now=True)
    notes = dict(log.checkpoints())
    early = min(notes)
    assert early < max(notes)
    data = made(road.hub, case="C1", earlier=notes[early].encode())
    kept = Checkpoint.parse(notes[early].encode())
    assert "nothing up to entry" in checked(data, road.hub, earlier=kept).trust.history
    # Without the proof nothing is claimed.
    plain = made(road.hub, case="C1")
    assert checked(plain, road.hub, earlier=kept).trust.history.startswith("not provable")
    # A signed earlier head of another history is a fork, inside or outside.
    forged = head(road.hub, early, bytes(32))
    assert failing(data, earlier=Checkpoint.parse(forged)).code == "fork"
    inside = resigned(data, {"log/earlier": forged}, road.hub.keys.signing)
    failure = failing(inside)
    assert (failure.step, failure.code, failure.exit) == (4, "fork", 10)


# -- 14: absence ---------------------------------------------------------------------------------


def test_a_false_word_that_nothing_was_shared(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not ask itself signs; its own rows convict it."""
    monkeypatch.setattr(sys.modules["hub.audit.evidence.absence"], "_shared", lambda *_: [])
    failure = failing(made_absence(road.hub, agency="SH-1", case="C1"))
    assert (failure.step, failure.code, failure.exit) == (14, "not_absent", 7)
    failure = failing(made_absence(road.hub, agency="SH-1", case="C1", categories=["identity"]))
    assert failure.code == "not_absent"


def test_a_statement_about_something_else(road: Road) -> None:
    one = made_absence(road.hub, agency="POL-1", case="C1")
    other = made_absence(road.hub, agency="EMB-1", case="C1")
    swapped = {"statement.json": members(other)["statement.json"]}
    assert failing(resigned(one, swapped, road.hub.keys.signing)).code == "bad_statement"
    document = json.loads(members(one)["statement.json"])
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"][:-8] + "AAAAAAA="
    swapped = {"statement.json": json.dumps(document).encode()}
    assert failing(resigned(one, swapped, road.hub.keys.signing)).code in (
        "bad_hub_signature",
        "bad_statement",
    )
