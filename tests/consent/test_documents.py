"""A consent as standard documents and as a page to keep; what is left of it once erased."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.consent import Consent as FhirConsent

from hub.consent import fhir, iso27560
from hub.consent.parties import named_in
from hub.consent.reading import consent_record
from hub.consent.receipt import languages, receipt, texts
from hub.errors import Refused
from schemas import codelists
from schemas.registry import Schemas
from tests.cli.programs import nrm
from tests.consent.stage import ROLES, accepted, open_case, withdraw
from tests.road import Road

SCOPE = {"SH-1": ["protection", "health"], "POL-1": ["identity"]}
REQUIRED = Path(__file__).with_name("iso27560_required.csv")
# R4 (not R4B): elements that must be there, and the codes of those with a required binding.
R4_REQUIRED = ("status", "scope", "category")
R4_STATUS = {"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    road.close()


def written(road: Road, form: Any, consent: str = "c1") -> dict[str, Any]:
    exchange = road.hub.exchange
    record = consent_record(exchange, "C1", consent, road.time.at.date())
    document = form(record, named_in(exchange.agencies), hub="test-hub")
    assert json.loads(json.dumps(document)) == document
    found: dict[str, Any] = document
    return found


def page(road: Road, language: str = "en") -> str:
    exchange = road.hub.exchange
    record = consent_record(exchange, "C1", "c1", road.time.at.date())
    return receipt(record, named_in(exchange.agencies), language, hub="test-hub")


def erase(road: Road) -> None:
    """The person's right, decided and carried out."""
    asked = {"request_id": "q", "right": "erasure", "due_on": "2026-04-02"}
    decided = {"request_id": "q", "outcome": "granted", "action": "key_destroyed"}
    accepted(road.publish("NGO-1", "SubjectRequestReceived", "C1", **asked))
    accepted(road.publish("NGO-1", "SubjectRequestDecided", "C1", exemption="none", **decided))
    road.settle()


def members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield name, one
            yield from members(one)
    elif isinstance(value, list):
        for one in value:
            yield from members(one)


# -- ISO/IEC TS 27560 --------------------------------------------------------------------------


def test_every_required_field_of_27560_is_there(road: Road) -> None:
    open_case(road, "C1", SCOPE, language="ro", interpreter_used=True)
    document = written(road, iso27560.record)
    there = {name for name, value in members(document) if value not in (None, "", [], {})}
    with REQUIRED.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            relations = {one.strip() for one in row["relation"].split(",")}
            assert relations & there, f"{row['term']}: one of {relations}"
    assert document["dct:conformsTo"] == "ISO/IEC TS 27560:2023"
    assert document["dpv:hasConsentStatus"] == {"@id": "dpv:ConsentGiven"}
    assert document["dct:language"] == "ro"
    assert document["dct:valid"] == "2027-03-01"
    [shelter] = [
        one for one in document["dpv:hasProcess"]
        if one["dpv:hasRecipient"]["dct:identifier"] == "SH-1"
    ]  # fmt: skip
    assert [one["@id"] for one in shelter["dpv:hasPersonalData"]] == [
        "nrm:category:health",
        "nrm:category:protection",
    ]


