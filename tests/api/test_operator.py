"""What an operator sees: alive, ready, numbers; and who else may see them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.api.operator import readiness
from hub.api.server import serve_api
from hub.api.waiting import PER_AGENCY
from hub.errors import NotReady
from hub.home import Home
from hub.hub import Hub
from hub.store.errors import StoreBusy
from hub.topics.port import TopicUnavailable
from tests.api.conftest import Api, World
from tests.patience import PATIENCE, until


def value(text: str, series: str) -> float:
    [line] = [line for line in text.splitlines() if line.startswith(series + " ")]
    return float(line.rpartition(" ")[2])


def behind(text: str) -> bool:
    """Whether something recorded waits to be marked, or is under no checkpoint."""
    return value(text, "nrm_publisher_lag") > 0 or value(text, "nrm_checkpoint_size") < value(
        text, "nrm_log_head"
    )


def test_alive_and_ready(api: Api) -> None:
    assert api.client.get("/healthz").json() == {"alive": True}
    until(lambda: api.world.hub.exchange.log.latest_checkpoint() is not None)
    answer = api.client.get("/readyz")
    assert answer.json() == {
        "ready": True,
        "store": "ok",
        "topics": "ok",
        "loops": "ok",
        "checkpoint": "ok",
    }
    assert answer.status_code == 200


def test_what_is_away_is_named_in_one_word(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = world.hub

    def away(*_: object) -> int:
        raise TopicUnavailable("away")

    monkeypatch.setattr(hub.topics, "end", away)
    assert readiness(hub)["topics"] == "unavailable"
    monkeypatch.setattr("hub.api.operator.uncovered_seconds", lambda _: 61.0)
    monkeypatch.setattr(hub.loops, "failure", RuntimeError("a loop"))
    told = readiness(hub)
    assert not told["ready"]
    assert (told["checkpoint"], told["loops"], told["store"]) == ("late", "failed", "ok")


def test_a_stopped_hub_says_so_and_takes_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.world.hub.loops, "failure", RuntimeError("a loop"))
    for answer in (
        api.call("POST", "/v1/submissions", body=api.world.opening("OP-1")),
        api.call("GET", "/v1/deliveries"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "stopped")
        assert int(answer.headers["retry-after"]) >= 1
    assert api.client.get("/metrics").status_code == 200
    assert value(api.client.get("/metrics").text, "nrm_loop_failed") == 1.0


def test_metrics_count_what_happened(api: Api) -> None:
    before = api.client.get("/metrics").text
    opening = api.world.opening("OP-2")
    assert api.call("POST", "/v1/submissions", body=opening).status_code == 200
    assert api.call("POST", "/v1/submissions", body=b"junk").status_code == 200
    until(lambda: not behind(api.client.get("/metrics").text))
    after = api.client.get("/metrics").text
    counted = "nrm_events_accepted_total"
    assert value(after, counted) == value(before, counted) + 1
    assert value(after, 'nrm_events_refused_total{reason="malformed",step="2"}') >= 1
    assert value(after, "nrm_loops_running") == 1.0
    assert value(after, "nrm_topics_up") == 1.0
    assert value(after, "nrm_publisher_lag") == 0.0
    assert value(after, "nrm_checkpoint_size") == value(after, "nrm_log_head")
    assert value(after, "nrm_checkpoint_wait_seconds") == 0.0
    ref = api.world.hub.exchange.pseudonyms.recipient_ref("SH-1")
    assert f'nrm_recipient_sent_sequence{{recipient="{ref}"}}' in after
    posted = 'nrm_http_requests_total{method="POST",route="/v1/submissions",status="200"}'
    assert value(after, posted) >= 2


def test_metrics_of_a_public_listener_are_only_on_loopback(world: World) -> None:
    server = serve_api(world.hub, "0.0.0.0", 0)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{server.port}") as public:
            assert public.get("/metrics").status_code == 404
            assert public.get("/healthz").status_code == 200
            assert "/metrics" not in public.get("/openapi.json").text
        assert server.operator_url.startswith("http://127.0.0.1:")
        with httpx2.Client(base_url=server.operator_url) as operator:
            scraped = operator.get("/metrics").text
            assert value(scraped, "nrm_log_head") >= 1
            route = 'nrm_http_requests_total{method="GET",route="/healthz",status="200"}'
            assert value(scraped, route) == 1.0  # the public listener's requests
            assert operator.get("/v1/hub").status_code == 404
    finally:
        server.stop()
        server.stop()


def test_a_port_that_is_taken_is_said_so(api: Api) -> None:
    with pytest.raises(NotReady, match="cannot listen on 127"):
        serve_api(api.world.hub, "127.0.0.1", api.server.port)


def test_stopping_answers_calls_that_wait(world: World, serve: Any) -> None:
    import threading

    api = serve()
    answers: list[tuple[int, float]] = []

    def wait() -> None:
        after = world.hub.exchange.log.tracking("sent/POL-1")
        began = time.monotonic()
        answer = api.call("GET", f"/v1/deliveries?after={after}&wait=25", agency="POL-1")
        answers.append((answer.status_code, time.monotonic() - began))

    waiters = [threading.Thread(target=wait) for _ in range(PER_AGENCY + 1)]
    for waiter in waiters:
        waiter.start()
    until(lambda: answers)  # the last to come let the first go: all others wait
    api.server.stop()
    for waiter in waiters:
        waiter.join(PATIENCE)
    assert [status for status, _ in answers] == [204] * len(waiters)
    assert max(waited for _, waited in answers) < 25


def test_a_hub_whose_loops_never_ran_is_alive_and_not_ready(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init()
    hub = Hub.open(home)
    server = serve_api(hub, port=0)
    try:
        with httpx2.Client(base_url=server.url) as client:
            assert client.get("/healthz").status_code == 200
            answer = client.get("/readyz")
            assert (answer.status_code, answer.json()["loops"]) == (503, "stopped")
    finally:
        server.stop()
        hub.stop()


def test_a_store_that_is_busy_for_a_moment_stops_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init()
    hub = Hub.open(home)
    real, tries = hub.publisher.step, [0]

    def step() -> int:
        tries[0] += 1
        if tries[0] == 2:
            raise StoreBusy("another process writes")
        return real()

    hub.publisher.step = step  # type: ignore[method-assign]
    hub.start()
    try:
        until(lambda: tries[0] >= 4 or hub.failure)
        assert hub.failure is None
        assert hub.running
    finally:
        hub.stop()
