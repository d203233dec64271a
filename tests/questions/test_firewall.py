"""Q06, Q12, Q13: empty where they must be, and not when something was planted."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import orjson
import pytest

from hub.recording.draft import delivery_stream
from hub.store import events as stored
from tests.played import NAMES
from tests.questions.asked import Told
from tests.questions.conftest import Played


def last(told: Told, kind: type[stored.StoreEvent]) -> stored.StoreEvent:
    found = [one.event for one in told.hub.exchange.log.read(0, 10_000)]
    return next(one for one in reversed(found) if isinstance(one, kind))


@pytest.mark.parametrize("name", NAMES)
def test_q06_is_empty(name: str, read: Played) -> None:
    told = read(name)
    found = told.ask("Q06")
    assert (found.verdict, found.rows) == ("empty as it must be", [])
    flags = [one for one in told.released() if one[0] == "IMMENF"]
    assert {category for _, _, category in flags} <= {"removal_hold"}
    assert found.summary["hold flags sent"] == len(flags)


def test_q06_finds_a_delivery_that_crossed(copied: Played) -> None:
    told = copied("S1")
    stream = delivery_stream("IMMENF")
    sending = last(told, stored.Sending)
    assert isinstance(sending, stored.Sending)
    told.write(
        replace(
            sending,
            originator_id=stream,
            originator_version=told.hub.exchange.log.last_version(stream) + 1,
            agency="IMMENF",
            kind="release",
            items=orjson.dumps({"bases": {"identity": "public_task", "removal_hold": "x"}}),
        )
    )
    found = told.ask("Q06")
    assert found.alarming
    [row] = found.as_dict()["rows"]
    assert (row["how"], row["agency"], row["category"]) == ("sent", "IMMENF", "identity")


def test_q06_finds_a_decision_that_crossed(copied: Played) -> None:
    told = copied("S1")
    settled = last(told, stored.Settled)
    assert isinstance(settled, stored.Settled)
    record = orjson.loads(settled.settlement)
    record.setdefault("decided", {})["IMMENF"] = {"contact": "public_task"}
    record["backfill"] = {"IMMENF": {record["event"]: {"identity": "public_task"}}}
    told.write(
        replace(
            settled,
            originator_version=told.hub.exchange.log.last_version(settled.originator_id) + 1,
            settlement=orjson.dumps(record),
        )
    )
    rows = told.rows("Q06")
    assert [(row["how"], row["category"]) for row in rows] == [
        ("decided", "contact"),
        ("decided", "identity"),
    ]


def notification(told: Told) -> stored.EventAccepted:
    return next(
        one.event
        for one in told.hub.exchange.log.read(0, 10_000)
        if isinstance(one.event, stored.EventAccepted)
        and one.event.event_type == "DutyNotificationSubmitted"
    )


def test_q12_is_empty_although_there_is_a_notification(read: Played) -> None:
    found = read("S7").ask("Q12")
    assert (found.verdict, found.rows) == ("empty as it must be", [])
    assert found.summary["notifications looked at"] == 1


@pytest.mark.parametrize("name", ["identity", "contact", "contact/POL-1"])
def test_q12_finds_a_compartment_that_should_not_be_there(name: str, copied: Played) -> None:
    told = copied("S7")
    event = notification(told)
    told.write(
        replace(
            event,
            originator_version=told.hub.exchange.log.last_version(event.originator_id) + 1,
            event_id=uuid4().bytes,
            compartments=(*event.compartments, stored.SealedCompartment(name, 7, b"sealed")),
        )
    )
    [row] = told.rows("Q12")
    assert (row["where"], row["what"]) == ("notification", name.partition("/")[0])
    assert told.ask("Q12").alarming


def test_q12_finds_a_notification_under_another_schema(copied: Played) -> None:
    told = copied("S7")
    event = notification(told)
    told.write(
        replace(
            event,
            originator_version=told.hub.exchange.log.last_version(event.originator_id) + 1,
            event_id=uuid4().bytes,
            schema_id=bytes(32),
        )
    )
    [row] = told.rows("Q12")
    assert row["what"] == "a schema that is not the type's"


def test_q13_a_link_without_agreement_is_found_and_reached_nobody(read: Played) -> None:
    told = read("S7")  # its last event links without the person's agreement
    found = told.ask("Q13")
    [row] = found.as_dict()["rows"]
    [link] = [e for e in told.document["events"] if e["type"] == "CaseLinkDecided"]
    assert row["position"] == told.position(link["id"])
    assert row["agreed"] is link["data"].get("agreed_by_person", False)
    assert (row["agreed"], row["reached"]) == (False, "")
    assert found.alarming
    assert not told.ask("Q13", as_of=str(row["position"] - 1)).alarming
    assert read("S1").ask("Q13").verdict == "empty as it must be"
