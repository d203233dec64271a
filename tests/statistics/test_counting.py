"""What is counted: every cell recounted from the events, apart from the product's code."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from consumers.statistics import OPENED, Statistics
from hub.crypto.compartment import CompartmentError
from hub.errors import Inconsistent, Refused
from hub.statistics import parts
from hub.statistics.counts import Node
from hub.statistics.lives import COUNTED, Fact, Life
from hub.statistics.periods import Period
from hub.statistics.tables import TABLES, Book
from hub.store import events as stored
from schemas.registry import Schemas
from tests.road import Road
from tests.statistics.town import NOW, Said, name_of, people, publish

Q1 = Period.parse("2026-Q1")
YEAR = Period.parse("2026")


def book_of(road: Road, position: int | None = None) -> Book:
    reader = Statistics(road.hub.exchange)
    for _ in reader.read(road.hub.exchange.log.head if position is None else position):
        pass
    return reader.book


def leaves(node: Node, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    if not node.parts:
        return {path: node.count} if node.count else {}
    found: dict[tuple[str, ...], int] = {}
    for name, part in node.parts.items():
        found.update(leaves(part, (*path, name)))
    return found


def told() -> dict[str, dict[str, Said]]:
    """The town's events by case and type."""
    cases: dict[str, dict[str, Said]] = {}
    for one in people(120, date(2026, 1, 2), date(2026, 3, 30)):
        cases.setdefault(one.event.case, {})[one.event.type] = one
    return cases


def status(case: dict[str, Said]) -> str:
    if "ConclusiveGroundsDecided" in case:
        outcome = case["ConclusiveGroundsDecided"].event.data["outcome"]
        return "identified" if outcome == "positive" else "not_identified"
    decided = case.get("ReasonableGroundsDecided")
    if decided and decided.event.data["outcome"] == "negative":
        return "not_identified"
    return "presumed" if "PresumptionRecorded" in case else "registered"


def test_sex_and_age_recounted(road: Road) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for case in told().values():
        identity = case["IdentityRecorded"].event
        born = date.fromisoformat(identity.data["date_of_birth"])
        opened = case["CaseOpened"].event.occurred_at
        assert opened is not None
        years = opened.year - born.year - (opened.timetuple()[1:3] < (5, 17))
        bands = [(8, "0-8"), (17, "9-17"), (20, "18-20"), (23, "21-23"), (26, "24-26")]
        bands += [(29, "27-29"), (38, "30-38"), (47, "39-47"), (999, "48+")]
        band = next(name for most, name in bands if years <= most)
        sex = {"U": "not_known"}.get(identity.data["gender"], identity.data["gender"])
        expected[status(case), sex, "child" if years < 18 else "adult", band] += 1
    table = TABLES["victims-by-sex-and-age"]
    assert leaves(table.count(book_of(road), Q1)) == dict(expected)


def test_citizenship_form_and_organisation_recounted(road: Road) -> None:
    book, cases = book_of(road), told().values()
    citizen: Counter[tuple[str, ...]] = Counter()
    form: Counter[tuple[str, ...]] = Counter()
    by: Counter[tuple[str, ...]] = Counter()
    for case in cases:
        stated = case["IdentityRecorded"].event.data["citizenships"]
        citizen[status(case), stated[0] if len(stated) == 1 else "several"] += 1
        form[status(case), case["IndicatorsScreened"].event.data["exploitation_types"][0]] += 1
        presumed = case.get("PresumptionRecorded")
        role = {"NGO-1": "ngo_support", "POL-1": "police", "LAB-1": "labour_inspectorate"}
        by[status(case), role[presumed.agency] if presumed else "not_known"] += 1
    for name, expected in (("citizenship", citizen), ("form", form), ("organisation", by)):
        assert leaves(TABLES[f"victims-by-{name}"].count(book, Q1)) == dict(expected)


def test_decisions_and_delays_recounted(road: Road) -> None:
    outcomes: Counter[tuple[str, ...]] = Counter()
    lengths = []
    for case in told().values():
        decided = case.get("ReasonableGroundsDecided")
        if decided is None or date.fromisoformat(decided.event.data["decided_on"]) not in Q1:
            continue
        data = decided.event.data
        positive = data["outcome"] == "positive"
        outcomes[data["outcome"], "recovery_granted" if positive else data["reason_codes"][0]] += 1
        accepted = case["ReferralAccepted"].event.occurred_at
        assert accepted is not None
        lengths.append((date.fromisoformat(data["decided_on"]) - accepted.date()).days)
    counted = TABLES["reasonable-grounds"].count(book_of(road), Q1)
    assert leaves(counted) == dict(outcomes)
    assert counted.days == sorted(lengths)


def test_every_table_divides_without_remainder(road: Road) -> None:
    book = book_of(road)

    def check(node: Node) -> None:
        if node.parts:
            assert sum(part.count for part in node.parts.values()) == node.count
        for part in node.parts.values():
            check(part)

    for table in TABLES.values():
        check(table.count(book, YEAR))


