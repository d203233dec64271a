"""Submitting: what is signed, what is refused before it is sent, and what a retry repeats."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.errors import InvalidEventError, TransportDownError, UntrustedError
from connectors.submit import Event, Limits, Publisher
from schemas import wire
from tests.connectors.builder import NOW, MiniHub, case_opened, correction, identity_recorded

QUICK = Limits(answer_seconds=0.05, give_up_seconds=0.5)
ID = UUID("6f1d3a52-0f0e-4a6b-9b1e-111111111111")


class Line:
    """A transport with a hub at the other end, that can lose things on the way."""

    def __init__(self, hub: MiniHub) -> None:
        self.hub = hub
        self.sent: list[bytes] = []
        self.lose_answers = 0
        self.fail = 0
        self.junk: list[bytes] = []
        self.changes: dict[str, Any] = {}
        self._waiting: list[bytes] = []

    def send(self, sealed: bytes) -> None:
        self.sent.append(sealed)
        if self.fail:
            self.fail -= 1
            raise TransportDownError("down")
        if self.lose_answers:
            self.lose_answers -= 1
            return
        self._waiting.append(self.hub.outcomes(sealed, **self.changes))

    def outcomes(self, timeout: float) -> list[bytes]:
        answers, self._waiting = self.junk + self._waiting, []
        return answers


@pytest.fixture
def line(hub: MiniHub) -> Line:
    return Line(hub)


def test_one_event_as_the_hub_sees_it(hub: MiniHub, shelter: AgencyIdentity) -> None:
    [recorded] = hub.stated(shelter, case_opened("C-7", group_ref="g1"))
    assert recorded.header["agency"] == "SH-1"
    assert recorded.header["event_type"] == "CaseOpened"
    assert recorded.header["occurred_at"] == NOW
    assert recorded.categories == ("case_management", "linkage")
    assert (recorded.case, recorded.subject) == ("C-7", "C-7")
    assert len(recorded.disclosure.leaves) == 8


def test_many_events_one_signature(hub: MiniHub, shelter: AgencyIdentity) -> None:
    recorded = hub.stated(shelter, *[case_opened(f"C-{n}") for n in range(5)])
    assert len({one.evidence["signature"] for one in recorded}) == 1
    assert len({one.header["event_id"] for one in recorded}) == 5


def test_the_same_event_is_the_same_bytes(hub: MiniHub, shelter: AgencyIdentity) -> None:
    event = replace(case_opened(), event_id=ID)
    publisher = Publisher(shelter)
    first, second = publisher.assemble([event]), publisher.assemble([event])
    assert first.digests == second.digests
    again = Publisher(AgencyIdentity.load(shelter.home)).assemble([event])
    assert again.digests == first.digests, "after a restart too"
    other = publisher.assemble([replace(event, data={**event.data, "channel": "self"})])
    assert other.digests != first.digests


def test_equal_values_in_two_events_share_no_salt(hub: MiniHub, shelter: AgencyIdentity) -> None:
    one, two = hub.open(Publisher(shelter).prepare([case_opened("C-1"), case_opened("C-1")]))[
        "events"
    ]
    salts = [c["salt"] for event in (one, two) for c in event["compartments"]]
    assert len(set(salts)) == len(salts)
    assert not set(one["padding"]) & set(two["padding"])


@pytest.mark.parametrize(
    ("event", "field", "words"),
    [
        (replace(case_opened(), type="CaseOpend"), "type", "not an event type"),
        (case_opened(channel=None), "channel", "missing"),
        (case_opened(surprise=1), "surprise", "unknown"),
        (case_opened(channel="telepathy"), "channel", "unknown_code"),
        (replace(case_opened(), occurred_at=datetime(2026, 1, 1)), "occurred_at", "time zone"),
        (
            replace(case_opened(), occurred_at=datetime.fromisoformat("0001-01-01T00:00+14:00")),
            "occurred_at",
            "not_an_instant",
        ),
        (
            replace(case_opened(), occurred_at=datetime.fromisoformat("9999-12-31T23:59-12:00")),
            "occurred_at",
            "not_an_instant",
        ),
        (replace(case_opened(), case="nc-" + "0" * 32), "subject", "subject_ref"),
        (replace(case_opened(), case="a\x00b"), "case or subject", "forbidden"),
        (identity_recorded(date_of_birth="03.02.2001"), "date_of_birth", "not_a_date"),
        (Event("RecordCorrected", "C-1", {}, occurred_at=NOW), "corrects_type", "needed"),
    ],
)
def test_mistakes_name_event_and_field(
    shelter: AgencyIdentity, event: Event, field: str, words: str
) -> None:
    with pytest.raises(InvalidEventError, match=words) as caught:
        Publisher(shelter).prepare([case_opened(), event])
    assert (caught.value.index, caught.value.field) == (1, field)
    assert "event 2" in str(caught.value)


def test_an_event_id_stands_once(shelter: AgencyIdentity) -> None:
    event = replace(case_opened(), event_id=ID)
    with pytest.raises(InvalidEventError, match="twice"):
        Publisher(shelter).prepare([event, event])


def test_a_correction_travels_in_the_category_of_the_field(
    hub: MiniHub, shelter: AgencyIdentity
) -> None:
    [first] = hub.stated(shelter, identity_recorded())
    [fixed] = hub.stated(shelter, correction(first, "family_name", "Other"))
    assert fixed.categories == ("case_management", "identity")
    with pytest.raises(InvalidEventError, match="no field"):
        hub.stated(shelter, correction(first, "shoe_size", 1))


def test_nothing_is_sent_when_one_event_is_wrong(shelter: AgencyIdentity, line: Line) -> None:
    events = [case_opened(f"C-{n}") for n in range(450)] + [case_opened(channel="?")]
    with pytest.raises(InvalidEventError):
        Publisher(shelter, line, limits=QUICK).publish(events)
    assert line.sent == []


def test_outcomes_come_in_the_order_of_the_events(shelter: AgencyIdentity, line: Line) -> None:
    events = [replace(case_opened(f"C-{n}"), event_id=UUID(int=n + 1)) for n in range(7)]
    outcomes = Publisher(shelter, line, limits=replace(QUICK, batch_events=3)).publish(events)
    assert [outcome.event_id for outcome in outcomes] == [UUID(int=n + 1) for n in range(7)]
    assert all(outcome.accepted for outcome in outcomes)
    assert len(line.sent) == 3


def test_a_batch_stays_below_its_size(shelter: AgencyIdentity, line: Line) -> None:
    text = "x" * 50_000
    events = [
        Event(
            "FeedbackRecorded",
            "C-1",
            {"kind": "feedback", "about_agency": "SH-1", "text": text, "anonymous": True},
            occurred_at=NOW,
        )
        for _ in range(10)
    ]
    Publisher(shelter, line, limits=replace(QUICK, batch_bytes=200_000)).publish(events)
    assert len(line.sent) == 4
    assert max(map(len, line.sent)) < 210_000


def test_a_lost_answer_repeats_the_same_bytes(shelter: AgencyIdentity, line: Line) -> None:
    line.lose_answers = 2
    [outcome] = Publisher(shelter, line, limits=QUICK).publish([case_opened()])
    assert outcome.accepted
    assert len(line.sent) == 3
    assert len(set(line.sent)) == 1


def test_a_broken_line_is_tried_again(shelter: AgencyIdentity, line: Line) -> None:
    line.fail = 1
    [outcome] = Publisher(shelter, line, limits=QUICK).publish([case_opened()])
    assert outcome.accepted
    assert len(set(line.sent)) == 1


def test_without_an_answer_it_says_that_nothing_is_known(
    shelter: AgencyIdentity, line: Line
) -> None:
    line.lose_answers = 10**6
    with pytest.raises(TransportDownError, match="same ids"):
        Publisher(shelter, line, limits=QUICK).publish([case_opened()])


def test_a_refusal_is_an_outcome(shelter: AgencyIdentity, line: Line) -> None:
    line.changes = {
        "accepted": False,
        "position": None,
        "step": 7,
        "reason": "guard",
        "guard": "G01",
        "detail": "ask first",
    }
    [outcome] = Publisher(shelter, line, limits=QUICK).publish([case_opened()])
    assert (outcome.accepted, outcome.step, outcome.guard) == (False, 7, "G01")


def test_a_refused_message_refuses_each_of_its_events(
    hub: MiniHub, shelter: AgencyIdentity
) -> None:
    class Refusing(Line):
        def send(self, sealed: bytes) -> None:
            whole = {
                "agency": "SH-1",
                "event_id": None,
                "digest": sha256(sealed).digest(),
                "accepted": False,
                "position": None,
                "step": 3,
                "reason": "revoked_key",
                "guard": None,
                "detail": "rotate",
                "recorded_at": NOW,
            }
            self._waiting.append(self.hub.sign_outcomes([wire.OUTCOME.single(whole)]))

    publisher = Publisher(shelter, Refusing(hub), limits=QUICK)
    outcomes = publisher.publish([case_opened("C-1"), case_opened("C-2")])
    assert [outcome.reason for outcome in outcomes] == ["revoked_key"] * 2
    assert len({outcome.event_id for outcome in outcomes}) == 2


def test_an_event_the_hub_could_not_read_is_answered_too(
    shelter: AgencyIdentity, line: Line
) -> None:
    """It does not know the event's id then, only the digest of its header."""
    line.changes = {
        "event_id": None,
        "accepted": False,
        "position": None,
        "step": 4,
        "reason": "malformed_header",
    }
    events = [case_opened("C-1"), case_opened("C-2")]
    outcomes = Publisher(shelter, line, limits=QUICK).publish(events)
    assert [outcome.reason for outcome in outcomes] == ["malformed_header"] * 2
    assert len({outcome.event_id for outcome in outcomes}) == 2


