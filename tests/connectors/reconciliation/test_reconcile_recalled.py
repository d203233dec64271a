"""What was recalled and is there again is named and taken out; books of recalls are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from connectors.mapping import load_mapping
from connectors.sql import SqlSink
from hub.topics import Message, open_topics
from tests.connectors.builder import Recorded, case_opened, correction, identity_recorded
from tests.connectors.reconciliation.test_reconcile import SECRET, SHARED, TO, Place, new_place, url  # noqa: F401

BOOKS = ("identity_recorded", "nrm_holding", "nrm_timeline", "nrm_evidence", "nrm_case")
PERSON = ["demographics", "identity"]


@contextmanager
def over_http(place: Place, *deliveries: Any) -> Iterator[None]:
    """As the hub seals the log anew: these, from the first."""
    again = open_topics(f"embedded:///{place.folder}/again-{place.passes}.db")
    again.ensure(place.police.hub.topics.values())
    again.append(place.police.hub.topics["registry"], [Message(place.hub.registry())])
    message = Message(place.hub.message(TO, deliveries, first=1))
    again.append(place.police.hub.topics["deliveries"], [message])
    whole, place.topics = place.topics, again
    yield
    place.topics = whole
    again.close()


def keep(place: Place, tables: Sequence[str] = BOOKS) -> None:
    place.change(*[f"CREATE TABLE old_{one} AS SELECT * FROM {one}" for one in tables])


def put_back(place: Place, tables: Sequence[str] = BOOKS) -> None:
    for one in tables:
        place.change(f"DELETE FROM {one}", f"INSERT INTO {one} SELECT * FROM old_{one}")


def two(place: Place) -> tuple[Recorded, Recorded]:
    opened, person = place.hub.stated(place.shelter, case_opened(), identity_recorded())
    place.deliver(place.hub.release(TO, opened), place.hub.release(TO, person))
    return opened, person


def test_rows_put_back_with_their_holdings_are_named_also_over_http(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    """The hub no longer tells what it recalled; that the recall was applied is known."""
    place = new_place()
    opened, person = two(place)
    place.run()
    keep(place)
    recall = place.hub.recall(TO, [(person, PERSON)])
    place.deliver(recall)
    place.run()
    put_back(place)
    emptied = place.hub.release(TO, person, [])
    with over_http(place, place.hub.release(TO, opened), emptied, recall):
        causes = {(table, cause) for table, ref, cause, _ in place.compared()[1]}
        assert ("identity_recorded", "added") in causes
        assert ("nrm_holding", "added") in causes
        assert set(place.repaired()) == {"repaired"}
        assert place.compared()[1] == []
    assert place.rows("SELECT * FROM identity_recorded") == []
    assert place.rows("SELECT event_ref FROM nrm_holding") == [(str(opened.id),)]


def test_the_books_of_recalls_and_corrections_are_compared(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    opened, person = two(place)
    [fixed] = place.hub.stated(place.shelter, correction(person, "family_name", "Right"))
    place.deliver(place.hub.release(TO, fixed))
    place.deliver(place.hub.recall(TO, [(opened, ["case_management"])]))
    place.run()
    place.change("DELETE FROM nrm_tombstone", "UPDATE nrm_correction SET value = '\"Wrong\"'")
    assert sorted(place.compared()[1]) == sorted(
        [
            ("nrm_tombstone", str(opened.id), "missing", ("case_management",)),
            ("nrm_correction", str(fixed.id), "altered", ()),
        ]
    )
    assert place.repaired() == {"repaired": 2}
    assert place.compared()[1] == []
    place.change("DELETE FROM nrm_correction")
    assert [cause for _, _, cause, _ in place.compared()[1]] == ["missing"]


def test_a_repair_brings_nothing_that_was_discarded(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    opened, person = place.hub.stated(place.shelter, case_opened(), identity_recorded())
    broken = place.hub.release(TO, person)
    broken["bases"] = broken["bases"][:1]
    place.deliver(place.hub.release(TO, opened), broken)
    place.run()
    [row] = place.sink.quarantine()
    assert place.sink.discard(row.id, "wrongly_sent", "", datetime.now(UTC))
    with over_http(place, place.hub.release(TO, opened), place.hub.release(TO, person)):
        assert place.compared()[1] == []


def test_a_sequence_that_never_came_keeps_no_repair_away(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    _, person = two(place)
    place.deliver(place.hub.recall(TO, [(person, ["identity"])]))
    place.run()
    place.change(
        "UPDATE nrm_holding SET sequence = sequence + 40",
        "UPDATE nrm_tombstone SET sequence = sequence + 40",
    )
    assert set(place.repaired()) == {"repaired"}
    assert place.compared()[1] == []


def test_a_field_that_a_recalled_correction_emptied_is_no_difference(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    """Over HTTP nothing tells any more which field it was; what it held before is not right."""
    place = new_place()
    opened, person = two(place)
    [fixed] = place.hub.stated(place.shelter, correction(person, "family_name", "Right"))
    place.deliver(place.hub.release(TO, fixed))
    recall = place.hub.recall(TO, [(fixed, fixed.categories)])
    place.deliver(recall)
    place.run()
    whole = [place.hub.release(TO, one) for one in (opened, person)]
    with over_http(place, *whole, place.hub.release(TO, fixed, []), recall):
        assert place.compared()[1] == []
        place.change("UPDATE identity_recorded SET given_name = 'Other'")
        assert [names for *_, names in place.compared()[1]] == [("given_name",)]


def test_a_recall_takes_a_row_whose_books_are_gone(
    new_place: Callable[..., Place],  # noqa: F811
    url: str,  # noqa: F811
) -> None:
    place = new_place(url)
    opened, person = two(place)
    place.run()
    place.change("DELETE FROM nrm_holding", "DELETE FROM nrm_timeline", "DELETE FROM nrm_tombstone")
    place.deliver(place.hub.recall(TO, [(person, PERSON)]))
    place.run()
    assert place.rows("SELECT * FROM identity_recorded") == []
    proofs = place.rows("SELECT statement FROM nrm_evidence")
    assert not any(SECRET.encode() in bytes(one) for (one,) in proofs)
    assert set(place.repaired()) == {"repaired"}
    assert place.compared()[1] == []
    assert place.rows("SELECT event_ref FROM nrm_holding") == [(str(opened.id),)]


PARTNER = (
    "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
    "first_name VARCHAR(40), own VARCHAR(20))"
)


def mapped(place: Place, text: str) -> None:
    """The connector is started anew with this mapping."""
    place.sink.close()
    path = place.folder / "mapping.toml"
    path.write_text(text)
    place.mapping = load_mapping(path)
    place.sink = SqlSink(str(place.sink.database.url), TO, place.hub.hub_id, mapping=place.mapping)
    place.sink.prepare()


def test_a_repair_after_a_mapping_grew_leaves_the_next_recall_able_to_take_it_back(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    place.change(PARTNER)
    name = 'first_name = "given_name"'
    mapped(place, SHARED.replace(name, 'own = "family_name"'))
    _, person = two(place)
    place.run()
    mapped(place, SHARED)
    assert set(place.repaired()) == {"repaired"}
    assert place.rows("SELECT first_name, own FROM client") == [(SECRET, "Person")]
    place.deliver(place.hub.recall(TO, [(person, PERSON)]))
    place.run()
    assert place.rows("SELECT first_name, own FROM client") == [(None, None)]


def test_a_repair_after_a_map_was_taken_out_forgets_nothing_a_recall_has_to_find(
    new_place: Callable[..., Place],  # noqa: F811
) -> None:
    place = new_place()
    place.change(PARTNER)
    mapped(place, SHARED)
    _, person = two(place)
    place.run()
    mapped(place, SHARED.partition('[[map]]\nevent = "IdentityRecorded"')[0])
    place.repaired()
    place.deliver(place.hub.recall(TO, [(person, PERSON)]))
    place.run()
    assert SECRET not in str(place.rows("SELECT * FROM client"))
