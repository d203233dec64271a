"""The changes source: what stands in existing tables is stated once, and what changes as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.errors import SettingsError
from connectors.sources.captured import CapturedSource
from connectors.sources.changes.capture import ChangesCapture
from connectors.sources.changes.mapping import load_changes_mapping
from connectors.sources.database import SourceDatabase
from tests.sources.site import Site

CANARY = "Zlatanova-Canary"
TABLES = {
    "sqlite": "CREATE TABLE client (id INTEGER PRIMARY KEY, case_no TEXT, how TEXT, age TEXT, "
    "file_no TEXT, left_on TEXT, created_at TEXT, updated_at TEXT)",
    "postgres": "CREATE TABLE client (id INTEGER PRIMARY KEY, case_no TEXT, how TEXT, age TEXT, "
    "file_no TEXT, left_on DATE, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ)",
    "mariadb": "CREATE TABLE client (id INTEGER PRIMARY KEY, case_no VARCHAR(40), how VARCHAR(40), "
    "age VARCHAR(9), file_no VARCHAR(40), left_on DATE, created_at DATETIME(6), "
    "updated_at DATETIME(6))",
}
STAY = (
    "CREATE TABLE stay (id INTEGER PRIMARY KEY, client_id INTEGER, kind VARCHAR(40), "
    "address VARCHAR(80), rev INTEGER)"
)
MAPPING = """
version = 1
zone = "UTC"

[codes.age]
A = "adult"
U = "unknown"

[[map]]
event = "CaseOpened"
table = "client"
key = ["id"]
changed = "updated_at"
case = "case_no"
at = "created_at"

[map.fields]
jurisdiction = { constant = "XX" }
channel = "how"
age_status = { column = "age", codes = "age" }
local_case_ref = "file_no"

[[map]]
event = "AccommodationPlaced"
table = "stay"
key = ["id"]
changed = "rev"
case = { via = "client_id", table = "client", key = "id", column = "case_no" }
on = "change"

[map.fields]
placement_id = { text = "stay-{id}" }
type = "kind"
address = "address"

[[map]]
event = "AccommodationEnded"
table = "stay"
key = ["id"]
changed = "rev"
case = { via = "client_id", table = "client", key = "id", column = "case_no" }
on = "delete"

