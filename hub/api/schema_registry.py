"""The partner schemas as a Confluent schema registry: for readers of a relayed topic, read-only.

Anybody may ask: schemas are published anyway (`/v1/schemas`), and the readers' stock clients cannot
sign requests as agencies do. The answers, errors included, are `schemas/confluent.py`'s; a
connector gives the same at the partner's site.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from hub.api import open_examples
from hub.api.bodies import check_declared, read_body
from hub.api.desk import Desk
from schemas.confluent import CONTENT_TYPE, LONGEST_BODY, ConfluentRegistry
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas

PREFIX: Final = "/schema-registry"
Asked = Annotated[
    str, Path(description="As Confluent has it, e.g. `schemas/ids/1574800789` or `subjects`.")
]


def schema_registry_calls(desk: Desk) -> APIRouter:
    """Everything below /schema-registry/."""
    calls = APIRouter(prefix=PREFIX, tags=["public"])
    limits = replace(desk.limits, body=LONGEST_BODY)

    async def answered(request: Request, path: str, body: bytes) -> Response:
        query = dict(request.query_params)
        answer = await desk.working(lambda: _registry().answer(request.method, path, body, query))
        return Response(answer.body, status_code=answer.status, media_type=CONTENT_TYPE)

    @calls.get("/{path:path}", **open_examples.REGISTRY_GET)
    async def look(request: Request, path: Asked) -> Response:
        """Partner schemas by id, subject and version, with Confluent's paths and error codes.

        A subject is a record's name (`nrm.partner.CaseOpened`) or `<topic>-value` of a topic whose
        name ends in the event's (`nrm.case_opened-value`). Ids are the same at every hub and
        connector. See docs/connect-kafka.md.
        """
        desk.public(request)
        return await answered(request, path, b"")

    @calls.post("/{path:path}", **open_examples.REGISTRY_POST)
    async def ask(request: Request, path: Asked) -> Response:
        """Is this schema there (`subjects/{subject}`), and could a reader go on with it
        (`compatibility/subjects/{subject}/versions/{version}`)? Nothing can be registered.
        """
        desk.public(request)
        check_declared(request, limits)
        body, _ = await read_body(request, limits, _free)
        return await answered(request, path, body)

    return calls


def _free(size: int) -> None:
    """Small bodies of strangers are counted as calls, not as bytes."""


@lru_cache(maxsize=1)
def _registry() -> ConfluentRegistry:
    return ConfluentRegistry(PartnerSchemas(Schemas.load()))
