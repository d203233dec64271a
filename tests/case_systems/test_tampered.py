"""DHIS2 and Primero whose answers are changed in any place: never a crash, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.case_systems.dhis2_api import _BROKEN
from connectors.case_systems.dhis2_program import read_program
from connectors.case_systems.primero_forms import read_forms
from connectors.conformance import batch, corrected, identity, opened_case, recalled
from connectors.errors import SinkDownError
from connectors.remote.outbound import Outbound
from tests.case_systems.conftest import Dhis2Bench, PrimeroBench
from tests.case_systems.test_primero import referral
from tests.odd import nested
from tests.tampered import Tampering

HERE = Path(__file__).parent


@pytest.mark.parametrize("kind", ["dhis2", "primero"])
def test_whatever_comes_back(
    kind: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench: Dhis2Bench | PrimeroBench = request.getfixturevalue(kind)
    tampering = Tampering(monkeypatch, Outbound.request)
    sink = bench.unprepared()
    with tampering.at(0.5):
        for _ in range(5):
            tampering.attempt(sink.prepare, caplog)
    sink.prepare()
    sink.claim()
    events = [opened_case(1), identity(2), referral(3)]
    gone = [("e-1", ["identity"]), ("e-0", ["case_management"]), ("e-r", ["case_management"])]
    batches = [batch(*events), batch(corrected(4, "e-1", "given_name", "another"))]
    tampering.applied(sink, [*batches, batch(recalled(5, *gone))], caplog)
    assert sink.position().sequence == 5
    assert bench.shown("e-1") is None


@pytest.mark.parametrize("value", [["TEXT"], {"a": 1}, 5, None, "a\nb", "x" * 500])
@pytest.mark.parametrize("name", ["id", "valueType"])
def test_a_dhis2_program_has_names_that_are_names(name: str, value: Any) -> None:
    """An unhashable type of a field came out of the check of the mapping as a TypeError."""
    program = json.loads((HERE / "dhis2_metadata.json").read_text("utf-8"))["program"]
    read_program(program)
    program["programTrackedEntityAttributes"][0]["trackedEntityAttribute"][name] = value
    with pytest.raises(_BROKEN):
        read_program(program)


@pytest.mark.parametrize("value", [["text_field"], {"a": 1}, 5, None, "a\nb", "x" * 500])
@pytest.mark.parametrize("name", ["name", "type"])
def test_primero_forms_have_names_that_are_names(name: str, value: Any) -> None:
    forms = json.loads((HERE / "primero_forms.json").read_text("utf-8"))["forms"]
    forms[0]["fields"][0][name] = value
    with pytest.raises(_BROKEN):
        read_forms(forms, [])


def test_a_look_that_fails_leaves_what_was_good(
    dhis2: Dhis2Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check beside a running sink got a program without its fields, and the sink used that."""
    sink = dhis2.open()
    sink.claim()
    real = Outbound.request

    def emptied(outbound: Outbound, method: str, path: str, **more: Any) -> Any:
        answer = real(outbound, method, path, **more)
        if "/programs/" not in path:
            return answer
        program = {**json.loads(answer.body), "programStages": []}
        return type(answer)(answer.status, answer.headers, json.dumps(program).encode())

    with monkeypatch.context() as patch:
        patch.setattr(Outbound, "request", emptied)
        assert any(one.level == "wrong" for one in sink.check())
    sink.apply(batch(opened_case(1), identity(2)))
    assert dhis2.shown("e-1") is not None


@pytest.mark.parametrize("notes", [["x"], {"a": 1}, None, 5])
def test_a_referral_of_theirs_may_say_anything(
    notes: Any, primero: PrimeroBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = primero.open()
    sink.claim()
    real = Outbound.request

    def noted(outbound: Outbound, method: str, path: str, **more: Any) -> Any:
        answer = real(outbound, method, path, **more)
        if method != "GET" or not path.endswith("/referrals"):
            return answer
        theirs = {"id": "t-1", "status": "in_progress", "notes": notes}
        data = {"data": [theirs, *json.loads(answer.body)["data"]]}
        return type(answer)(answer.status, answer.headers, json.dumps(data).encode())

    monkeypatch.setattr(Outbound, "request", noted)
    sink.apply(batch(opened_case(1), referral(2)))
    assert len(primero.referrals()) == 1


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"a": nested(100)}),
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '{"a": "\\ud800"}',
        "[" * 9000,
    ],
)
def test_json_that_could_not_be_written_again_is_no_answer(
    body: str, dhis2: Dhis2Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors.remote.outbound import Answer

    sink = dhis2.unprepared()
    monkeypatch.setattr(Outbound, "request", lambda *_, **__: Answer(200, {}, body.encode()))
    with pytest.raises(SinkDownError, match="what is not JSON"):
        sink.prepare()