[map.fields]
placement_id = { text = "stay-{id}" }
reason = { constant = "moved_on" }
"""


@dataclass
class Tables:
    """An agency's tables and the source over them. `now` moves the sweep."""

    site: Site
    database: SourceDatabase
    folder: Path
    now: float = 1_000_000.0
    source: CapturedSource | None = None

    def open(self, mapping: str = MAPPING, **options: Any) -> CapturedSource:
        path = self.folder / "changes.toml"
        path.write_text(mapping, encoding="utf-8")
        capture = ChangesCapture(
            self.database,
            load_changes_mapping(path),
            self.site.identity.salt_secret,
            sweep_seconds=1000,
            clock=lambda: self.now,
            **options,
        )
        source = CapturedSource(capture, self.folder / "changes.state.db", name="casework")
        source.prepare()
        self.source = source
        return source

    def do(self, *statements: str) -> None:
        with self.database.writing() as db:
            for one in statements:
                db.execute(sa.text(one))

    def client(self, number: int, case: str | None, age: str = "A", minute: int = 0) -> None:
        at = f"'2026-03-02 08:{minute:02}:00.000001'"
        if self.database.dialect == "postgresql":
            at = at[:-1] + "+00'"
        said = "NULL" if case is None else f"'{case}'"
        self.do(
            f"INSERT INTO client VALUES ({number}, {said}, 'outreach', '{age}', NULL, NULL, "
            f"{at}, {at})"
        )

    def change(self, number: int, what: str, minute: int = 30) -> None:
        at = f"'2026-03-02 08:{minute:02}:00.000001'"
        self.do(f"UPDATE client SET {what}, updated_at = {at} WHERE id = {number}")


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def tables(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[Tables]:
    if request.param == "sqlite":
        (tmp_path / "casework.db").touch()
        url = f"sqlite:///{tmp_path / 'casework.db'}"
    else:
        made: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_database")
        url = made()
    found = Tables(site, SourceDatabase(url), tmp_path)
    found.do(TABLES[request.param], STAY)
    yield found
    if found.source is not None:
        found.source.close()
    found.database.close()


def test_first_corrected_again_and_gone(site: Site, tables: Tables) -> None:
    tables.client(1, "C-1")
    tables.do("INSERT INTO stay VALUES (1, 1, 'safe_house', 'Elm 1', 1)")
    source = tables.open()
    assert site.run(source).accepted == 2
    assert site.types() == ["CaseOpened", "AccommodationPlaced"]

    assert site.run(source).idle  # nothing has changed
    tables.change(1, "age = 'U', file_no = '77/B'")
    tables.do("UPDATE stay SET address = 'Oak 2', rev = 2")
    progress = site.run(source)
    assert (progress.accepted, progress.refused) == (3, 0), source.report(9)
    assert site.types()[2:] == ["RecordCorrected", "RecordCorrected", "AccommodationPlaced"]

    tables.do("DELETE FROM stay")
    assert site.run(source).idle  # found by the next look at all rows
    tables.now += 2000
    site.run(source)
    assert site.types()[5:] == ["AccommodationEnded"]
    tables.now += 2000
    assert site.run(source).idle


def test_a_change_that_leaves_no_trace_is_found_by_the_sweep(site: Site, tables: Tables) -> None:
    tables.client(1, "C-1")
    source = tables.open()
    site.run(source)
    tables.do("UPDATE client SET file_no = 'late'")  # without touching updated_at
    tables.change(1, "how = how", minute=0)
    tables.now += 2000
    site.run(source)
    assert site.types() == ["CaseOpened", "RecordCorrected"]


def test_equal_times_and_late_commits_are_met(site: Site, tables: Tables) -> None:
    """Rows of one instant, in batches of two; then one that commits late, under an older time."""
    for number in range(1, 8):
        tables.client(number, f"C-{number}", minute=10)
    source = tables.open()
    runner = site.runner(source)
    runner._pace = type(runner._pace)(rows=2)
    while not runner.run_once().idle:
        pass
    assert len(site.recorded()) == 7
    tables.client(8, "C-8", minute=9)  # within the overlap of five minutes
    assert site.run(source).accepted == 1
    tables.client(9, "C-9", minute=1)  # beyond it: the sweep's
    assert site.run(source).idle
    tables.now += 2000
    assert site.run(source).accepted == 1


def test_a_row_that_cannot_be_read_waits_for_its_cause(site: Site, tables: Tables) -> None:
    tables.client(1, "C-1", age="Z")
    tables.client(2, None, minute=1)
    tables.client(3, "C-3", minute=2)
    source = tables.open()
    assert site.run(source).accepted == 1
    first, second = source.report(10)
    assert (first.reason, first.field, first.place) == ("code_not_translated", "age", "client 1")
    assert (second.reason, second.field) == ("missing_column", "case_no")
    tables.change(2, "case_no = 'C-2'")  # put right: it is stated
    assert site.run(source).accepted == 1
    source.close()
    source = tables.open(MAPPING.replace('U = "unknown"', 'U = "unknown"\nZ = "child"'))
    source.release()  # the mapping was put right
    assert site.run(source).accepted == 1
    assert source.report(10) == []


def test_a_refused_correction_is_not_lost_when_another_field_changes(
    site: Site, tables: Tables
) -> None:
    tables.client(1, "C-1")
    source = tables.open()
    site.run(source)
    tables.change(1, "how = 'nowhere'")
    site.run(source)
    assert [(one.reason, one.field) for one in source.report(9)] == [("unknown_code", "channel")]
    tables.change(1, "file_no = '9'", minute=31)
    site.run(source)
    assert [(one.reason, one.field) for one in source.report(9)] == [
        ("unknown_code", "channel"),
        ("case_held", ""),
    ]
    tables.change(1, "how = 'helpline'", minute=32)
    site.run(source)
    assert source.report(9) == []
    corrected = [kind for kind in site.types() if kind == "RecordCorrected"]
    assert len(corrected) == 2  # channel to helpline, local_case_ref to 9


def test_an_event_refused_and_offered_again_stays_one(site: Site, tables: Tables) -> None:
    """Its cause was elsewhere. A change meanwhile waits for the answer, and is a correction."""
    stay = MAPPING[: MAPPING.index("[[map]]")] + MAPPING[MAPPING.index("[[map]]", 200) :]
    stay = stay[: stay.rindex("[[map]]")].replace('on = "change"', 'on = "first"')
    tables.client(1, "C-1")
    tables.do("INSERT INTO stay VALUES (1, 1, 'safe_house', 'Elm 1', 1)")
    source = tables.open(stay)
    site.run(source)
    [refused] = source.report(9)
    assert (refused.step, refused.reason) == (7, "unknown_case")
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    assert site.road.publish("NGO-1", "CaseOpened", "C-1", **opened).accepted
    assert source.release() == 1
    tables.do("UPDATE stay SET address = 'Oak 2', rev = 2")
    site.run(source)
    site.run(source)
    assert site.types() == ["CaseOpened", "AccommodationPlaced", "RecordCorrected"]
    assert source.report(9) == []


def test_a_refused_correction_offered_again_stands_until_it_is_right(
    site: Site, tables: Tables
) -> None:
    tables.client(1, "C-1")
    source = tables.open()
    site.run(source)
    tables.change(1, "how = 'nowhere'")
    site.run(source)
    for _ in range(2):
        assert source.release() == 1
        site.run(source)
        assert [(one.reason, one.field) for one in source.report(9)] == [
            ("unknown_code", "channel")
        ]
    tables.change(1, "how = 'helpline'", minute=40)
    assert site.run(source).accepted == 1
    assert source.report(9) == []
    assert site.types() == ["CaseOpened", "RecordCorrected"]


def test_a_row_that_moves_to_another_case_is_for_people(site: Site, tables: Tables) -> None:
    tables.client(1, "C-1")
    source = tables.open()
    site.run(source)
    tables.change(1, "case_no = 'C-2'")
    site.run(source)
    [told] = source.report(9)
    assert told.reason == "case_changed"
    assert site.types() == ["CaseOpened"]


def test_a_lost_state_file_states_nothing_twice(site: Site, tables: Tables) -> None:
    for number in range(1, 4):
        tables.client(number, f"C-{number}")
    source = tables.open()
    site.run(source)
    source.close()
    for left in tables.folder.glob("changes.state.db*"):
        left.unlink()
    assert site.run(tables.open()).accepted == 3
    assert len(site.recorded()) == 3


def test_the_state_file_holds_no_content_once_it_is_accepted(site: Site, tables: Tables) -> None:
    tables.client(1, "C-1")
    tables.do(f"UPDATE client SET file_no = '{CANARY}'")
    source = tables.open()
    site.run(source)
    assert len(site.recorded()) == 1
    left = b"".join(one.read_bytes() for one in tables.folder.glob("changes.state.db*"))
    assert CANARY.encode() not in left
    assert b"CaseOpened" in left


def test_a_row_whose_key_is_no_number_is_found_again(site: Site, tables: Tables) -> None:
    """Its key is in the books as text; the database has it as a UUID and a date."""
    uuid = "0b0cfd34-5d8d-4d3f-9d57-4c8d6a3a7c1e"
    kind = "UUID" if tables.database.dialect == "postgresql" else "VARCHAR(40)"
    tables.do(
        "DROP TABLE stay",
        f"CREATE TABLE stay (id {kind}, client_id INTEGER, kind VARCHAR(40), "
        "address VARCHAR(80), rev DATE, PRIMARY KEY (id, rev))",
        f"INSERT INTO stay VALUES ('{uuid}', 1, 'safe_house', 'Elm 1', '2026-03-02')",
    )
    head, _, stays = MAPPING.partition('[[map]]\nevent = "AccommodationPlaced"')
    stays = '[[map]]\nevent = "AccommodationPlaced"' + stays.replace('["id"]', '["id", "rev"]')
    tables.client(1, "C-1")
    source = tables.open(head + stays.replace('changed = "rev"\n', ""))
    assert site.run(source).accepted == 2
    tables.do("DELETE FROM stay")
    assert site.run(source).accepted == 1
    assert site.types()[2:] == ["AccommodationEnded"]


def test_everything_that_is_missing_is_named_at_once(tables: Tables) -> None:
    wrong = MAPPING.replace('table = "stay"', 'table = "stays"', 1)
    wrong = wrong.replace('changed = "rev"', 'changed = "revision"').replace('"how"', '"haw"')
    with pytest.raises(SettingsError) as told:
        tables.open(wrong)
    for each in (
        r"client has no column haw (did you mean 'how'?)",
        r"no table stays (did you mean 'stay'?)",
        "stay has no column revision",
    ):
        assert each in str(told.value)


def test_what_somebody_should_look_at_in_the_tables(tables: Tables) -> None:
    kept = "ENGINE=Aria" if tables.database.dialect == "mariadb" else ""
    tables.do("DROP TABLE stay", STAY.replace(" PRIMARY KEY", "") + kept)
    found = [one for one in tables.open().check() if one.level != "ok"]
    assert {one.level for one in found} == {"warning"}
    told = " ".join(one.text for one in found)
    assert "id of stay is not unique" in told
    assert "stay.id is part of the key and may be NULL" in told
    assert ("stay is kept by Aria" in told) == bool(kept)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("CaseOpened", "CaseOpend"), ":10: no event type 'CaseOpend' .did you mean 'CaseOpened'"),
        (('channel = "how"', 'chanel = "how"'), ":19: CaseOpened has no field 'chanel'"),
        (('channel = "how"\n', ""), ":17: CaseOpened needs also channel"),
        (('codes = "age"', 'codes = "ages"'), r":20: there is no \[codes.ages\]"),
        (("version = 1", "version = 2"), ":2: version"),
        (('zone = "UTC"', 'zone = "Mars/Base"'), ":3: there is no time zone"),
        (('on = "change"', 'on = "changes"'), ":29: on: "),
        (('type = "kind"', "type = { colum = 1 }"), ":33: fields.type"),
        (("stay-{id}", "{address}"), ":42: .*row is gone"),
        (("[[map]]", '[[map]]\nname = "one"'), ":24: one is the name of the map in line 9 too"),
        (('"AccommodationEnded"', '"AccommodationEnded'), "line"),
    ],
)
def test_mistakes_in_the_mapping_are_named(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    path = tmp_path / "changes.toml"
    path.write_text(MAPPING.replace(*change), encoding="utf-8")
    with pytest.raises(SettingsError, match=told) as wrong:
        load_changes_mapping(path)
    assert str(path) in str(wrong.value)
