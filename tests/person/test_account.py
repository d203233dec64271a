"""The account, folded from plain values: answers to recalls, receipts, re-releases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from hub.domain.age import AgeView
from hub.domain.case import Case
from hub.domain.settlement import Recall as Recalled
from hub.domain.settlement import Released, Settlement, Withheld
from hub.person.account import Account, account
from hub.person.statement import statement
from hub.person.steps import AgencyName, Answer, Decided, Happened, HeldBack, Said, Sent, Step
from hub.person.wording import Wording

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
E1, E2, E3 = (str(UUID(int=n)) for n in (1, 2, 3))


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


def happened(
    position: int, event_id: str, type_: str = "IdentityRecorded", **facts: Any
) -> Happened:
    return Happened(position, event_id, type_, "NGO-1", at(position), ("identity",), facts)


def decided(position: int, event_id: str, **parts: Any) -> Decided:
    made = Settlement(event_id, "default-1", 1, AgeView(False, False), ("identity",), **parts)
    return Decided(position, at(position), made)


def released(agency: str = "POL-1", basis: str = "consent:c1") -> dict[str, Any]:
    return {"decided": {agency: {"identity": Released(basis)}}}


def sent(sequence: int, decision: int, event: int, *, recall: bool = False) -> Sent:
    bases = {} if recall else {"identity": "consent:c1"}
    return Sent("POL-1", sequence, at(decision), decision, event, bases, recall, at(200))


def fold(steps: Sequence[Step], *sends: Sent, said: Sequence[Answer] = ()) -> Account:
    return account(steps, Case(), START.date(), sent=sends, answers=said)


GIVEN: list[Step] = [happened(1, E1), decided(2, E1, **released())]
TAKEN: list[Step] = [
    happened(3, E2, "ConsentWithdrawn", consent_id="c1"),
    decided(4, E2, recalls=(Recalled("POL-1", ((E1, ("identity",)),), "delete_or_restrict"),)),
]


def test_about_to_be_sent_sent_received_and_not_stored() -> None:
    def state(*sends: Sent, said: Sequence[Answer] = ()) -> str:
        [told] = fold(GIVEN, *sends, said=said).told
        return told.state

    delivery = sent(1, 2, 1)
    assert state() == "waiting"
    assert state(delivery) == "sent"
    assert state(delivery, said=[Answer("POL-1", 1, at(3))]) == "received"
    parked = Answer("POL-1", 1, at(3), (Said("quarantined"),))
    assert state(delivery, said=[parked]) == "unreadable"
    redriven = Answer("POL-1", 1, at(9), (Said("applied"),))
    assert state(delivery, said=[parked, redriven]) == "received"
    assert state(delivery, said=[Answer("POL-2", 1, at(3)), Answer("POL-1", 2, at(3))]) == "sent"


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ((), "asked_back"),
        ((Said("deleted"),), "deleted"),
        ((Said("restricted"),), "restricted"),
        ((Said("deleted"), Said("restricted")), "restricted"),
        ((Said("kept_own_basis", E1, ("identity",), "police act, section 4"),), "kept"),
        (
            (Said("kept_own_basis", E1, ("health",), "law"), Said("deleted", E1, ("identity",))),
            "deleted",
        ),
        ((Said("deleted", E2, ("identity",)), Said("restricted", E1, ("identity",))), "restricted"),
        ((Said("restricted", E2, ("identity",)), Said("deleted", E1, ("identity",))), "deleted"),
        ((Said("deleted", "ne-5f", ("health", "identity")),), "deleted"),
        ((Said("deleted", E1, ("health",)),), "asked_back"),
        ((Said("quarantined"),), "asked_back"),
    ],
)
def test_what_a_partner_answers_to_a_recall(outcomes: tuple[Said, ...], state: str) -> None:
    said = [Answer("POL-1", 2, at(5), outcomes)] if outcomes else []
    made = fold([*GIVEN, *TAKEN], sent(1, 2, 1), sent(2, 4, 4, recall=True), said=said)
    [told], [recall] = made.told, made.recalls
    assert told.state == state
    assert recall.due == at(200)
    assert recall.answers == list(outcomes)


def test_an_answer_given_as_an_event_counts_too() -> None:
    answer = Happened(
        5, E3, "RecallAnswered", "POL-1", at(5), ("audit",),
        {"recall_ref": "r4-2", "outcome": "restricted"},
    )  # fmt: skip
    made = fold([*GIVEN, *TAKEN, answer], sent(1, 2, 1), sent(2, 4, 4, recall=True))
    assert [told.state for told in made.told] == ["restricted"]
    elsewhere = Happened(
        5, E3, "RecallAnswered", "POL-1", at(5), ("audit",),
        {"recall_ref": "r4-9", "outcome": "restricted"},
    )  # fmt: skip
    made = fold([*GIVEN, *TAKEN, elsewhere], sent(1, 2, 1), sent(2, 4, 4, recall=True))
    assert [told.state for told in made.told] == ["asked_back"]


def test_a_reason_for_keeping_is_told_in_the_partners_words() -> None:
    kept = (Said("kept_own_basis", E1, ("identity",), "police act, section 4"),)
    made = fold(
        [*GIVEN, *TAKEN], sent(1, 2, 1), sent(2, 4, 4, recall=True),
        said=[Answer("POL-1", 2, at(5), kept)],
    )  # fmt: skip
    page = statement(
        made, {"POL-1": AgencyName("Police North", "police")}, Wording.load("fr"),
        reference="C1", made_on=START.date(),
    )  # fmt: skip
    [section] = [one for one in page.sections if one.heading == "Ce qui a été repris"]
    [table] = section.tables
    answer = table.rows[0][3]
    assert answer[0] == (
        "Ils le gardent et donnent cette raison\u00a0: police act, section 4"
        " (Votre nom, votre date de naissance et vos papiers)"
    )
    assert answer[1] == "Répondu le\u00a0: 2 mars 2026"


def test_given_again_after_a_recall_it_is_told_twice() -> None:
    again: list[Step] = [
        happened(5, E3, "ConsentGiven", consent_id="c2"),
        decided(6, E3, backfill={"POL-1": {E1: {"identity": "consent:c2"}}}),
    ]
    made = fold(
        [*GIVEN, *TAKEN, *again], sent(1, 2, 1), sent(2, 4, 4, recall=True), sent(3, 6, 1),
        said=[Answer("POL-1", n, at(7), (Said("deleted"),) if n == 2 else ()) for n in (1, 2, 3)],
    )  # fmt: skip
    assert [(told.basis, told.state) for told in made.told] == [
        ("consent:c1", "deleted"),
        ("consent:c2", "received"),
    ]


def test_stopped_on_the_way_and_given_later_counts_as_given() -> None:
    steps: list[Step] = [
        *GIVEN,
        HeldBack(3, at(3), "POL-1", {E1: ["identity"]}, {}),
        happened(4, E2, "ConsentGiven", consent_id="c2"),
        decided(5, E2, backfill={"POL-1": {E1: {"identity": "consent:c2"}}}),
    ]
    made = fold(steps, sent(1, 5, 1))
    assert [told.state for told in made.told] == ["stopped", "sent"]
    assert made.kept == []
    assert [one.reason for one in fold(steps[:3]).kept] == ["stopped"]


def test_sent_on_another_basis_than_decided_it_is_told_so() -> None:
    steps = [*GIVEN, HeldBack(3, at(3), "POL-1", {}, {E1: {"identity": "public_task"}})]
    assert [told.basis for told in fold(steps, sent(1, 2, 1)).told] == ["public_task"]


def test_withheld_is_told_of_those_with_a_part_in_the_case_only() -> None:
    outcomes = {
        "POL-1": {"identity": Withheld(("no_consent", "expired"))},
        "SH-1": {"identity": Withheld(("not_involved",))},
        "EMB-1": {"identity": Withheld(("asylum_embassy",))},
    }
    made = fold([happened(1, E1), decided(2, E1, decided=outcomes, concerned=("POL-1", "SH-1"))])
    assert [(one.agency, one.reason) for one in made.kept] == [("POL-1", "no_consent")]


def test_a_complaint_and_its_correction_leave_no_trace() -> None:
    complaint = happened(1, E1, "FeedbackRecorded", about_agency="POL-1", kind="complaint")
    corrected = happened(3, E2, "RecordCorrected", corrects_event=E1, field="text")
    steps: list[Step] = [
        complaint,
        decided(2, E1, **released("LEG-1")),
        corrected,
        decided(4, E2, recalls=(Recalled("LEG-1", ((E1, ("identity",)),), "delete"),)),
    ]
    assert fold(steps) == Account()
    shown = account(steps, Case(), START.date(), complaints=True)
    assert (len(shown.events), len(shown.told), len(shown.recalls)) == (2, 1, 1)


def test_every_day_on_which_something_was_taken_back_is_said() -> None:
    steps = [
        happened(1, E1, "ConsentGiven", consent_id="c1"),
        happened(26, E2, "ConsentWithdrawn", consent_id="c1"),
        happened(51, E3, "ConsentWithdrawn", consent_id="c1"),
    ]
    made = fold(steps)
    [agreement] = made.agreements
    assert agreement.withdrawn_at == [at(26), at(51)]
    words = Wording.load("en")
    page = statement(made, {}, words, reference="C1", made_on=START.date())
    [part] = [
        part
        for section in page.sections
        if section.heading == words.say("agreements_heading")
        for part in section.parts
    ]
    days = words.several(words.date(at(hour)) for hour in (26, 51))
    assert (words.say("agreement_withdrawn"), days) in part.points
