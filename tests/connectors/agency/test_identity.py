"""An agency's identity: made, enrolled, rotated; and what must not be believed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.agency.enrolment import sign_request, verify_approval, verify_request
from connectors.agency.identity import AgencyIdentity
from connectors.errors import IdentityError, UntrustedError
from tests.connectors.builder import MiniHub


def test_create_enrol_and_load_again(hub: MiniHub, tmp_path: Path) -> None:
    identity = AgencyIdentity.create(tmp_path / "a", "SH-1", 'Shelter "North" \\ é', "shelter")
    assert not identity.enrolled
    with pytest.raises(IdentityError, match="not enrolled"):
        _ = identity.hub
    asked = verify_request(identity.enrolment_request())
    assert (asked.agency, asked.name, asked.role) == ("SH-1", 'Shelter "North" \\ é', "shelter")

    identity.install_approval(hub.approve(identity.enrolment_request()))

    again = AgencyIdentity.load(tmp_path / "a")
    assert again.hub == identity.hub
    assert again.hub.hub == "test-hub"
    assert again.name == 'Shelter "North" \\ é'
    assert again.signing.private == identity.signing.private
    for name in ("signing.key", "sealing.key", "salt.key"):
        assert (again.home / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["A\nFingerprint of its request: 0000", "A\x1b[2J", "A\u202e", ""])
def test_a_name_that_is_not_one_line_is_refused_also_from_another_program(
    tmp_path: Path, name: str
) -> None:
    """The operator decides by what the screen says: a request must not be able to write on it."""
    identity = AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    asked = verify_request(identity.enrolment_request())
    forged = sign_request(replace(asked, name=name), identity.signing)
    with pytest.raises(UntrustedError, match="name is not one line"):
        verify_request(forged)


def test_a_second_identity_is_not_made_over_the_first(tmp_path: Path) -> None:
    AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    with pytest.raises(IdentityError, match="already"):
        AgencyIdentity.create(tmp_path, "SH-2", "Other", "shelter")


def test_open_permissions_are_refused(tmp_path: Path) -> None:
    AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    (tmp_path / "signing.key").chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        AgencyIdentity.load(tmp_path)


def test_missing_and_damaged_keys_are_named(tmp_path: Path) -> None:
    AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    (tmp_path / "sealing.key").write_bytes(b"short")
    with pytest.raises(IdentityError, match=r"sealing\.key is damaged"):
        AgencyIdentity.load(tmp_path)
    (tmp_path / "sealing.key").unlink()
    with pytest.raises(IdentityError, match=r"sealing\.key is missing"):
        AgencyIdentity.load(tmp_path)


@pytest.mark.parametrize("name", ["agency", "role", "signing_key", "sealing_key"])
def test_a_request_changed_on_the_way_is_refused(tmp_path: Path, name: str) -> None:
    import base64

    document = json.loads(AgencyIdentity.create(tmp_path, "A", "A", "police").enrolment_request())
    other = AgencyIdentity.create(tmp_path / "b", "B", "B", "ngo_support").enrolment_request()
    payload = json.loads(base64.b64decode(document["payload"]))
    payload[name] = json.loads(base64.b64decode(json.loads(other)["payload"]))[name]
    document["payload"] = base64.b64encode(json.dumps(payload, sort_keys=True).encode()).decode()
    with pytest.raises(UntrustedError):
        verify_request(json.dumps(document).encode())


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b"null", b"x" * 100_000, b'{"payload": 1}'])
def test_junk_is_untrusted_not_a_crash(junk: bytes) -> None:
    with pytest.raises(UntrustedError):
        verify_request(junk)
    with pytest.raises(UntrustedError):
        verify_approval(junk)


def test_an_approval_of_another_hub_is_refused_once_pinned(hub: MiniHub, tmp_path: Path) -> None:
    identity = hub.enrol(tmp_path, "SH-1", "shelter")
    impostor = MiniHub()
    with pytest.raises(UntrustedError, match="pinned"):
        identity.install_approval(impostor.approve(identity.enrolment_request()))
    assert identity.hub.ingest_key == hub.ingest.public


def test_the_fingerprint_told_by_telephone_is_compared(hub: MiniHub, tmp_path: Path) -> None:
    identity = AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    document = hub.approve(identity.enrolment_request())
    with pytest.raises(UntrustedError, match="fingerprint"):
        identity.install_approval(document, fingerprint="0000 0000")
    assert not identity.enrolled
    told = verify_approval(document).fingerprint
    identity.install_approval(document, fingerprint=told.upper())
    assert identity.enrolled


def test_an_approval_for_another_agency_is_refused(hub: MiniHub, tmp_path: Path) -> None:
    one = AgencyIdentity.create(tmp_path / "1", "SH-1", "Shelter", "shelter")
    two = AgencyIdentity.create(tmp_path / "2", "SH-2", "Shelter", "shelter")
    with pytest.raises(UntrustedError, match="is for SH-2"):
        one.install_approval(hub.approve(two.enrolment_request()))


def test_rotation(hub: MiniHub, tmp_path: Path) -> None:
    identity = hub.enrol(tmp_path, "SH-1", "shelter")
    old_signing, old_sealing = identity.signing, identity.sealing

    request = identity.rotate()

    assert identity.rotate() == request, "a lost request can be sent again"
    asked = verify_request(request, known=old_signing.public)
    assert asked.replaces == old_signing.key_id
    assert identity.signing.key_id == old_signing.key_id, "the old keys serve until approval"
    identity.install_approval(hub.approve(request))
    assert identity.signing.public == asked.signing_public
    assert identity.sealing.public == asked.sealing_public
    again = AgencyIdentity.load(identity.home)
    assert again.signing.public == asked.signing_public
    assert set(again.sealing_keys) == {old_sealing.key_id, identity.sealing.key_id}
    assert identity.rotate() != request, "the next rotation has keys of its own"


def test_an_older_approval_undoes_no_newer_one(hub: MiniHub, tmp_path: Path) -> None:
    """It is signed by the hub all the same, and would put back its keys and addresses."""
    identity = AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    request = identity.enrolment_request()
    older, newer = hub.approve(request), hub.approve(request)
    identity.install_approval(older)
    identity.install_approval(newer)
    with pytest.raises(UntrustedError, match="older than what is installed"):
        AgencyIdentity.load(tmp_path).install_approval(older)
    AgencyIdentity.load(tmp_path).install_approval(newer)  # the same again


def test_a_rotation_not_signed_by_the_old_key_is_refused(hub: MiniHub, tmp_path: Path) -> None:
    identity = hub.enrol(tmp_path, "SH-1", "shelter")
    thief = AgencyIdentity.create(tmp_path / "thief", "SH-1", "Shelter", "shelter")
    with pytest.raises(UntrustedError):
        verify_request(thief.enrolment_request(), known=identity.signing.public)
    with pytest.raises(UntrustedError):
        verify_request(thief.rotate(), known=identity.signing.public)


def test_keys_are_never_printed(tmp_path: Path) -> None:
    identity = AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    shown = repr(identity) + repr(identity.signing) + repr(identity.sealing)
    assert identity.signing.private.hex() not in shown


@pytest.mark.parametrize("url", ["http://hub.test/\x1b[2J", "x" * 501, 7, ["http://hub.test"]])
def test_an_approvals_addresses_are_lines_of_text(
    hub: MiniHub, tmp_path: Path, url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are shown, and stand in a file that is read by people."""
    identity = AgencyIdentity.create(tmp_path, "SH-1", "Shelter", "shelter")
    monkeypatch.setattr(hub, "topics_url", url)
    with pytest.raises(UntrustedError, match="not usable"):
        identity.install_approval(hub.approve(identity.enrolment_request()))
    assert not identity.enrolled
