"""A complaint is never visible to the agency it is about, unless the person agrees (rule 4.11).

Through the whole pipeline, at agencies that would otherwise receive it by default: a lawyer and a
support organisation of an adult, a guardian and a child protection office of a child. Each test
also complains about another agency, to see that the first one would have been told.
"""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.store import events as stored
from tests.cli.programs import nrm
from tests.person.stories import consented, opened, referred, says
from tests.road import CONSENT, Road

TEXT = "They took my telephone-Sentinel"
ADULT = {
    "NGO-1": "ngo_support",
    "LEG-1": "legal_rep",
    "NGO-2": "ngo_support",
    "NGO-3": "ngo_support",
}
CHILD = {
    "NGO-1": "ngo_support",
    "GRD-1": "guardian",
    "CPS-1": "child_protection",
    "NGO-3": "ngo_support",
}


def adults(folder: Path) -> Road:
    """LEG-1 and NGO-2 work on an adult's case; a consent names both, not for feedback."""
    road = opened(folder, ADULT)
    for agency in ("LEG-1", "NGO-2"):
        road.partner(agency)
    consented(road, {"LEG-1": ["identity"], "NGO-2": ["identity"]})
    for agency in ("LEG-1", "NGO-2"):
        referred(road, agency)
    return road


def childs(folder: Path) -> Road:
    """GRD-1 and CPS-1 work on a child's case, and so receive nearly everything."""
    road = Road.open(folder, CHILD)
    says(road, "NGO-1", "CaseOpened", age_status="child", channel="outreach", jurisdiction="XX")
    for agency in ("GRD-1", "CPS-1"):
        road.partner(agency)
        referred(road, agency)
    return road


def complains(road: Road, about: str, **other: Any) -> str:
    return says(
        road, "NGO-1", "FeedbackRecorded",
        **{"kind": "complaint", "about_agency": about, "text": TEXT, "anonymous": True, **other},
    )  # fmt: skip


def delivered(road: Road, agency: str) -> int:
    """The last number of the agency's gapless sequence."""
    return road.hub.exchange.last_version(delivery_stream(agency))


def rows(road: Road, agency: str) -> dict[str, int]:
    """How many rows each of the partner's tables has."""
    with closing(sqlite3.connect(road.urls[agency].removeprefix("sqlite:///"))) as db:
        names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {n: db.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for n in names}


def feedback(road: Road, agency: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(road.urls[agency].removeprefix("sqlite:///"))) as db:
        try:
            return db.execute("SELECT kind, about_agency, text FROM feedback_recorded").fetchall()
        except sqlite3.OperationalError:  # the table is made when the first one comes
            return []


@pytest.mark.parametrize(
    ("make", "about", "other"),
    [
        (adults, "LEG-1", "NGO-2"),
        (adults, "NGO-2", "LEG-1"),
        (childs, "GRD-1", "CPS-1"),
        (childs, "CPS-1", "GRD-1"),
    ],
)
def test_nothing_reaches_the_agency_it_is_about_and_others_are_told(
    tmp_path: Path, make: Any, about: str, other: str
) -> None:
    road = make(tmp_path)
    sequence, holds = delivered(road, about), rows(road, about)
    complains(road, about)
    complains(road, about, kind="safeguarding_concern")
    complains(road, about, kind="feedback")
    says(road, "NGO-1", "ComplaintResolved", outcome="upheld", learning=TEXT)
    assert delivered(road, about) == sequence
    assert rows(road, about) == holds
    assert [(kind, who) for kind, who, _ in feedback(road, other)] == [
        ("complaint", about), ("safeguarding_concern", about), ("feedback", about),
    ]  # fmt: skip
    assert rows(road, other)["complaint_resolved"] == 1
    # The same about somebody else does reach it: it is kept out for no other reason.
    complains(road, other)
    assert [who for _, who, _ in feedback(road, about)] == [other]
    road.close()


def test_its_database_files_and_topic_hold_nothing_of_it(tmp_path: Path) -> None:
    """Nor does the hub itself keep the text readable anywhere."""
    road = adults(tmp_path)
    complains(road, "LEG-1")
    road.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"telephone-Sentinel" in path.read_bytes()]


def test_joining_later_it_is_not_caught_up_on_either(tmp_path: Path) -> None:
    road = opened(tmp_path, ADULT)
    road.partner("LEG-1")
    complains(road, "LEG-1")
    says(road, "NGO-1", "ComplaintResolved", outcome="upheld")
    says(road, "NGO-1", "NeedsAssessed", domains=["legal"])
    consented(road, {"LEG-1": ["protection"]})
    referred(road, "LEG-1")
    assert "feedback_recorded" not in rows(road, "LEG-1")
    assert "complaint_resolved" not in rows(road, "LEG-1")
    assert rows(road, "LEG-1")["needs_assessed"] == 1
    road.close()


def test_by_consent_it_is_told_and_only_of_what_the_consent_names(tmp_path: Path) -> None:
    road = adults(tmp_path)
    complains(road, "LEG-1")
    says(road, "NGO-1", "ConsentGiven", **{
        **CONSENT, "consent_id": "c2", "scope": {"LEG-1": ["case_management"]},
    })  # fmt: skip
    assert feedback(road, "LEG-1") == [("complaint", "LEG-1", None)]
    says(road, "NGO-1", "ConsentAmended", consent_id="c2", valid_until="2027-01-01",
         scope={"LEG-1": ["case_management", "feedback"]}, reason="widened")  # fmt: skip
    assert feedback(road, "LEG-1") == [("complaint", "LEG-1", TEXT)]
    says(road, "NGO-1", "ConsentWithdrawn", consent_id="c2", extent="all", leave_nrm=False)
    assert feedback(road, "LEG-1") == []
    road.close()