def test_what_27560_asks_and_nobody_told_is_said_to_be_missing(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    document = written(road, iso27560.record)
    missing = {"@type": "nrm:NotRecorded", "dct:description": "ask the agency"}
    assert document["dpv:hasDataController"]["dpv:hasAddress"] == missing
    assert document["dct:language"]["@type"] == "nrm:NotRecorded"


def test_the_state_and_the_history_follow_the_statements(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    renewal = {"scope": SCOPE, "valid_until": "2027-06-01", "reason": "renewal"}
    accepted(road.publish("NGO-1", "ConsentAmended", "C1", consent_id="c1", **renewal))
    status = written(road, iso27560.record)["dpv:hasConsentStatus"]
    assert status == {"@id": "dpv:RenewedConsentGiven"}
    withdraw(road, "C1", by="SH-1")
    document = written(road, iso27560.record)
    assert document["dpv:hasConsentStatus"] == {"@id": "dpv:ConsentWithdrawn"}
    events = [one["nrm:eventType"] for one in document["nrm:history"]]
    assert events == ["ConsentGiven", "ConsentAmended", "ConsentWithdrawn"]
    assert document["nrm:history"][-1]["dpv:isImplementedByEntity"]["dct:identifier"] == "SH-1"
    positions = [one["nrm:position"] for one in document["nrm:history"]]
    assert positions == sorted(positions)
    assert document["nrm:receiptId"] == f"c1/{positions[-1]}"


# -- FHIR --------------------------------------------------------------------------------------


def check_r4(document: dict[str, Any]) -> None:
    """R4B's own model, and R4's required elements, cardinalities and invariant by hand."""
    FhirConsent.model_validate(document)
    for name in R4_REQUIRED:
        assert document[name], name
    assert document["status"] in R4_STATUS
    assert document.get("policy") or document.get("policyRule"), "ppc-1"
    for name, value in members(document):
        if name == "provision":
            for one in value if isinstance(value, list) else [value]:
                assert one["type"] in ("permit", "deny")
        if name == "actor":
            for one in value:
                assert set(one) == {"role", "reference"}
        if name == "verification":
            for one in value:
                assert isinstance(one["verified"], bool)


@pytest.mark.parametrize("covers_history", [True, False])
def test_a_fhir_consent_denies_and_permits_each_recipient(road: Road, covers_history: bool) -> None:
    open_case(road, "C1", SCOPE, covers_history=covers_history)
    document = written(road, fhir.resource)
    check_r4(document)
    assert document["status"] == "active"
    assert document["provision"]["type"] == "deny"
    permits = document["provision"]["provision"]
    told = {
        one["actor"][0]["reference"]["identifier"]["value"]: [
            code["coding"][0]["code"] for code in one["code"]
        ]
        for one in permits
    }
    assert told == {"POL-1": ["identity"], "SH-1": ["health", "protection"]}
    for one in permits:
        assert one["period"] == {"start": "2026-03-02", "end": "2027-03-01"}
        assert ("dataPeriod" in one) == (not covers_history)


def test_a_pair_granted_later_is_permitted_from_then_on(road: Road) -> None:
    open_case(road, "C1", {"SH-1": ["health"]}, covers_history=False)
    wider = {"scope": {"SH-1": ["health", "contact"]}, "valid_until": "2027-03-01"}
    amended = {"consent_id": "c1", "reason": "widened", **wider}
    accepted(road.publish("NGO-1", "ConsentAmended", "C1", **amended))
    document = written(road, fhir.resource)
    check_r4(document)
    codes = [
        [code["coding"][0]["code"] for code in one["code"]]
        for one in document["provision"]["provision"]
    ]
    assert codes == [["health"], ["contact"]]


@pytest.mark.parametrize(
    ("type_", "data", "status"),
    [
        (
            "ConsentRequested",
            {
                "notice_version": "n1",
                "language": "ro",
                "interpreter_used": False,
                "explained_by_role": "ngo_support",
            },
            "proposed",
        ),
        ("ConsentRefused", {"refused_purposes": ["research"]}, "rejected"),
    ],
)
def test_what_was_never_given_permits_nothing(
    road: Road, type_: str, data: dict[str, Any], status: str
) -> None:
    open_case(road, "C1", {"SH-1": ["health"]})
    accepted(road.publish("NGO-1", type_, "C1", consent_id="c2", **data))
    document = written(road, fhir.resource, "c2")
    check_r4(document)
    assert document["status"] == status
    assert document["provision"] == {"type": "deny"}
    assert written(road, iso27560.record, "c2")["dpv:hasProcess"] == []


def test_a_withdrawn_consent_is_inactive_and_permits_nothing(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    withdraw(road, "C1")
    document = written(road, fhir.resource)
    check_r4(document)
    assert (document["status"], document["provision"]) == ("inactive", {"type": "deny"})


# -- the receipt -------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on a tag that is not closed in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += data


def keys(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return {one for name in value for one in keys(value[name], f"{path}/{name}")}
    return {f"{path}#{len(value)}" if isinstance(value, list) else path}


def test_every_language_says_everything() -> None:
    assert languages() == ("en", "fr", "ro", "uk")
    for language in languages():
        assert keys(texts(language)) == keys(texts("en")), language
        assert all(text.strip() for _, text in members(texts(language)) if isinstance(text, str))
    given = Schemas.load().by_type("ConsentGiven")
    codes = {
        "categories": set(codelists.load("nrm.category").labels),
        "purposes": set(given["purposes"].avro["items"]["symbols"]),
        "given_by": set(given["given_by"].avro["symbols"]),
        "methods": set(given["method"].avro["symbols"]),
    }
    for group, known in codes.items():
        assert set(texts("en")[group]) == known


@pytest.mark.parametrize("language", ["en", "fr", "ro", "uk"])
def test_a_page_to_keep(road: Road, language: str) -> None:
    open_case(road, "C1", SCOPE, language="ro", interpreter_used=True)
    html = page(road, language)
    shown, words = Page(html), texts(language)
    assert ("lang", language) in shown.attributes
    for word in ("health", "protection", "identity"):
        assert words["categories"][word] in shown.text
    assert words["states"]["given"] in shown.text
    assert words["withdraw_text"] in shown.text
    assert "SH-1 office" in shown.text
    assert "2027-03-01" in shown.text
    assert words["covers_history"] in shown.text
    assert not {"script", "link", "img", "iframe", "form", "a"} & set(shown.tags)
    assert not {name for name, _ in shown.attributes} & {"src", "href", "onload", "onclick"}
    assert "http" not in re.sub(r"http-equiv", "", html), "nothing is fetched"


def test_what_an_agency_typed_is_text_and_never_a_tag(road: Road) -> None:
    channel = "<script>alert(1)</script> & call"
    open_case(road, "C1", SCOPE, withdrawal_channel=channel, covers_history=False)
    shown = Page(page(road))
    assert "script" not in shown.tags
    assert channel in shown.text
    assert texts("en")["not_history"] in shown.text


def test_a_withdrawn_consent_shows_nobody(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    withdraw(road, "C1")
    shown = Page(page(road))
    assert texts("en")["nobody"] in shown.text
    assert texts("en")["states"]["withdrawn"] in shown.text


def test_an_unknown_language_names_those_there_are(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    with pytest.raises(Refused, match="en, fr, ro, uk"):
        page(road, "xx")
    with pytest.raises(Refused, match="en, fr, ro, uk"):
        page(road, "../../x")


# -- after an erasure --------------------------------------------------------------------------


def test_after_an_erasure_every_document_is_a_tombstone(road: Road) -> None:
    open_case(road, "C1", SCOPE, withdrawal_channel="Kanarie channel")
    before = written(road, iso27560.record)
    assert "Kanarie channel" in json.dumps(before)
    erase(road)
    record = consent_record(road.hub.exchange, "C1", "c1", road.time.at.date())
    assert record.erased
    iso, health, html = written(road, iso27560.record), written(road, fhir.resource), page(road)
    check_r4(health)
    assert iso["nrm:erased"] is True
    assert [one["nrm:position"] for one in iso["nrm:history"]] == [
        one["nrm:position"] for one in before["nrm:history"]
    ]
    assert (health["status"], "provision" in health, "patient" in health) == (
        "inactive",
        False,
        False,
    )
    assert texts("en")["erased"] in Page(html).text
    for left in (json.dumps(iso), json.dumps(health), html):
        assert "Kanarie" not in left
        assert "SH-1" not in left
        assert "health" not in left.lower() or left is html
    told = nrm("consent", "show", "--home", road.folder / "hub", "--case", "C1")
    assert told.code == 0
    assert "what was said has been erased" in told.out
    assert "Kanarie" not in told.out


# -- the commands ------------------------------------------------------------------------------


def test_the_commands_write_what_the_functions_say(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    home, out = road.folder / "hub", road.folder / "receipt.html"
    asked = ("--home", home, "--case", "C1", "--consent", "c1")
    hub = road.hub.settings.hub_id
    exchange = road.hub.exchange
    told = json.loads(nrm("consent", "record", *asked, "--format", "fhir").out)
    check_r4(told)
    iso = json.loads(nrm("consent", "record", *asked).out)
    assert iso["@id"] == f"urn:nrm:{hub}:consent:C1:c1"
    done = nrm("consent", "receipt", *asked, "--lang", "uk", "--out", out)
    assert (done.code, done.out) == (0, "")
    assert out.stat().st_mode & 0o777 == 0o600
    record = consent_record(exchange, "C1", "c1", road.time.at.date())
    assert out.read_text("utf-8") == receipt(record, named_in(exchange.agencies), "uk", hub=hub)
    wrong = nrm("consent", "receipt", *asked, "--lang", "xx")
    assert (wrong.code, wrong.out) == (1, "")
    assert "unknown_language" in wrong.err
    assert nrm("consent", "record", *asked, "--format", "xml").code == 2
    shown = json.loads(nrm("consent", "show", *asked[:4], "--json").out)
    assert shown[0]["scope"] == {agency: sorted(names) for agency, names in SCOPE.items()}
