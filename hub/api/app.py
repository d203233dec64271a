"""The HTTP API of one hub, put together: for partners without Kafka, and for its operator.

What it promises is in docs/api.md; what each call does in `calls.py` and `operator.py`. Telemetry
of the framework is off: its spans and logs would carry paths, queries and error texts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse

from hub.api import pages
from hub.api.calls import agency_calls, public_calls
from hub.api.deliveries import delivery_calls
from hub.api.desk import Desk
from hub.api.edge import Edge
from hub.api.limits import Limits
from hub.api.log import log_calls
from hub.api.metrics import Metrics
from hub.api.operator import health_calls, metrics_calls
from hub.api.preview import preview_calls
from hub.api.problems import PROBLEM_JSON, Problem
from hub.api.schema_registry import schema_registry_calls
from hub.api.waiting import DeliveryWatch
from hub.api.work import work_calls
from hub.hub import Hub

DESCRIPTION: Final = (
    "Submissions, outcomes, deliveries and receipts for agencies that do not use Kafka. Bodies are "
    "the same signed and sealed Avro messages as on topics (docs/formats.md); every request is "
    "signed with the agency's enrolled key (docs/api.md). The hub answers with what it has "
    "committed and with nothing else."
)
VERSION: Final = "1.0"  # of what the API promises, not of the program
NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_STATUS: Final = {404: "not_found", 405: "method_not_allowed"}


def create_app(hub: Hub, limits: Limits | None = None, *, metrics: bool = True) -> FastAPI:
    """The API over an opened hub. `metrics`: False where strangers reach the listener.

    Submissions need the hub's loops (`Hub.start`); everything else answers without them.
    """
    limits = limits or Limits()
    desk, books = Desk(hub, limits), Metrics(hub)
    watch = DeliveryWatch(hub.exchange, hub.publisher.carried_out)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        watch.start()
        yield
        watch.close()
        watch.join()

    app = FastAPI(
        title="NRM Hub",
        version=VERSION,
        description=DESCRIPTION,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.state.watch = watch
    app.state.metrics = books
    app.include_router(agency_calls(desk))
    app.include_router(delivery_calls(desk, watch))
    app.include_router(work_calls(desk))
    app.include_router(preview_calls(desk))
    app.include_router(public_calls(desk))
    app.include_router(schema_registry_calls(desk))
    app.include_router(log_calls(desk))
    app.include_router(health_calls(desk))
    if metrics:
        app.include_router(metrics_calls(desk, books))
    _describe(app, desk)
    _refuse(app, desk)
    app.add_middleware(Edge, limits=limits, observe=books.observe)
    return app


def create_operator_app(hub: Hub, served: FastAPI, limits: Limits | None = None) -> FastAPI:
    """Health and metrics of an API that is `served` to strangers, on the operator's listener."""
    limits = limits or Limits()
    desk = Desk(hub, limits)
    app = FastAPI(
        title="NRM Hub, operator",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    app.include_router(health_calls(desk))
    app.include_router(metrics_calls(desk, served.state.metrics))
    _refuse(app, desk)
    app.add_middleware(Edge, limits=limits, observe=served.state.metrics.observe)
    return app


def _describe(app: FastAPI, desk: Desk) -> None:
    """The OpenAPI document, with how requests are signed, and a page to read it."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            for methods in document["paths"].values():
                for operation in methods.values():
                    _tidy(operation["responses"])
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            document["components"]["securitySchemes"] = {
                "request token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT, typ nrm-request+jwt, alg Ed25519",
                    "description": "Made for one request; see docs/api.md.",
                }
            }
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        desk.public(request)
        return JSONResponse(app.openapi())

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        desk.public(request)
        return HTMLResponse(
            pages.page(app.openapi()), headers={"Content-Security-Policy": pages.POLICY}
        )


def _tidy(answers: dict[str, Any]) -> None:
    """Leave out what the framework assumes and this API does not do."""
    for status, answer in list(answers.items()):
        contents = answer.get("content", {})
        if "HTTPValidationError" in str(contents):
            del answers[status]
        elif PROBLEM_JSON in contents:
            contents.pop("application/json", None)


def _refuse(app: FastAPI, desk: Desk) -> None:
    """Every refusal becomes a problem that repeats nothing of the request."""

    async def problem(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, Problem)
        request.scope["nrm.problem"] = refusal.code
        return refusal.response()

    async def by_status(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, HTTPException)
        try:
            desk.public(request)
        except Problem as too_many:
            return await problem(request, too_many)
        code = _STATUS.get(refusal.status_code, "bad_parameter")
        allow = (refusal.headers or {}).get("Allow")
        return await problem(request, Problem(code, headers={"Allow": allow} if allow else None))

    async def by_value(request: Request, refusal: Exception) -> Response:
        del refusal  # it quotes what was sent
        try:
            await desk.signed(request)  # only signed calls take parameters: first, who asks
        except Problem as other:
            return await problem(request, other)
        return await problem(request, Problem("bad_parameter"))

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(HTTPException, by_status)
    app.add_exception_handler(RequestValidationError, by_value)


__all__ = ["Limits", "create_app", "create_operator_app"]
