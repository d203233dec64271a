"""Many at once: requests that wait together are committed together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from connectors.agency.outcomes import read_outcomes
from tests.api.conftest import Api
from tests.patience import PATIENCE

PARALLEL = 50
MEANWHILE = 35  # of them wait while the first transaction is under way


def test_fifty_parallel_posts_share_few_transactions(api: Api, monkeypatch: Any) -> None:
    hub = api.world.hub
    sealed = [api.world.opening(f"LOAD-{n}") for n in range(PARALLEL)]
    transactions: list[int] = []
    append = hub.exchange.log.append

    def counted(events: Any, **rest: Any) -> None:
        if rest.get("admissions"):
            transactions.append(len(rest["admissions"]))
            give_up = time.monotonic() + PATIENCE
            while len(transactions) == 1 and hub.ingest._waiting.qsize() < MEANWHILE:
                assert time.monotonic() < give_up
                time.sleep(0.005)
        append(events, **rest)

    monkeypatch.setattr(hub.exchange.log, "append", counted)
    ready = threading.Barrier(PARALLEL)

    def post(body: bytes) -> httpx2.Response:
        with httpx2.Client(base_url=api.server.url, timeout=30) as client:
            own = Api(api.world, api.server, client)
            ready.wait()
            return own.call("POST", "/v1/submissions", body=body)

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(post, sealed))
    outcomes = [read_outcomes(a.content, api.world.identities["NGO-1"]) for a in answers]
    assert all(one.accepted for [one] in outcomes)
    positions = [one.position for [one] in outcomes]
    assert len(set(positions)) == PARALLEL
    assert sum(transactions) == PARALLEL
    assert len(transactions) <= PARALLEL // 2, transactions


def test_the_same_batch_sent_by_many_at_once_is_one_event(api: Api) -> None:
    sealed = api.world.opening("LOAD-SAME")
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: api.call("POST", "/v1/submissions", body=sealed), range(16))
        )
    outcomes = [read_outcomes(a.content, api.world.identities["NGO-1"]) for a in answers]
    assert len({(one.event_id, one.position, one.accepted) for [one] in outcomes}) == 1
    assert outcomes[0][0].accepted
