"""Corrections, to the partner's own tables: new to who holds it, back from who no longer should."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.sql import open_engine
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
