"""Who may open the console: two officers, each by a signature, and one to end it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.audit import Verdict, verify_log
from hub.authority import viewers as signed
from hub.authority.granting import Granting
from hub.authority.viewers import OIDC, PASSKEY, Grant, hashed
from hub.errors import Refused
from hub.home import Home
from hub.hub import Deciding
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored
from hub.store.events import StoreEvent
from tests.console.admitted import Office
from tests.policy.officers import HUB_ID, of_exchange, officer

ACCOUNT = Grant("audit-1", "auditor", "", OIDC, "https://id.example.org", "5f2c")
DEVICE = Grant("audit-2", "auditor", "", PASSKEY)


@pytest.fixture
def deciding(home: Home) -> Iterator[Deciding]:
    with Deciding.open(home) as opened:
        yield opened


@pytest.fixture
def office(deciding: Deciding) -> Office:
    return Office(deciding.reading.exchange)


def verdict(deciding: Deciding) -> Verdict:
    *_, last = verify_log(deciding.reading.exchange.log, HUB_ID, deciding.reading.log_verifier)
    return last


def refused(work: Any, *arguments: Any) -> str:
    with pytest.raises(Refused) as found:
        work(*arguments)
    assert found.value.detail
    return found.value.reason


def test_a_grant_counts_only_with_the_second_signature(office: Office) -> None:
    step = office.granting.propose(ACCOUNT, office.first)
    assert office.granting.viewers().standing == {}
    assert refused(office.granting.approve, step.position, office.first) == "same_person"
    office.granting.approve(step.position, office.second)
    found = office.granting.viewers().by_account("https://id.example.org", "5f2c")
    assert found is not None
    assert (found.grant, found.proposal.by, found.by) == (ACCOUNT, "justice-1", "justice-2")


def test_nobody_can_be_granted_before_there_are_officers(deciding: Deciding) -> None:
    granting = Granting(deciding.reading.exchange, HUB_ID)
    with pytest.raises(Refused, match="officer create") as found:
        granting.propose(ACCOUNT, officer("alone"))
    assert found.value.reason == "no_officers"


def test_a_stranger_and_a_revoked_officer_sign_nothing(office: Office) -> None:
    third = officer("justice-3")
    assert refused(office.granting.propose, ACCOUNT, third) == "unknown_officer"
    votes = of_exchange(office.exchange)
    from hub.authority.officers import request

    votes.vouch(request(third), office.first)
    votes.vouch(request(third), office.second)
    step = office.granting.propose(ACCOUNT, third)
    votes.revoke("justice-3", office.first, "lost")
    assert refused(office.granting.approve, step.position, office.second) == "proposer_revoked"
    assert refused(office.granting.propose, ACCOUNT, third) == "revoked_officer"


def test_one_officer_ends_it_and_an_old_signature_does_not_bring_it_back(office: Office) -> None:
    old = office.granting.propose(ACCOUNT, office.first)
    office.grant(ACCOUNT)
    assert refused(office.granting.approve, old.position, office.second) == "stale_proposal"
    office.granting.revoke("audit-1", office.first, "left")
    assert office.granting.viewers().standing == {}
    assert refused(office.granting.approve, old.position, office.second) == "stale_proposal"
    again, _ = office.grant(ACCOUNT)
    assert office.granting.viewers().stands("audit-1", again.position) is not None


def test_a_proposal_is_taken_back(office: Office) -> None:
    step = office.granting.propose(ACCOUNT, office.first)
    office.granting.revoke("audit-1", office.second, "a mistake")
    assert refused(office.granting.approve, step.position, office.second) == "revoked_grant"
    assert refused(office.granting.revoke, "audit-1", office.first, "again") == "unknown_viewer"


def test_a_name_and_an_account_are_one_persons(office: Office) -> None:
    office.grant(ACCOUNT)
    assert refused(office.granting.propose, ACCOUNT, office.first) == "viewer_exists"
    other = Grant("other", "operator", "", OIDC, ACCOUNT.issuer, ACCOUNT.subject)
    assert refused(office.granting.propose, other, office.first) == "account_taken"


@pytest.mark.parametrize(
    ("grant", "reason"),
    [
        (Grant("", "auditor", "", PASSKEY), "bad_viewer_name"),
        (Grant("a\nb", "auditor", "", PASSKEY), "bad_viewer_name"),
        (Grant("<b>", "auditor", "", PASSKEY), "bad_viewer_name"),
        (Grant("ａudit", "auditor", "", PASSKEY), "bad_viewer_name"),
        (Grant("x", "root", "", PASSKEY), "bad_role"),  # type: ignore[arg-type]
        (Grant("x", "agency_officer", "", PASSKEY), "agency_needed"),
        (Grant("x", "auditor", "SH-1", PASSKEY), "agency_needed"),
        (Grant("x", "agency_officer", "NO-1", PASSKEY), "unknown_agency"),
        (Grant("x", "auditor", "", OIDC), "bad_sign_in"),
        (Grant("x", "auditor", "", OIDC, "https://id", ""), "bad_sign_in"),
        (Grant("x", "auditor", "", OIDC, "javascript:alert(1)", "s"), "bad_sign_in"),
        (Grant("x", "auditor", "", PASSKEY, "https://id", "s"), "bad_sign_in"),
    ],
)
def test_what_cannot_be_granted(office: Office, grant: Grant, reason: str) -> None:
    assert refused(office.granting.propose, grant, office.first) == reason


# -- the one-time code -----------------------------------------------------------------------


def test_neither_half_of_a_code_registers_a_passkey(office: Office) -> None:
    code = office.passkey()
    half = len(code) // 2
    for wrong in (
        code[:half],
        code[half:],
        code[half:] + code[:half],
        code[:half] * 2,
        "",
        code[:-1],
    ):
        found = refused(office.granting.add_passkey, wrong, b"id", b"key", 0, "")
        assert found == "code_not_valid"
    granted = office.granting.add_passkey(signed.spelt(code).lower(), b"id", b"key", 0, "")
    assert granted.grant.viewer == "audit-1"
    assert refused(office.granting.add_passkey, code, b"other", b"key", 0, "") == "code_not_valid"


def test_the_log_holds_hashes_of_an_unused_code_and_no_half_of_it(office: Office) -> None:
    code = office.passkey()
    rows = office.exchange.log.rows(0, 1_000)
    half = len(code) // 2
    for row in rows:
        assert code[:half].encode() not in row.state
        assert code[half:].encode() not in row.state


def test_a_code_is_worth_nothing_after_a_week(office: Office) -> None:
    code = office.passkey()
    known, now = office.granting.viewers(), office.exchange.clock.now()
    assert known.by_code(code, now + timedelta(days=6)) is not None
    assert known.by_code(code, now + timedelta(days=8)) is None


def test_a_counter_that_goes_back_is_a_copied_passkey(office: Office) -> None:
    granted = office.granting.add_passkey(office.passkey(), b"id", b"key", 5, "")
    office.granting.signed_in(granted, b"id", 6)
    office.granting.signed_in(granted, b"id", 9)
    for counter in (9, 8, 0):
        with pytest.raises(Refused) as found:
            office.granting.signed_in(granted, b"id", counter)
        assert found.value.reason == "passkey_copied"
    none = office.granting.add_passkey(office.passkey("audit-2"), b"id2", b"key", 0, "")
    office.granting.signed_in(none, b"id2", 0)
    office.granting.signed_in(none, b"id2", 0)  # a passkey without a counter


def test_nobody_signs_in_on_a_grant_that_fell(office: Office) -> None:
    granted, _ = office.grant(ACCOUNT)
    office.revoke()
    assert refused(office.granting.signed_in, granted) == "not_granted"


# -- verified --------------------------------------------------------------------------------


def write(office: Office, kind: type[StoreEvent], **fields: Any) -> int:
    """A row as somebody with the store's password could write it."""

    def work(draft: Draft) -> int:
        stream = stream_id("viewers", HUB_ID)
        return draft.add(
            kind(
                originator_id=stream,
                originator_version=office.exchange.version_of(draft, stream) + 1,
                timestamp=draft.now,
                **fields,
            )
        )

    return office.exchange.commit(work)


