"""Preview: byte for byte what is then decided and sent; and for an officer, only what is known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.delivery import Arrived
from connectors.submit import Event
from hub import deliveries
from hub.api.preview import previewed
from hub.audit.known import known_case
from hub.clock import Clock, ScenarioTime
from hub.console.render import texts
from hub.console.supposed import always, asked_of, optional, types_for
from hub.domain.settlement import Released, Settlement
from hub.errors import Refused
from hub.preview import Preview, Supposed, preview
from hub.recording.accepted import facts_bytes
from hub.store import events as stored
from schemas import wire
from schemas.compartments import INHERIT
from schemas.registry import Schemas
from tests.console.stories import (
    AUDITOR,
    OPERATOR,
    RAPPORTEUR,
    Story,
    elements,
    officer,
    played,
    told_by,
)
from tests.played import play, scenario
from tests.privacy.told import Told
from tests.road import Road

# -- byte for byte -------------------------------------------------------------------------------


def supposed(event: Event) -> Supposed:
    """What a viewer would fill in: the fields asked for, and of the rest the category alone."""
    schema = Schemas.load().by_type(event.type)
    asked = {one.name for one in asked_of(schema)}
    data = {n: v for n, v in event.data.items() if n in asked and v is not None}
    also = {schema[n].category for n, v in event.data.items() if v is not None and n not in asked}
    assert event.event_id is not None
    return Supposed(event.event_id, event.type, data, frozenset(also - {INHERIT}))


class Watch:
    """Around each event: the preview before it, and what was decided and delivered after it."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, Arrived]] = []
        self.seen = self.delivered = self.caught_up = self.recalled = 0

    @contextmanager
    def __call__(self, road: Road, event: Event, agency: str) -> Iterator[None]:
        self._listen(road)
        exchange = road.hub.exchange
        party = exchange.agencies.parties().get(agency)
        assert party is not None
        case_id = exchange.pseudonyms.canonical("case", event.case)
        head = exchange.log.head
        told = preview(exchange, exchange.case(case_id), party, supposed(event))
        assert exchange.log.head == head
        self.arrived.clear()
        yield
        self._compare(road, event, told)

    def _listen(self, road: Road) -> None:
        for agency, runner in road.partners.items():
            if not hasattr(runner._sink, "heard"):
                apply = runner._sink.apply

                def hear(batch: Any, agency: str = agency, apply: Any = apply) -> Any:
                    self.arrived += [(agency, one) for one in batch.items]
                    return apply(batch)

                runner._sink.apply = hear  # type: ignore[method-assign]
                runner._sink.heard = True  # type: ignore[attr-defined]

    def _compare(self, road: Road, event: Event, told: Preview) -> None:
        exchange = road.hub.exchange
        assert isinstance(told.outcome, Settlement), told.outcome
        rows = exchange.log.stream(exchange.pseudonyms.canonical("case", event.case))
        at = max(one.position for one in rows if isinstance(one.event, stored.EventAccepted))
        [accepted] = [one.event for one in rows if one.position == at]
        [settled] = [
            one.event
            for one in rows
            if isinstance(one.event, stored.Settled) and one.event.position == at
        ]
        assert isinstance(accepted, stored.EventAccepted)
        assert facts_bytes(told.outcome.to_record()) == settled.settlement
        names = sorted(one.name for one in accepted.compartments if one.name != "routing")
        assert list(told.compartments) == names
        event_id = str(UUID(bytes=accepted.event_id))
        expected = {
            agency: told.delivered(agency, bases) for agency, bases in told.outcome.released()
        }
        got: dict[str, tuple[str, ...]] = {}
        for agency, one in self.arrived:
            own = exchange.pseudonyms.pseudonym(agency, "event", UUID(event_id))
            if one.kind == "release" and one.event_ref in (event_id, own):
                delivery = wire.DELIVERY.unsingle(one.raw)
                got[agency] = tuple(
                    sorted(
                        wire.DELIVERED_COMPARTMENT.unsingle(part)["name"]
                        for part in delivery["compartments"]
                    )
                )
        # The hub's own desk and partners without a connector are not listened to.
        assert got == {a: names for a, names in expected.items() if a in road.partners}
        self.seen += 1
        self.delivered += len(got)
        self.caught_up += len(told.outcome.backfill)
        self.recalled += len(told.outcome.recalls)


