"""The FHIR sink against HAPI FHIR's JPA server."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from connectors.conformance import (
    CANARY,
    OutageConformance,
    SinkConformance,
    batch,
    claimed,
    demographics,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
    released,
)
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.fhir import coverage, stated
from connectors.fhir.names import Resource
from connectors.fhir.server import FhirServer as Client
from connectors.fhir.server import Found
from connectors.fhir.shapes import shape_of
from fhir_server import FhirServer
from schemas.compartments import INHERIT
from schemas.registry import Schemas
from tests.connectors.fhir.bench import NAMES, Bench
from tests.connectors.middle import middle


@pytest.fixture
def bench(tmp_path: Path, fhir_server: FhirServer) -> Iterator[Bench]:
    bench = Bench(tmp_path, fhir_server)
    yield bench
    bench.close()


class TestConformance(SinkConformance):
    pass


class TestOutages(OutageConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path, fhir_server: FhirServer) -> Iterator[Bench]:
        parts = urlsplit(fhir_server.url)
        assert parts.port
        with middle(parts.port) as between:
            bench = Bench(tmp_path, fhir_server)
            bench.between = between
            bench.options["url"] = parts._replace(netloc=f"127.0.0.1:{between.port}").geturl()
            yield bench
            bench.close()


POINTS = ("before_remote", "after_remote")


@pytest.mark.parametrize("point", POINTS)
def test_killed_around_the_servers_commit(bench: Bench, point: str) -> None:
    what = batch(opened_case(1), identity(2), poison(3))
    dies_applying(bench, what, point)
    sink = claimed(bench)
    assert (sink.position().sequence, sink.owed(10)) == (0, [])
    sink.apply(what)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    assert patient(bench)["meta"]["versionId"] == "1", "the same again is no new version"


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_a_recall_no_receipt_comes_before_the_removal(bench: Bench, point: str) -> None:
    claimed(bench).apply(batch(identity(1), demographics(2)))
    recall = batch(recalled(3, ("e-1", ["identity"])))
    dies_applying(bench, recall, point)
    sink = claimed(bench)
    assert len(sink.owed(10)) == 1
    sink.apply(recall)
    assert CANARY.encode() not in bench.stored()
    assert (bench.shown("e-1") or {})["gender"] == "f"


def test_killed_between_the_recalls_commit_and_the_purge(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be purged is known from the server itself."""
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2)))

    def away(self: Client, key: str) -> None:
        if key.startswith("Basic/"):
            raise SinkDownError("gone")

    recall = batch(recalled(3, ("e-1", ["identity"])))
    with monkeypatch.context() as patched:
        patched.setattr(Client, "purge", away)
        with pytest.raises(SinkDownError):
            sink.apply(recall)
    assert CANARY.encode() in bench.partner.stored(), "only in the history"
    assert (bench.shown("e-1") or {})["given_name"] is None
    sink.apply(recall)
    assert CANARY.encode() not in bench.stored()


# -- every event -------------------------------------------------------------------------------


def everything() -> list[Any]:
    """An event of every type with every field."""
    made = []
    for number, name in enumerate(Schemas.load().types(), start=1):
        schema = Schemas.load().by_type(name)
        kept = coverage.event(schema, schema.fields)
        fields = {c: dict(part) for c, part in kept.fields.items() if c != INHERIT}
        made.append(released(number, f"e-{number}", name, fields))
    return made


def test_every_field_of_every_type_is_held_and_nothing_is_taken_for_edited(
    bench: Bench,
) -> None:
    sink = claimed(bench)
    events = everything()
    sink.apply(batch(*events))
    there = bench.partner.all()
    assert len(there) == 2 * len(events) + len(["Patient", "EpisodeOfCare"])
    for one in events:
        kind = shape_of(one.event_type).resource
        found = there[f"{kind}/{NAMES.id(kind, one.event_ref)}"]
        stated_ = {
            category: {name: value for name, value in part.items() if value is not None}
            for category, part in one.fields.items()
        }
        assert stated.fields(found) == stated_, one.event_type
        assert edited(found) == [], one.event_type
    sink.apply(batch(recalled(len(events) + 1, *[(e.event_ref, e.categories) for e in events])))
    assert bench.partner.all() == {}