def test_unsigned_answers_are_not_believed(
    hub: MiniHub, shelter: AgencyIdentity, line: Line
) -> None:
    impostor = MiniHub()
    impostor.ingest, impostor.agencies = hub.ingest, hub.agencies
    liar = Line(impostor)
    with pytest.raises(UntrustedError):
        Publisher(shelter, liar, limits=QUICK).publish([case_opened()])


def test_junk_beside_a_good_answer_does_no_harm(shelter: AgencyIdentity, line: Line) -> None:
    line.junk = [b"", b"junk", wire.OUTCOME_BATCH.prefix]
    [outcome] = Publisher(shelter, line, limits=QUICK).publish([case_opened()])
    assert outcome.accepted


def test_an_answer_for_other_content_under_the_same_id_is_not_taken(
    shelter: AgencyIdentity, line: Line
) -> None:
    line.changes = {"digest": bytes(32)}
    with pytest.raises(TransportDownError):
        Publisher(shelter, line, limits=QUICK).publish([case_opened()])


def test_a_stream_is_sent_in_batches(shelter: AgencyIdentity, line: Line) -> None:
    limits = replace(QUICK, batch_events=10, linger_seconds=60)
    stream = (case_opened(f"C-{n}") for n in range(25))
    assert len(list(Publisher(shelter, line, limits=limits).publish_all(stream))) == 25
    assert len(line.sent) == 3
