"""A FHIR server whose answers are changed in any place: never a crash, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import batch, corrected, identity, opened_case, recalled
from connectors.errors import SinkDownError
from connectors.fhir import Options, open_sink
from connectors.fhir.access import Smart, read_key
from connectors.fhir.proper import proper
from connectors.fhir.server import FhirServer
from connectors.kinds import Place
from connectors.remote.outbound import Answer, Outbound
from connectors.sink import RecallPolicy
from tests.connectors.fhir.test_hostile_server import GOOD
from tests.odd import ODD
from tests.tampered import Tampering


class Memory:
    """Of a FHIR server, what the sink asks for."""

    def __init__(self) -> None:
        self.there: dict[str, Any] = {}
        self.deleted: set[str] = set()
        self.version = 0

    def request(
        self, _: Outbound, method: str, path: str, *, json_body: Any = None, **__: Any
    ) -> Answer:
        if path == "metadata":
            return told(GOOD)
        if path.endswith("$expunge"):
            self.deleted.discard(path.removesuffix("/$expunge"))
            known = "nrm-hub-check" not in path
            return told({"resourceType": "Parameters", "parameter": []}, 200 if known else 404)
        entries = [self._one(**one["request"], **one) for one in json_body["entry"]]
        return told({"resourceType": "Bundle", "entry": entries})

    def _one(self, method: str, url: str, resource: Any = None, **_: Any) -> dict[str, Any]:
        if method == "GET" and url in self.there:
            return {"resource": self.there[url], "response": {"status": "200 OK"}}
        if method == "GET":
            return {"response": {"status": "410" if url in self.deleted else "404"}}
        if method == "DELETE":
            self.there.pop(url, None)
            self.deleted.add(url)
            return {"response": {"status": "204"}}
        self.version += 1
        meta = {**resource.get("meta", {}), "versionId": str(self.version)}
        self.there[url] = {**resource, "meta": meta, "note": [{"text": "of the partner"}]}
        self.deleted.discard(url)
        return {"response": {"status": "200"}}


def told(document: Any, status: int = 200) -> Answer:
    return Answer(status, {}, json.dumps(document).encode())


def test_whatever_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory()
    tampering = Tampering(monkeypatch, memory.request)
    options = Options.model_validate({"url": "http://127.0.0.1:1/fhir"})
    place = Place("POL-1", "test-hub", tmp_path, tmp_path, RecallPolicy())
    sink = open_sink(options, place)
    with tampering.at(0.5):
        for _ in range(5):
            tampering.attempt(sink.prepare, caplog)
    sink.prepare()
    sink.claim()
    batches = [batch(opened_case(1), identity(2)), batch(corrected(3, "e-1", "given_name", "Z"))]
    gone = batch(recalled(4, ("e-1", ["identity"]), ("e-0", ["case_management"])))
    tampering.applied(sink, [*batches, gone], caplog)
    assert sink.position().sequence == 4
    assert "2001-02-03" not in json.dumps(memory.there)
    sink.close()


HUB = {"url": "urn:nrm:written", "extension": [{"url": "name", "valueString": "0"}]}
META = {"versionId": "1", "tag": [{"system": "a"}], "security": [], "profile": ["p"]}
WELL = {"resourceType": "Patient", "id": "x", "meta": META, "extension": [HUB, {"url": "b"}]}


def test_what_a_resource_is_read_for_has_its_shape() -> None:
    assert proper(WELL)
    for value in ODD:
        for name in ("meta", "extension"):
            if name == "meta" or value not in ([], [{}]):
                assert not proper({**WELL, name: value}), (name, value)
    for value in ("x", {"a": 1}, None, [None], ["a"], [["a"]]):
        for name in ("tag", "security"):
            assert not proper({**WELL, "meta": {**META, name: value}}), (name, value)
    for value in ("", " ", "a b", [], {}, "x" * 65):
        assert not proper({**WELL, "meta": {**META, "versionId": value}}), value
    assert not proper({**WELL, "meta": {**META, "versionId": "1\nlog line of theirs"}})
    assert not proper({**WELL, "meta": {**META, "security": [{"code": ["a"]}]}})
    assert not proper({**WELL, "extension": [{**HUB, "extension": [{"url": "a"}]}]})


@pytest.mark.parametrize("status", [409, 412])
def test_a_batch_of_reads_has_no_conflict(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbound, "request", lambda *_, **__: told({}, status))
    with pytest.raises(SinkDownError, match=str(status)):
        FhirServer(Outbound("http://127.0.0.1:1")).read(["Patient/1"])


def test_a_token_may_be_said_to_live_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    body = b'{"access_token": "t", "token_type": "bearer", "expires_in": 1' + b"0" * 400 + b"}"
    monkeypatch.setattr(Outbound, "request", lambda *_, **__: Answer(200, {}, body))
    smart = Smart(Outbound("http://127.0.0.1:1"), "c", read_key(pem.decode()))
    assert smart.headers() == {"authorization": "Bearer t"}
