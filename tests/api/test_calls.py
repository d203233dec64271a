"""The calls on a real server over a real hub: from a submission to the receipt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID, uuid4

import httpx2
import pytest

from connectors.agency.http import HUB_MESSAGES, split_messages
from connectors.agency.http_auth import signed_requests
from connectors.agency.inbox import HttpInbox
from connectors.agency.outcomes import read_outcomes
from connectors.agency.receipts import sign_receipt
from connectors.agency.transport import HttpTransport
from connectors.runner import Runner
from connectors.sink import OwedReceipt
from connectors.sql import SqlSink
from connectors.submit import Event, Publisher
from hub.crypto import signing
from schemas import wire
from tests.api.conftest import MESSAGE, Api
from tests.patience import PATIENCE, until
from tests.road import CONSENT


def publisher(api: Api, agency: str) -> Publisher:
    identity = api.world.identities[agency]
    transport = HttpTransport(api.server.url, signed_requests(identity), client=api.client)
    return Publisher(identity, transport)


def consented(api: Api, case: str) -> None:
    """A case whose needs the shelter may know, once referred and accepted."""
    scope = {"SH-1": ["protection"]}
    outcomes = publisher(api, "NGO-1").publish(
        [
            Event(
                "CaseOpened",
                case,
                {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"},
            ),
            Event("ConsentGiven", case, {"consent_id": f"c-{case}", "scope": scope, **CONSENT}),
            Event(
                "ReferralMade",
                case,
                {
                    "referral_id": f"r-{case}",
                    "to_agency": "SH-1",
                    "services": ["accommodation"],
                    "urgency": "3_hours",
                    "respond_by": "2099-01-01T15:00:00Z",
                    "basis": f"c-{case}",
                    "summary": "a bed tonight",
                },
            ),
        ]
    )
    assert [one.accepted for one in outcomes] == [True] * 3, outcomes


def test_submission_outcome_delivery_receipt(api: Api) -> None:
    """The whole road over HTTP, with the connectors' own transport, inbox and runner."""
    consented(api, "HTTP-1")
    identity = api.world.identities["SH-1"]
    inbox = HttpInbox(api.server.url, signed_requests(identity))
    database = api.world.folder / "shelter.db"
    sink = SqlSink(f"sqlite:///{database}", "SH-1", identity.hub.hub)
    runner = Runner(inbox, sink, identity)
    try:
        until(lambda: runner.run_once().receipts)
        acknowledged = api.world.hub.receipts.acknowledged("SH-1")
        assert acknowledged > 0
        assert acknowledged == api.world.hub.exchange.log.tracking("sent/SH-1")
        assert not runner.alarms
    finally:
        inbox.close()
        sink.close()


def test_the_outcome_can_be_asked_for_again_and_only_by_its_agency(api: Api) -> None:
    sealed = api.world.opening("HTTP-2")
    answer = api.call("POST", "/v1/submissions", body=sealed)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MESSAGE)
    [told] = read_outcomes(answer.content, api.world.identities["NGO-1"])
    assert told.accepted

    again = api.call("POST", "/v1/submissions", body=sealed)
    asked = api.call("GET", f"/v1/outcomes/{told.event_id}")
    for answer in (again, asked):
        [same] = read_outcomes(answer.content, api.world.identities["NGO-1"])
        assert (same.event_id, same.position, same.digest, same.recorded_at) == (
            told.event_id,
            told.position,
            told.digest,
            told.recorded_at,
        )

    foreign = api.call("GET", f"/v1/outcomes/{told.event_id}", agency="SH-1")
    unknown = api.call("GET", f"/v1/outcomes/{uuid4()}", agency="SH-1")
    no_uuid = api.call("GET", "/v1/outcomes/kanarie", agency="SH-1")
    no_path = api.call("GET", "/v1/nothing", agency="SH-1")
    for answer in (foreign, unknown, no_uuid, no_path):
        assert answer.status_code == 404
        assert answer.json() == foreign.json()
        assert {n for n in answer.headers if n != "x-request-id"} == {
            n for n in foreign.headers if n != "x-request-id"
        }


