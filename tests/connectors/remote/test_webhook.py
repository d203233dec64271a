"""Signed requests: what is signed, what answers mean, and what a lost answer does not do."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    corrected,
    demographics,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.kinds import Place
from connectors.remote.webhook import (
    Ed25519Signature,
    Options,
    WebhookSink,
    open_sink,
    signature_of,
)
from connectors.sink import RecallPolicy
from tests.connectors.remote.receiver import SECRET, Receiver
from tests.connectors.remote.test_webhook_conformance import WebhookBench, receiver

__all__ = ["receiver"]  # a fixture
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()


class Desk:
    """A receiver that answers as told: a status and a body, or nothing at all."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] | None = (200, b'{"removed": true}')
        self.got: list[tuple[dict[str, str], bytes]] = []
        desk = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                desk.got.append((headers, body))
                if desk.answer is None:
                    self.close_connection = True
                    return  # taken, and the answer is lost
                status, said = desk.answer
                self.send_response(status)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/nrm"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


@contextmanager
def sink_to(desk: Desk, home: Path, **more: Any) -> Iterator[WebhookSink]:
    given = {"url": desk.url, "secrets": [SECRET], "seconds": 5, **more}
    place = Place("POL-1", "test-hub", home, home, RecallPolicy())
    sink = open_sink(Options.model_validate(given), place)
    sink.prepare()
    sink.claim()
    try:
        yield sink
    finally:
        sink.close()


# -- signatures ----------------------------------------------------------------------------


def test_two_secrets_while_one_is_changed(desk: Desk, tmp_path: Path) -> None:
    with sink_to(desk, tmp_path, secrets=[SECRET, OTHER]) as sink:
        sink.apply(batch(identity(1)))
    [(headers, body)] = desk.got
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers)["type"] == "nrm.event"
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body.replace(CANARY.encode(), b"x"), headers)


def test_an_asymmetric_signature_needs_the_public_key_only(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PRIVATE + "\n")
    secrets: list[Any] = [{"file": "key"}, SECRET]
    with sink_to(desk, tmp_path, secrets=secrets) as sink:
        sink.apply(batch(identity(1)))
    [(headers, body)] = desk.got
    Webhook(SECRET).verify(body, headers)  # who knows v1 only is not put off
    made = signature_of(PRIVATE)
    assert isinstance(made, Ed25519Signature)
    assert made.public.startswith("whpk_")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(made.public[5:]))
    [text] = [one for one in headers["webhook-signature"].split() if one.startswith("v1a,")]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key.verify(base64.b64decode(text[4:]), signed)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(text[4:]), signed + b" ")


@pytest.mark.parametrize("secret", ["", "s3cret", "whsec_c2hvcnQ=", "whsk_c2hvcnQ=", "whsec_!"])
def test_a_weak_secret_is_refused_and_not_repeated(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        signature_of(secret)
    assert secret == "" or secret not in str(refused.value)


def test_others_are_not_let_in(receiver: Receiver) -> None:
    """The page's receiver, asked by somebody without the secret."""
    receiver.empty()
    body = b'{"type": "nrm.event", "data": {}}'
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": "1764000000",
        "webhook-signature": "v1,AAAA",
    }
    assert receiver.post(body, headers) == 401
    assert receiver.post(body, {}) == 401
    assert receiver.seen() == 0


# -- what comes ----------------------------------------------------------------------------


def test_what_a_request_says(desk: Desk, tmp_path: Path) -> None:
    with sink_to(desk, tmp_path) as sink:
        sink.apply(batch(identity(1), corrected(2, "e-1", "family_name", "Right")))
        sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    event, correction, change, recall = desk.told()
    assert event["type"] == "nrm.event"
    assert event["timestamp"] == event["data"]["occurred_at"]
    assert event["data"]["fields"]["identity"]["given_name"] == CANARY
    assert event["data"]["bases"] == {"identity": "public_task"}
    assert correction["data"]["event_type"] == "RecordCorrected"
    assert change["type"] == "nrm.corrected"
    assert (change["data"]["field"], change["data"]["value"]) == ("family_name", "Right")
    assert recall["type"] == "nrm.recalled"
    assert recall["data"]["categories"] == ["identity"]
    assert CANARY not in json.dumps(recall)
    ids = [headers["webhook-id"] for headers, _ in desk.got]
    assert len(set(ids)) == 4
    assert ids == [one["data"]["id"] for one in desk.told()]


