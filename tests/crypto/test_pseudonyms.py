"""Pseudonyms: two recipients cannot match theirs, the hub can take each back."""

from __future__ import annotations

from typing import get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.pseudonyms import PseudonymKind, Pseudonyms

NAMES = Pseudonyms(bytes(range(32)))
KINDS: tuple[PseudonymKind, ...] = get_args(PseudonymKind)


@given(st.text(max_size=30), st.sampled_from(KINDS), st.uuids())
def test_a_pseudonym_leads_back(recipient: str, kind: PseudonymKind, id: UUID) -> None:
    text = NAMES.pseudonym(recipient, kind, id)
    assert text == NAMES.pseudonym(recipient, kind, id)
    assert NAMES.resolve(recipient, kind, text) == id


@given(st.uuids())
def test_no_two_recipients_or_kinds_share_one(id: UUID) -> None:
    seen = {
        NAMES.pseudonym(recipient, kind, id)[3:]
        for recipient in ("AG-1", "AG-11", "AG-2", "")
        for kind in KINDS
    }
    assert len(seen) == 4 * len(KINDS)
    assert id.hex not in seen


def test_shape_and_prefixes() -> None:
    id = UUID(int=1)
    prefixes = [NAMES.pseudonym("AG-1", kind, id)[:3] for kind in KINDS]
    assert prefixes == ["nc-", "ns-", "ne-", "nk-", "nw-"]
    assert all(len(NAMES.pseudonym("AG-1", kind, id)) == 35 for kind in KINDS)


def test_frozen_values() -> None:
    # Stored in partners' tables: these must never change.
    assert NAMES.canonical("case", "C-2026-17") == UUID("871f14d2-2be0-832f-900f-0433e6e80bec")
    assert NAMES.pseudonym("AG-1", "subject", UUID(int=1)) == "ns-26658b0681652d9cf6e69678d2a7433b"
    assert NAMES.topic("nrm.d", "AG-1") == "nrm.d.634e7a4ee6c5efe0fdd6"
    assert NAMES.recipient_ref("AG-1") == "nr-99e357ea76f3ab442614274298bbb787"


@pytest.mark.parametrize(
    "spoil",
    [
        str.upper,
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: "ns-" + text[3:],
        lambda text: text[3:],
        lambda text: text[:-1] + "g",
        lambda text: text[:-1] + "٣",
        lambda text: text + "\n",
        lambda _: "",
    ],
)
def test_texts_of_another_shape_are_nobodys(spoil: object) -> None:
    assert callable(spoil)
    text = NAMES.pseudonym("AG-1", "case", UUID(int=0xABCDEF << 100))
    assert NAMES.resolve("AG-1", "case", spoil(text)) is None


def test_anothers_pseudonym_resolves_to_something_else() -> None:
    id = uuid4()
    text = NAMES.pseudonym("AG-1", "case", id)
    assert NAMES.resolve("AG-2", "case", text) not in (None, id)


def test_canonical_ids_are_uuids_of_version_8_by_kind() -> None:
    case = NAMES.canonical("case", "X")
    assert case.int >> 76 & 0xF == 8
    assert case.int >> 62 & 0x3 == 2
    assert case != NAMES.canonical("subject", "X")
    assert case != Pseudonyms(bytes(32)).canonical("case", "X")
    with pytest.raises(ValueError, match="canonical"):
        NAMES.canonical("event", "X")  # type: ignore[arg-type]


def test_an_agencys_topics_cannot_be_matched_by_name() -> None:
    deliveries, outcomes = NAMES.topic("nrm.d", "AG-1"), NAMES.topic("nrm.o", "AG-1")
    assert deliveries.rpartition(".")[2] != outcomes.rpartition(".")[2]
    assert "AG-1" not in deliveries + NAMES.recipient_ref("AG-1")
    # Parts are framed by length: none can be shifted into its neighbour.
    assert NAMES.topic("a", "bc")[-20:] != NAMES.topic("ab", "c")[-20:]


def test_the_master_secret_is_checked_and_not_printed() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(bytes(31))
    assert bytes(range(32)).hex() not in repr(NAMES)


def test_a_lot_is_always_the_same_and_within_its_range() -> None:
    names, others = Pseudonyms(bytes(32)), Pseudonyms(bytes(31) + b"\1")
    lots = [names.lot("funnel", str(n)) for n in range(200)]
    assert lots == [names.lot("funnel", str(n)) for n in range(200)]
    assert all(0 < one <= 1 for one in lots)
    assert len(set(lots)) == 200
    assert names.lot("ab", "c") != names.lot("a", "bc")
    assert lots[0] != others.lot("funnel", "0")
