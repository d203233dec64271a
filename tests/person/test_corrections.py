"""Corrections, to the partner's own tables: new to who holds it, back from who no longer should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from connectors.corrections import CorrectionPart
from connectors.sql import SqlSink, open_engine
from connectors.submit import Event
from schemas.registry import Routing, SchemaError, Schemas
from tests.person.stories import FAMILY, consented, corrects, identified, opened, referred, says
from tests.road import Road

AGENCIES = {
    "NGO-1": "ngo_support",
    "CA-1": "competent_authority",
    "POL-1": "police",
    "LEG-1": "legal_rep",
}
RIGHT = "Korrekt-Sentinel"


@pytest.fixture(params=["sqlite", "postgres"])
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Road]:
    """CA-1, POL-1 and LEG-1 with a database each; NGO-1's case C1."""
    road = opened(tmp_path, AGENCIES)
    new: Callable[[], str] | None = None
    if request.param == "postgres":
        new = request.getfixturevalue("new_postgres_database")
    for agency in ("CA-1", "POL-1", "LEG-1"):
        road.partner(agency, new() if new else None)
    yield road
    road.close()


def names(road: Road, agency: str) -> list[str | None]:
    """Family names in the partner's table of identities."""
    engine = open_engine(road.urls[agency])
    try:
        if not sa.inspect(engine).has_table("identity_recorded"):
            return []
        with engine.connect() as db:
            return list(db.execute(sa.text("SELECT family_name FROM identity_recorded")).scalars())
    finally:
        engine.dispose()


def everywhere(road: Road, agency: str, text: str) -> list[str]:
    """Tables of the partner in which the text stands anywhere."""
    engine = open_engine(road.urls[agency])
    found = []
    try:
        with engine.connect() as db:
            for table in sa.inspect(engine).get_table_names():
                for row in db.execute(sa.text(f'SELECT * FROM "{table}"')):
                    if any(text in str(value) for value in row):
                        found.append(table)
    finally:
        engine.dispose()
    return sorted(set(found))


def test_current_holder_former_holder_and_who_joins_later(road: Road) -> None:
    consented(road, {agency: ["identity"] for agency in ("CA-1", "POL-1")})
    recorded = identified(road)
    for agency in ("CA-1", "POL-1"):
        referred(road, agency)
    assert names(road, "CA-1") == names(road, "POL-1") == [FAMILY]
    # The police leave the case: that alone takes nothing back.
    says(road, "POL-1", "ReferralEnded", referral_id="r-pol-1", outcome="done")
    assert names(road, "POL-1") == [FAMILY]

    corrects(road, recorded, "IdentityRecorded", "family_name", RIGHT)
    assert names(road, "CA-1") == [RIGHT]
    assert names(road, "POL-1") in ([], [None])
    assert everywhere(road, "POL-1", FAMILY) == everywhere(road, "POL-1", RIGHT) == []

    says(road, "NGO-1", "ConsentAmended", consent_id="c1", valid_until="2027-01-01",
         scope={"CA-1": ["identity"], "LEG-1": ["identity"]}, reason="widened")  # fmt: skip
    referred(road, "LEG-1")
    assert names(road, "LEG-1") == [RIGHT]


def test_of_two_corrections_the_later_stands_whoever_reads_it_when(road: Road) -> None:
    consented(road, {agency: ["identity"] for agency in ("CA-1", "LEG-1")})
    recorded = identified(road)
    referred(road, "CA-1")
    for value in ("Meanwhile-Sentinel", RIGHT):
        road.time.at += timedelta(hours=1)
        corrects(road, recorded, "IdentityRecorded", "family_name", value)
    referred(road, "LEG-1")
    assert names(road, "CA-1") == names(road, "LEG-1") == [RIGHT]


def test_what_was_recalled_does_not_come_back_with_a_correction(road: Road) -> None:
    consented(road, {"CA-1": ["identity"], "POL-1": ["protection"]})
    recorded = identified(road)
    referred(road, "CA-1")
    says(road, "NGO-1", "ConsentWithdrawn", consent_id="c1", extent="recipients",
         recipients=["CA-1"], leave_nrm=False)  # fmt: skip
    corrects(road, recorded, "IdentityRecorded", "family_name", RIGHT)
    assert names(road, "CA-1") in ([], [None])
    assert everywhere(road, "CA-1", RIGHT) == []


