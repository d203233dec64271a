"""Rows of the books themselves, changed by hand: which rows are filled, kept, or out of use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.connectors.reconciliation.test_reconcile import SHARED, TO, Place, new_place  # noqa: F401
from tests.connectors.reconciliation.test_reconcile_recalled import PERSON

BOOKS = ("nrm_mapped", "nrm_holding", "nrm_restricted", "nrm_tombstone", "nrm_timeline")


def test_rows_of_the_books_are_named_and_made_good(
    new_place: Callable[..., Place],  # noqa: F811
    tmp_path: Path,
) -> None:
    """What was renamed, forged, hidden behind an own basis, put back after a recall, or spoiled."""
    (tmp_path / "mapping.toml").write_text(SHARED)
    place = new_place()
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "first_name VARCHAR(40))"
    )
    cases = [place.case(number) for number in range(1, 8)]
    (_, one), (_, two), (_, three), (four, _), (_, five), (_, six), (opened, _) = cases
    place.deliver(place.hub.recall(TO, [(five, PERSON)], action="restrict"))
    place.deliver(place.hub.recall(TO, [(six, ["demographics"])]))
    place.run()
    before = {name: sorted(place.rows(f"SELECT * FROM {name}")) for name in BOOKS}
    of = "table_name, category, row_key, columns, '2099-01-01T00:00:00.000000Z', 99"
    place.change(
        f"UPDATE nrm_mapped SET event_ref = 'another' WHERE event_ref = '{one.id}'",
        f"UPDATE nrm_mapped SET category = 'health' WHERE event_ref = '{two.id}'",
        f"UPDATE nrm_mapped SET columns = 'first_name' WHERE event_ref = '{three.id}'",
        f"INSERT INTO nrm_mapped SELECT 'forged', {of} FROM nrm_mapped "
        f"WHERE event_ref = '{four.id}'",
        f"UPDATE nrm_holding SET basis = 'own:by hand', sequence = 'x' "
        f"WHERE event_ref = '{opened.id}'",
        "INSERT INTO nrm_holding SELECT 'forged', category, 'own:x', event_type, case_ref, 1 "
        f"FROM nrm_holding WHERE event_ref = '{four.id}'",
        f"INSERT INTO nrm_restricted VALUES ('{six.id}', 'demographics', 16, '{{}}'), "
        f"('{opened.id}', 'case_management', 13, '{{}}')",
    )
    told = {(table, ref, cause) for table, ref, cause, _ in place.compared()[1]}
    assert told == {
        ("nrm_mapped", "another", "added"),
        ("nrm_mapped", str(one.id), "missing"),
        ("nrm_mapped", str(two.id), "added"),
        ("nrm_mapped", str(two.id), "missing"),
        ("nrm_mapped", str(three.id), "altered"),
        ("nrm_mapped", "forged", "added"),
        ("nrm_holding", str(opened.id), "altered"),
        ("nrm_holding", "forged", "holding_without_row"),
        ("nrm_restricted", str(six.id), "added"),
        ("nrm_restricted", str(opened.id), "added"),
    }
    assert set(place.repaired()) == {"repaired"}
    assert {name: sorted(place.rows(f"SELECT * FROM {name}")) for name in BOOKS} == before
    assert place.compared()[1] == []


def test_what_a_recall_keeps_out_of_use_is_held_against_the_topic(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    _, person = place.case(1)
    place.deliver(place.hub.recall(TO, [(person, PERSON)], action="restrict"))
    place.run()
    before = sorted(place.rows("SELECT * FROM nrm_restricted"))
    assert [category for _, category, *_ in before] == PERSON
    place.change(
        "DELETE FROM nrm_restricted WHERE category = 'identity'",
        "UPDATE nrm_restricted SET content = '{}'",
    )
    told = {(cause, categories) for _, _, cause, categories in place.compared()[1]}
    assert told == {("missing", ("identity",)), ("altered", ("demographics",))}
    assert set(place.repaired()) == {"repaired"}
    assert sorted(place.rows("SELECT * FROM nrm_restricted")) == before
