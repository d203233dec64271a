"""Rows changed by hand at the partner are named and made good; a rebuilt copy is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.errors import RetryError, StopError
from connectors.mapping import load_mapping
from connectors.reconciliation import compared, compared_mapped, reconcile
from connectors.reconciliation.compared_mapped import _kind, equal, typed
from connectors.reconciliation.reconcile import Compared, Reconciliation
from connectors.reconciliation.repair import Repair
from connectors.runner import Runner
from connectors.sink import RecallPolicy
from connectors.sql import SqlSink
from hub.topics import Message, open_topics
from tests.connectors.builder import (
    MiniHub,
    Recorded,
    case_opened,
    correction,
    identity_recorded,
)

TO = "POL-1"
SECRET = "Synthetic"
MAPPING = """
version = 1
default_tables = "unmapped"

[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_case = "case_ref" }
when_empty = "delete"

[map.columns]
channel = "channel"
opened_on = { from = "occurred_at", type = "date" }
"""

SHARED = (
    MAPPING.replace('opened_on = { from = "occurred_at", type = "date" }\n', "")
    + """
[[map]]
event = "IdentityRecorded"
table = "client"
key = { nrm_case = "case_ref" }
when_empty = "delete"

[map.columns]
first_name = "given_name"
"""
)


class Place:
    """A partner with a topic, a database and what was delivered to it."""

    def __init__(
        self,
        hub: MiniHub,
        police: AgencyIdentity,
        shelter: AgencyIdentity,
        folder: Path,
        url: str,
        recalls: RecallPolicy | None = None,
    ) -> None:
        self.hub, self.police, self.shelter, self.folder = hub, police, shelter, folder
        self.recalls = recalls
        self.topics = open_topics(f"embedded:///{folder}/topics.db")
        self.topics.ensure(police.hub.topics.values())
        self.append("registry", hub.registry())
        self.mapping = None
        if (folder / "mapping.toml").exists():
            self.mapping = load_mapping(folder / "mapping.toml")
        self.sink = SqlSink(url, TO, hub.hub_id, mapping=self.mapping, recalls=recalls)
        self.passes = 0

    def append(self, topic: str, *values: bytes) -> None:
        self.topics.append(self.police.hub.topics[topic], [Message(v) for v in values])

    def deliver(self, *deliveries: Any) -> None:
        self.append("deliveries", self.hub.message(TO, deliveries))

    def run(self) -> None:
        runner = Runner(TopicInbox(self.topics, self.police), self.sink, self.police)
        while not runner.run_once().idle:
            pass

    def case(self, number: int) -> tuple[Recorded, Recorded]:
        opened, person = self.hub.stated(
            self.shelter, case_opened(f"C-{number}"), identity_recorded(f"C-{number}")
        )
        self.deliver(self.hub.release(TO, opened), self.hub.release(TO, person))
        return opened, person

    def reconciliation(self, **more: Any) -> Reconciliation:
        self.passes += 1
        scratch = self.folder / f"scratch-{self.passes}"
        scratch.mkdir()
        return Reconciliation(
            self.sink,
            TopicInbox(self.topics, self.police),
            self.police,
            scratch,
            mapping=self.mapping,
            recalls=self.recalls,
            **more,
        )

    def compared(self) -> tuple[Compared, list[tuple[str, str, str, tuple[str, ...]]]]:
        found = self.reconciliation()
        compared = found.compare()
        told = [
            (one.table, one.ref, one.cause, one.columns)
            for page in found.differences.pages()
            for one in page
        ]
        found.close()
        return compared, told

    def repaired(self) -> dict[str, int]:
        found = self.reconciliation()
        compared = found.compare()
        counted = Repair(found).run(datetime.now(UTC), compared.rows)
        found.close()
        return counted

    def change(self, *statements: str) -> None:
        with self.sink.database.writing() as db:
            for one in statements:
                db.execute(sa.text(one))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.sink.database.reading() as db:
            return [tuple(row) for row in db.execute(sa.text(query))]

    def close(self) -> None:
        self.sink.close()
        self.topics.close()


@pytest.fixture
def new_place(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def new(url: str = f"sqlite:///{tmp_path}/partner.db", **more: Any) -> Place:
        made.append(Place(hub, police, shelter, tmp_path, url, **more))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/partner.db"
    new: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_database")
    return new()


def test_every_kind_of_change_is_named_and_made_good(
    new_place: Callable[..., Place], url: str
) -> None:
    place = new_place(url)
    cases = [place.case(number) for number in range(1, 7)]
    place.run()
    found, told = place.compared()
    assert told == []
    assert (found.sequence, found.equal) == (12, True)
    before = {
        name: sorted(map(str, place.rows(f"SELECT * FROM {name}")))
        for name in ("case_opened", "identity_recorded", "nrm_timeline", "nrm_case",
                     "nrm_holding", "nrm_evidence")
    }  # fmt: skip
    (opened1, person1), (_, person2), (opened3, _), (_, person4), *_ = cases
    place.change(
        f"DELETE FROM case_opened WHERE event_ref = '{opened1.id}'",
        f"DELETE FROM identity_recorded WHERE event_ref = '{person1.id}'",
        f"DELETE FROM nrm_holding WHERE event_ref = '{person1.id}'",
        f"UPDATE identity_recorded SET given_name = 'Other', gender = NULL "
        f"WHERE event_ref = '{person2.id}'",
        f"DELETE FROM nrm_holding WHERE event_ref = '{opened3.id}'",
        f"DELETE FROM nrm_timeline WHERE event_ref = '{person4.id}'",
        f"DELETE FROM nrm_evidence WHERE event_ref = '{person4.id}'",
        f"UPDATE nrm_case SET events = 9 WHERE case_ref = '{place.hub.case_ref(TO, 'C-5')}'",
        "INSERT INTO identity_recorded (event_ref, case_ref, subject_ref, agency, occurred_at, "
        "received_at, sequence, categories, bases, given_name) SELECT 'forged', case_ref, "
        "subject_ref, agency, occurred_at, received_at, 99, categories, bases, given_name "
        f"FROM identity_recorded WHERE event_ref = '{person2.id}'",
    )
    _, told = place.compared()
    assert sorted(told) == sorted(
        [
            ("case_opened", str(opened1.id), "holding_without_row", ()),
            ("identity_recorded", str(person1.id), "missing", ()),
            ("nrm_holding", str(person1.id), "missing", ("demographics",)),
            ("nrm_holding", str(person1.id), "missing", ("identity",)),
            ("identity_recorded", str(person2.id), "altered", ("given_name", "gender")),
            ("nrm_holding", str(opened3.id), "row_without_holding", ("case_management",)),
            ("nrm_timeline", str(person4.id), "missing", ()),
            ("nrm_evidence", str(person4.id), "missing", ("statement",)),
            ("nrm_case", place.hub.case_ref(TO, "C-5"), "altered", ("events",)),
            ("identity_recorded", "forged", "added", ()),
        ]
    )
    assert SECRET not in str(told)
    place.sink.sent([one.id for one in place.sink.owed(100)])
    assert place.repaired() == {"repaired": 10}
    for name, rows in before.items():
        assert sorted(map(str, place.rows(f"SELECT * FROM {name}"))) == rows, name
    assert place.compared()[1] == []
    owed = [e for one in place.sink.owed(100) for e in one.exceptions]
    assert {(e.sequence, e.outcome, e.detail) for e in owed} == {
        (1, "applied", "reconciled_holding_without_row"),
        (2, "applied", "reconciled_missing"),
        (4, "applied", "reconciled_altered"),
        (5, "applied", "reconciled_row_without_holding"),
        (8, "applied", "reconciled_missing"),
    }
    logged = place.rows("SELECT cause, outcome FROM nrm_reconciliation ORDER BY id")
    assert logged[0] == ("compared", "found")
    assert len(logged) == 11
    assert {outcome for _, outcome in logged[1:]} == {"repaired"}


def test_mapped_rows_are_compared_in_the_columns_deliveries_fill(
    new_place: Callable[..., Place], url: str, tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(MAPPING)
    place = new_place(url)
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "opened_on DATE, remark VARCHAR(20))"
    )
    refs = []
    for number in range(1, 4):
        opened, _ = place.case(number)
        refs.append((str(opened.id), place.hub.case_ref(TO, f"C-{number}")))
    place.run()
    place.change(
        "UPDATE client SET remark = 'our own'", "INSERT INTO client (nrm_case) VALUES ('x')"
    )
    assert place.compared()[1] == [], "what is the partner's own is no difference"
    place.change(
        f"DELETE FROM client WHERE nrm_case = '{refs[0][1]}'",
        f"UPDATE client SET channel = 'other' WHERE nrm_case = '{refs[1][1]}'",
        f"DELETE FROM nrm_mapped WHERE event_ref = '{refs[2][0]}' AND category = ''",
    )
    assert sorted(place.compared()[1]) == sorted(
        [
            ("client", refs[0][0], "missing", ()),
            ("client", refs[1][0], "altered", ("channel",)),
            ("nrm_mapped", refs[2][0], "missing", ()),
        ]
    )
    assert place.repaired() == {"repaired": 3}
    assert place.compared()[1] == []
    client = "SELECT channel, remark FROM client ORDER BY nrm_case"
    assert sorted(place.rows(client), key=str) == sorted(
        [("outreach", None), ("outreach", "our own"), ("outreach", "our own"), (None, None)],
        key=str,
    )


def test_what_later_deliveries_changed_is_left_alone(new_place: Callable[..., Place]) -> None:
    place = new_place()
    _, person = place.case(1)
    place.run()
    place.change("UPDATE identity_recorded SET gender = 'x'")
    found = place.reconciliation()
    compared = found.compare()
    assert compared.causes == {"altered": 1}
    place.deliver(place.hub.recall(TO, [(person, ["demographics"])]))
    place.run()
    assert Repair(found).run(datetime.now(UTC), compared.rows) == {"moved_on": 1}
    found.close()
    assert place.rows("SELECT given_name, gender FROM identity_recorded") == [(SECRET, None)]
    assert place.compared()[1] == []


@pytest.mark.parametrize("by_hand", ["DELETE FROM client", "UPDATE client SET channel = 'x'"])
def test_a_repair_brings_back_nothing_that_was_recalled_from_a_shared_row(
    new_place: Callable[..., Place], tmp_path: Path, by_hand: str
) -> None:
    """The row is told of under one event; what another filled is recalled before the repair."""
    (tmp_path / "mapping.toml").write_text(SHARED)
    place = new_place()
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "first_name VARCHAR(40))"
    )
    _, person = place.case(1)
    place.run()
    place.change(by_hand)
    found = place.reconciliation()
    compared = found.compare()
    assert found.differences.tables() == {"client"}
    place.deliver(place.hub.recall(TO, [(person, ["identity"])]))
    place.run()
    assert Repair(found).run(datetime.now(UTC), compared.rows) == {"moved_on": 1}
    found.close()
    assert SECRET not in str(place.rows("SELECT * FROM client"))
    assert place.repaired() == {"repaired": 1}
    assert place.rows("SELECT channel, first_name FROM client") == [("outreach", None)]
    assert place.compared()[1] == []


def test_what_an_old_copy_of_the_database_brings_back_is_taken_out_again(
    new_place: Callable[..., Place], tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(SHARED)
    place = new_place()
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "first_name VARCHAR(40))"
    )
    _, person = place.case(1)
    place.run()
    place.change("CREATE TABLE old AS SELECT * FROM nrm_mapped WHERE category = 'identity'")
    place.deliver(place.hub.recall(TO, [(person, ["identity"])]))
    place.run()
    assert place.rows("SELECT first_name FROM client") == [(None,)]
    place.change(
        "INSERT INTO nrm_mapped SELECT * FROM old", f"UPDATE client SET first_name = '{SECRET}'"
    )
    assert place.repaired() == {"repaired": 1}
    assert place.rows("SELECT channel, first_name FROM client") == [("outreach", None)]
    assert place.compared()[1] == []


def test_a_repair_overwrites_nothing_that_came_since_into_a_shared_row(
    new_place: Callable[..., Place], tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(SHARED)
    place = new_place()
    place.change(
        "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20), "
        "first_name VARCHAR(40))"
    )
    place.case(1)
    place.run()
    place.change("UPDATE client SET first_name = 'x'")
    found = place.reconciliation()
    compared = found.compare()
    [later] = place.hub.stated(place.shelter, identity_recorded("C-1", given_name="Newer"))
    place.deliver(place.hub.release(TO, later))
    place.run()
    assert Repair(found).run(datetime.now(UTC), compared.rows) == {"moved_on": 1}
    found.close()
    assert place.rows("SELECT first_name FROM client") == [("Newer",)]


def test_what_a_recall_under_way_takes_anyway_is_no_difference(
    new_place: Callable[..., Place],
) -> None:
    """Over HTTP the hub seals nothing that is recalled, also before the recall has arrived."""
    place = new_place()
    opened, person = place.hub.stated(place.shelter, case_opened(), identity_recorded())
    whole = place.hub.release(TO, person)
    place.deliver(place.hub.release(TO, opened), whole)
    place.run()
    again = open_topics(f"embedded:///{place.folder}/again.db")
    again.ensure(place.police.hub.topics.values())
    again.append(place.police.hub.topics["registry"], [Message(place.hub.registry())])
    emptied = {**whole, "compartments": [], "bases": []}
    for first, deliveries in (
        (1, [place.hub.release(TO, opened), emptied]),
        (3, [place.hub.recall(TO, [(person, ["identity", "demographics"])])]),
    ):
        message = Message(place.hub.message(TO, deliveries, first=first))
        again.append(place.police.hub.topics["deliveries"], [message])
    whole_topics, place.topics = place.topics, again
    assert place.compared()[1] == []
    place.topics = whole_topics
    again.close()


def test_what_lies_in_quarantine_is_not_asked_for(new_place: Callable[..., Place]) -> None:
    place = new_place()
    opened, person = place.hub.stated(place.shelter, case_opened(), identity_recorded())
    broken = place.hub.release(TO, person)
    broken["bases"] = broken["bases"][:1]
    place.deliver(place.hub.release(TO, opened), broken)
    place.run()
    assert len(place.sink.quarantine()) == 1
    assert place.compared()[1] == []
    # Sent again by order, and applied late: the copy takes it in its place.
    place.append("deliveries", place.hub.message(TO, [place.hub.release(TO, person)], first=2))
    place.case(2)
    place.run()
    assert place.sink.quarantine() == []
    assert place.compared()[1] == []


def test_recalls_corrections_and_own_bases_rebuild_equal(new_place: Callable[..., Place]) -> None:
    policy = RecallPolicy(own_basis={"demographics": "Archive Act s. 3"})
    place = new_place(recalls=policy)
    cases = [place.case(number) for number in range(1, 6)]
    [fixed] = place.hub.stated(place.shelter, correction(cases[0][1], "family_name", "Right"))
    place.deliver(place.hub.release(TO, fixed))
    place.deliver(place.hub.recall(TO, [(cases[1][1], ["identity", "demographics"])]))
    place.deliver(place.hub.recall(TO, [(cases[2][0], ["case_management"])]))
    place.deliver(place.hub.recall(TO, [(cases[3][1], ["identity"])], action="restrict"))
    place.run()
    found, told = place.compared()
    assert told == []
    assert found.rows > 20
    place.change("UPDATE identity_recorded SET family_name = 'Wrong' WHERE family_name = 'Right'")
    assert [(t, c, names) for t, _, c, names in place.compared()[1]] == [
        ("identity_recorded", "altered", ("family_name",))
    ]
    assert place.repaired() == {"repaired": 1}
    assert place.rows("SELECT family_name FROM identity_recorded WHERE family_name = 'Right'")


def test_more_than_a_page(new_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compared, compared_mapped):
        monkeypatch.setattr(module, "PAGE", 7)
    monkeypatch.setattr(reconcile, "_CHUNK", 5)
    place = new_place()
    events = place.hub.stated(place.shelter, *[case_opened(f"C-{n}") for n in range(30)])
    place.deliver(*[place.hub.release(TO, one) for one in events])
    place.run()
    place.change("DELETE FROM case_opened WHERE sequence % 2 = 0", "DELETE FROM nrm_timeline")
    found, told = place.compared()
    assert found.causes == {"holding_without_row": 15, "missing": 30}
    assert len(told) == 45
    assert place.repaired() == {"repaired": 45}
    assert place.compared()[0].equal


def test_a_topic_that_no_longer_holds_everything_says_so(new_place: Callable[..., Place]) -> None:
    place = new_place()
    for number in range(1, 4):
        place.case(number)
    place.run()
    place.topics.trim(place.police.hub.topics["deliveries"], 2)
    with pytest.raises(StopError, match="--via http"):
        place.compared()


def test_a_redrive_meanwhile_asks_for_another_pass(new_place: Callable[..., Place]) -> None:
    place = new_place()
    [person] = place.hub.stated(place.shelter, identity_recorded())
    broken = place.hub.release(TO, person)
    broken["bases"] = broken["bases"][:1]
    place.deliver(broken)
    place.run()
    found = place.reconciliation()
    place.append("deliveries", place.hub.message(TO, [place.hub.release(TO, person)], first=1))
    place.run()
    with pytest.raises(RetryError, match="reconcile again"):
        found.compare()
    found.close()


def test_an_array_column_is_compared_as_a_list() -> None:
    """As text in the copy it was told as altered for ever, and a repair ended in a traceback."""
    kind = sa.ARRAY(sa.Text())
    assert isinstance(_kind(kind), sa.JSON)
    assert equal(kind, ["legal", "medical"], ["legal", "medical"])
    assert not equal(kind, ["legal"], ["medical"])
    assert typed(kind, ["legal"]) == ["legal"]
