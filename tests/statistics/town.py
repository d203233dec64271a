"""A town of synthetic people whose cases run through a whole hub, or straight into a book."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.submit import Event
from tests.road import CONSENT, Road

ROLES = {
    "NGO-1": "ngo_support",
    "POL-1": "police",
    "LAB-1": "labour_inspectorate",
    "CA-1": "competent_authority",
    "SH-1": "shelter",
    "CP-1": "child_protection",
    "RAP-1": "national_rapporteur",
}
NOW = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
CANARIES = ("Kanarienname", "Kanarienbericht", "Kanarienbegründung", "Kanarienfreitext")


@dataclass(frozen=True)
class Said:
    """One event and the agency that says it."""

    agency: str
    event: Event


def name_of(number: int) -> str:
    """The agencies' common reference of a case; long enough to be looked for in files."""
    return f"Zzqfall{number:05d}"


def person(number: int, opened: date, luck: random.Random) -> Iterator[Said]:
    """One person's case: opened, screened, presumed and, mostly, taken to a decision."""
    case = name_of(number)
    opener = luck.choice(["NGO-1", "NGO-1", "POL-1", "POL-1", "LAB-1"])
    day = opened

    def says(agency: str, type_: str, **data: Any) -> Said:
        at = datetime(day.year, day.month, day.day, 10, 0, tzinfo=UTC)
        return Said(agency, Event(type_, case, data, occurred_at=at))

    child = luck.random() < 0.2
    yield says(
        opener,
        "CaseOpened",
        jurisdiction="XX",
        channel="outreach",
        age_status="child" if child else "adult",
    )
    yield says(
        opener,
        "IdentityRecorded",
        given_name=CANARIES[0],
        date_of_birth=str(date(2012 if child else luck.randint(1970, 2003), 5, 17)),
        gender=luck.choice(["F", "F", "F", "M", "X"] if luck.random() < 0.9 else ["U"]),
        citizenships=luck.choice([["MD"], ["MD"], ["RO"], ["UA"], ["VN"], ["MD", "RO"]]),
    )
    yield says(
        opener,
        "IndicatorsScreened",
        tool="national",
        indicators=["debt_bondage"],
        exploitation_types=luck.choice(
            [["SexualExploitation"], ["ForcedLabour"], ["ForcedLabour"], ["ForcedBegging"]]
        ),
        screened_by_role=ROLES[opener],
        account=CANARIES[1],
    )
    if luck.random() < 0.1:
        return
    yield says(opener, "PresumptionRecorded", level="presumed")
    if luck.random() < 0.15:
        return
    yield says(
        opener,
        "ConsentGiven",
        consent_id=f"k{number}",
        scope={"CA-1": ["case_management", "demographics"]},
        **CONSENT,
    )
    day += timedelta(days=1)
    yield says(
        opener,
        "ReferralMade",
        referral_id=f"r{number}",
        to_agency="CA-1",
        services=["identification"],
        urgency="routine",
        respond_by="2027-01-01T00:00:00+00:00",
        basis=f"k{number}",
        summary=CANARIES[3],
    )
    if luck.random() < 0.12:
        yield says("CA-1", "ReferralDeclined", referral_id=f"r{number}", reason="out_of_scope")
        return
    day += timedelta(days=luck.randint(0, 3))
    yield says("CA-1", "ReferralAccepted", referral_id=f"r{number}")
    if luck.random() < 0.1:
        return
    day += timedelta(days=luck.randint(1, 40))
    positive = luck.random() < 0.8
    yield says(
        "CA-1",
        "ReasonableGroundsDecided",
        outcome="positive" if positive else "negative",
        reason_codes=None if positive else [luck.choice(["credibility", "threshold"])],
        reasons=CANARIES[2],
        decided_on=str(day),
        decision_maker="single_authority",
    )
    if not positive:
        return
    yield says(
        "CA-1",
        "RecoveryPeriodStarted",
        start=str(day),
        minimum_days=30,
        ends_on=str(day + timedelta(days=45)),
    )
    day += timedelta(days=luck.randint(35, 60))
    if day >= NOW.date() or luck.random() < 0.3:
        return
    yield says(
        "CA-1",
        "ConclusiveGroundsDecided",
        outcome="positive" if luck.random() < 0.85 else "negative",
        reasons=CANARIES[2],
        decided_on=str(day),
    )


def people(count: int, first: date, last: date, seed: int = 7, start: int = 1) -> list[Said]:
    luck = random.Random(seed)
    span = (last - first).days
    return [
        said
        for number in range(start, start + count)
        for said in person(number, first + timedelta(days=luck.randint(0, span)), luck)
    ]


def publish(road: Road, said: list[Said]) -> None:
    """Through the whole pipeline; a case's order is kept, agencies take turns."""
    run: list[Said] = []
    for one in [*said, None]:
        if one is None or (run and run[-1].agency != one.agency) or len(run) >= 150:
            outcomes = road.publish_all(run[0].agency, [each.event for each in run]) if run else []
            refused = [
                (o, r.event.type) for o, r in zip(outcomes, run, strict=True) if not o.accepted
            ]
            assert not refused, refused[:3]
            run = []
        if one is not None:
            run.append(one)


def interleaved(said: list[Said]) -> list[Said]:
    """By step instead of by person, so that one agency's events stand together."""
    steps: dict[str, list[Said]] = {}
    for one in said:
        steps.setdefault(one.event.case, []).append(one)
    ordered: list[Said] = []
    for depth in range(max(map(len, steps.values()))):
        ordered += sorted(
            (one[depth] for one in steps.values() if depth < len(one)), key=lambda s: s.agency
        )
    return ordered


def open_town(folder: Path, count: int = 120) -> Road:
    road = Road.open(folder, ROLES)
    road.time.at = NOW
    publish(road, interleaved(people(count, date(2026, 1, 2), date(2026, 3, 30))))
    road.settle()
    return road
