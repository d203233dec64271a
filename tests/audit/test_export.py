"""Exports: every decision once, in forms that independent readers accept, and nobody's content."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from jsonschema import Draft202012Validator, FormatChecker
from pyld import jsonld

from connectors.submit import Publisher
from hub.audit.delivered import Delivered
from hub.audit.export import decisions as log_form
from hub.audit.export.decided import Decided, Wanted
from hub.audit.export.fhir_audit import AuditEvents
from hub.audit.export.prov import Provenance
from hub.audit.output import line
from hub.audit.redecide import Redecision
from hub.domain.settlement import Released, Settlement
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.copying import copy_in, copy_out
from hub.store.log import HubLog
from tests.audit.balp import faults
from tests.cli.programs import nrm
from tests.depth import depth
from tests.played import play, scenario
from tests.privacy.canaries import planted
from tests.road import CONSENT, Road

STORIES = depth(["S1", "S5"], ["S1", "S5", "S7"])
PROV = "http://www.w3.org/ns/prov#"
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module", params=STORIES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    document, _ = planted(scenario(request.param))
    road = play(tmp_path_factory.mktemp(request.param), document)
    yield road
    road.close()


def exported(road: Road, form: str, *how: str) -> bytes:
    out = road.folder / "export.out"
    out.unlink(missing_ok=True)
    done = nrm("audit", "export", form, "--home", road.folder / "hub", "--out", out, *how)
    assert done.code == 0, done.err
    return out.read_bytes()


def lines(road: Road, form: str, *how: str) -> Lines:
    return [json.loads(one) for one in exported(road, form, *how).splitlines()]


# -- the decision log ------------------------------------------------------------------------


def test_every_line_fits_the_schema(road: Road) -> None:
    Draft202012Validator.check_schema(log_form.schema())
    check = Draft202012Validator(log_form.schema(), format_checker=FormatChecker())
    told = lines(road, "decisions", "--everybody")
    assert len(told) > 50
    for one in told:
        check.validate(one)
    wrong = {**told[0], "outcome": "withheld", "basis": None, "reasons": []}
    assert not check.is_valid(wrong), "the schema can say no"
    assert not check.is_valid({**told[0], "given_name": "A"})


def test_every_decision_is_there_once(road: Road) -> None:
    """Counted from the rows themselves, agencies enrolled then times categories."""
    expected: Counter[tuple[Any, ...]] = Counter()
    enrolled: dict[str, str] = {}
    emitter = ""
    for one in road.hub.exchange.log.read(0, 100_000):
        event = one.event
        if isinstance(event, stored.AgencyEnrolled) and event.role != "hub":
            enrolled[event.agency] = event.role
        elif isinstance(event, stored.EventAccepted):
            emitter = event.emitter
        elif isinstance(event, stored.Settled):
            settlement = Settlement.from_record(json.loads(event.settlement))
            for agency, role in enrolled.items():
                for category in settlement.categories if agency != emitter else ():
                    outcome = settlement.outcome(agency, role, category)
                    said = "released" if isinstance(outcome, Released) else "withheld"
                    expected[one.position, "first", agency, category, said] += 1
            for agency, events in settlement.backfill.items():
                for bases in events.values():
                    for category in bases:
                        expected[one.position, "backfill", agency, category, "released"] += 1
            for recall in settlement.recalls:
                for _, names in recall.items:
                    for category in names:
                        expected[one.position, "recall", recall.to, category, "recalled"] += 1
            for agency, events in settlement.rebased.items():
                for bases in events.values():
                    for category in bases:
                        expected[one.position, "recall", agency, category, "kept"] += 1
    told = lines(road, "decisions", "--everybody")
    found = Counter(
        (one["at"], one["kind"], one["agency"], one["category"], one["outcome"])
        for one in told
        if one["kind"] != "sending"
    )
    assert found == expected


def test_fates_are_what_the_recipients_answered(road: Road) -> None:
    told = lines(road, "decisions")
    released = [one for one in told if one["outcome"] == "released"]
    assert released
    assert {one["fate"]["state"] for one in released} <= {"applied", "recalled"}
    for one in released:
        assert one["at"] < one["fate"]["position"] < one["fate"]["answered"]
    taken, gone = (
        {(one["agency"], one["event"], one["category"]) for one in some}
        for some in (
            [one for one in told if one["outcome"] == "recalled"],
            [one for one in released if one["fate"]["state"] == "recalled"],
        )
    )
    assert gone == taken


def test_filters_and_as_of_choose_lines_and_change_none(road: Road) -> None:
    everything = lines(road, "decisions", "--everybody")
    agency = sorted({one["agency"] for one in everything})[0]
    assert lines(road, "decisions", "--agency", agency) == [
        one for one in everything if one["agency"] == agency
    ]
    concerned = [one for one in everything if one["concerned"]]
    assert lines(road, "decisions") == concerned
    case = everything[-1]["case"]
    assert lines(road, "decisions", "--case", case) == [
        one for one in concerned if one["case"] == case
    ]
    middle = everything[len(everything) // 2]["at"]
    early = lines(road, "decisions", "--everybody", "--as-of", str(middle))
    expected = [{**one, "fate": None} for one in everything if one["at"] <= middle]
    assert [{**one, "fate": None} for one in early] == expected


def test_what_was_held_back_is_told_as_such(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    try:
        opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
        road.publish("NGO-1", "CaseOpened", "C1", **opened)
        consent = {**CONSENT, "valid_until": "2026-03-02", "scope": {"SH-1": ["health"]}}
        road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", **consent)
        referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
        when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
        road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
        road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")
        road.settle()
        needs = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="x")
        road.hub.exchange.record(
            [road.hub.ingest.admit(Publisher(road.identities["NGO-1"]).prepare([needs]))]
        )
        road.time.at += timedelta(days=1)
        road.settle()
        told = lines(road, "decisions")
        [held] = [one for one in told if one["kind"] == "sending"]
        assert (held["agency"], held["category"], held["outcome"]) == (
            "SH-1",
            "health",
            "held_back",
        )
        of_it = [one for one in told if one["event"] == held["event"] and one["kind"] == "first"]
        [first] = [one for one in of_it if one["category"] == "health"]
        assert first["fate"]["state"] == "held_back"
        assert first["fate"]["position"] == held["at"]
        permits = [one for one in lines(road, "fhir-audit") if one["type"]["code"] == "110106"]
        assert not any(held["event"] in json.dumps(one) for one in permits), (
            "it was disclosed to nobody"
        )
    finally:
        road.close()


# -- FHIR ------------------------------------------------------------------------------------


def test_every_audit_event_is_valid_and_as_its_profile_asks(road: Road) -> None:
    told = lines(road, "fhir-audit", "--everybody")
    assert len(told) > 20
    for one in told:
        AuditEvent.model_validate(one)
        assert list(faults(one)) == [], one
    claimed = Counter(
        one.get("meta", {}).get("profile", [""])[0].rpartition(".")[2] for one in told
    )
    assert claimed["AuthZconsent"] > 0
    assert claimed["Source"] > 0
    assert {one["outcome"] for one in told} == {"0", "8"}
    assert len({one["id"] for one in told}) == len(told)


def test_the_check_of_profiles_finds_faults(road: Road) -> None:
    told = lines(road, "fhir-audit")
    of_profile = {one["meta"]["profile"][0]: one for one in told if "meta" in one}
    assert len(of_profile) == 2
    for event in of_profile.values():
        for change in (
            lambda one: one.pop("source"),
            lambda one: one["agent"].pop(0),
            lambda one: one["agent"][0].update(who={"display": "somebody else"}),
            lambda one: one["agent"][1].pop("network"),
            lambda one: one["entity"].pop(0),
            lambda one: one.update(action="C"),
            lambda one: one.update(subtype=[]),
            lambda one: one["entity"][0]["what"].update(type="Practitioner"),
        ):
            broken = deepcopy(event)
            change(broken)
            with suppress(KeyError, IndexError):  # or it cannot even be read
                assert list(faults(broken))


def test_permits_denials_and_disclosures_are_the_decisions(road: Road) -> None:
    told, decided = lines(road, "fhir-audit"), lines(road, "decisions")
    for outcome, said in (("0", "released"), ("8", "withheld")):
        found = Counter(
            (agency_of(one), category)
            for one in told
            if one["type"]["code"] == "110113" and one["outcome"] == outcome
            for category in categories(one)
        )
        expected = Counter(
            (one["agency"], one["category"]) for one in decided if one["outcome"] == said
        )
        assert found == expected
    disclosed = {
        (agency_of(one), category)
        for one in told
        if one["type"]["code"] == "110106"
        for category in categories(one)
    }
    assert disclosed == {
        (one["agency"], one["category"])
        for one in decided
        if one["outcome"] == "released" and one["fate"]["sequence"]
    }


def agency_of(event: dict[str, Any]) -> str:
    for agent in event["agent"]:
        if agent["type"]["coding"][0]["code"] in ("IRCP", "110152"):
            return str(agent["who"]["identifier"]["value"])
    raise AssertionError(event)


def categories(event: dict[str, Any]) -> list[str]:
    """Of one kind of entity only: a disclosure on consent tells them of the event and of it."""
    consent = event["type"]["code"] == "110113"
    return [
        detail["valueString"].partition(":")[0]
        for entity in event["entity"]
        if consent or entity["type"]["code"] == "2"
        for detail in entity.get("detail", ())
        if detail["type"] == "category"
    ]


def test_as_one_bundle(road: Road) -> None:
    bundle = json.loads(exported(road, "fhir-audit", "--bundle"))
    Bundle.model_validate(bundle)
    assert [one["resource"] for one in bundle["entry"]] == lines(road, "fhir-audit")


# -- provenance ------------------------------------------------------------------------------


def test_provenance_expands_and_says_the_same(road: Road) -> None:
    """Through a JSON-LD processor, with nothing fetched."""

    def fetches(*_: Any) -> Any:
        raise AssertionError("a document was fetched")

    decided = lines(road, "decisions")
    activities = 0
    copies = set()
    for document in lines(road, "prov"):
        nodes = jsonld.expand(document, {"documentLoader": fetches})
        assert nodes
        by_id = {node["@id"]: node for node in nodes}
        for node in nodes:
            for name, values in node.items():
                if name.startswith(PROV) and name.rpartition("#")[2] != "endedAtTime":
                    assert all(one["@id"] in by_id for one in values), (name, node)
            if f"{PROV}used" in node:
                activities += 1
                assert node["@type"] == [f"{PROV}Activity"]
                [used] = node[f"{PROV}used"]
                assert f"{PROV}wasAttributedTo" in by_id[used["@id"]]
                [ended] = node[f"{PROV}endedAtTime"]
                assert ended["@type"] == "http://www.w3.org/2001/XMLSchema#dateTime"
            if f"{PROV}wasDerivedFrom" in node:
                copies.add(node["@id"])
        assert jsonld.to_rdf(document, {"documentLoader": fetches})["@default"]
    assert activities == len(decided)
    released = [one for one in decided if one["outcome"] == "released" and one["fate"]["sequence"]]
    assert len(copies) == len(released)


def test_researchers_get_names_nobody_else_was_given(road: Road) -> None:
    text = exported(road, "prov")
    exchange = road.hub.exchange
    for one in exchange.log.read(0, 100_000):
        if not isinstance(one.event, stored.EventAccepted):
            continue
        event, case = UUID(bytes=one.event.event_id), one.event.originator_id
        for known in (str(event), event.hex, case.hex, UUID(bytes=one.event.subject_id).hex):
            assert known.encode() not in text
        for agency in road.identities:
            for kind, id_ in (("event", event), ("case", case)):
                assert exchange.pseudonyms.pseudonym(agency, kind, id_).encode() not in text


# -- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["decisions", "fhir-audit", "prov"])
def test_no_content_and_the_same_bytes_again(road: Road, form: str) -> None:
    _, canaries = planted(scenario("S1"))
    once = exported(road, form, "--everybody")
    assert exported(road, form, "--everybody") == once
    assert b"Kanarie" not in once
    for canary in canaries:
        assert not any(shape in once for shape in canary.shapes())


def test_what_is_not_there_is_said_plainly(road: Road) -> None:
    home = ("--home", road.folder / "hub")
    assert "unknown_case" in nrm("audit", "export", "prov", *home, "--case", "no such").err
    assert "unknown_agency" in nrm("audit", "export", "prov", *home, "--agency", "no such").err
    assert "bad_as_of" in nrm("audit", "export", "prov", *home, "--as-of", "soon").err


def test_a_file_is_whole_or_not_there(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = ("--home", road.folder / "hub"), ("--out", tmp_path / "d.jsonl")
    full = nrm("audit", "export", "decisions", *home, "--out", "/dev/full")
    assert (full.code, full.err.count("\n")) == (1, 1)
    assert "No space left on device: make room" in full.err
    with monkeypatch.context() as patch:

        def interrupted(_one: object) -> dict[str, object]:
            raise KeyboardInterrupt

        patch.setattr("hub.audit.export.decisions.line", interrupted)
        assert nrm("audit", "export", "decisions", *home, *out).code != 0
    assert list(tmp_path.iterdir()) == []
    assert nrm("audit", "export", "decisions", *home, *out).code == 0
    assert [one.name for one in tmp_path.iterdir()] == ["d.jsonl"]
    assert "output_exists" in nrm("audit", "export", "decisions", *home, *out).err


@pytest.mark.postgres
def test_on_the_other_database_the_same_bytes(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The decision log, FHIR, provenance, and every decision made again."""
    new = request.getfixturevalue("new_postgres_database")
    road = play(tmp_path, scenario("S1"))
    try:
        exchange = road.hub.exchange
        copy_out(exchange.log.url, tmp_path / "copy.db")
        with HubLog.open(new()) as other:
            copy_in(tmp_path / "copy.db", other)
            ours, theirs = (_all_forms(log, exchange) for log in (exchange.log, other))
        assert ours == theirs
        decisions, fhir, provenance, (divergences, counts) = ours
        assert min(len(decisions), len(fhir)) > 100
        assert len(provenance) > 10
        assert divergences == []
        assert counts["decisions"] > 100
    finally:
        road.close()


def _all_forms(log: HubLog, exchange: Exchange) -> tuple[Any, ...]:
    with Delivered(":memory:", log, log.head) as delivered:
        list(delivered.read())
        groups = list(Decided(log, delivered, log.head, Wanted(outsiders=True)).groups())
    writer = AuditEvents("nrm-hub")
    provenance = Provenance("nrm-hub", partial(exchange.pseudonyms.pseudonym, "prov"))
    again = Redecision(log, exchange.secrets, log.head)
    found = [line(one.as_dict()) for page in again.run() for one in page]
    return (
        [line(log_form.line(one)) for group in groups for one in group],
        [line(event) for group in groups for event in writer.of(group)],
        [line(provenance.document(group)) for group in groups],
        (found, vars(again.counts)),
    )
