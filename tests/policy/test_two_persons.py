"""`audit verify` names every version, proposal and officer that does not rest on signatures.

The rows are written past `hub/authority/publication.py`, as somebody with the store's password
could: the log is sound, its checkpoints verify, and only the signatures tell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hub.audit import Verdict, verify_log
from hub.authority import officers as signed
from hub.authority import profiles
from hub.authority.officers import Ballot, OfficerKey, request
from hub.domain.policy import default_document
from hub.hub import Hub
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.tlog.note import NoteSigner
from tests.policy.officers import changed, founded, officer, publication

STRICT = profiles.written(changed(default_document(), "strict-1", shelter__health="N"))
DIGEST = sha256(STRICT).digest()


def verdict(hub: Hub) -> Verdict:
    key = NoteSigner(hub.settings.hub_id, hub.keys.log).verifier
    *_, last = verify_log(hub.exchange.log, hub.settings.hub_id, key)
    return last


def write(hub: Hub, *rows: tuple[type[StoreEvent], dict[str, Any]]) -> int:
    """Append rows as the hub would; returns the position of the last."""

    def work(draft: Draft) -> int:
        position = 0
        for kind, fields in rows:
            kinds = "policy" if kind.TOPIC.startswith("nrm.PolicyProfile") else "officers"
            stream = stream_id(kinds, hub.settings.hub_id)
            position = draft.add(
                kind(
                    originator_id=stream,
                    originator_version=hub.exchange.version_of(draft, stream) + 1,
                    timestamp=draft.now,
                    **fields,
                )
            )
        return position

    return hub.exchange.commit(work)


def published(document: bytes = STRICT) -> tuple[type[StoreEvent], dict[str, Any]]:
    return stored.PolicyPublished, {"version": "strict-1", "document": document, "by": "operator"}


def ballot(hub: Hub) -> Ballot:
    current = publication(hub).proposals().current
    return Ballot(hub.settings.hub_id, "strict-1", DIGEST, current.digest, current.position)


def proposed(hub: Hub, by: OfficerKey, **other: Any) -> tuple[type[StoreEvent], dict[str, Any]]:
    vote = ballot(hub)
    fields = {
        "version": "strict-1",
        "digest": DIGEST,
        "document": STRICT,
        "base": vote.base,
        "base_position": vote.base_position,
        "reason": "order 12",
        "by": by.name,
        "by_key": by.key.key_id,
        "statement": vote.propose("order 12", by),
    }
    return stored.PolicyProposed, {**fields, **other}


def approved(
    hub: Hub, proposal: int, proposer: OfficerKey, by: OfficerKey, **other: Any
) -> tuple[type[StoreEvent], dict[str, Any]]:
    fields = {
        "version": "strict-1",
        "digest": DIGEST,
        "proposal": proposal,
        "by": by.name,
        "by_key": by.key.key_id,
        "statement": ballot(hub).approve(proposer.name, by),
    }
    return stored.PolicyApproved, {**fields, **other}


def test_the_rows_of_this_test_stand_when_nothing_is_tampered_with(hub: Hub) -> None:
    first, second = founded(hub)
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, second), published())
    assert verdict(hub).problems == []
    assert verdict(hub).policy_signed == 1


def test_a_version_without_any_signature(hub: Hub) -> None:
    founded(hub)
    at = write(hub, published())
    assert verdict(hub).problems == [
        f"position {at}: version strict-1 was put in force without two officers"
    ]
    assert (verdict(hub).policy_versions, verdict(hub).policy_signed) == (2, 0)


def test_another_document_than_the_one_approved(hub: Hub) -> None:
    first, second = founded(hub)
    at = write(hub, proposed(hub, first))
    wide = profiles.written(changed(default_document(), "strict-1", police__health="D"))
    write(hub, approved(hub, at, first, second), published(wide))
    [problem] = verdict(hub).problems
    assert "without two officers" in problem


def test_a_row_that_was_damaged_is_named_and_the_rest_still_checked(
    hub: Hub, tmp_path: Path
) -> None:
    first, second = founded(hub)
    at = write(hub, proposed(hub, first))
    last = write(hub, approved(hub, at, first, second), published())
    with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
        database.execute(
            "UPDATE stored_events SET state = substr(state, 1, 40) WHERE rowid = ?", (last - 1,)
        )
    told = verdict(hub).problems
    assert f"position {last - 1}: row and leaf differ" in told
    assert f"position {last - 1}: the row cannot be read" in told
    assert f"position {last}: version strict-1 was put in force without two officers" in told


def test_an_approval_kept_for_later(hub: Hub) -> None:
    """Approved, something else in between, and only then put in force."""
    first, second = founded(hub)
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, second))
    write(hub, proposed(hub, second))
    write(hub, published())
    assert any("without two officers" in one for one in verdict(hub).problems)


Tamper = Callable[[Hub, OfficerKey, OfficerKey], None]


def _same_person(hub: Hub, first: OfficerKey, _second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, first), published())


def _unsigned_approval(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, second, statement=b"approved, trust me"), published())


def _approval_by_a_stranger(hub: Hub, first: OfficerKey, _second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, officer("nobody")), published())


def _approval_in_anothers_name(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first))
    forged = OfficerKey(second.name, first.key)
    write(hub, approved(hub, at, first, forged, by_key=second.key.key_id), published())


def _proposal_with_another_reason(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first, reason="another reason"))
    write(hub, approved(hub, at, first, second), published())


def _proposal_with_another_document(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    wide = profiles.written(changed(default_document(), "strict-1", police__health="D"))
    at = write(hub, proposed(hub, first, document=wide))
    write(hub, approved(hub, at, first, second), published(wide))


def _proposal_to_replace_another_version(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    at = write(hub, proposed(hub, first, base_position=1))
    write(hub, approved(hub, at, first, second), published())


def _approval_of_nothing(hub: Hub, first: OfficerKey, second: OfficerKey) -> None:
    write(hub, approved(hub, 1, first, second), published())


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (_same_person, "approved an own proposal"),
        (_unsigned_approval, "not a signed envelope"),
        (_approval_by_a_stranger, "nobody was no officer then"),
        (_approval_in_anothers_name, "not signed by officer justice-2"),
        (_proposal_with_another_reason, "another than the one recorded"),
        (_proposal_with_another_document, "not the one signed"),
        (_proposal_to_replace_another_version, "another version than the one in force"),
        (_approval_of_nothing, "something that was not proposed"),
    ],
)
def test_what_does_not_rest_on_two_signatures_is_named(hub: Hub, tamper: Tamper, told: str) -> None:
    first, second = founded(hub)
    tamper(hub, first, second)
    found = verdict(hub)
    assert any(told in one for one in found.problems), found.problems
    assert any("without two officers" in one for one in found.problems)
    assert found.policy_signed == 0


def _admitted(asked: OfficerKey, **other: Any) -> tuple[type[StoreEvent], dict[str, Any]]:
    fields = {
        "officer": asked.name,
        "public": asked.key.public,
        "key_id": asked.key.key_id,
        "request": request(asked),
        "by": "",
    }
    return stored.OfficerAdmitted, {**fields, **other}


def test_officers_slipped_in(hub: Hub) -> None:
    first, _ = founded(hub)
    mole = officer("mole")
    write(hub, proposed(hub, first))
    write(hub, _admitted(mole, by="justice-1 and justice-2"))
    write(hub, _admitted(mole))
    assert [one.partition(": ")[2] for one in verdict(hub).problems] == [
        "mole was admitted without two officers vouching",
        "mole was admitted without two officers vouching",
    ]
    # And what it signs counts for nothing.
    at = write(hub, proposed(hub, first))
    write(hub, approved(hub, at, first, mole), published())
    assert any("mole was no officer then" in one for one in verdict(hub).problems)


def test_an_officer_vouched_for_by_one_twice(hub: Hub) -> None:
    first, _ = founded(hub)
    mole = officer("mole")
    publication(hub).vouch(request(mole), first)
    write(hub, _admitted(mole, by="justice-1 and justice-2"))
    [problem] = verdict(hub).problems
    assert "without two officers vouching" in problem


def test_a_founder_alone(hub: Hub) -> None:
    write(hub, _admitted(officer("alone")))
    [problem] = verdict(hub).problems
    assert "one officer was admitted alone" in problem


def test_requests_vouchings_and_revocations_of_another(hub: Hub) -> None:
    first, second, _ = founded(hub, "justice-1", "justice-2", "justice-3")
    hub_id = hub.settings.hub_id
    third, fourth = officer("c"), officer("d")
    asked = signed.read_request(request(third))
    statement = signed.vouching(hub_id, asked, first)
    vouch = {
        "officer": "c",
        "key_id": third.key.key_id,
        "request": request(third),
        "by": first.name,
        "by_key": first.key.key_id,
        "statement": statement,
    }
    write(hub, (stored.OfficerVouched, {**vouch, "request": request(fourth)}))
    write(hub, (stored.OfficerVouched, {**vouch, "by": second.name}))
    write(hub, (stored.OfficerVouched, {**vouch, "request": b"{}"}))
    write(hub, _admitted(fourth, request=request(third)))
    gone = publication(hub).officers().named("justice-2", 1_000)
    assert gone is not None
    revoke = {
        "officer": "justice-2",
        "key_id": gone.key_id,
        "reason": "left",
        "by": first.name,
        "by_key": first.key.key_id,
        "statement": signed.revocation(hub_id, gone, "left", first),
    }
    write(hub, (stored.OfficerRevoked, {**revoke, "reason": "caught"}))
    other = replace(gone, name="nobody", key_id=bytes(16))
    unknown = {
        "officer": "nobody",
        "key_id": bytes(16),
        "statement": signed.revocation(hub_id, other, "left", first),
    }
    write(hub, (stored.OfficerRevoked, {**revoke, **unknown}))
    told = [one.partition(": ")[2] for one in verdict(hub).problems]
    assert told == [
        "the request vouched for is another person's",
        "justice-2 was no officer then, or with another key",
        "the document is damaged: it is not a signed envelope",
        "the officer's request is another person's",
        "the statement signed is another than the one recorded",
        "revokes a key that is no officer's",
    ]
    # Reading goes on over a row that revokes nobody.
    assert len(publication(hub).officers().valid(hub.exchange.position)) == 3