def test_refused_events_are_answered_200_with_signed_outcomes(api: Api) -> None:
    no_such_referral = api.world.sealed("POL-1", "ReferralAccepted", "HTTP-3", referral_id="none")
    answer = api.call("POST", "/v1/submissions", agency="POL-1", body=no_such_referral)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MESSAGE)
    [outcome] = read_outcomes(answer.content, api.world.identities["POL-1"])
    assert (outcome.accepted, outcome.step) == (False, 7)
    assert outcome.reason


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xc3\x01", b"not Avro at all" * 100])
def test_a_message_the_hub_cannot_read_still_gets_a_signed_outcome(api: Api, body: bytes) -> None:
    answer = api.call("POST", "/v1/submissions", body=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MESSAGE)
    batch = wire.OUTCOME_BATCH.unsingle(answer.content)
    [outcome] = [wire.OUTCOME.unsingle(one) for one in batch["outcomes"]]
    assert outcome["event_id"] is None
    assert (outcome["step"], outcome["reason"]) == (2, "malformed")


def test_an_agency_submits_only_what_it_signed(api: Api) -> None:
    theirs = api.world.opening("HTTP-4")
    before = api.world.hub.exchange.position
    answer = api.call("POST", "/v1/submissions", agency="SH-1", body=theirs)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_yours")
    assert api.world.hub.exchange.position == before or "NGO-1" not in {
        getattr(one.event, "emitter", "") for one in api.world.hub.exchange.log.read(before, 100)
    }