def edited(resource: Resource) -> list[str]:
    """Elements that the sink takes for edited by somebody else."""
    from connectors.fhir.ownership import merged

    ours = copy.deepcopy(resource)
    ours["extension"] = [one for one in ours["extension"] if one["url"] != "urn:nrm:written"]
    return list(merged(ours, resource).edited)


def test_more_than_one_transaction_takes(bench: Bench) -> None:
    bench.options["most"] = 10
    sink = claimed(bench)
    events = [identity(n, f"e-{n}") for n in range(1, 15)]
    sink.apply(batch(*events))
    assert all(bench.partner.event(one.event_ref) for one in events)
    sink.apply(batch(recalled(15, *[(one.event_ref, ["identity"]) for one in events])))
    assert bench.partner.call("GET", "Basic?_summary=count")[1]["total"] == 0
    assert bench.partner.get("Patient", "nc-1") is None


def test_labels_and_tags_are_those_of_now(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2), opened_case(3)))
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    for found in (patient(bench), bench.partner.event("e-1") or {}):
        labels = {one["code"] for one in found["meta"]["security"]}
        assert "demographics" in labels
        assert "identity" not in labels
        assert "V" not in labels


# -- what is the partner's ---------------------------------------------------------------------


def patient(bench: Bench) -> Resource:
    found = bench.partner.get("Patient", "nc-1")
    assert found is not None
    return found


def test_what_the_partner_adds_stays_and_what_it_edits_stands(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1, family_name="Stated")))
    found = patient(bench)
    number = {"system": "urn:hospital", "value": "MRN-17"}
    found["identifier"].append(number)
    found["maritalStatus"] = {"text": "theirs"}
    found["birthDate"] = "2001-02-04"
    found["meta"]["tag"].append({"system": "urn:hospital:ward", "code": "7"})
    bench.partner.put(found)
    sink.apply(batch(demographics(2), identity(3, "e-2", family_name="Later")))
    found = patient(bench)
    assert found["name"][0]["family"] == "Later"
    assert found["gender"] == "female"
    assert found["birthDate"] == "2001-02-04", "the partner's edit"
    assert found["maritalStatus"] == {"text": "theirs"}
    assert number in found["identifier"]
    assert {"system": "urn:hospital:ward", "code": "7"} in found["meta"]["tag"]
    assert (bench.shown("e-2") or {})["date_of_birth"] == "2001-02-03", "as stated"
    sink.apply(batch(recalled(4, ("e-1", ["identity"]), ("e-2", ["identity"]))))
    found = patient(bench)
    assert "name" not in found
    assert "birthDate" not in found, "an edit falls with what it was made of"
    assert found["maritalStatus"] == {"text": "theirs"}
    assert number in found["identifier"]
    assert CANARY.encode() not in bench.stored()


def test_a_status_moved_on_by_the_partner_stands(bench: Bench) -> None:
    sink = claimed(bench)
    fields = {"referral_id": "r-1", "urgency": "routine"}
    made = released(1, "e-5", "ReferralMade", {"case_management": fields})
    sink.apply(batch(made))
    found = bench.partner.get("ServiceRequest", "e-5")
    assert found is not None
    bench.partner.put({**found, "status": "on-hold"})
    ended = {"referral_id": "r-1", "outcome": "done"}
    sink.apply(batch(released(2, "e-6", "ReferralEnded", {"case_management": ended})))
    assert (bench.partner.get("ServiceRequest", "e-5") or {})["status"] == "on-hold"
    assert (bench.partner.get("Task", "e-6") or {})["status"] == "completed"


def test_a_status_follows_what_comes_later_and_what_is_recalled(bench: Bench) -> None:
    sink = claimed(bench)
    made = released(1, "e-5", "ReferralMade", {"case_management": {"referral_id": "r-1"}})
    fields = {"referral_id": "r-1", "reason": "safety"}
    declined = released(2, "e-6", "ReferralDeclined", {"case_management": fields})
    sink.apply(batch(made))
    sink.apply(batch(declined))
    assert (bench.partner.get("ServiceRequest", "e-5") or {})["status"] == "revoked"
    sink.apply(batch(recalled(3, ("e-6", ["case_management"]))))
    assert (bench.partner.get("ServiceRequest", "e-5") or {})["status"] == "active"