def test_batches_keep_the_order_and_a_recall_goes_alone(desk: Desk, tmp_path: Path) -> None:
    with sink_to(desk, tmp_path, batch=3) as sink:
        sink.apply(
            batch(
                *[identity(n, f"e-{n}") for n in range(1, 6)],
                recalled(6, ("e-1", ["identity"])),
                opened_case(7),
            )
        )
    told = desk.told()
    assert [one["type"] for one in told] == ["nrm.batch", "nrm.batch", "nrm.recalled", "nrm.batch"]
    parts = [one["data"].get("messages", [one]) for one in told]
    order = [part["data"]["sequence"] for some in parts for part in some]
    assert order == [1, 2, 3, 4, 5, 6, 7]


def test_batches_at_the_receiver_of_the_page(receiver: Receiver, tmp_path: Path) -> None:
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path, batch=50)
    sink = claimed(bench)
    sink.apply(batch(identity(1), demographics(2), corrected(3, "e-1", "family_name", "Right")))
    assert (bench.shown("e-1") or {})["family_name"] == "Right"
    sink.apply(batch(recalled(4, ("e-1", ["identity"]), ("e-9", ["identity"]))))
    assert (bench.shown("e-1") or {})["gender"] == "f"
    assert CANARY.encode() not in bench.stored()
    bench.close()


def test_two_corrections_of_one_field_are_both_taken_back(
    receiver: Receiver, tmp_path: Path
) -> None:
    """Taking back is a message each time: a receiver that drops what it has seen misses none."""
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path)
    sink = claimed(bench)
    sink.apply(batch(demographics(1), identity(2)))
    sink.apply(batch(corrected(3, "e-1", "given_name", CANARY + "-1", "e-8")))
    sink.apply(batch(recalled(4, ("e-8", ["identity"]))))
    assert (bench.shown("e-1") or {})["given_name"] is None
    sink.apply(batch(corrected(5, "e-1", "given_name", CANARY + "-2", "e-9")))
    assert (bench.shown("e-1") or {})["given_name"] == CANARY + "-2"
    sink.apply(batch(recalled(6, ("e-9", ["identity", "case_management"]))))
    assert (bench.shown("e-1") or {})["given_name"] is None
    assert f"{CANARY}-2".encode() not in bench.stored()
    bench.close()


def test_a_correction_holds_for_what_is_released_again(receiver: Receiver, tmp_path: Path) -> None:
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path)
    sink = claimed(bench)
    sink.apply(batch(identity(1), corrected(2, "e-1", "family_name", "Right")))
    sink.apply(batch(recalled(3, ("e-1", ["identity"])), identity(4, family_name="Wrong")))
    assert (bench.shown("e-1") or {})["family_name"] == "Right"
    bench.close()


# -- answers -------------------------------------------------------------------------------


def test_a_lost_answer_brings_the_same_id_again(desk: Desk, tmp_path: Path) -> None:
    with sink_to(desk, tmp_path) as sink:
        desk.answer = None
        with pytest.raises(SinkDownError):
            sink.apply(batch(identity(1)))
        assert sink.position().sequence == 0
        desk.answer = (204, b"")
        sink.apply(batch(identity(1), identity(2, "e-2")))
    ids = [headers["webhook-id"] for headers, _ in desk.got]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("point", ["before_remote", "after_remote", "after_sink_commit"])
def test_killed_the_receiver_has_each_once(receiver: Receiver, tmp_path: Path, point: str) -> None:
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path)
    what = batch(identity(1), demographics(2), poison(3))
    dies_applying(bench, what, point)
    sink = claimed(bench)
    assert (sink.owed(10) != []) == (point == "after_sink_commit")
    sink.apply(what)
    assert receiver.seen() == 2
    shown = bench.shown("e-1") or {}
    assert (shown["given_name"], shown["gender"]) == (CANARY, "f")
    bench.close()


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 405, 409, 410, 429, 500, 503])
def test_what_sets_nothing_aside(desk: Desk, tmp_path: Path, status: int) -> None:
    desk.answer = (status, b"")
    with sink_to(desk, tmp_path) as sink:
        with pytest.raises(SinkDownError, match=str(status)) as down:
            sink.apply(batch(identity(1)))
        assert sink.position().sequence == 0
        assert CANARY not in str(down.value)