def quiet(value: Callable[[], int], seconds: float = 0.5) -> None:
    """Wait until a number has not moved for a while."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.02)
        if value() != last:
            last, since = value(), time.monotonic()


def test_deliveries_are_the_callers_own_and_start_after_any_sequence(api: Api) -> None:
    consented(api, "HTTP-5")
    hub = api.world.hub
    until(lambda: hub.exchange.log.tracking("sent/SH-1") >= 1)
    quiet(lambda: hub.exchange.log.tracking("sent/SH-1"))
    answer = api.call("GET", "/v1/deliveries?after=0", agency="SH-1")
    assert (answer.status_code, answer.headers["content-type"]) == (200, HUB_MESSAGES)
    sealed = [wire.SEALED_DELIVERIES.unsingle(one) for one in split_messages(answer.content)]
    own = hub.exchange.pseudonyms.recipient_ref("SH-1")
    assert {one["recipient"] for one in sealed} == {own}
    assert sealed[0]["first_sequence"] == 1
    last = sealed[-1]["last_sequence"]

    nothing = api.call("GET", f"/v1/deliveries?after={last}&wait=0", agency="SH-1")
    assert (nothing.status_code, nothing.content) == (204, b"")
    one = api.call("GET", "/v1/deliveries?after=0&limit=1", agency="SH-1")
    assert len(split_messages(one.content)) == 1
    police = api.call("GET", "/v1/deliveries?after=0", agency="POL-1")
    assert own not in {
        wire.SEALED_DELIVERIES.unsingle(m)["recipient"] for m in split_messages(police.content)
    }


def test_deliveries_are_split_at_the_size_of_a_response(serve: object, api: Api) -> None:
    from hub.api.limits import Limits

    small = serve(Limits(deliveries_bytes=1))  # type: ignore[operator]
    for case in ("HTTP-6", "HTTP-7"):
        consented(api, case)
    until(lambda: api.world.hub.exchange.log.tracking("sent/SH-1") >= 2)
    answer = small.call("GET", "/v1/deliveries?after=0&limit=500", agency="SH-1")
    assert len(split_messages(answer.content)) == 1


def test_waiting_ends_when_something_is_sent_and_not_before(api: Api) -> None:
    hub = api.world.hub
    quiet(lambda: hub.exchange.log.tracking("sent/SH-1"))  # what other tests caused is sent
    after = hub.exchange.log.tracking("sent/SH-1")
    started = time.monotonic()
    nothing = api.call("GET", f"/v1/deliveries?after={after}&wait=0.5", agency="SH-1")
    assert nothing.status_code == 204
    assert time.monotonic() - started > 0.4

    answers: list[tuple[float, httpx2.Response]] = []

    def wait() -> None:
        began = time.monotonic()
        answer = api.call("GET", f"/v1/deliveries?after={after}&wait=25", agency="SH-1")
        answers.append((time.monotonic() - began, answer))

    waiter = threading.Thread(target=wait)
    waiter.start()
    time.sleep(0.3)
    assert not answers
    consented(api, "HTTP-8")
    waiter.join(PATIENCE)
    [(waited, answer)] = answers
    assert answer.status_code == 200
    assert waited < 25
    [first, *_] = split_messages(answer.content)
    assert wire.SEALED_DELIVERIES.unsingle(first)["first_sequence"] == after + 1


def test_only_so_many_calls_of_one_agency_wait(serve: Callable[[], Api]) -> None:
    api = serve()
    after = api.world.hub.exchange.log.tracking("sent/POL-1")
    done: list[int] = []

    def wait() -> None:
        answer = api.call("GET", f"/v1/deliveries?after={after}&wait=25", agency="POL-1")
        done.append(answer.status_code)

    threads = [threading.Thread(target=wait) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(done) == 2)  # the two that came first were let go
    api.server.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert done == [204] * 6


def test_a_caller_ahead_of_the_hub_is_told_so(api: Api) -> None:
    answer = api.call("GET", "/v1/deliveries?after=100000", agency="SH-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "ahead_of_hub")


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "limit=0",
        "limit=501",
        "wait=-1",
        "wait=x",
        "after=",
        "again=-1",
        "again=x",
    ],
)
def test_parameters_have_ranges(api: Api, query: str) -> None:
    answer = api.call("GET", f"/v1/deliveries?{query}", agency="SH-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_parameter")
    unsigned = api.client.get(f"/v1/deliveries?{query}")
    assert (unsigned.status_code, unsigned.json()["code"]) == (401, "unauthenticated")


def receipt(api: Api, agency: str, first: int, last: int, signer: str = "") -> bytes:
    from datetime import UTC, datetime

    owed = OwedReceipt(id=1, first=first, last=last, applied_at=datetime.now(UTC), exceptions=())
    signed = sign_receipt(api.world.identities[agency], owed)
    if signer:
        body = wire.SIGNED_RECEIPT.unsingle(signed)["receipt"]
        forged = api.world.identities[signer].signing.sign(signing.RECEIPT, body)
        signed = wire.SIGNED_RECEIPT.single({"receipt": body, "signature": forged})
    return signed


def test_receipts_are_refused_for_their_reason(api: Api) -> None:
    cases = [
        (b"", "malformed"),
        (receipt(api, "SH-1", 5, 4), "bad_range"),
        (receipt(api, "SH-1", 1, 1, signer="POL-1"), "bad_signature"),
    ]
    for body, reason in cases:
        answer = api.call("POST", "/v1/receipts", agency="SH-1", body=body)
        assert answer.status_code == 422, body
        assert (answer.json()["code"], answer.json()["reason"]) == ("receipt_refused", reason)
    foreign = api.call("POST", "/v1/receipts", agency="POL-1", body=receipt(api, "SH-1", 1, 1))
    assert (foreign.status_code, foreign.json()["code"]) == (403, "not_yours")


def test_a_receipt_twice_is_one_receipt(api: Api) -> None:
    consented(api, "HTTP-9")
    hub = api.world.hub
    until(lambda: hub.exchange.log.tracking("sent/SH-1") >= 1)
    last = hub.exchange.log.tracking("sent/SH-1")
    body = receipt(api, "SH-1", 1, last)
    before = hub.exchange.log.counts().by_topic.get("nrm.ReceiptLog.Received", 0)
    for _ in range(2):
        answer = api.call("POST", "/v1/receipts", agency="SH-1", body=body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert hub.receipts.acknowledged("SH-1") >= last
    assert hub.exchange.log.counts().by_topic["nrm.ReceiptLog.Received"] - before <= 1


def test_the_registry_is_signed_and_not_sent_twice(api: Api) -> None:
    answer = api.call("GET", "/v1/registry", agency="POL-1")
    assert answer.status_code == 200
    signed = wire.SIGNED_REGISTRY.unsingle(answer.content)
    public = api.world.hub.keys.signing.public
    signing.verify(public, signing.REGISTRY, signed["registry"], signed["signature"])
    names = {one["agency"] for one in wire.REGISTRY.unsingle(signed["registry"])["agencies"]}
    assert names >= {"NGO-1", "SH-1", "POL-1"}
    tag = answer.headers["etag"]
    same = api.call("GET", "/v1/registry", agency="POL-1", headers={"if-none-match": tag})
    assert (same.status_code, same.content) == (304, b"")


def test_schemas_can_be_fetched_by_id_and_checked(api: Api) -> None:
    import hashlib

    listed = api.client.get("/v1/schemas").json()
    assert len(listed["events"]) > 50
    assert {one["name"] for one in listed["messages"]} >= {"SealedSubmission", "OutcomeBatch"}
    for entry in listed["events"]:
        text = api.client.get(f"/v1/schemas/{entry['id']}").content
        assert hashlib.sha256(text).hexdigest() == entry["id"]
    for entry in listed["messages"]:
        assert api.client.get(f"/v1/schemas/{entry['fingerprint']}").status_code == 200
    assert api.client.get("/v1/schemas/00").json()["code"] == "not_found"


def test_which_hub_this_is(api: Api) -> None:
    told = api.client.get("/v1/hub").json()
    pinned = api.world.identities["NGO-1"].hub
    assert told["hub"] == pinned.hub
    assert bytes.fromhex(told["ingest_key"]["public"]) == pinned.ingest_key
    assert {one["key_id"] for one in told["signing_keys"]} == {k.hex() for k in pinned.keys}


def test_an_httpx_client_signs_by_itself(api: Api) -> None:
    sealed = api.world.opening("HTTP-10")
    with httpx2.Client(base_url=api.server.url, auth=api.signature("NGO-1")) as client:
        for _ in range(2):  # a token per request, though the request is the same
            answer = client.post(
                "/v1/submissions", content=sealed, headers={"content-type": MESSAGE}
            )
            assert answer.status_code == 200
        query = client.get("/v1/deliveries", params={"after": 0, "wait": 0.1})
        assert query.status_code in (200, 204)


def test_event_ids_are_read_as_uuids(api: Api) -> None:
    sealed = api.world.opening("HTTP-11")
    answer = api.call("POST", "/v1/submissions", body=sealed)
    [told] = read_outcomes(answer.content, api.world.identities["NGO-1"])
    assert isinstance(told.event_id, UUID)
    shouted = str(told.event_id).upper()
    assert api.call("GET", f"/v1/outcomes/{shouted}").status_code == 200


def test_a_key_revoked_while_its_message_waits_admits_nothing(api: Api) -> None:
    """Validity is by log position, and the position is where the event would stand."""
    world = api.world
    world.enrol("NGO-2", "ngo_support")
    facts = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    waiting = world.hub.ingest.admit(world.sealed("NGO-2", "CaseOpened", "HTTP-12", **facts))
    assert waiting.key_id is not None
    world.hub.enrolment.revoke("NGO-2", None, reason="stolen", by="operator")
    [[outcome]] = world.hub.exchange.record([waiting])
    assert not outcome.accepted
    assert outcome.refusal is not None
    assert (outcome.refusal.step, outcome.refusal.reason) == (3, "revoked_key")
    assert (outcome.event_id, outcome.digest) == (None, waiting.digest)
