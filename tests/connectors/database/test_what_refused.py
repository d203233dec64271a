"""A row that a database refuses: which table, column or rule, and never what is in it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from connectors.database.engines import translated
from connectors.database.partner_tables import Partner, fitted
from connectors.errors import SinkRefusedError


class Refusal(Exception):
    pass


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ((1048, "Column 'nachname' cannot be null"), "nachname"),
        ((1406, "Data too long for column 'notiz' at row 1"), "notiz"),
        ((1366, "Incorrect integer value: 'Ana' for column `a`.`b`.`c` at row 1"), "a.b.c"),
        ((1062, "Duplicate entry 'Ana' for key 'uq_pass'"), "uq_pass"),
        ((1062, "Duplicate entry 'for key 'x'' for key 'uq_pass'"), "uq_pass"),
        ((4025, "CONSTRAINT `stufe_ok` failed for `amt`.`faelle`"), "stufe_ok"),
        ((1366, "Incorrect integer value: 'for column `Ana` at row 1'"), ""),
        (("NOT NULL constraint failed: residents.last_name",), "residents.last_name"),
        (("CHECK constraint failed: Ana's own words (x)",), ""),
    ],
)
def test_what_refused_is_named_and_no_value(said: tuple[object, ...], where: str) -> None:
    with pytest.raises(SinkRefusedError) as refused, translated():
        raise sa.exc.IntegrityError("INSERT", {}, Refusal(*said))
    assert refused.value.detail.partition(": ")[2] == where
    assert "Ana" not in refused.value.detail


def test_a_text_that_is_too_long_is_told_by_its_column() -> None:
    table = sa.Table("derivaciones", sa.MetaData(), sa.Column("resumen", sa.String(5)))
    partner = Partner(table, (), {"resumen": str}, "null", holds={"resumen": 5})
    assert fitted(partner, "resumen", "Gärten"[:5], 7) == "Gärte"
    with pytest.raises(SinkRefusedError) as refused:
        fitted(partner, "resumen", "secret words", 7)
    assert (refused.value.reason, refused.value.sequence) == ("value_unsuitable", 7)
    assert refused.value.detail == "derivaciones.resumen holds 5 letters, and this has more"