def proposal_row(office: Office, grant: Grant = ACCOUNT, **other: Any) -> dict[str, Any]:
    by = office.first
    code = hashed("A" * 16) if grant.how == PASSKEY else b""
    base = office.granting.viewers().base(grant.viewer)
    payload = signed.proposal(HUB_ID, grant, code, base, by.name)
    return {
        "viewer": grant.viewer,
        "role": grant.role,
        "agency": grant.agency,
        "how": grant.how,
        "issuer": grant.issuer,
        "subject": grant.subject,
        "code": code,
        "base": base,
        "by": by.name,
        "by_key": by.key.key_id,
        "statement": signed.signed(signed.PROPOSAL, payload, by),
        **other,
    }


def approval_row(office: Office, position: int, **other: Any) -> dict[str, Any]:
    by = office.second
    proposed = office.granting.viewers().proposals[position]
    code = hashed("B" * 16) if proposed.grant.how == PASSKEY else b""
    payload = signed.approval(HUB_ID, proposed, code, by.name)
    return {
        "viewer": proposed.grant.viewer,
        "proposal": position,
        "code": code,
        "by": by.name,
        "by_key": by.key.key_id,
        "statement": signed.signed(signed.APPROVAL, payload, by),
        **other,
    }


def test_grants_verify(deciding: Deciding, office: Office) -> None:
    office.grant(ACCOUNT)
    office.granting.add_passkey(office.passkey("audit-2"), b"id", b"key", 0, "")
    office.revoke()
    found = verdict(deciding)
    assert (found.viewers_signed, found.problems) == (2, [])