@pytest.mark.parametrize("name", ["S1", "S2", "S4", "S5", "S10"])
def test_what_is_previewed_is_what_is_then_decided_and_sent(tmp_path: Path, name: str) -> None:
    document = scenario(name)
    watch = Watch()
    play(tmp_path, document, around=watch).close()
    assert watch.seen == len(document["events"])
    assert watch.delivered > 3
    if name in ("S1", "S2"):
        assert watch.caught_up > 2
        assert watch.recalled or name == "S2"


def test_what_would_be_refused_is_refused_alike(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1", "POL-1") as told:
        told.opened()
        exchange = told.road.hub.exchange
        case_id = exchange.pseudonyms.canonical("case", "C1")
        for agency, kind, data in (
            ("NGO-1", "ReferralMade", {"referral_id": "r1", "to_agency": "SH-1", "basis": "c1"}),
            ("SH-1", "ReferralAccepted", {"referral_id": "r9"}),
            ("NGO-1", "CaseOpened", {"age_status": "adult"}),
            ("SH-1", "RiskAssessed", {}),
        ):
            event = told.event(kind, **data)
            party = exchange.agencies.parties().get(agency)
            assert party is not None
            before = preview(exchange, exchange.case(case_id), party, supposed(event)).outcome
            [outcome] = told.road.publish_all(agency, [event])
            assert isinstance(before, Refused)
            assert not outcome.accepted
            assert before.reason in (outcome.reason, "not_involved_emitter")


# -- the page ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with played(tmp_path_factory.mktemp("S1"), "S1") as found:
        yield found


def decide(story: Story, viewer: Any = AUDITOR, case: str = "", **form: Any) -> str:
    return story.post("/preview", viewer, stage="decide", case=case or story.case, **form)


def test_the_page_tells_what_the_preview_says(story: Story) -> None:
    head = story.exchange.log.head
    page = decide(story, agency="SH-1", type="AccommodationPlaced", also=["location_safe"])
    exchange = story.exchange
    party = exchange.agencies.parties().get("SH-1")
    assert party is not None
    found = preview(
        exchange,
        exchange.case(story.case_id),
        party,
        Supposed(UUID(int=1), "AccommodationPlaced", {}, frozenset({"location_safe"})),
    )
    assert isinstance(found.outcome, Settlement)
    rows = [one for one in elements(page) if "data-compartments" in one.attributes]
    assert {one["data-agency"]: tuple(one["data-compartments"].split()) for one in rows} == {
        agency: found.delivered(
            agency, {n: o.basis for n, o in outcomes.items() if isinstance(o, Released)}
        )
        for agency, outcomes in found.outcome.decided.items()
    }
    assert story.exchange.log.head == head


def test_a_withdrawal_shows_its_recalls_and_a_consent_its_backfill(tmp_path: Path) -> None:
    with Told(tmp_path, "NGO-1", "SH-1") as told:
        told.opened()
        told.says("NGO-1", "IdentityRecorded", family_name="Kanarie")
        told.consents({"SH-1": ["identity"]})
        told.involves("NGO-1", "SH-1")
    with told_by(tmp_path) as story:
        page = decide(
            story,
            agency="NGO-1",
            type="ConsentWithdrawn",
            **{"f.consent_id": "c1", "f.extent": "all", "f.leave_nrm": "no"},
        )
        assert "to give back: identity" in page
        page = decide(
            story,
            agency="NGO-1",
            type="ConsentGiven",
            **{
                "f.consent_id": "c2",
                "f.given_by": "self",
                "f.scope": "SH-1: identity, protection\n",
                "f.covers_history": "yes",
                "f.valid_until": "2028-01-01",
            },
        )
        assert "consent, consent/SH-1" in page
        assert "+1 earlier events: protection" in page


def test_a_refusal_is_told_with_its_code(story: Story) -> None:
    page = decide(story, agency="NGO-1", type="CaseOpened", **{"f.age_status": "adult"})
    assert "group_case_refused" in page
    assert "G19" in page


def test_a_value_that_cannot_be_is_named_and_not_decided(story: Story) -> None:
    page = decide(
        story, agency="NGO-1", type="ConsentGiven", **{"f.scope": "no colon", "f.valid_until": "x"}
    )
    assert "Not decided" in page
    assert "scope" in page
    assert "what would follow" not in page


def test_every_type_can_be_asked_and_decided(story: Story) -> None:
    """The form of each event type is made and answered, filled in or empty."""
    for agency in ("NGO-1", "SH-1", "POL-1", "CA-1"):
        party = story.exchange.agencies.parties().get(agency)
        assert party is not None
        for kind in types_for(party.role):
            schema = Schemas.load().by_type(kind)
            page = story.post("/preview", stage="facts", case=story.case, agency=agency, type=kind)
            for asked in asked_of(schema):
                assert f'name="f.{asked.name}"' in page
            for category in (*always(schema), *optional(schema)):
                assert texts("en")[f"terms.category_{category}"] in unescape(page)
            elements(decide(story, agency=agency, type=kind, also=list(optional(schema))))


def test_previews_are_for_three_roles(story: Story) -> None:
    story.get("/preview", AUDITOR)
    story.get("/preview?case=CASE", OPERATOR)
    story.get("/preview", officer("SH-1"))
    assert "not_for_this_role" in story.get("/preview", RAPPORTEUR, status=403)


def test_an_officer_asks_for_the_own_agency_only(story: Story) -> None:
    page = decide(story, officer("SH-1"), agency="NGO-1", type="RiskAssessed", case=story.case)
    assert "Risk assessed, stated by SH-1" in page
    page = story.get("/preview", officer("SH-1"))
    assert "POL-1" not in page


# -- what an officer may learn -------------------------------------------------------------------

NOW = "2026-03-05T09:00:00+00:00"
AGENCIES = ("NGO-1", "SH-1", "POL-1", "HLT-1", "LEG-1", "IMMENF")


def known_story(told: Told) -> None:
    """What SH-1 is part of, in every world."""
    told.on("2026-03-02T09:00:00+00:00")
    told.opened()
    told.consents({"SH-1": ["protection", "health"], "HLT-1": ["protection"]})
    told.involves("NGO-1", "SH-1")
    told.says("SH-1", "AccommodationPlaced")
    told.says("NGO-1", "RiskAssessed")


def police_join(told: Told) -> None:
    aside = told.aside
    aside(
        "NGO-1",
        "ConsentGiven",
        given_by="self",
        consent_id="c9",
        scope={"POL-1": ["identity", "location_safe", "protection"]},
        covers_history=True,
        valid_until="2027-03-01",
    )
    aside(
        "NGO-1",
        "ReferralMade",
        referral_id="to-POL-1",
        to_agency="POL-1",
        basis="c9",
        respond_by="2027-01-01T00:00:00Z",
    )
    aside("POL-1", "ReferralAccepted", referral_id="to-POL-1")


def a_consent_widens_the_clinic(told: Told) -> None:
    told.aside(
        "NGO-1",
        "ConsentGiven",
        given_by="self",
        consent_id="c8",
        scope={"HLT-1": ["health", "location_safe", "contact"]},
        covers_history=True,
        valid_until="2027-03-01",
    )


def a_clinic_and_a_lawyer_join(told: Told) -> None:
    for agency in ("HLT-1", "LEG-1"):
        told.aside(
            "NGO-1",
            "ConsentGiven",
            given_by="self",
            consent_id=f"c-{agency}",
            scope={agency: ["identity", "health", "protection"]},
            covers_history=True,
            valid_until="2027-03-01",
        )
        told.aside(
            "NGO-1",
            "ReferralMade",
            referral_id=f"to-{agency}",
            to_agency=agency,
            basis=f"c-{agency}",
            respond_by="2027-01-01T00:00:00Z",
        )
        told.aside(agency, "ReferralAccepted", referral_id=f"to-{agency}")


def an_asylum_claim_and_a_proceeding(told: Told) -> None:
    told.aside("POL-1", "ProceedingLinked")
    told.aside("NGO-1", "IdentityRecorded")


HIDDEN: list[Callable[[Told], None]] = [
    police_join,
    a_consent_widens_the_clinic,
    a_clinic_and_a_lawyer_join,
    an_asylum_claim_and_a_proceeding,
]


def at(story: Story, when: str) -> None:
    time = ScenarioTime(datetime.fromisoformat(when))
    story.console.deciding.reading.exchange.clock = Clock(time, steady=None)


def answers(story: Story, agency: str, case: str = "C1") -> dict[str, str]:
    """Every page an officer can get about the case, without the session's own token."""
    who, found = officer(agency), {}
    at(story, NOW)
    party = story.exchange.agencies.parties().get(agency)
    assert party is not None
    for kind in types_for(party.role):
        schema = Schemas.load().by_type(kind)
        filled = {
            "f.referral_id": "to-POL-1",
            "f.to_agency": "POL-1",
            "f.consent_id": "c9",
            "f.extent": "all",
            "f.leave_nrm": "yes",
            "f.scope": "POL-1: identity\nHLT-1: health",
            "f.given_by": "self",
            "f.covers_history": "yes",
            "f.valid_until": "2027-01-01",
            "f.basis": "c9",
            "f.about_agency": "POL-1",
            "f.respond_by": "2026-09-01T10:00",
        }
        page = decide(story, who, case=case, type=kind, also=list(optional(schema)), **filled)
        found[kind] = re.sub(r'name="token" value="[^"]*"', "", page)
    return found


ASKED = {
    "referral_id": "to-POL-1",
    "to_agency": "POL-1",
    "consent_id": "c9",
    "basis": "c9",
    "scope": {"POL-1": ["identity"], "HLT-1": ["health"]},
    "about_agency": "POL-1",
    "covers_history": True,
    "valid_until": "2027-01-01",
    "respond_by": "2026-09-01T10:00:00Z",
}

UNTOLD = str(UUID(int=(0x40008001 << 64) + 1))  # the first event told aside, where there is one


def over_http(told: Told, agency: str, case: str = "C1") -> dict[str, Any]:
    """What `POST /v1/preview` answers for every event type the agency may state."""
    hub = told.road.hub
    told.on(NOW)
    before, found = hub.exchange.log.head, {}
    party = hub.exchange.agencies.parties().get(agency)
    assert party is not None
    for kind in types_for(party.role):
        schema = Schemas.load().by_type(kind)
        data = {name: value for name, value in ASKED.items() if schema.field(name) is not None}
        if not kind.startswith("Consent"):
            data.pop("scope", None)
        event = told.event(kind, case, **data)
        if kind == "RecordCorrected":
            given = {**event.data, "corrects_event": UNTOLD, "field": "given_name"}
            event = replace(event, data=given, corrects_type="IdentityRecorded")
        sealed = told.road.publisher(agency).prepare([event])
        found[kind] = previewed(hub, agency, sealed)
    assert hub.exchange.log.head == before
    return found


@pytest.fixture(scope="module")
def both_plain(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, str], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("plain")
    with Told(folder, *AGENCIES) as told:
        known_story(told)
        asked = over_http(told, "SH-1")
    assert sum(one["refused"] is None for one in asked.values()) > 3
    with told_by(folder) as story:
        return answers(story, "SH-1"), asked


@pytest.fixture(scope="module")
def plain(both_plain: tuple[dict[str, str], dict[str, Any]]) -> dict[str, str]:
    return both_plain[0]


@pytest.fixture(scope="module")
def plain_http(both_plain: tuple[dict[str, str], dict[str, Any]]) -> dict[str, Any]:
    return both_plain[1]


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda one: one.__name__)
def test_an_officers_preview_depends_on_nothing_the_agency_was_not_told(
    tmp_path: Path,
    plain: dict[str, str],
    plain_http: dict[str, Any],
    hidden: Callable[[Told], None],
) -> None:
    with Told(tmp_path, *AGENCIES) as told:
        known_story(told)
        held = told.rows("SH-1", "SELECT event_type, category FROM nrm_holding ORDER BY 1, 2")
        hidden(told)
        # The premise: to the shelter both worlds look alike.
        assert held == told.rows(
            "SH-1", "SELECT event_type, category FROM nrm_holding ORDER BY 1, 2"
        )
        assert over_http(told, "SH-1") == plain_http
    with told_by(tmp_path) as story:
        assert answers(story, "SH-1") == plain
        # And the premise's other half: the hub itself would decide differently.
        exchange = story.exchange
        rows = exchange.log.stream(story.case_id)
        known = known_case(exchange, rows, "SH-1")
        assert known is not None
        case = exchange.case(story.case_id)
        assert case is not None
        assert len(known.events) < len(case.events)


