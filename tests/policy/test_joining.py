"""Who could put deliveries together is told, and told as the publisher really sends them."""

from __future__ import annotations

import copy

from hub.domain.joining import joinable_fields, joining, told
from hub.domain.policy import PolicyProfile, default_document, shipped_document

DEFAULT = PolicyProfile.from_document(default_document())


def test_every_receiving_role_is_on_one_side() -> None:
    found = joining(DEFAULT)
    assert set(found.signed) | set(found.attested) == set(DEFAULT.matrix)
    assert not set(found.signed) & set(found.attested)
    assert set(found.attested) == {"immigration_enforcement", "embassy", "national_rapporteur"}


def test_enforcement_could_join_on_the_flags_reference_only() -> None:
    [shared] = joining(DEFAULT).content["immigration_enforcement"]
    category, fields, others = shared
    assert (category, fields) == ("removal_hold", ("hold_ref",))
    assert set(others) == {
        "competent_authority",
        "guardian",
        "immigration_enforcement",
        "immigration_status",
        "legal_rep",
    }


def test_statistics_join_nothing() -> None:
    assert joining(DEFAULT).content["national_rapporteur"] == ()
    assert "statistics" not in joinable_fields()


def test_a_role_that_receives_nothing_is_left_out_unless_a_window_opens_something() -> None:
    document = copy.deepcopy(default_document())
    document["matrix"]["police"] = {}
    assert "police" in joining(PolicyProfile.from_document(document)).signed
    del document["break_glass"]["police"]
    assert "police" not in joining(PolicyProfile.from_document(document)).signed


def test_in_words_pairs_of_roles_and_what_they_join_on() -> None:
    lines = told(joining(PolicyProfile.from_document(shipped_document("uk"))))
    assert lines[0].startswith("Any two agencies of these roles can join")
    assert "competent_authority, police" in lines[0]
    assert "immigration_status" not in lines[0]
    assert "immigration_status" in lines[1]
    assert any(line.startswith("immigration_enforcement could join on") for line in lines)
    assert "IECA" in lines[-1]
    assert "is in the hands of the other" in lines[-1]


def test_where_all_is_attested_nothing_is_signed() -> None:
    document = copy.deepcopy(default_document())
    document["evidence"] = dict.fromkeys(document["matrix"], "hub")
    lines = told(joining(PolicyProfile.from_document(document)))
    assert not any("signature:" in line for line in lines)