def test_rows_as_the_hub_would_write_them_verify(deciding: Deciding, office: Office) -> None:
    """Else the next test could pass for the wrong reason."""
    position = write(office, stored.ViewerProposed, **proposal_row(office, DEVICE))
    position = write(office, stored.ViewerGranted, **approval_row(office, position))
    write(office, stored.ViewerPasskeyAdded, **passkey_row(position))
    found = verdict(deciding)
    assert (found.viewers_signed, found.problems) == (1, [])


def passkey_row(position: int, **other: Any) -> dict[str, Any]:
    return {
        "viewer": "audit-2",
        "granted": position,
        "credential": b"id",
        "public": b"key",
        "counter": 0,
        "aaguid": "",
        "code": b"A" * 16 + b"B" * 16,
        **other,
    }


@pytest.mark.parametrize(
    "other",
    [
        {"role": "operator"},
        {"subject": "mine"},
        {"issuer": "https://id.attacker.example"},
        {"base": 7},
        {"by": "justice-2"},
        {"statement": b"{}"},
    ],
    ids=str,
)
def test_a_proposal_that_nobody_signed_is_named(
    deciding: Deciding, office: Office, other: dict[str, Any]
) -> None:
    position = write(office, stored.ViewerProposed, **proposal_row(office, **other))
    assert any(f"position {position}:" in one for one in verdict(deciding).problems)


@pytest.mark.parametrize("what", ["alone", "own", "other_viewer", "statement", "twice", "unknown"])
def test_a_grant_without_two_officers_is_named(
    deciding: Deciding, office: Office, what: str
) -> None:
    position = write(office, stored.ViewerProposed, **proposal_row(office))
    row = approval_row(office, position)
    if what == "own":
        proposed = office.granting.viewers().proposals[position]
        payload = signed.approval(HUB_ID, proposed, b"", office.first.name)
        row |= {
            "by": office.first.name,
            "by_key": office.first.key.key_id,
            "statement": signed.signed(signed.APPROVAL, payload, office.first),
        }
    elif what == "twice":
        write(office, stored.ViewerGranted, **row)
    else:
        row |= {
            "alone": {"by_key": office.first.key.key_id},
            "other_viewer": {"viewer": "operator-1"},
            "statement": {"statement": proposal_row(office)["statement"]},
            "unknown": {"proposal": 1},
        }[what]
    forged = write(office, stored.ViewerGranted, **row)
    found = verdict(deciding)
    assert any(f"position {forged}:" in one for one in found.problems)
    assert found.viewers_signed == (1 if what == "twice" else 0)