def test_an_edit_made_at_the_same_moment_is_not_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    read, times = Client.read, []

    def overtaken(self: Client, keys: Sequence[str]) -> dict[str, Found]:
        found = read(self, keys)
        if not times:
            times.append(1)
            bench.partner.put({**patient(bench), "maritalStatus": {"text": "just now"}})
        return found

    monkeypatch.setattr(Client, "read", overtaken)
    sink.apply(batch(demographics(2)))
    found = patient(bench)
    assert (found["gender"], found["maritalStatus"]) == ("female", {"text": "just now"})


def test_recalled_whole_the_partners_own_remains_and_nothing_else(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    bench.partner.put({**patient(bench), "maritalStatus": {"text": "theirs"}})
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    found = patient(bench)
    assert found["maritalStatus"] == {"text": "theirs"}
    assert "name" not in found
    assert bench.partner.event("e-1") is None
    assert CANARY.encode() not in bench.stored()
    sink.apply(batch(identity(3)))
    assert patient(bench)["name"][0]["given"] == [CANARY], "released anew"


def test_what_the_partner_refers_to_is_emptied_where_it_cannot_be_deleted(bench: Bench) -> None:
    sink = claimed(bench)
    fields = {"case_management": {"referral_id": "r-1"}, "protection": {"summary": CANARY}}
    sink.apply(batch(released(1, "e-5", "ReferralMade", fields)))
    theirs = {
        "resourceType": "Task", "id": "theirs", "status": "requested", "intent": "order",
        "focus": NAMES.reference("ServiceRequest", "e-5"), "for": NAMES.patient("nc-1"),
    }  # fmt: skip
    bench.partner.put(theirs)
    sink.apply(batch(recalled(2, ("e-5", ["case_management", "protection"]))))
    left = bench.partner.get("ServiceRequest", "e-5")
    assert left is not None
    assert left["status"] == "entered-in-error"
    assert stated.fields(left) == {}
    assert patient(bench).get("name") is None
    assert CANARY.encode() not in bench.stored()
    assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"]


# -- recalls and history -----------------------------------------------------------------------


def test_recalled_content_is_found_by_no_search_and_in_no_version(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2)))
    call = bench.partner.call
    assert call("GET", f"Patient?given={CANARY}")[1]["total"] == 1
    sink.apply(batch(identity(3, given_name=f"{CANARY}-b")))
    basic = bench.partner.event("e-1") or {}
    sink.apply(batch(recalled(4, ("e-1", ["identity"]))))
    assert call("GET", f"Patient?given={CANARY}")[1]["total"] == 0
    for key in (f"Patient/{NAMES.id('Patient', 'nc-1')}", f"Basic/{basic['id']}"):
        status, history = call("GET", f"{key}/_history")
        assert (status, history["total"]) == (200, 1)
        assert CANARY not in json.dumps(history)
        assert call("GET", f"{key}/_history/1")[0] in (404, 410)
    assert CANARY not in json.dumps(call("GET", "_history?_count=200")[1])


def test_a_server_that_does_not_purge_is_not_begun_with(bench: Bench) -> None:
    bench.partner.allow("expunge", "false")
    try:
        with pytest.raises(SettingsError, match="expunge"):
            bench.open()
        [wrong] = [one for one in bench.made().check() if one.level == "wrong"]
        assert wrong.subject == "$expunge"
        assert "purged_by" in wrong.fix
    finally:
        bench.partner.allow("expunge", "true")