@pytest.mark.parametrize("status", [413, 422])
def test_what_will_never_be_taken(desk: Desk, tmp_path: Path, status: int) -> None:
    with sink_to(desk, tmp_path) as sink:
        sink.apply(batch(opened_case(1)))
        desk.answer = (status, CANARY.encode())
        with pytest.raises(SinkRefusedError) as refused:
            sink.apply(batch(identity(2)))
        assert (refused.value.reason, refused.value.sequence) == ("sink_refused", 2)
        assert CANARY not in str(refused.value)
        with pytest.raises(SinkRefusedError) as refused, sink_to(desk, tmp_path, batch=9) as many:
            many.apply(batch(identity(2), identity(3, "e-3")))
        assert refused.value.sequence is None


@pytest.mark.parametrize(
    "said", [b"", b"{}", b"true", b'{"removed": "yes"}', b"<html>", b"[" * 60_000, b"x" * 70_000]
)
def test_a_recall_is_not_answered_by_any_2xx(desk: Desk, tmp_path: Path, said: bytes) -> None:
    with sink_to(desk, tmp_path) as sink:
        sink.apply(batch(identity(1)))
        desk.answer = (200, said)
        with pytest.raises(SinkDownError):
            sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
        assert sink.position().sequence == 1
        assert len(sink.owed(10)) == 1, "no receipt for the recall"
        desk.answer = (200, b'{"removed": true}')
        sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
        assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"]


def test_unless_the_partner_stands_for_it(desk: Desk, tmp_path: Path) -> None:
    desk.answer = (204, b"")
    with sink_to(desk, tmp_path, recall_answer="any") as sink:
        sink.apply(batch(identity(1), recalled(2, ("e-1", ["identity"]))))
        assert sink.position().sequence == 2


def test_a_receiver_that_is_away_is_waited_out(receiver: Receiver, tmp_path: Path) -> None:
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path)
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    later = batch(identity(2, "e-2"), recalled(3, ("e-1", ["identity"])))
    with bench.outage():
        for _ in range(2):
            with pytest.raises(SinkDownError, match="no connection"):
                sink.apply(later)
        assert (sink.position().sequence, sink.quarantine()) == (1, [])
    sink.apply(later)
    assert bench.shown("e-1") is None
    assert bench.shown("e-2") is not None
    bench.close()


def test_a_redirect_gets_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.answer = (307, b"")
    with sink_to(desk, tmp_path) as sink, pytest.raises(SinkDownError, match="redirect"):
        sink.apply(batch(identity(1)))
    assert len(desk.got) == 1


# -- settings ------------------------------------------------------------------------------


def test_a_certificate_nobody_named_is_refused(receiver: Receiver, tmp_path: Path) -> None:
    bench = WebhookBench(receiver, tmp_path, ca_file=None)
    receiver.empty()
    with pytest.raises(SinkDownError, match="set ca_file"):
        claimed(bench).apply(batch(identity(1)))
    assert receiver.seen() == 0
    [finding] = bench.open().check()
    assert finding.level == "wrong"
    bench.close()


def test_check_sends_no_message(receiver: Receiver, tmp_path: Path) -> None:
    bench = WebhookBench(receiver, tmp_path)
    receiver.empty()
    [finding] = bench.open().check()
    assert (finding.level, receiver.seen()) == ("ok", 0)
    bench.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://cases.example/nrm"},
        {"url": "ftp://localhost/"},
        {"secrets": []},
        {"batch": 0},
        {"sekrets": [SECRET]},
    ],
)
def test_settings_that_are_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"url": "https://x.example", "secrets": [SECRET], **wrong})


def test_a_certificate_without_its_key(tmp_path: Path) -> None:
    place = Place("POL-1", "test-hub", tmp_path, tmp_path, RecallPolicy())
    options = Options.model_validate(
        {"url": "https://x.example", "secrets": [SECRET], "certificate": "c.pem"}
    )
    with pytest.raises(SettingsError, match="or neither"):
        open_sink(options, place)
