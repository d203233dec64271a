"""Inbox and transport over HTTP, against a hub by script (tests/api has the real one)."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx2
import pytest

from connectors.agency.http import HUB_MESSAGE, HUB_MESSAGES, join_messages, split_messages
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox
from connectors.agency.transport import HttpTransport
from connectors.errors import StopError, TransportDownError
from connectors.submit import Publisher
from tests.connectors.builder import MiniHub, case_opened

Answer = Callable[[httpx2.Request], httpx2.Response]


def client_of(answer: Answer) -> httpx2.Client:
    """Answers come in pieces, as from a server."""

    def streamed(request: httpx2.Request) -> httpx2.Response:
        whole = answer(request)
        pieces = httpx2.ByteStream(whole.content)
        return httpx2.Response(whole.status_code, headers=whole.headers, stream=pieces)

    return httpx2.Client(transport=httpx2.MockTransport(streamed))


def inbox(answer: Answer) -> HttpInbox:
    client = client_of(answer)
    return HttpInbox(
        "http://hub.test/", lambda m, p, b: {"x-signed": f"{m} {p} {len(b)}"}, client=client
    )


@pytest.fixture
def messages(hub: MiniHub, shelter: AgencyIdentity, police: AgencyIdentity) -> list[bytes]:
    events = hub.stated(shelter, case_opened("C-1"), case_opened("C-2"))
    return [hub.message("POL-1", [hub.release("POL-1", event)]) for event in events]


def test_messages_are_read_from_where_the_last_one_ended(messages: list[bytes]) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        assert request.headers["x-signed"] == f"GET {request.url.raw_path.decode()} 0"
        if "after=2" in asked[-1]:
            return httpx2.Response(204)
        return httpx2.Response(
            200, content=join_messages(messages), headers={"content-type": HUB_MESSAGES}
        )

    box = inbox(answer)
    box.start("ignored", 0)
    assert [one.value for one in box.read(10, 60)] == messages
    assert box.read(10, 0) == []
    assert box.rewind(1)
    assert len(box.read(10, 0)) == 2
    assert asked == [
        "http://hub.test/v1/deliveries?after=0&limit=10&wait=15&again=0",
        "http://hub.test/v1/deliveries?after=2&limit=10&wait=0&again=0",
        "http://hub.test/v1/deliveries?after=0&limit=10&wait=0&again=0",
    ]


def test_it_knows_what_it_was_sent_again_and_goes_no_way_back(messages: list[bytes]) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url).partition("?")[2])
        told = {"nrm-again": "3", "nrm-again-mark": "5f1c", "nrm-answered": "2"}
        return httpx2.Response(200, content=join_messages(messages[:1]), headers=told)

    box = inbox(answer)
    box.start("again:2", 2)
    [sealed] = box.read(10, 0)
    box.read(10, 0)
    box.start(sealed.cursor, 2)
    box.read(10, 0)
    box.start("a topic's life:7", 2)
    box.read(10, 0)
    assert [one.replace("&limit=10&wait=0", "") for one in asked] == [
        "after=2&again=2",
        "after=2&again=3&again_mark=5f1c",
        "after=2&again=3&again_mark=5f1c",
        "after=2&again=0",
    ]


def test_a_hub_that_lacks_receipts_is_asked_from_there_once(messages: list[bytes]) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url).partition("?")[2].partition("&")[0])
        told = {"nrm-again": "0", "nrm-answered": "1"}
        if asked[-1] == "after=1":
            return httpx2.Response(200, content=join_messages(messages[1:]), headers=told)
        return httpx2.Response(204, headers=told)

    box = inbox(answer)
    for _ in range(2):
        box.start("", 2)
        assert [one.value for one in box.read(10, 0)] == messages[1:]
        assert box.read(10, 0) == []
    assert asked == ["after=2", "after=1", "after=2"] * 2


@pytest.mark.parametrize(
    "said", [{}, {"nrm-again": "x", "nrm-again-mark": "&x", "nrm-answered": "-1"}]
)
def test_a_hub_that_is_older_or_nonsense_on_the_way_changes_nothing(said: dict[str, str]) -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url).partition("?")[2])
        return httpx2.Response(204, headers=said)

    box = inbox(answer)
    box.start("again:4", 9)
    assert box.read(1, 0) == box.read(1, 0) == []
    assert set(asked) == {"after=9&limit=1&wait=0&again=4"}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_waited_out(status: int) -> None:
    box = inbox(lambda request: httpx2.Response(status))
    with pytest.raises(TransportDownError, match=str(status)):
        box.read(1, 0)


def test_what_does_not_pass_says_what_the_hub_says() -> None:
    problem = {"code": "revoked_key", "next": "Rotate the key."}
    box = inbox(lambda request: httpx2.Response(403, content=json.dumps(problem).encode()))
    with pytest.raises(StopError, match=r"403 revoked_key: Rotate the key\."):
        box.send_receipts([b"x"])
    stranger = inbox(lambda request: httpx2.Response(404, content=b"<html>"))
    with pytest.raises(StopError, match="check the URL"):
        stranger.registry()


def test_no_answer_is_an_outage() -> None:
    def refused(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    with pytest.raises(TransportDownError, match=r"http://hub\.test"):
        inbox(refused).read(1, 0)


def test_an_answer_cut_short_is_an_outage(messages: list[bytes]) -> None:
    box = inbox(lambda request: httpx2.Response(200, content=join_messages(messages)[:-1]))
    with pytest.raises(TransportDownError, match="cut short"):
        box.read(1, 0)


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"ccc"]])
def test_framing(parts: list[bytes]) -> None:
    assert split_messages(join_messages(parts)) == parts
    with pytest.raises(ValueError, match="cut short"):
        split_messages(join_messages([*parts, b"x"])[:-1])


def test_publishing(hub: MiniHub, shelter: AgencyIdentity) -> None:
    tries = 0

    def answer(request: httpx2.Request) -> httpx2.Response:
        nonlocal tries
        tries += 1
        if tries == 1:
            return httpx2.Response(503)
        assert request.headers["content-type"] == HUB_MESSAGE
        return httpx2.Response(200, content=hub.outcomes(request.content))

    client = client_of(answer)
    transport = HttpTransport("http://hub.test", client=client)
    [outcome] = Publisher(shelter, transport).publish([case_opened()])
    assert outcome.accepted
    assert tries == 2