def test_what_is_decided_does_not_depend_on_what_was_previewed(tmp_path: Path) -> None:
    """Answers for agencies that are not concerned are kept; a preview's case is no real one."""
    records = []
    for previewed_before in (False, True):
        with Told(tmp_path / str(previewed_before), *AGENCIES) as told:
            known_story(told)
            deliveries._OUTSIDE.clear()
            if previewed_before:
                over_http(told, "SH-1")
            told.on("2026-03-06T09:00:00+00:00")
            told.aside(
                "NGO-1", "ReferralMade", referral_id="to-HLT-1", to_agency="HLT-1", basis="c1",
                respond_by="2027-01-01T00:00:00Z",
            )  # fmt: skip
            exchange = told.road.hub.exchange
            rows = exchange.log.stream(exchange.pseudonyms.canonical("case", "C1"))
            settled = [one.event for one in rows if isinstance(one.event, stored.Settled)]
            records.append(settled[-1].settlement)
    assert records[0] == records[1]


def test_the_hubs_own_preview_does_depend_on_it(tmp_path: Path) -> None:
    pages = []
    for name, hidden in (("without", None), ("with", police_join)):
        with Told(tmp_path / name, *AGENCIES) as told:
            known_story(told)
            if hidden:
                hidden(told)
        with told_by(tmp_path / name) as story:
            at(story, NOW)
            page = decide(story, agency="SH-1", type="AccommodationPlaced", also="location_safe")
            pages.append(
                [o["data-agency"] for o in elements(page) if "data-compartments" in o.attributes]
            )
    assert "POL-1" not in pages[0]
    assert "POL-1" in pages[1]


