"""The operator's calls: alive, ready, metrics.

`/healthz` and `/readyz` say nothing but whether; they may be asked by anyone a load balancer is.
`/metrics` belongs on a listener that only the operator reaches (hub/api/server.py): even opaque
references tell who receives how much, and when.
"""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from consumers.checkpoints import LATE
from hub.api import open_examples
from hub.api.desk import Desk
from hub.api.metrics import Metrics, uncovered_seconds
from hub.api.models import Alive
from hub.hub import Hub
from hub.ingest import INGEST_TOPIC
from hub.topics.port import TopicError

METRICS_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
FRESH: Final = 1.0  # seconds a readiness answer is given again


def health_calls(desk: Desk) -> APIRouter:
    """Alive and ready."""
    calls = APIRouter(tags=["operator"])
    last: tuple[float, dict[str, Any]] = (float("-inf"), {})

    @calls.get("/healthz", response_model=Alive, **open_examples.ALIVE)
    async def healthz(request: Request) -> Any:
        """The process answers. Restart it if this does not."""
        desk.public(request)
        return {"alive": True}

    @calls.get("/readyz", **open_examples.READY)
    async def readyz(request: Request) -> Response:
        """Whether the hub can do its work. Do not restart for this: look at what is away."""
        nonlocal last
        desk.public(request)
        if time.monotonic() - last[0] > FRESH:
            last = (time.monotonic(), await desk.looking(lambda: readiness(desk.hub)))
        return JSONResponse(last[1], 200 if last[1]["ready"] else 503)

    return calls


def metrics_calls(desk: Desk, metrics: Metrics) -> APIRouter:
    """What Prometheus scrapes."""
    calls = APIRouter(tags=["operator"])

    @calls.get("/metrics", **open_examples.METRICS)
    async def scrape(request: Request) -> Response:  # noqa: ARG001
        """Counters and gauges; recipients under opaque references."""
        text = await desk.looking(metrics.text)
        return Response(text, media_type=METRICS_TEXT)

    return calls


def readiness(hub: Hub) -> dict[str, Any]:
    """Every part in one word. Never raises."""
    parts = {
        "store": _store(hub),
        "topics": _topics(hub),
        "loops": _loops(hub),
        "checkpoint": _checkpoint(hub),
    }
    return {"ready": all(word == "ok" for word in parts.values()), **parts}


def _store(hub: Hub) -> str:
    try:
        return "ok" if hub.exchange.log.head >= hub.exchange.position else "behind"
    except Exception:  # whatever it is, the store does not answer
        return "failed"


def _topics(hub: Hub) -> str:
    try:
        hub.topics.end(INGEST_TOPIC)
    except TopicError:
        return "unavailable"
    return "ok"


def _loops(hub: Hub) -> str:
    if hub.failure is not None:
        return "failed"
    return "ok" if hub.running else "stopped"


def _checkpoint(hub: Hub) -> str:
    try:
        return "late" if uncovered_seconds(hub) > LATE.total_seconds() else "ok"
    except Exception:  # told as the store's failure
        return "unknown"
