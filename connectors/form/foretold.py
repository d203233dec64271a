"""What the hub foretells of an event: who would receive what, and why (`POST /v1/preview`)."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx2

from connectors.agency.http import HUB_MESSAGE, ask
from connectors.agency.http_auth import signed_requests
from connectors.agency.identity import AgencyIdentity
from connectors.errors import StopError
from connectors.submit import Event, Publisher

PATH: Final = "/v1/preview"
_SECONDS: Final = 15.0
_MOST: Final = 1024 * 1024


def foretold(identity: AgencyIdentity, event: Event, url: str | None = None) -> dict[str, Any]:
    """`refused` and `agencies`, as docs/api.md describes them. ConnectorError if it cannot be had.

    The event travels sealed and signed as if it were stated; the hub records nothing.
    """
    base = (url or identity.hub.http_url or "").rstrip("/")
    if not base:
        raise StopError("the approval names no HTTP address of the hub: give one with --url")
    sealed = Publisher(identity).prepare([event])
    headers = {"content-type": HUB_MESSAGE, **signed_requests(identity)("POST", PATH, sealed)}
    with httpx2.Client(timeout=_SECONDS, trust_env=False) as client:
        answer = ask(client, base, "POST", PATH, sealed, headers)
    return _read(answer.content)


def _read(content: bytes) -> dict[str, Any]:
    wrong = StopError("what answered is not the hub's preview: check the address")
    if len(content) > _MOST:
        raise wrong
    try:
        found = json.loads(content)
        refused = found["refused"]
        agencies = [
            {
                "agency": str(one["agency"]),
                "categories": [
                    {
                        "category": str(each["category"]),
                        "released": each["released"] is True,
                        "basis": str(each["basis"] or ""),
                        "reason": str(each["reason"] or ""),
                        "says": str(each["says"] or ""),
                    }
                    for each in one["categories"]
                ],
            }
            for one in found["agencies"]
        ]
        told = None
        if refused is not None:
            told = {name: refused.get(name) for name in ("step", "reason", "guard", "detail")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise wrong from None
    return {"refused": told, "agencies": agencies}
