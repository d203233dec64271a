"""FHIR servers that lie, leak or break off: bounded, never believed, never quoted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import CANARY, batch, identity, opened_case
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.fhir import FhirSink, Options, checking, open_sink
from connectors.fhir.server import FhirServer
from connectors.kinds import Place
from connectors.remote.outbound import Answer
from connectors.sink import RecallPolicy
from tests.answering import Answer as Told
from tests.answering import Answering, Asked

GOOD = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "rest": [
        {
            "interaction": [{"code": "transaction"}],
            "resource": [
                {
                    "type": kind,
                    "interaction": [{"code": c} for c in ("read", "update", "delete")],
                    "versioning": "versioned-update",
                    "updateCreate": True,
                }
                for kind in checking.TYPES
            ],
        }
    ],
}
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "invalid", "diagnostics": f"bad name: {CANARY}"}],
}


class Server:
    """Answers metadata and $expunge well; everything else as the test says."""

    def __init__(self) -> None:
        self.metadata: Any = GOOD
        self.transaction: Any = OUTCOME
        self.status = 200
        self.batch: Any = None
        self.asked: list[str] = []
        self._server = Answering(self._answer)
        self.url = f"{self._server.url}/fhir"
        self.stop = self._server.close

    def _answer(self, asked: Asked) -> Told:
        if asked.method == "GET":
            return said(200, self.metadata)
        body = json.loads(asked.body)
        self.asked.append(body.get("type", asked.path))
        if asked.path.endswith("$expunge"):
            return said(404, OUTCOME)
        if body["type"] == "batch":
            missing = {"response": {"status": "404 Not Found", "outcome": OUTCOME}}
            return said(200, self.batch or bundle("batch", [missing] * len(body["entry"])))
        return said(self.status, self.transaction)


def said(status: int, document: Any) -> Told:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Told(status, raw)


def bundle(kind: str, entries: list[Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": f"{kind}-response", "entry": entries}


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def sink(server: Server, tmp_path: Path) -> Iterator[FhirSink]:
    options = Options.model_validate({"url": server.url, "seconds": 5})
    sink = open_sink(options, Place("POL-1", "test-hub", tmp_path, tmp_path, RecallPolicy()))
    yield sink
    sink.close()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_is_quarantined_and_what_it_echoes_is_told_nobody(
    server: Server, sink: FhirSink, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.status = status
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(identity(1)))
    assert refused.value.reason == "sink_refused"
    assert str(status) in refused.value.detail
    assert CANARY not in str(refused.value)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404, 405, 409, 410, 412, 429, 500, 503])
def test_everything_else_is_waited_out(server: Server, sink: FhirSink, status: int) -> None:
    server.status = status
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkDownError) as down:
        sink.apply(batch(identity(1)))
    assert CANARY not in str(down.value)
    assert len(server.asked) < 20, "tried a bounded number of times"
    assert sink.owed(10) == []


OK = {"response": {"status": "201 Created"}}


@pytest.mark.parametrize(
    "answer",
    [
        OUTCOME,
        b"not json",
        b"[" * 100_000,
        [],
        bundle("transaction", []),
        bundle("transaction", [OK] * 9),
        bundle("transaction", ["no", "entries", "at", "all"]),
        bundle("transaction", [OK, {"response": {"status": "400 Bad"}}, OK, OK]),
        bundle("transaction", [OK, {}, OK, OK]),
        {"resourceType": "Bundle", "entry": {"0": OK}},
        b" " * (40 * 1024 * 1024),
    ],
    ids=range(11),
)
def test_a_transaction_that_is_not_plainly_done_owes_no_receipt(
    server: Server, sink: FhirSink, answer: Any
) -> None:
    server.transaction = answer
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkDownError) as down:
        sink.apply(batch(identity(1)))
    assert CANARY not in str(down.value)
    assert sink.owed(10) == []


def other(kind: str = "Patient", **more: Any) -> Any:
    resource = {"resourceType": kind, "id": "another", "meta": {"versionId": "1"}, **more}
    return {"response": {"status": "200 OK"}, "resource": resource}


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [other()] * 4,
        [other(meta={})] * 4,
        [{"response": {"status": "200 OK"}}] * 4,
        [{"response": {"status": "500 Internal", "outcome": OUTCOME}}] * 4,
        [{}] * 4,
    ],
)
def test_a_read_that_shows_something_else_is_not_merged_with(
    server: Server, sink: FhirSink, entries: list[Any]
) -> None:
    server.batch = bundle("batch", entries)
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkDownError) as down:
        sink.apply(batch(identity(1), opened_case(2)))
    assert CANARY not in str(down.value)
    assert "transaction" not in server.asked


def changed(**more: Any) -> dict[str, Any]:
    rest = {**GOOD["rest"][0], **more.pop("rest", {})}  # type: ignore[index]
    return {**GOOD, "rest": [rest], **more}


@pytest.mark.parametrize(
    ("metadata", "subject"),
    [
        (changed(fhirVersion="5.0.0"), "FHIR version"),
        (changed(fhirVersion=7), "FHIR version"),
        (changed(rest={"interaction": []}), "transaction"),
        (changed(rest={"resource": []}), "resource types"),
        (changed(rest={"resource": "all"}), "resource types"),
        (changed(rest={"resource": [{}, {"type": []}]}), "resource types"),
        ({"resourceType": "CapabilityStatement"}, "FHIR version"),
        ({"resourceType": "CapabilityStatement", "rest": 3}, "transaction"),
    ],
)
def test_a_server_that_cannot_serve_stops_the_connector(
    server: Server, sink: FhirSink, metadata: Any, subject: str
) -> None:
    server.metadata = metadata
    with pytest.raises(SettingsError, match=subject):
        sink.prepare()
    wrong = [one for one in sink.check() if one.level == "wrong"]
    assert subject in [one.subject for one in wrong]
    assert all(one.fix for one in wrong)


def test_rights_that_are_missing_are_named(server: Server, sink: FhirSink) -> None:
    resources = [dict(one) for one in GOOD["rest"][0]["resource"]]  # type: ignore[index]
    resources[0]["interaction"] = [{"code": "read"}]
    resources[1]["updateCreate"] = False
    resources.pop()
    server.metadata = changed(rest={"resource": resources})
    found = {one.subject: one for one in sink.check()}
    assert found["resource types"].text == "no Provenance; Patient: update, delete"
    assert found["update as create"].level == "wrong"


@pytest.mark.parametrize("metadata", [OUTCOME, b"<html>", [], "text"])
def test_something_that_is_no_fhir_server(server: Server, sink: FhirSink, metadata: Any) -> None:
    server.metadata = metadata
    with pytest.raises(SinkDownError):
        sink.prepare()
    [wrong] = sink.check()
    assert (wrong.level, CANARY in wrong.text) == ("wrong", False)


def test_a_server_that_keeps_no_history_needs_no_purging(server: Server, tmp_path: Path) -> None:
    resources = [
        {**one, "versioning": "no-version"}
        for one in GOOD["rest"][0]["resource"]  # type: ignore[index]
    ]
    server.metadata = changed(rest={"resource": resources})
    given = {"url": server.url, "purge": "redact", "purged_by": "it keeps none"}
    place = Place("POL-1", "test-hub", tmp_path, tmp_path, RecallPolicy())
    sink = open_sink(Options.model_validate(given), place)
    found = {one.subject: one.level for one in sink.check()}
    assert (found["history"], found["versions"]) == ("ok", "warning")
    sink.close()


@pytest.mark.parametrize("parameters", [5, "all", [3], [{"valueInteger": "x"}], None])
def test_a_purge_that_says_nonsense_is_no_crash(parameters: Any) -> None:
    told = {"resourceType": "Parameters", "parameter": parameters}

    class Says:
        def request(self, *_: Any, **__: Any) -> Answer:
            return Answer(200, {}, json.dumps(told).encode())

    FhirServer(Says()).purge("Patient/a")  # type: ignore[arg-type]