def test_a_field_is_cleared_where_case_management_is_not_shown(tmp_path: Path) -> None:
    road = opened(tmp_path, AGENCIES)
    road.partner("CA-1")
    consented(road, {"CA-1": ["identity"]})
    recorded = identified(road)
    referred(road, "CA-1")
    corrects(road, recorded, "IdentityRecorded", "family_name", None)
    assert names(road, "CA-1") == [None]
    assert "nrm_correction" not in everywhere(road, "CA-1", FAMILY)
    road.close()


def test_by_whom_knows_the_event_under_a_name_of_its_own_it_is_the_same_after_a_restart(
    tmp_path: Path,
) -> None:
    """An embassy is told no event id but its own pseudonym of it, and corrects by that."""
    agencies = {**AGENCIES, "EMB-1": "embassy"}
    road = opened(tmp_path, agencies)
    consented(road, {"EMB-1": ["case_management", "identity"], "CA-1": ["identity"]})
    recorded = identified(road)
    for agency in ("EMB-1", "CA-1"):
        referred(road, agency)
    own = road.hub.exchange.pseudonyms.pseudonym("EMB-1", "event", UUID(recorded))
    [outcome] = road.publish_all("EMB-1", [
        Event("RecordCorrected", "C1",
              {"corrects_event": own, "field": "family_name", "new_value": RIGHT},
              occurred_at=road.time.at, corrects_type="IdentityRecorded"),
    ])  # fmt: skip
    assert outcome.accepted, outcome.reason
    road.settle()
    case_id = road.hub.exchange.pseudonyms.canonical("case", "C1")
    live = road.hub.exchange.case(case_id)
    road.close()
    again = Road.open(tmp_path, agencies)
    folded = again.hub.exchange.case(case_id)
    assert live is not None
    assert folded is not None
    assert folded.events[-1].facts == live.events[-1].facts
    assert folded.events[-1].facts["corrects_event"] == recorded
    assert folded.events[-1].categories == live.events[-1].categories
    again.close()


# -- the copies ------------------------------------------------------------------------------------

SCHEMA = Schemas.load().by_type("RecordCorrected")
SAID = {"corrects_event": str(UUID(int=1)), "field": "family_name", "new_value": RIGHT}


def split(data: dict[str, Any], category: str | None = "identity") -> dict[str, bytes]:
    return SCHEMA.split(data, routing=Routing("C1", "C1"), corrected_category=category)


def test_who_reads_the_value_alone_reads_what_it_is_of_and_who_reads_all_reads_no_copy() -> None:
    bodies = split(SAID)
    assert SCHEMA.join({"identity": bodies["identity"]}) == {
        "new_value": RIGHT,
        "about_event": SAID["corrects_event"],
        "about_field": "family_name",
    }
    assert SCHEMA.join(bodies, whole=True) == SAID
    own = split(SAID, "case_management")
    assert set(own) == {"case_management", "routing"}
    assert SCHEMA.join(own, whole=True) == SAID


def test_a_copy_that_says_something_else_is_refused_when_written_and_when_read() -> None:
    with pytest.raises(SchemaError, match="copy_differs: about_field"):
        split({**SAID, "about_field": "given_name"})
    assert split({**SAID, "about_field": "family_name"}) == split(SAID)
    other = split({**SAID, "field": "given_name"})
    with pytest.raises(SchemaError, match="copy_differs: about_field"):
        SCHEMA.join({**split(SAID), "identity": other["identity"]}, whole=True)


def test_version_1_is_still_read() -> None:
    first, second = Schemas.load().versions("RecordCorrected")
    assert second is SCHEMA
    bodies = first.split(SAID, routing=Routing("C1", "C1"), corrected_category="identity")
    assert first.join(bodies, whole=True) == SAID
    assert first.join({"identity": bodies["identity"]}) == {"new_value": RIGHT}


@pytest.mark.parametrize("first", ["identity", "case_management"])
def test_what_is_told_beside_the_value_lasts_as_long_as_the_value(
    tmp_path: Path, first: str
) -> None:
    """Losing case management alone takes no correction back; losing the value does."""
    sink = SqlSink(f"sqlite:///{tmp_path / 'p.db'}", "NGO-2", "hub")
    sink.prepare()
    beside = CorrectionPart("e2", 5, "identity", ("e1", "family_name"), (RIGHT,))
    apart = CorrectionPart("e2", 5, "case_management", ("e1", "family_name"), None)
    ledger = sink._ledger
    with sink.database.writing() as db:
        parts = [beside, apart] if first == "identity" else [apart, beside]
        assert "identity" in ledger.corrections.keep(db, parts)["e1"]
        assert ledger.corrections.drop(db, "e2", ["case_management"]) is None
        assert ledger.corrections.drop(db, "e2", ["identity"]) == ("e1", "identity", "family_name")
    sink.close()