def test_as_known_at_a_position(road: Road) -> None:
    """What is recorded later, or happened in another period, is not in the table."""
    head = road.hub.exchange.log.head
    before = TABLES["funnel"].count(book_of(road), Q1).count
    publish(road, people(5, date(2026, 3, 1), date(2026, 3, 2), seed=1, start=900))
    assert TABLES["funnel"].count(book_of(road), Q1).count == before + 5
    assert TABLES["funnel"].count(book_of(road, head), Q1).count == before
    assert TABLES["funnel"].count(book_of(road), Period.parse("2026-Q2")).count == 0


def test_an_erased_person_is_not_counted_again_whatever_the_position(road: Road) -> None:
    head = road.hub.exchange.log.head
    before = TABLES["funnel"].count(book_of(road), Q1).count
    subject = road.hub.exchange.pseudonyms.canonical("subject", name_of(7))
    assert road.hub.shredder.shred(subject)
    assert TABLES["funnel"].count(book_of(road), Q1).count == before - 1
    assert TABLES["funnel"].count(book_of(road, head), Q1).count == before - 1


def test_an_erasure_on_record_counts_before_the_key_is_destroyed(road: Road) -> None:
    head = road.hub.exchange.log.head
    before = TABLES["funnel"].count(book_of(road), Q1).count
    opener = told()[name_of(7)]["CaseOpened"].agency
    request = {"request_id": "q1"}
    received = road.publish(
        opener,
        "SubjectRequestReceived",
        name_of(7),
        right="erasure",
        due_on="2026-10-01",
        **request,
    )
    assert received.accepted
    granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed", **request}
    assert road.publish(opener, "SubjectRequestDecided", name_of(7), **granted).accepted
    assert not road.hub.exchange.secrets.erased(
        road.hub.exchange.pseudonyms.canonical("subject", name_of(7))
    )
    assert TABLES["funnel"].count(book_of(road), Q1).count == before - 1
    assert TABLES["funnel"].count(book_of(road, head), Q1).count == before - 1
    # Who comes back is somebody new to be counted, by what is recorded from then on.
    road.hub.shredder.step()
    assert road.publish(opener, "PresumptionRecorded", name_of(7), level="presumed").accepted
    assert sum(1 for life in book_of(road).lives if life.opened is None) == 1


