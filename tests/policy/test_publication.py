"""A profile comes in force by two persons, exactly as proposed, or not at all."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hub.audit import verify_log
from hub.authority import officer_file, profiles
from hub.authority.officers import OfficerKey, Officers, read_request, request
from hub.authority.proposals import APPROVED, OPEN, STALE
from hub.authority.publication import Publication
from hub.crypto.envelope import EnvelopeError
from hub.crypto.signing import SigningKey
from hub.domain.policy import PolicyError, default_document, shipped_document
from hub.errors import Refused
from hub.home import Home
from hub.hub import Hub, Reading
from tests.policy.officers import changed, founded, officer, publication


def refused(reason: str, call: Any, *args: Any, **kwargs: Any) -> str:
    """Calls; expects a refusal with this reason; returns what it says to do."""
    with pytest.raises(Refused) as raised:
        call(*args, **kwargs)
    assert raised.value.reason == reason
    assert raised.value.detail
    assert "\n" not in raised.value.detail
    return raised.value.detail


STRICT = changed(default_document(), "strict-1", shelter__health="N")


# -- the whole of it -------------------------------------------------------------------------


def test_one_proposes_another_approves_and_both_stand_in_the_log(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    before = hub.exchange.position
    proposal = votes.propose(STRICT, first, "shelters need no health data, order 12")
    assert hub.exchange.policy().version == "coe-1", "a proposal decides nothing"
    assert votes.proposals().state(proposal) == OPEN

    position = votes.approve(proposal.digest.hex()[:8], second)

    assert position == before + 3
    assert hub.exchange.policy().version == "strict-1"
    assert hub.exchange.policy().mode("shelter", "health") == "N"
    known = votes.proposals()
    initial, now = known.versions
    assert (initial.version, initial.proposal, initial.approved_by) == ("coe-1", None, "")
    assert (now.position, now.version, now.digest) == (position, "strict-1", proposal.digest)
    assert now.proposal is not None
    assert (now.proposal.by, now.approved_by) == (first.name, second.name)
    assert now.proposal.reason == "shelters need no health data, order 12"
    assert known.state(known.proposals[proposal.position]) == APPROVED
    *_, verdict = verify_log(hub.exchange.log, hub.settings.hub_id, _log_key(hub))
    assert verdict.problems == []
    assert (verdict.policy_versions, verdict.policy_signed) == (2, 1)


def _log_key(hub: Hub) -> Any:
    from hub.tlog.note import NoteSigner

    return NoteSigner(hub.settings.hub_id, hub.keys.log).verifier


def test_the_document_in_force_is_the_one_signed_byte_for_byte(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    proposal = votes.propose(STRICT, first, "order 12")
    votes.approve(proposal.digest.hex(), second)
    current = votes.proposals().current
    assert current.document == profiles.written(STRICT)
    assert sha256(current.document).digest() == proposal.digest


def test_another_process_follows(hub: Hub, tmp_path: Path) -> None:
    first, second = founded(hub)
    with Reading.open(Home(tmp_path / "hub")) as beside:
        votes = Publication(beside.exchange, beside.settings.hub_id)
        proposal = votes.propose(STRICT, first, "order 12")
        votes.approve(proposal.digest.hex(), second)
    hub.exchange.catch_up()
    assert hub.exchange.policy().version == "strict-1"


def test_two_approvals_at_once_put_one_version_in_force(hub: Hub, tmp_path: Path) -> None:
    """The second is decided on the log as the first left it, whoever was quicker."""
    first, second = founded(hub)
    votes = publication(hub)
    mine = votes.propose(STRICT, first, "order 12")
    theirs = votes.propose(changed(default_document(), "w-1", shelter__health="D"), first, "13")
    with Reading.open(Home(tmp_path / "hub")) as beside:
        quicker = Publication(beside.exchange, beside.settings.hub_id)
        known = votes.proposals

        def overtaken() -> Any:
            """What this process read just before the other wrote."""
            seen = known()
            votes.proposals = known  # type: ignore[method-assign]
            quicker.approve(theirs.digest.hex(), second)
            return seen

        votes.proposals = overtaken  # type: ignore[method-assign]
        refused("stale_proposal", votes.approve, mine.digest.hex(), second)
    assert [one.version for one in known().versions] == ["coe-1", "w-1"]


# -- what is refused -------------------------------------------------------------------------


def test_the_same_person_cannot_do_both(hub: Hub) -> None:
    first, _ = founded(hub)
    votes = publication(hub)
    proposal = votes.propose(STRICT, first, "order 12")
    refused("same_person", votes.approve, proposal.digest.hex(), first)
    assert hub.exchange.policy().version == "coe-1"


def test_the_same_person_with_a_second_key_is_the_same_person(hub: Hub) -> None:
    first, second, third = founded(hub, "justice-1", "justice-2", "justice-3")
    votes = publication(hub)
    proposal = votes.propose(STRICT, first, "order 12")
    votes.revoke(first.name, second, "lost the key")
    renewed = OfficerKey(first.name, SigningKey.generate())
    votes.vouch(request(renewed), second)
    votes.vouch(request(renewed), third)
    refused("proposer_revoked", votes.approve, proposal.digest.hex(), renewed)
    again = votes.propose(STRICT, renewed, "order 12, again")
    refused("same_person", votes.approve, again.digest.hex(), renewed)
    votes.approve(again.digest.hex(), third)
    assert hub.exchange.policy().version == "strict-1"


def test_a_proposal_overtaken_by_another_version_is_stale_until_proposed_again(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    mine = votes.propose(STRICT, first, "order 12")
    other = changed(default_document(), "wide-1", shelter__protection="D")
    theirs = votes.propose(other, second, "order 13")
    votes.approve(theirs.digest.hex(), first)
    assert votes.proposals().state(mine) == STALE
    refused("stale_proposal", votes.approve, mine.digest.hex(), second)
    again = votes.propose(STRICT, first, "order 12, still")
    assert again.digest == mine.digest
    votes.approve(mine.digest.hex(), second)
    assert hub.exchange.policy().version == "strict-1"
    refused("already_in_force", votes.approve, mine.digest.hex(), second)


def test_only_what_was_proposed_can_be_approved(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    votes.propose(STRICT, first, "order 12")
    other = sha256(profiles.written(shipped_document("uk"))).hexdigest()
    for digest in (other, "", "ab", "not a digest"):
        refused("unknown_proposal", votes.approve, digest, second)


def test_digits_that_name_two_proposals(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    digests = [
        votes.propose(changed(default_document(), f"v-{number}", shelter__health="N"), first, "x")
        for number in range(17)
    ]
    # Two of seventeen share their first digit; two sharing the eight asked for come too seldom.
    digits = [one.digest.hex()[0] for one in digests]
    crowded = next(digit for digit in digits if digits.count(digit) > 1)
    refused("unknown_proposal", votes.approve, crowded, second)
    monkeypatch.setattr("hub.authority.publication.SHORTEST", 1)
    refused("ambiguous_digest", votes.approve, crowded, second)
    assert hub.exchange.policy().version == "coe-1"


def test_versions_are_used_once_and_changes_change_something(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    refused("same_profile", votes.propose, default_document(), first, "x")
    refused("same_version", votes.propose, {**STRICT, "version": "coe-1"}, first, "x")
    votes.approve(votes.propose(STRICT, first, "x").digest.hex(), second)
    back = {**default_document(), "title": "as it was"}
    refused("same_version", votes.propose, back, first, "back")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_proposal_says_why(hub: Hub, reason: str) -> None:
    first, _ = founded(hub)
    refused("reason_needed", publication(hub).propose, STRICT, first, reason)


def test_a_wrong_profile_is_not_even_proposed(hub: Hub) -> None:
    first, _ = founded(hub)
    before = hub.exchange.position
    with pytest.raises(PolicyError, match="unknown_mode"):
        publication(hub).propose(
            changed(default_document(), "x", police__identity="Z"), first, "order 12"
        )
    assert hub.exchange.position == before


def test_strangers_and_keys_under_another_name(hub: Hub) -> None:
    votes = publication(hub)
    stranger = officer("stranger")
    refused("no_officers", votes.propose, STRICT, stranger, "x")
    first, second = founded(hub)
    refused("unknown_officer", votes.propose, STRICT, stranger, "x")
    renamed = OfficerKey(second.name, first.key)
    refused("unknown_officer", votes.propose, STRICT, renamed, "x")
    proposal = votes.propose(STRICT, first, "x")
    refused("unknown_officer", votes.approve, proposal.digest.hex(), stranger)


def test_nothing_refused_leaves_a_trace_in_the_log(hub: Hub) -> None:
    first, second = founded(hub)
    votes = publication(hub)
    proposal = votes.propose(STRICT, first, "x")
    head = hub.exchange.log.head
    refused("same_person", votes.approve, proposal.digest.hex(), first)
    refused("unknown_officer", votes.approve, proposal.digest.hex(), officer("x"))
    refused("last_officers", votes.revoke, first.name, second, "x")
    assert hub.exchange.log.head == head


# -- officers --------------------------------------------------------------------------------


def test_the_first_officers_are_two_or_more_at_once(hub: Hub) -> None:
    votes = publication(hub)
    alone = request(officer("justice-1"))
    refused("two_officers_needed", votes.found, [alone])
    refused("two_officers_needed", votes.found, [alone, alone])
    twins = [request(officer("justice-1")), request(officer("justice-1"))]
    refused("two_officers_needed", votes.found, twins)
    three = [*twins, request(officer("justice-2"))]
    refused("officer_exists", votes.found, three)
    assert len(votes.officers()) == 0
    founded(hub)
    refused("officer_needed", votes.found, [alone, request(officer("justice-9"))])
    refused("officer_needed", votes.found, [alone])  # a second request would not help here


def test_one_officer_alone_cannot_bring_in_another(hub: Hub) -> None:
    """Otherwise one person would make a second key, admit it, and approve with it."""
    first, second = founded(hub)
    votes = publication(hub)
    third = officer("justice-3")
    waiting = votes.vouch(request(third), first)
    assert (waiting.position, waiting.vouched) == (None, (first.name,))
    assert votes.vouch(request(third), first).position is None, "vouching twice counts once"
    refused("unknown_officer", votes.propose, STRICT, third, "x")

    admitted = votes.vouch(request(third), second)
    assert admitted.position is not None
    assert votes.vouch(request(third), first).position == admitted.position, "asked again"
    votes.approve(votes.propose(STRICT, third, "x").digest.hex(), first)


def test_a_revoked_officers_vouching_does_not_count(hub: Hub) -> None:
    first, second, third = founded(hub, "a", "b", "c")
    votes = publication(hub)
    fourth = officer("d")
    votes.vouch(request(fourth), first)
    votes.revoke(first.name, second, "left")
    assert votes.vouch(request(fourth), second).position is None
    assert votes.vouch(request(fourth), third).position is not None


def test_revoked_keys_sign_nothing_and_do_not_come_back(hub: Hub) -> None:
    first, second, third = founded(hub, "a", "b", "c")
    votes = publication(hub)
    proposal = votes.propose(STRICT, first, "x")
    votes.revoke(third.name, third, "retires: one's own key may be revoked")
    refused("revoked_officer", votes.approve, proposal.digest.hex(), third)
    refused("revoked_officer", votes.propose, STRICT, third, "x")
    refused("revoked_officer", votes.vouch, request(third), first)
    refused("unknown_officer", votes.revoke, third.name, second, "again")
    refused("last_officers", votes.revoke, second.name, first, "x")


def test_a_name_in_use_is_not_given_twice(hub: Hub) -> None:
    first, _ = founded(hub)
    refused("officer_exists", publication(hub).vouch, request(officer("justice-2")), first)


# -- documents and files ---------------------------------------------------------------------


def test_requests_prove_possession(hub: Hub) -> None:
    honest = json.loads(request(officer("justice-3")))
    other = json.loads(request(officer("justice-4")))
    stolen = {**honest, "payload": other["payload"]}
    first, _ = founded(hub)
    for junk in (b"", b"{}", b"[" * 100_000, json.dumps(stolen).encode()):
        refused("bad_request", publication(hub).vouch, junk, first)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 65, "-a", "a/b"])
def test_names_of_officers(tmp_path: Path, name: str) -> None:
    refused("bad_officer_name", officer_file.create, name, tmp_path / "k")
    assert not (tmp_path / "k").exists()
    with pytest.raises((EnvelopeError, ValueError)):
        read_request(request(officer(name)))


def test_the_key_file_is_its_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "own.key"
    asked = read_request(officer_file.create("justice-1", path))
    assert path.stat().st_mode & 0o777 == 0o600
    loaded = officer_file.load(path)
    assert (loaded.name, loaded.key.public) == (asked.name, asked.public)
    before = path.read_bytes()
    refused("key_file_exists", officer_file.create, "justice-1", path)
    assert path.read_bytes() == before
    path.chmod(0o644)
    assert "chmod 600" in refused("bad_key_file", officer_file.load, path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"format": "nrm.officer-key.1"}',
        b'{"format": "nrm.officer-key.1", "name": "a", "private": "AA=="}',
        b'{"format": "nrm.officer-key.1", "name": 7, "private": "AA=="}',
        b"[" * 4000,
        b" " * 5000,
    ],
)
def test_what_is_no_key_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.key"
    path.write_bytes(content)
    path.chmod(0o600)
    refused("bad_key_file", officer_file.load, path)


def test_statements_are_bound_to_one_hub(hub: Hub, tmp_path: Path) -> None:
    """What officers signed for one hub puts nothing in force at another."""
    from hub.audit.two_persons import TwoPersons

    first, second = founded(hub)
    votes = publication(hub)
    votes.approve(votes.propose(STRICT, first, "x").digest.hex(), second)
    elsewhere = TwoPersons("another-hub")
    for one in hub.exchange.log.read(0, 1_000):
        elsewhere.look(one.position, one.event)
    elsewhere.finish()
    assert len(elsewhere.problems) == 3, "proposal, approval, and the version resting on them"


def test_the_register_is_what_is_folded(hub: Hub) -> None:
    first, second = founded(hub)
    known = publication(hub).officers()
    assert [one.name for one in known.valid(hub.exchange.position + 1)] == [
        first.name,
        second.name,
    ]
    assert known.valid(1) == []
    assert list(Officers()) == []
