"""Opening what the hub sent: every step of the verification can fail, with its own reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import REASONS, Arrived, BadMessage, Opened, Poison
from connectors.errors import UntrustedError
from connectors.opening.evidence import EVIDENCE
from connectors.opening.opener import Opener
from connectors.submit import Event
from hub.crypto.sealing import SealingKey
from hub.crypto.signing import SigningKey
from schemas import wire
from tests.connectors.builder import (
    NOW,
    MiniHub,
    Recorded,
    case_opened,
    correction,
    encode,
    identity_recorded,
)


@pytest.fixture
def opener(police: AgencyIdentity, registry: RegistryCache) -> Opener:
    return Opener(police, registry)


@pytest.fixture
def event(hub: MiniHub, shelter: AgencyIdentity) -> Recorded:
    stated = hub.stated(shelter, case_opened("C-1"), identity_recorded("C-1"), case_opened("C-2"))
    return stated[1]


def opened(opener: Opener, message: bytes) -> list[Arrived | Poison]:
    result = opener.open(message)
    assert isinstance(result, Opened)
    return list(result.items)


def arrived(opener: Opener, message: bytes) -> Arrived:
    [item] = opened(opener, message)
    assert isinstance(item, Arrived), item
    return item


def reason(opener: Opener, message: bytes) -> str:
    result = opener.open(message)
    if isinstance(result, BadMessage):
        return result.reason
    [item] = result.items
    assert isinstance(item, Poison)
    assert item.reason in REASONS
    return item.reason


def test_a_release_with_evidence(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    item = arrived(
        opener, hub.message("POL-1", [hub.release("POL-1", event, {"identity": "consent:c1"})])
    )
    assert item.kind == "release"
    assert item.event_ref == str(event.id)
    assert (item.event_type, item.agency) == ("IdentityRecorded", "SH-1")
    assert item.case_ref == hub.case_ref("POL-1", "C-1")
    assert item.categories == ("identity",)
    assert item.bases == {"identity": "consent:c1"}
    assert item.fields == {
        "identity": {
            "given_name": "Synthetic",
            "family_name": "Person",
            "aliases": None,
            "date_of_birth": "2001-02-03",
            "dob_precision": None,
            "birth_place": None,
            "document_refs": None,
            "official_refs": None,
        }
    }
    assert item.evidence is not None
    kept = EVIDENCE.decode(item.evidence)
    assert [part["name"] for part in kept["disclosed"]] == ["identity"]


def test_what_was_not_released_is_not_there(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    message = hub.message("POL-1", [hub.release("POL-1", event, ["demographics"])])
    item = arrived(opener, message)
    assert set(item.fields) == {"demographics"}
    assert b"Synthetic" not in item.raw


def test_a_hub_attested_release(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    item = arrived(opener, hub.message("POL-1", [hub.release("POL-1", event, attested=True)]))
    assert item.agency is None
    assert item.evidence is None
    assert item.event_ref.startswith("ne-")
    assert str(event.id) not in item.raw.decode("latin-1")
    assert item.occurred_at == NOW.replace(hour=0, minute=0)
    assert item.values["given_name"] == "Synthetic"


def test_a_consent_shows_each_party_its_own_part(
    hub: MiniHub, opener: Opener, shelter: AgencyIdentity
) -> None:
    data = {
        "consent_id": "c1",
        "given_by": "self",
        "purposes": ["assistance"],
        "scope": {"POL-1": ["identity"], "NGO-1": ["health"]},
        "covers_history": False,
        "valid_until": "2027-01-01",
        "method": "written",
        "notice_version": "n1",
        "withdrawal_channel": "any agency",
    }
    [given] = hub.stated(shelter, Event("ConsentGiven", "C-1", data, occurred_at=NOW))
    item = arrived(opener, hub.message("POL-1", [hub.release("POL-1", given)]))
    assert item.values["scope"] == {"POL-1": ["identity"]}


def test_a_correction_shows_its_value_in_the_corrected_category(
    hub: MiniHub, opener: Opener, shelter: AgencyIdentity, event: Recorded
) -> None:
    [fixed] = hub.stated(shelter, correction(event, "family_name", "Other"))
    item = arrived(opener, hub.message("POL-1", [hub.release("POL-1", fixed)]))
    assert item.fields["identity"] == {
        "new_value": "Other",
        "about_event": item.values["corrects_event"],
        "about_field": "family_name",
    }
    assert item.fields["case_management"]["field"] == "family_name"
    only = arrived(opener, hub.message("POL-1", [hub.release("POL-1", fixed, ["case_management"])]))
    assert "new_value" not in only.values


def test_a_correction_of_a_case_management_field(
    hub: MiniHub, opener: Opener, shelter: AgencyIdentity
) -> None:
    [first] = hub.stated(shelter, case_opened())
    [fixed] = hub.stated(shelter, correction(first, "channel", "self"))
    item = arrived(opener, hub.message("POL-1", [hub.release("POL-1", fixed)]))
    assert item.categories == ("case_management",)
    assert item.values["new_value"] == "self"


def test_a_recall(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    recall = hub.recall("POL-1", [(event, ["identity"])])
    item = arrived(opener, hub.message("POL-1", [recall]))
    assert item.kind == "recall"
    assert item.recall is not None
    assert item.recall.items == ((str(event.id), ("identity",)),)


def test_an_erased_event_arrives_empty(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    item = arrived(opener, hub.message("POL-1", [hub.release("POL-1", event, {})]))
    assert item.categories == ()
    assert item.fields == {}


def test_one_poison_does_not_stop_the_others(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    good = hub.release("POL-1", event)
    bad = {**good, "compartments": [{**good["compartments"][0], "key": bytes(32)}]}
    items = opened(opener, hub.message("POL-1", [good, bad, b"junk", good]))
    assert [type(item) for item in items] == [Arrived, Poison, Poison, Arrived]
    assert [item.sequence for item in items] == [1, 2, 3, 4]
    poison = items[1]
    assert isinstance(poison, Poison)
    assert poison.event_ref == str(event.id)


# -- whole messages ---------------------------------------------------------------------


def test_junk_and_strangers(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    assert reason(opener, b"") == "message_malformed"
    assert reason(opener, b"\xc3\x01" + bytes(60)) == "message_malformed"
    message = hub.message("POL-1", [hub.release("POL-1", event)])
    assert reason(opener, message + b"\x00") == "message_malformed"
    impostor = MiniHub(hub.hub_id)
    impostor.names, impostor.agencies = hub.names, hub.agencies
    assert reason(opener, impostor.message("POL-1", [hub.release("POL-1", event)])) == (
        "unknown_hub_key"
    )
    elsewhere = MiniHub("another-hub")
    elsewhere.agencies = hub.agencies
    assert reason(opener, elsewhere.message("POL-1", [hub.release("POL-1", event)])) == "wrong_hub"
    assert reason(opener, hub.message("SH-1", [hub.release("SH-1", event)])) == "wrong_recipient"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first_sequence", 2),
        ("last_sequence", 2),
        ("signature", bytes(64)),
        ("box", b"other"),
    ],
)
def test_a_message_changed_on_the_way(
    hub: MiniHub, opener: Opener, event: Recorded, name: str, value: Any
) -> None:
    message = wire.SEALED_DELIVERIES.unsingle(
        hub.message("POL-1", [hub.release("POL-1", event)], first=1 if name[0] == "l" else 3)
    )
    message[name] = value
    if name == "last_sequence":
        message["last_sequence"] = 9
    assert reason(opener, wire.SEALED_DELIVERIES.single(message)) == "bad_hub_signature"


def test_a_message_sealed_to_an_unknown_key_is_the_hubs_all_the_same(
    hub: MiniHub, opener: Opener, event: Recorded
) -> None:
    role, keys, _ = hub.agencies["POL-1"]
    hub.agencies["POL-1"] = (role, keys, SealingKey.generate().public)
    items = opened(opener, hub.message("POL-1", [hub.release("POL-1", event)] * 3))
    assert [item.sequence for item in items] == [1, 2, 3]
    assert {item.reason for item in items if isinstance(item, Poison)} == {"unknown_sealing_key"}


def test_a_box_with_other_contents(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    delivery = encode({**hub.release("POL-1", event), "sequence": 1})
    short = wire.DELIVERY_BATCH.single({"deliveries": [delivery], "padding": b""})
    items = opened(opener, hub.sealed("POL-1", short, 1, 2))
    assert [i.reason for i in items if isinstance(i, Poison)] == ["batch_incomplete"] * 2
    items = opened(opener, hub.sealed("POL-1", b"junk", 3, 3))
    assert [i.reason for i in items if isinstance(i, Poison)] == ["batch_malformed"]


def test_messages_sealed_before_a_rotation_still_open(
    hub: MiniHub, police: AgencyIdentity, registry: RegistryCache, event: Recorded
) -> None:
    before = hub.message("POL-1", [hub.release("POL-1", event)])
    opener = Opener(police, registry)
    police.install_approval(hub.approve(police.rotate()))
    after = hub.message("POL-1", [hub.release("POL-1", event)])
    for message in (before, after):
        arrived(opener, message)
        arrived(Opener(AgencyIdentity.load(police.home), registry), message)


# -- single deliveries ------------------------------------------------------------------

Change = Callable[[MiniHub, Recorded, Recorded, dict[str, Any]], None]


def _header(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["evidence"]["header"] = b"junk"


def _head(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["evidence"]["head"] = b"junk"


def _other_header(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["evidence"] = {**other.evidence}


def _index(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["evidence"]["index"] += 1


def _signature(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["evidence"]["signature"] = SigningKey.generate().sign("x", b"y")


def _agency(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["agency"] = "POL-1"


def _time(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["occurred_at"] = NOW


def _schema(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["schema"] = bytes(32)


def _type(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["event_type"] = "CaseOpened"


def _key(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["compartments"][0]["key"] = bytes(32)


def _swapped(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    first, second = d["compartments"][:2]
    first["ciphertext"], second["ciphertext"] = second["ciphertext"], first["ciphertext"]
    first["key"], second["key"] = second["key"], first["key"]


def _leaf(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["compartments"][0]["index"] ^= 1


def _unreleased(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["bases"] = d["bases"][:1]


def _twice(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["compartments"].append(d["compartments"][0])


def _no_event(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["event_ref"] = None


def _no_agency(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["agency"] = None


def _recall(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    d["kind"] = "recall"


def _forged(hub: MiniHub, one: Recorded, other: Recorded, d: dict[str, Any]) -> None:
    """The hub tries to let the agency say something else: fresh content under its header."""
    attested = hub.release("POL-1", other, attested=True)["compartments"]
    d["compartments"] = attested[: len(d["compartments"])]
    d["bases"] = [{"category": "case_management", "basis": "public_task"}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_header, "evidence_malformed"),
        (_head, "evidence_malformed"),
        (_other_header, "evidence_mismatch"),
        (_index, "bad_batch_path"),
        (_signature, "bad_agency_signature"),
        (_agency, "evidence_mismatch"),
        (_time, "evidence_mismatch"),
        (_schema, "unknown_schema"),
        (_type, "unknown_schema"),
        (_key, "compartment_unopenable"),
        (_swapped, "compartment_unopenable"),
        (_leaf, "not_disclosed"),
        (_unreleased, "not_released"),
        (_twice, "not_released"),
        (_no_event, "delivery_incomplete"),
        (_no_agency, "delivery_incomplete"),
        (_recall, "delivery_incomplete"),
        (_forged, "compartment_unopenable"),
    ],
)
def test_a_delivery_that_is_not_what_it_should_be(
    hub: MiniHub, shelter: AgencyIdentity, opener: Opener, change: Change, expected: str
) -> None:
    one, other, _ = hub.stated(shelter, identity_recorded(), case_opened(), case_opened())
    delivery = hub.release("POL-1", one)
    delivery["evidence"] = {**delivery["evidence"]}
    change(hub, one, other, delivery)
    assert reason(opener, hub.message("POL-1", [delivery])) == expected


def test_a_wrong_sequence_inside(hub: MiniHub, opener: Opener, event: Recorded) -> None:
    raw = encode({**hub.release("POL-1", event), "sequence": 7})
    assert reason(opener, hub.message("POL-1", [raw])) == "wrong_sequence"


def test_an_agency_not_in_the_registry(
    hub: MiniHub, police: AgencyIdentity, registry: RegistryCache, tmp_path: Any
) -> None:
    late = hub.enrol(tmp_path, "NGO-1", "ngo_support")
    [event] = hub.stated(late, case_opened())
    message = hub.message("POL-1", [hub.release("POL-1", event)])
    assert reason(Opener(police, registry), message) == "unknown_agency_key"
    fetched = Opener(police, registry, refresh=lambda: registry.update(hub.registry()))
    assert arrived(fetched, message).agency == "NGO-1"


def test_a_key_registered_after_the_decision(
    hub: MiniHub, police: AgencyIdentity, registry: RegistryCache, tmp_path: Any
) -> None:
    hub.position = 5000
    late = hub.enrol(tmp_path, "NGO-1", "ngo_support")
    registry.update(hub.registry())
    [event] = hub.stated(late, case_opened())
    message = hub.message("POL-1", [hub.release("POL-1", event)])
    assert reason(Opener(police, registry), message) == "unknown_agency_key"


def test_a_key_that_ends_while_the_opener_runs(
    hub: MiniHub, opener: Opener, registry: RegistryCache, shelter: AgencyIdentity
) -> None:
    """One signature stands for its whole batch, but not longer than its key."""
    one, other = hub.stated(shelter, case_opened("C-1"), case_opened("C-2"))
    arrived(opener, hub.message("POL-1", [hub.release("POL-1", one)]))
    hub.position = 500
    shelter.install_approval(hub.approve(shelter.rotate()))
    registry.update(hub.registry())
    message = hub.message("POL-1", [{**hub.release("POL-1", other), "recorded": 501}])
    assert reason(opener, message) == "unknown_agency_key"


# -- the registry -----------------------------------------------------------------------


def test_the_registry_is_kept_and_never_goes_back(
    hub: MiniHub, police: AgencyIdentity, registry: RegistryCache, tmp_path: Any
) -> None:
    old = hub.registry()
    hub.enrol(tmp_path, "NGO-1", "ngo_support")
    assert registry.update(hub.registry())
    assert not registry.update(old)
    again = RegistryCache(AgencyIdentity.load(police.home))
    assert again.position == registry.position
    agency = again.agency("NGO-1")
    assert agency is not None
    assert agency.role == "ngo_support"


def test_a_registry_by_anybody_else_is_refused(
    hub: MiniHub, police: AgencyIdentity, registry: RegistryCache
) -> None:
    impostor = MiniHub(hub.hub_id)
    impostor.agencies, impostor.position = hub.agencies, 10**6
    with pytest.raises(UntrustedError):
        registry.update(impostor.registry())
    forged = wire.SIGNED_REGISTRY.unsingle(hub.registry())
    forged["registry"] = impostor.registry()
    with pytest.raises(UntrustedError):
        registry.update(wire.SIGNED_REGISTRY.single(forged))


def test_replaying_the_same_message_opens_alike(
    hub: MiniHub, opener: Opener, event: Recorded
) -> None:
    message = hub.message("POL-1", [hub.release("POL-1", event)])
    assert replace(arrived(opener, message)) == arrived(opener, message)
