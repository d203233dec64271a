"""Quicker ways of doing what a general way does too: they say the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from connectors.database.engines import open_engine
from connectors.delivery import Arrived, BadMessage, Opened, Poison, Recall
from connectors.opening.evidence import EVIDENCE, Disclosed, statement, without
from connectors.opening.handing_over import Result, handed_over, taken_over
from connectors.tables.bulk import among, insert_all
from connectors.tables.columns import AMOUNT, JSON, Instant

NOW = datetime(2026, 11, 24, 9, 30, 0, 7, tzinfo=UTC)
BYTES = st.binary(max_size=300)
NAMES = st.sampled_from(["identity", "identity/SH-1", "case_management", "protection/POL-1"])
SHOWN = st.lists(st.builds(Disclosed, NAMES, BYTES, BYTES, st.integers(-1, 70_000), BYTES))
STATED = st.fixed_dictionaries(
    {
        "header": BYTES,
        "head": BYTES,
        "signature": BYTES,
        "index": st.integers(0, 2**40),
        "path": BYTES,
    }
)


@given(STATED, SHOWN)
def test_a_statement_is_what_its_schema_says(
    stated: dict[str, Any], shown: list[Disclosed]
) -> None:
    names = ("name", "salt", "body", "index", "path")
    disclosed = [dict(zip(names, one, strict=True)) for one in shown]
    assert statement(stated, shown) == EVIDENCE.encode({**stated, "disclosed": disclosed})


def test_a_statement_may_be_as_large_as_its_message() -> None:
    stated = {"header": b"h", "head": b"h", "signature": b"s", "index": 0, "path": b""}
    parts = [Disclosed(name, b"", bytes(2 << 20), 0, b"") for name in ("identity", "linkage/SH-1")]
    assert without(statement(stated, parts), ["linkage"]) == statement(stated, parts[:1])
    assert without(statement(stated, parts), ["linkage", "identity"]) is None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
MOMENTS = st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC))
FIELDS = st.dictionaries(NAMES, st.dictionaries(st.text(max_size=9), JSON_VALUES, max_size=3))
RELEASES = st.builds(
    lambda at, fields, evidence, agency: Arrived(
        7, "release", "c", "s", 9, "e", "Kind", bytes(32), agency, at, tuple(fields), fields,
        dict.fromkeys(fields, "public_task"), evidence, None, b"raw",
    ),
    MOMENTS,
    FIELDS,
    st.none() | BYTES,
    st.none() | st.just("SH-1"),
)  # fmt: skip
RECALLS = st.builds(
    lambda due: Arrived(
        8, "recall", "c", "s", 9, recall=Recall("r", "delete", due, (("e", ("identity",)),))
    ),
    MOMENTS,
)
ITEMS = st.lists(RELEASES | RECALLS | st.builds(Poison, st.just(9), st.text(), st.text(), BYTES))
RESULTS = (
    st.none()
    | st.builds(BadMessage, st.text(), BYTES, st.text())
    | st.builds(lambda items: Opened(7, 9, tuple(items)), ITEMS)
)


@given(st.integers(-1, 2**60), RESULTS)
def test_what_is_handed_over_arrives_as_it_was(position: int, result: Result) -> None:
    assert taken_over(handed_over(position, result)) == (position, result)


@pytest.fixture
def db(postgres_url: str) -> Iterator[sa.Connection]:
    engine = open_engine(postgres_url)
    with engine.connect() as db:
        yield db
    engine.dispose()


@pytest.mark.postgres
def test_rows_copied_are_those_inserted(db: sa.Connection) -> None:
    def table(name: str) -> sa.Table:
        kinds: dict[str, Any] = {
            "said": sa.Text, "many": JSON, "at": Instant, "day": sa.Date, "paid": AMOUNT,
            "yes": sa.Boolean, "raw": sa.LargeBinary, "share": sa.Double,
        }  # fmt: skip
        columns = (sa.Column(column, kind) for column, kind in kinds.items())
        return sa.Table(name, sa.MetaData(), sa.Column("ref", sa.Text, primary_key=True), *columns)

    full = {
        "ref": '1 "\\N"', "said": 'tab\t, "quoted", \\N, line\n, é', "many": {"a": [1, None, "\\"]},
        "at": NOW, "day": date(1, 2, 3), "paid": "12.50", "yes": False, "raw": b"\x00\\\t",
        "share": 0.1,
    }  # fmt: skip
    plain = {**full, "ref": "3", "said": "none of it", "many": [], "paid": None}
    rows = [full, {**dict.fromkeys(full), "ref": "2"}, plain]
    copied, inserted = table("copied"), table("inserted")
    for one in (copied, inserted):
        one.create(db)
    insert_all(db, copied, rows)
    db.execute(inserted.insert(), rows)
    found = [db.execute(sa.select(one).order_by(one.c.ref)).all() for one in (copied, inserted)]
    assert found[0] == found[1]
    assert [row.ref for row in found[0]] == ['1 "\\N"', "2", "3"]
    db.rollback()


@pytest.mark.postgres
@pytest.mark.parametrize("refs", [["plain"], ['a"b', "c"], ["back\\slash", "{}", ",", "NULL", ""]])
def test_texts_of_any_kind_are_found(db: sa.Connection, refs: list[str]) -> None:
    ref, number = sa.Column("ref", sa.String(100), primary_key=True), sa.Column("n", sa.Integer)
    table = sa.Table("refs", sa.MetaData(), ref, number)
    table.create(db)
    insert_all(db, table, [{"ref": one, "n": 1} for one in [*refs, "another"]])
    found = [
        ref
        for these in among(db, table.c.ref, refs)
        for ref in db.execute(sa.select(table.c.ref).where(these)).scalars()
    ]
    assert sorted(found) == sorted(refs)
    db.rollback()
