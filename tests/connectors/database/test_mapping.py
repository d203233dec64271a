"""Mapping files: what they may say, how mistakes are told, what lands in the partner's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.conformance import (
    Arrived,
    batch,
    claimed,
    corrected,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.errors import SettingsError, SinkRefusedError
from connectors.mapping import load_mapping
from connectors.sink import RecallPolicy, Sink
from connectors.sql import SqlSink, open_engine
from schemas.registry import Schemas

GOOD = """
version = 1

[codes.age]
adult = "A"
"*" = "U"

[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_case = "case_ref" }
when_empty = "delete"

[map.columns]
channel = "channel"
age_group = { field = "age_status", codes = "age" }
opened_on = { from = "occurred_at", type = "date" }
source = { constant = "NRM" }

[[map]]
event = "IdentityRecorded"
table = "client"
key = { nrm_case = "case_ref" }
when_empty = "delete"

[map.columns]
surname = "family_name"
born = "date_of_birth"
sex = "gender"
nationalities = { field = "citizenships", type = "text" }
"""

TABLE = """
CREATE TABLE client (
  id {serial},
  nrm_case VARCHAR(100) NOT NULL UNIQUE,
  channel VARCHAR(20), age_group CHAR(1), opened_on DATE, source VARCHAR(10),
  surname VARCHAR(40), born DATE, sex VARCHAR(20), nationalities TEXT,
  remark VARCHAR(50) DEFAULT 'own'
)
"""


class MappedBench:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.schemas = Schemas.load()
        self.engine = open_engine(url)
        serial = (
            "INTEGER PRIMARY KEY"
            if url.startswith("sqlite")
            else "BIGINT AUTO_INCREMENT PRIMARY KEY"
            if url.startswith("mariadb")
            else "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        )
        self.execute(TABLE.format(serial=serial))
        self._sinks: list[SqlSink] = []

    def execute(self, statement: str) -> None:
        with self.engine.begin() as db:
            db.execute(sa.text(statement))

    def open(self, recalls: RecallPolicy | None = None, mapping: str = GOOD) -> Sink:
        path = self.folder / "mapping.toml"
        path.write_text(mapping)
        sink = SqlSink(self.url, "POL-1", "test-hub", mapping=load_mapping(path), recalls=recalls)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def clients(self, columns: str = "*") -> list[dict[str, Any]]:
        with self.engine.connect() as db:
            rows = db.execute(sa.text(f"SELECT {columns} FROM client ORDER BY id"))
            return [
                {
                    k: v.isoformat() if hasattr(v, "isoformat") else v
                    for k, v in row.items()
                    if k != "id"
                }
                for row in rows.mappings()
            ]

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        raise NotImplementedError

    def stored(self) -> bytes:
        return b""

    def close(self) -> None:
        self.engine.dispose()
        for sink in self._sinks:
            sink.close()


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MappedBench]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/partner.db"
    else:
        new: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_database")
        url = new()
    bench = MappedBench(url, tmp_path)
    yield bench
    bench.close()


def of_case(item: Arrived, **changes: Any) -> Arrived:
    return replace(item, case_ref="nc-1", **changes)


def test_events_meet_in_one_row_of_the_partners_table(bench: MappedBench) -> None:
    claimed(bench).apply(
        batch(
            opened_case(1),
            identity(2, family_name="Person", given_name="X"),
            released(
                3,
                "e-1",
                "IdentityRecorded",
                {"demographics": {"gender": "f", "citizenships": ["XX", "YY"]}},
            ),
        )
    )
    assert bench.clients() == [
        {
            "nrm_case": "nc-1",
            "channel": "self",
            "age_group": "A",
            "opened_on": "2026-11-24",
            "source": "NRM",
            "surname": "Person",
            "born": "2001-02-03",
            "sex": "f",
            "nationalities": "XX, YY",
            "remark": "own",
        }
    ]


def test_a_row_the_partner_has_already_is_filled_not_doubled(bench: MappedBench) -> None:
    bench.execute("INSERT INTO client (nrm_case, remark) VALUES ('nc-1', 'ours')")
    claimed(bench).apply(batch(opened_case(1)))
    assert bench.clients("id, channel, remark") == [{"channel": "self", "remark": "ours"}]


def test_unmapped_events_get_default_tables_and_mapped_ones_do_not(bench: MappedBench) -> None:
    claimed(bench).apply(
        batch(
            opened_case(1),
            released(2, "e-2", "PresumptionRecorded", {"case_management": {"level": "presumed"}}),
        )
    )
    tables = sa.inspect(bench.engine).get_table_names()
    assert "presumption_recorded" in tables
    assert "case_opened" not in tables
    assert "nrm_timeline" in tables


def test_what_happened_later_is_shown_whatever_came_later(bench: MappedBench) -> None:
    """A backfill brings the older event after the newer one."""
    newer = released(1, "e-2", "IdentityRecorded", {"identity": {"family_name": "New"}}, minutes=9)
    older = released(2, "e-1", "IdentityRecorded", {"identity": {"family_name": "Old"}}, minutes=3)
    sink = claimed(bench)
    sink.apply(batch(newer))
    sink.apply(batch(older))
    assert bench.clients("id, surname") == [{"surname": "New"}]


def test_a_recall_takes_back_its_own_values_only(bench: MappedBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(opened_case(1), identity(2, family_name="A"), demographics(3)))
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    assert bench.clients("id, surname, born, sex, channel") == [
        {"surname": None, "born": None, "sex": "f", "channel": "self"}
    ]


def test_a_recall_of_an_older_event_leaves_the_newer_value(bench: MappedBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1, "e-1", family_name="Old"), identity(2, "e-2", family_name="New")))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert bench.clients("id, surname") == [{"surname": "New"}]
    sink.apply(batch(recalled(4, ("e-2", ["identity"]))))
    assert bench.clients() == []


def test_when_all_is_recalled_the_row_goes_or_stays_as_set(bench: MappedBench) -> None:
    recall = recalled(2, ("e-0", ["case_management"]))
    claimed(bench).apply(batch(opened_case(1), recall))
    assert bench.clients() == []
    stays = GOOD.replace('when_empty = "delete"', 'when_empty = "null"')
    sink = bench.open(mapping=stays)
    sink.claim()
    sink.apply(batch(replace(opened_case(3), case_ref="nc-2")))
    sink.apply(batch(recalled(4, ("e-0", ["case_management"]))))
    [row] = bench.clients("id, nrm_case, channel, source, remark")
    assert row == {"nrm_case": "nc-2", "channel": None, "source": None, "remark": "own"}


def test_a_recall_passes_over_a_column_that_was_dropped_since(bench: MappedBench) -> None:
    claimed(bench).apply(batch(opened_case(1), identity(2, family_name="Wide")))
    bench.execute("ALTER TABLE client DROP COLUMN surname")
    sink = bench.open(mapping=GOOD.replace('surname = "family_name"\n', ""))
    sink.claim()
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert bench.clients("channel, born") == [{"channel": "self", "born": None}]


def test_a_correction_reaches_the_mapped_column(bench: MappedBench) -> None:
    claimed(bench).apply(
        batch(identity(1, family_name="Wrong"), corrected(2, "e-1", "family_name", "Right"))
    )
    assert bench.clients("id, surname") == [{"surname": "Right"}]


def test_a_code_without_translation_is_refused_with_its_sequence(bench: MappedBench) -> None:
    sink = bench.open(mapping=GOOD.replace('"*" = "U"\n', ""))
    sink.claim()
    with pytest.raises(SinkRefusedError) as caught:
        sink.apply(batch(opened_case(1), opened_case(2, "e-2", age_status="unknown")))
    assert (caught.value.reason, caught.value.sequence) == ("code_not_translated", 2)
    assert "unknown" not in str(caught.value)
    assert bench.clients() == []


def test_a_value_of_another_type_is_refused(bench: MappedBench) -> None:
    mapping = GOOD.replace(
        'surname = "family_name"', 'born = { field = "family_name", type = "date" }'
    ).replace('born = "date_of_birth"\n', "")
    sink = bench.open(mapping=mapping)
    sink.claim()
    with pytest.raises(SinkRefusedError, match="family_name does not fit") as caught:
        sink.apply(batch(identity(1, family_name="not a date")))
    assert caught.value.sequence == 1


def test_a_text_too_long_is_told_by_its_column(bench: MappedBench) -> None:
    sink = claimed(bench)
    long = batch(identity(1, family_name="x" * 50))
    if bench.url.startswith("sqlite"):
        sink.apply(long)  # SQLite takes any length
        return
    told = "value_unsuitable: client.surname holds 40 letters, and this has more"
    with pytest.raises(SinkRefusedError, match=told) as caught:
        sink.apply(long)
    assert "xxx" not in str(caught.value)


def test_a_json_column_is_null_again_after_a_recall(bench: MappedBench) -> None:
    """NULL, not the JSON text "null"."""
    bench.execute("ALTER TABLE client ADD COLUMN extra JSON")
    mapping = GOOD.replace('nationalities = { field = "citizenships", type = "text" }', "").replace(
        'surname = "family_name"', 'extra = "citizenships"'
    )
    sink = bench.open(mapping=mapping)
    sink.claim()
    stated = {"demographics": {"citizenships": ["XX"]}}
    sink.apply(batch(opened_case(1), released(2, "e-1", "IdentityRecorded", stated)))
    assert "XX" in str(bench.clients("id, extra")[0]["extra"])
    sink.apply(batch(recalled(3, ("e-1", ["demographics"]))))
    with bench.engine.connect() as db:
        count = "SELECT count(*) FROM client WHERE extra IS NULL"
        assert db.execute(sa.text(count)).scalar() == 1


# -- mistakes in the file ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("version = 1", "version = 2"), 1, "version = 1 is missing"),
        (('event = "CaseOpened"', 'event = "CaseOpend"'), 9, "did you mean 'CaseOpened'"),
        (('event = "CaseOpened"', 'event = "RecordCorrected"'), 9, "not mapped"),
        (('channel = "channel"', 'channel = "chanel"'), 15, "no field 'chanel' (did you mean"),
        (('{ nrm_case = "case_ref" }\nwhen_empty = "delete"\n\n[map.columns]\nchannel',
          '{ nrm_case = "channel" }\nwhen_empty = "delete"\n\n[map.columns]\nchannel'),
         11, "can be filled from case_ref"),
        (('codes = "age"', 'codes = "ages"'), 16, "no [codes.ages] (did you mean 'age'?)"),
        (('type = "date"', 'type = "day"'), 17, "type is one of text"),
        (('from = "occurred_at"', 'from = "occured"'), 17, "from is one of"),
        (('{ constant = "NRM" }', '{ constant = "NRM", field = "channel" }'), 18, "give one of"),
        (('{ constant = "NRM" }', '{ konstant = "NRM" }'), 18, "unknown setting 'konstant'"),
        (('source = { constant = "NRM" }', "source = 7"), 18, "field's name"),
        (('table = "client"', 'tabel = "client"'), 10, "unknown setting 'tabel'"),
        (('when_empty = "delete"', 'when_empty = "drop"'), 12, "one of delete, null"),
        (("version = 1", 'version = 1\ndefault_tables = "some"'), 3, "default_tables is one of"),
        (('surname = "family_name"', 'nrm_case = "family_name"'), 27, "key column already"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_line_and_remedy(
    tmp_path: Path, change: tuple[str, str], line: int, words: str
) -> None:
    assert change[0] in GOOD
    path = tmp_path / "mapping.toml"
    path.write_text(GOOD.replace(change[0], change[1], 1))
    with pytest.raises(SettingsError) as caught:
        load_mapping(path)
    first = next(row for row in str(caught.value).splitlines()[1:] if words in row)
    assert f"mapping.toml:{line}:" in first, str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(GOOD.replace("family_name", "a").replace("date_of_birth", "b"))
    with pytest.raises(SettingsError, match="2 mistakes"):
        load_mapping(path)


@pytest.mark.parametrize("text", ["", "version = 1", "version = 1\nmap = 3", "not toml ["])
def test_a_file_that_maps_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_mapping(path)


def test_money_needs_its_part(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    head = 'version = 1\n[[map]]\nevent = "CompensationClaimed"\ntable = "t"\n'
    head += 'key = { r = "event_ref" }\n[map.columns]\n'
    path.write_text(head + 'a = "amount"\n')
    with pytest.raises(SettingsError, match="part = amount or currency"):
        load_mapping(path)
    path.write_text(head + 'a = { field = "amount", part = "amount" }\n')
    assert (
        load_mapping(path).maps[0].columns["a"].take({"amount": "12.50", "currency": "EUR"})
        == "12.50"
    )


# -- a file that does not fit the database ------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ('table = "client"', 'table = "klient"'),
            r"mapping\.toml:8: the database has no table 'klient' .*\(did you mean 'client'\?\)",
        ),
        (
            ('surname = "family_name"', 'sirname = "family_name"'),
            r":27: client has no column 'sirname' \(did you mean 'surname'\?\): it has",
        ),
    ],
)
def test_the_database_is_checked_before_anything_is_written(
    bench: MappedBench, change: tuple[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        bench.open(mapping=GOOD.replace(*change))


def test_a_column_that_must_not_be_empty_is_found_out(bench: MappedBench) -> None:
    bench.execute("DROP TABLE client")
    bench.execute("CREATE TABLE client (nrm_case VARCHAR(50), channel VARCHAR(20) NOT NULL)")
    mapping = GOOD[: GOOD.index("age_group")]
    with pytest.raises(SettingsError, match=r"client\.channel is NOT NULL"):
        bench.open(mapping=mapping)


def test_without_its_mapping_nothing_is_recalled_that_stays(bench: MappedBench) -> None:
    """A partner.toml written anew without `mapping`: the receipt said deleted, the row stayed."""
    sink = claimed(bench)
    sink.apply(batch(opened_case(1)))
    sink.close()
    bare = SqlSink(bench.url, "POL-1", "test-hub")
    with pytest.raises(SettingsError, match="filled rows of client, which no mapping names"):
        bare.prepare()
    bare.close()
    again = claimed(bench)
    again.apply(batch(recalled(2, ("e-0", ["case_management"]))))
    assert bench.clients() == []
    later = SqlSink(bench.url, "POL-1", "test-hub")
    later.prepare()  # nothing that deliveries filled is left
    later.close()


IGNORED = {"sqlite": "SELECT RAISE(IGNORE);", "postgresql": "RETURN NULL;"}


def trigger(bench: MappedBench, when: str, does: str) -> None:
    made = f"CREATE TRIGGER kept {when} FOR EACH ROW "
    if bench.engine.dialect.name == "postgresql":
        function = "CREATE OR REPLACE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS"
        bench.execute(f"{function} $$ BEGIN {does} END $$")
        made += "EXECUTE FUNCTION kept()"
    elif bench.engine.dialect.name == "sqlite":
        made += f"BEGIN {does} END"
    else:
        made += does
    bench.execute(made)


def test_what_a_trigger_keeps_away_or_keeps_there_is_not_answered_as_done(
    bench: MappedBench,
) -> None:
    """No error is heard: the row is not there, or under another key, or its content stays."""
    kind = bench.engine.dialect.name
    ignored = IGNORED.get(kind)
    sink = claimed(bench)
    trigger(bench, "BEFORE INSERT ON client", ignored or "SET NEW.nrm_case = 'x'")
    with pytest.raises(SinkRefusedError, match="does not hold the row after it was written"):
        sink.apply(batch(opened_case(1)))
    assert sink.position().sequence == 0
    bench.execute("DROP TRIGGER kept" + (" ON client" if kind == "postgresql" else ""))
    sink.apply(batch(opened_case(1), identity(2)))
    when = "BEFORE DELETE ON client" if ignored else "BEFORE UPDATE ON client"
    trigger(bench, when, ignored or "SET NEW.born = OLD.born")
    every = ("e-0", ["case_management"]) if ignored else ("e-1", ["identity"])
    with pytest.raises(SinkRefusedError, match="still holds what was taken out of it"):
        sink.apply(batch(recalled(3, ("e-1", ["identity"]), every)))
    assert sink.position().sequence == 2


@pytest.mark.parametrize(
    "raised",
    [
        ("postgres", "RAISE EXCEPTION 'no' USING ERRCODE = 'NR001';"),
        ("postgres", "ASSERT false;"),
        ("mariadb", "SIGNAL SQLSTATE '99001' SET MYSQL_ERRNO = 30001, MESSAGE_TEXT = 'no'"),
    ],
    indirect=True,
)
def test_an_error_of_the_partners_own_parks_its_delivery(raised: tuple[MappedBench, str]) -> None:
    """It was taken for an outage: everything waited for one row."""
    bench, does = raised
    sink = claimed(bench)
    trigger(bench, "BEFORE INSERT ON client", does)
    with pytest.raises(SinkRefusedError, match="a trigger refused it"):
        sink.apply(batch(opened_case(1)))


@pytest.fixture
def raised(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[MappedBench, str]]:
    kind, does = request.param
    bench = MappedBench(request.getfixturevalue(f"new_{kind}_database")(), tmp_path)
    yield bench, does
    bench.close()


def test_row_security_and_computed_columns(
    new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    """A row that a policy refuses is set aside alone; a computed column is told beforehand."""
    bench = MappedBench(new_postgres_database(), tmp_path)
    name = bench.url.rpartition("/")[2]
    user = f"nrm_rows_{name}"
    sink = claimed(bench)
    for one in (
        f"CREATE ROLE {user} LOGIN PASSWORD 'x'",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}",
        "ALTER TABLE client ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY seen ON client FOR SELECT USING (true)",
    ):
        bench.execute(one)
    sink.apply(batch(of_case(opened_case(1))))
    bench.url = f"postgresql://{user}:x@{bench.url.rpartition('@')[2]}"
    theirs = claimed(bench)
    with pytest.raises(SinkRefusedError, match="a policy of row security refused it"):
        theirs.apply(batch(replace(opened_case(2), case_ref="nc-2")))
    with pytest.raises(SinkRefusedError, match="does not hold the row"):  # updates none, silently
        theirs.apply(batch(of_case(identity(2))))
    bench.execute("ALTER TABLE client DROP COLUMN source")
    bench.execute("ALTER TABLE client ADD source TEXT GENERATED ALWAYS AS (channel) STORED")
    with pytest.raises(SettingsError, match=r"client\.source is computed by the database"):
        bench.open()
    bench.close()