def test_a_damaged_log_is_not_counted(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> bytes:
        raise CompartmentError("the compartment does not open")

    monkeypatch.setattr("consumers.statistics.open_compartment", closed)
    with pytest.raises(Inconsistent, match="run nrm-hub audit verify"):
        book_of(road)


def test_a_correction_is_counted_as_known_now(road: Road) -> None:
    """The original stays in the log; the table follows the corrected field."""
    from connectors.submit import Event

    case = next(
        name for name, one in told().items() if one["IdentityRecorded"].event.data["gender"] == "M"
    )
    said = told()[case]["IdentityRecorded"]
    log = road.hub.exchange.log
    subject = road.hub.exchange.pseudonyms.canonical("subject", case).bytes
    [identity] = [
        one.event
        for one in log.read(0, 10_000, frozenset({stored.EventAccepted.TOPIC}))
        if isinstance(one.event, stored.EventAccepted)
        and one.event.event_type == "IdentityRecorded"
        and one.event.subject_id == subject
    ]

    def men(book: Book) -> int:
        table = TABLES["victims-by-sex-and-age"].count(book, Q1)
        return sum(status.parts["M"].count for status in table.parts.values())

    before = men(book_of(road))
    from uuid import UUID

    correction = {
        "corrects_event": str(UUID(bytes=identity.event_id)),
        "field": "gender",
        "new_value": "X",
    }
    [outcome] = road.publish_all(
        said.agency,
        [
            Event(
                "RecordCorrected",
                case,
                correction,
                occurred_at=NOW,
                corrects_type="IdentityRecorded",
            )
        ],
    )
    assert outcome.accepted, outcome
    assert men(book_of(road)) == before - 1


def test_an_emergency_divides_those_taken_on(road: Road) -> None:
    table = TABLES["emergency"]
    before = table.count(book_of(road), Q1)
    assert before.parts["emergency"].count == 0
    road.time.at = NOW
    from connectors.submit import Event

    [outcome] = road.publish_all(
        "CA-1",
        [
            Event(
                "EmergencyModeDeclared",
                "EMERGENCY",
                {"scope": "country", "measures": ["extend_recovery"], "ends_on": "2026-02-28"},
                occurred_at=NOW.replace(month=2, day=1),
            )
        ],
    )
    assert outcome.accepted
    after = table.count(book_of(road), Q1)
    assert after.count == before.count
    during = sum(
        1
        for case in told().values()
        if "ReferralAccepted" in case
        and (at := case["ReferralAccepted"].event.occurred_at)
        and at.month == 2
    )
    assert after.parts["emergency"].count == during > 0
    assert after.parts["emergency"].parts["child"].days


# -- lives -------------------------------------------------------------------------------------


def fact(type_: str, on: str = "2026-01-05", role: str = "ngo_support", **given: object) -> Fact:
    codes = given.pop("codes", {})
    return Fact(type_, "e1", "A-1", role, date.fromisoformat(on), given, codes)  # type: ignore[arg-type]


def life(*facts: Fact) -> Life:
    made = Life()
    for one in facts:
        made.apply(one)
    return made


def test_reconsideration_overturns_and_the_first_outcome_stays() -> None:
    decided = life(
        fact("ReasonableGroundsDecided", outcome="negative", decided_on="2026-01-03"),
        fact("ReconsiderationRequested", decision_ref="rg"),
        fact("ReconsiderationDecided", decision_ref="rg", outcome="overturned"),
    )
    assert decided.rg is not None
    assert (decided.rg.first, decided.rg.outcome) == ("negative", "positive")
    assert parts.status(decided) == "presumed"


def test_a_suspended_decision_gives_way_to_the_next() -> None:
    decided = life(
        fact("ReasonableGroundsDecided", outcome="suspended", decided_on="2026-01-03"),
        fact("ReasonableGroundsDecided", outcome="positive", decided_on="2026-02-03"),
        fact("ReasonableGroundsDecided", outcome="negative", decided_on="2026-03-03"),
    )
    assert decided.rg is not None
    assert (decided.rg.on, decided.rg.outcome) == (date(2026, 2, 3), "positive")


@pytest.mark.parametrize(
    ("facts", "furthest", "standing"),
    [
        ([fact("CaseOpened")], "opened", "under_way"),
        ([fact("IndicatorsScreened")], "screened", "under_way"),
        ([fact("PresumptionRecorded"), fact("ConsentRefused")], "presumed", "refused"),
        (
            [
                fact("ReferralMade", referral_id="r"),
                fact("ReferralDeclined", referral_id="r", codes={"reason": "no_capacity"}),
            ],
            "referred",
            "declined",
        ),
        ([fact("AccommodationEnded", reason="missing")], "opened", "lost_contact"),
        ([fact("ConsentWithdrawn", leave_nrm=True)], "opened", "withdrew"),
        ([fact("CaseClosed", reason="inclusion")], "inclusion", "completed"),
        ([fact("CaseClosed", reason="negative_final")], "opened", "closed"),
        ([fact("CaseClosed", reason="returned")], "opened", "returned"),
        ([fact("CaseClosed", reason="lost_contact"), fact("CaseReopened")], "opened", "under_way"),
    ],
)
def test_how_far_and_why_no_further(facts: list[Fact], furthest: str, standing: str) -> None:
    one = life(*facts)
    assert (parts.furthest(one), parts.standing(one)) == (furthest, standing)


def test_an_answer_closes_the_oldest_open_complaint_and_no_feedback() -> None:
    said = life(
        fact("FeedbackRecorded", kind="feedback"),
        fact("FeedbackRecorded", kind="complaint"),
        fact("FeedbackRecorded", kind="complaint"),
        fact("ComplaintResolved", codes={"outcome": "upheld"}),
    )
    assert [one.result for one in said.feedback] == ["open", "upheld", "open"]


def test_a_band_without_a_birth_date_and_a_code_from_no_list() -> None:
    one = life(fact("CaseOpened", age_status="unknown"))
    one.age_band, one.sex = "18-20", "Z9"
    assert parts.adulthood(one) == "adult"
    assert parts.band(one) == "18-20"
    assert parts.SEX.part(one) == "not_known"
    assert parts.adulthood(life(fact("CaseOpened", age_status="age_disputed"))) == "not_known"


# -- definitions -------------------------------------------------------------------------------


def test_what_is_opened_exists_and_is_coded() -> None:
    """Only enumerations and code lists are taken out of sealed content; never a text."""
    schemas = Schemas.load()
    for type_, compartments in OPENED.items():
        assert type_ in COUNTED
        schema = schemas.by_type(type_)
        for category, fields in compartments.items():
            for name in fields:
                field = schema[name]
                assert field.category == category
                assert field.codelist or "enum" in str(field.avro), (type_, name)


@pytest.mark.parametrize(
    "name", ["2026-Q5", "2026-13", "2026-1", "26", "2026-Q1 ", "", "２０２６", "2026-q1", "1850"]
)
def test_a_period_is_written_in_one_way(name: str) -> None:
    with pytest.raises(Refused) as wrong:
        Period.parse(name)
    assert wrong.value.reason == "bad_period"


def test_periods() -> None:
    assert (Q1.first, Q1.last) == (date(2026, 1, 1), date(2026, 3, 31))
    assert Period.parse("2026-12").last == date(2026, 12, 31)
    assert Period.parse("2024-02").last == date(2024, 2, 29)
    assert YEAR.overlaps(Q1)
    assert not Period.parse("2026-Q2").overlaps(Q1)


def test_memory_holds_no_text(road: Road, built: Path) -> None:
    """Not even the process's own state of a person carries what was written about them."""
    from tests.statistics.town import CANARIES

    for one in book_of(road).lives:
        assert not any(word in repr(one) for word in CANARIES)