def test_a_case_the_agency_has_no_part_in_is_like_none(tmp_path: Path) -> None:
    found = []
    for name in ("there", "not there"):
        with Told(tmp_path / name, *AGENCIES) as told:
            if name == "there":
                known_story(told)
                police_join(told)
            asked = over_http(told, "LEG-1")
        with told_by(tmp_path / name) as story:
            found.append((answers(story, "LEG-1"), asked))
    assert found[0] == found[1]


def test_the_known_case_holds_own_slices_only(tmp_path: Path) -> None:
    with Told(tmp_path, *AGENCIES) as told:
        known_story(told)
        police_join(told)
        exchange = told.road.hub.exchange
        rows = exchange.log.stream(exchange.pseudonyms.canonical("case", "C1"))
        shelter = known_case(exchange, rows, "SH-1")
        assert shelter is not None
        scopes = {one.consent_id: one.scope for one in shelter.consents}
        assert scopes == {"c1": {"SH-1": ("health", "protection")}}
        assert "POL-1" not in shelter.involvement.agencies()
        opener = known_case(exchange, rows, "NGO-1")
        assert opener is not None
        assert {"POL-1", "SH-1", "NGO-1"} <= opener.involvement.agencies()
        assert known_case(exchange, rows, "LEG-1") is None