def test_no_receipt_while_the_history_cannot_be_purged(bench: Bench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    bench.partner.allow("expunge", "false")
    recall = batch(recalled(2, ("e-1", ["identity"])))
    try:
        with pytest.raises(SinkDownError, match="expunge"):
            sink.apply(recall)
        assert len(sink.owed(10)) == 1
    finally:
        bench.partner.allow("expunge", "true")
    sink.apply(recall)
    assert CANARY.encode() not in bench.stored()


def test_without_purging_the_content_is_taken_from_use_and_history_keeps_it(
    bench: Bench, fhir_server: FhirServer
) -> None:
    bench.options |= {"purge": "redact", "purged_by": "the nightly job"}
    sink = claimed(bench)
    [warning] = [one for one in bench.made().check() if one.subject == "history"]
    assert (warning.level, "the nightly job" in warning.text) == ("warning", True)
    sink.apply(batch(identity(1)))
    key = f"Patient/{NAMES.id('Patient', 'nc-1')}"
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert bench.partner.call("GET", key)[0] == 410
    assert CANARY not in json.dumps(bench.partner.call("GET", f"{key}/_history/2")[1])
    assert CANARY in json.dumps(bench.partner.call("GET", f"{key}/_history/1")[1])


# -- access, outages, refusals -----------------------------------------------------------------


def test_what_the_check_says_of_this_server(bench: Bench) -> None:
    found = {one.subject: one.level for one in bench.made().check()}
    assert found == {
        "FHIR version": "ok",
        "transaction": "ok",
        "resource types": "ok",
        "update as create": "warning",
        "versions": "ok",
        "$expunge": "ok",
    }


def test_wrong_credentials_are_an_outage(bench: Bench) -> None:
    sink = claimed(bench)
    bench.partner.allow("authorization", "Bearer right")
    try:
        with pytest.raises(SinkDownError, match="401"):
            sink.apply(batch(identity(1)))
        assert bench.made().check()[0].level == "wrong"
        bench.options["token"] = "right"
        again = claimed(bench)
        again.apply(batch(identity(1)))
        assert again.position().sequence == 1
    finally:
        bench.partner.allow("authorization", "")


def test_a_refused_event_is_named_without_its_content(bench: Bench) -> None:
    sink = claimed(bench)
    bad = {"case_management": {"risk_id": "r-1", "reviewed_by": f"no date {CANARY}"}}
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(opened_case(1), released(2, "e-7", "RiskAssessed", bad), identity(3)))
    assert (refused.value.reason, refused.value.sequence) == ("sink_refused", 2)
    assert "Flag" in refused.value.detail
    assert CANARY not in str(refused.value)
    assert sink.position().sequence == 0
    sink.apply(batch(opened_case(1), poison(2, "e-7"), identity(3)))
    assert bench.partner.get("Flag", "e-7") is None


def test_two_agencies_on_one_server_do_not_meet(bench: Bench, tmp_path: Path) -> None:
    claimed(bench).apply(batch(identity(1)))
    from connectors.fhir import Options, open_sink
    from connectors.kinds import Place
    from connectors.sink import RecallPolicy

    folder = tmp_path / "other"
    folder.mkdir()
    place = Place("HEALTH-1", "test-hub", folder, folder, RecallPolicy())
    other = open_sink(Options.model_validate(bench.options), place)
    other.prepare()
    other.claim()
    other.apply(batch(identity(1), recalled(2, ("e-1", ["identity"]))))
    other.close()
    assert (bench.shown("e-1") or {})["given_name"] == CANARY


def test_closed_and_compacted_the_database_file_holds_nothing_recalled(
    bench: Bench, fhir_server: FhirServer
) -> None:
    """What docs/connect-fhir.md says of H2. Stops the server; whoever needs it starts it again."""
    sink = claimed(bench)
    sink.apply(batch(*[identity(n, f"e-{n}") for n in range(1, 4)]))
    assert CANARY.encode() in bench.partner.file(bench.folder / "before")
    sink.apply(batch(recalled(4, *[(f"e-{n}", ["identity"]) for n in range(1, 4)])))
    fhir_server.stop()
    fhir_server.compact()
    for path in fhir_server.home.iterdir():
        assert CANARY.encode() not in path.read_bytes().upper(), path.name


def test_what_landed_is_read_back(bench: Bench) -> None:
    sink = bench.open()
    sink.claim()
    assert sink.landed() == []
    sink.apply(batch(identity(1)))
    told = sink.landed()
    assert {one.about for one in told} == {"Patient", "Basic"}, told
    assert all(CANARY in str(one.content) for one in told)
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert sink.landed() == []