def test_about_nobody_registered_it_is_refused_since_a_misspelling_would_show_it(
    tmp_path: Path,
) -> None:
    road = adults(tmp_path)
    sequence = delivered(road, "LEG-1")
    outcome = road.publish(
        "NGO-1", "FeedbackRecorded", "C1", kind="complaint", about_agency="LEG1", anonymous=True
    )
    road.settle()
    assert (outcome.accepted, outcome.reason) == (False, "unknown_agency")
    assert delivered(road, "LEG-1") == sequence
    assert road.publish(
        "NGO-1", "FeedbackRecorded", "C1", kind="complaint", about_agency="HUB", anonymous=True
    ).accepted
    road.close()


# -- the command ---------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Any:
    """A running hub with one case; its road's folder."""
    road = adults(tmp_path)
    road.close()
    hub = Hub.open(Home(tmp_path / "hub"))
    hub.start()
    yield tmp_path
    hub.stop()


def recorded(folder: Path) -> list[stored.EventAccepted]:
    from hub.hub import Reading

    with Reading.open(Home(folder / "hub")) as reading:
        rows = reading.exchange.log.read(0, 10_000, frozenset({stored.EventAccepted.TOPIC}))
    return [one.event for one in rows if isinstance(one.event, stored.EventAccepted)]


def test_the_command_takes_it_down_anonymously(served: Path) -> None:
    said = served / "said.txt"
    said.write_text(TEXT, "utf-8")
    done = nrm(
        "person", "feedback", "--case", "C1", "--about", "LEG-1", "--text", said,
        "--as", served / "NGO-1", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["accepted"]
    [event] = [one for one in recorded(served) if one.event_type == "FeedbackRecorded"]
    assert json.loads(event.facts) == {"kind": "complaint", "about_agency": "LEG-1"}
    assert "feedback" in event.categories
    assert TEXT not in done.out + done.err


def test_the_hubs_own_desk_takes_it_down_for_a_person_without_an_agency(tmp_path: Path) -> None:
    road = adults(tmp_path)
    sequence = delivered(road, "LEG-1")
    road.close()
    said = tmp_path / "said.txt"
    said.write_text(TEXT, "utf-8")
    home = tmp_path / "hub"
    asked = ("person", "feedback", "--home", home, "--case", "C1")
    done = nrm(*asked, "--about", "LEG-1", "--text", said)
    assert done.code == 0, done.err
    [event] = [one for one in recorded(tmp_path) if one.event_type == "FeedbackRecorded"]
    assert (event.emitter, event.role) == ("HUB", "hub")
    assert nrm(*asked, "--about", "LEG1", "--json").code == 3
    for wrong, said_ in (("HUB", "complaint_to_itself"), ("LEG-1", "unknown_case")):
        case = "C1" if wrong == "HUB" else "C9"
        refused = nrm("person", "feedback", "--home", home, "--case", case, "--about", wrong)
        assert refused.code == 1
        assert said_ in refused.err
    again = Road.open(tmp_path, ADULT)
    for agency in ("LEG-1", "NGO-2"):
        again.partner(agency)
    again.settle()
    assert delivered(again, "LEG-1") == sequence
    assert feedback(again, "NGO-2") == [("complaint", "LEG-1", None)]
    again.close()


def test_the_command_reads_from_input_and_says_what_happened(served: Path) -> None:
    class Input:
        buffer = io.BytesIO(TEXT.encode())

    with mock.patch("sys.stdin", Input()):
        done = nrm(
            "person", "feedback", "--case", "C1", "--about", "LEG-1", "--kind", "feedback",
            "--text", "-", "--signed", "--as", served / "NGO-1",
        )  # fmt: skip
    assert done.code == 0, done.err
    assert "LEG-1 is not told of it." in done.out


def test_the_command_refuses_the_agency_it_is_about_and_unknown_ones(served: Path) -> None:
    itself = nrm("person", "feedback", "--case", "C1", "--about", "NGO-1", "--as", served / "NGO-1")
    assert itself.code == 1
    assert "complaint_to_itself" in itself.err
    wrong = nrm("person", "feedback", "--case", "C1", "--about", "LEG1", "--as", served / "NGO-1")
    assert wrong.code == 3
    assert "unknown_agency" in wrong.err
    nobody = nrm("person", "feedback", "--case", "C9", "--about", "LEG-1", "--as", served / "NGO-1")
    assert nobody.code == 3
    assert "unknown_case" in nobody.err
    missing = nrm(
        "person", "feedback", "--case", "C1", "--about", "LEG-1", "--as", served / "NGO-1",
        "--text", served / "none.txt",
    )  # fmt: skip
    assert missing.code == 1
    assert "No such file" in missing.err
    latin = served / "latin.txt"
    latin.write_bytes(b"caf\xe9")
    garbled = nrm(
        "person", "feedback", "--case", "C1", "--about", "LEG-1", "--as", served / "NGO-1",
        "--text", latin,
    )  # fmt: skip
    assert garbled.code == 1
    assert "UTF-8" in garbled.err
    assert not [one for one in recorded(served) if one.event_type == "FeedbackRecorded"]