@pytest.mark.parametrize(
    "other",
    [{"code": b"A" * 32}, {"code": b"\xff"}, {"granted": 3}, {"viewer": "audit-1"}],
    ids=str,
)
def test_a_passkey_put_in_without_the_code_is_named(
    deciding: Deciding, office: Office, other: dict[str, Any]
) -> None:
    position = write(office, stored.ViewerProposed, **proposal_row(office, DEVICE))
    position = write(office, stored.ViewerGranted, **approval_row(office, position))
    forged = write(office, stored.ViewerPasskeyAdded, **passkey_row(position, **other))
    assert any(f"position {forged}:" in one for one in verdict(deciding).problems)


def test_a_second_passkey_on_one_code_is_named(deciding: Deciding, office: Office) -> None:
    position = write(office, stored.ViewerProposed, **proposal_row(office, DEVICE))
    position = write(office, stored.ViewerGranted, **approval_row(office, position))
    write(office, stored.ViewerPasskeyAdded, **passkey_row(position))
    forged = write(office, stored.ViewerPasskeyAdded, **passkey_row(position, credential=b"2"))
    assert any(f"position {forged}:" in one for one in verdict(deciding).problems)


def test_a_revocation_that_nobody_signed_is_named(deciding: Deciding, office: Office) -> None:
    granted, _ = office.grant(ACCOUNT)
    forged = write(
        office,
        stored.ViewerRevoked,
        viewer="audit-1",
        granted=granted.position,
        reason="",
        by=office.first.name,
        by_key=office.first.key.key_id,
        statement=b"{}",
    )
    assert any(f"position {forged}:" in one for one in verdict(deciding).problems)


# -- commands --------------------------------------------------------------------------------


def test_the_commands_from_no_officers_to_revoked(home: Home, tmp_path: Path) -> None:
    import json

    from tests.cli.programs import nrm

    keys = [tmp_path / f"{name}.key" for name in ("a", "b")]
    for key in keys:
        assert nrm("officer", "create", f"office-{key.stem}", "--out", key).code == 0
    where = ("--home", home.path)
    grant = ("viewer", "grant", "audit-1", "--role", "auditor", "--passkey", *where)
    none = nrm(*grant, "--officer", keys[0])
    assert none.code == 1
    assert "officer admit" in none.err
    assert nrm("officer", "admit", *(f"{key}.request.json" for key in keys), *where).code == 0
    proposed = nrm(*grant, "--officer", keys[0])
    assert proposed.code == 0, proposed.err
    assert "First half of the code" in proposed.out
    command = proposed.out.splitlines()[-1].split()
    position = command[3]
    same = nrm("viewer", "approve", position, "--officer", keys[0], *where)
    assert "same_person" in same.err
    approved = nrm("viewer", "approve", position, "--officer", keys[1], *where)
    assert approved.code == 0, approved.err
    assert "Second half of the code" in approved.out
    assert "audit-1, auditor, signs in by a passkey; proposed by office-a" in approved.err
    [row] = json.loads(nrm("viewer", "list", "--json", *where).out)
    assert (row["state"], row["passkey"]) == ("stands", False)
    verified = nrm("audit", "verify", *where)
    assert "1 viewers of the console granted by two" in verified.out
    gone = nrm("viewer", "revoke", "audit-1", "--officer", keys[0], "--reason", "left", *where)
    assert gone.code == 0
    assert "revoked" in nrm("viewer", "list", *where).out
