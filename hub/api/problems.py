"""Problems: how the API says no (RFC 9457, application/problem+json).

    {"type": "urn:nrm:problem:body-too-large", "title": "The body is too large", "status": 413,
     "code": "body_too_large", "next": "Send smaller batches: at most 8388608 bytes."}

`code` is stable and is what programs look at; `next` tells a person what to do; `step` stands
where a numbered step refused (docs/admission.md). Nothing the caller sent is ever in an answer:
no value, no header, no path. What is refused inside a batch is no problem but a signed outcome.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

PROBLEM_JSON: Final = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One documented problem. `next`: what the caller does, in one sentence."""

    status: int
    title: str
    next: str


KINDS: Final[Mapping[str, Kind]] = {
    # Who is calling
    "unauthenticated": Kind(
        401,
        "The request is not signed by an enrolled agency",
        "Sign it with the agency's enrolled key, as docs/api.md says; check that the enrolment "
        "was installed.",
    ),
    "token_expired": Kind(
        401,
        "The request token is not valid at this time",
        "Make a new token for every request; if that does not help, set this machine's clock: the "
        "Date header tells the hub's.",
    ),
    "wrong_audience": Kind(
        401,
        "The request token is for another hub",
        "Sign for the hub whose identifier GET /v1/hub tells, after checking it with its operator.",
    ),
    "wrong_request": Kind(
        401,
        "The request token is for another request",
        "Sign the method, path, query and body that are sent; a proxy in between must not change "
        "them.",
    ),
    "revoked_key": Kind(
        401,
        "The signing key is no longer valid",
        "Sign with the current key, or renew it: nrm-hub agency rotate.",
    ),
    "replayed": Kind(
        401,
        "The request token was used before",
        "Make a new token for every request, repeated ones included.",
    ),
    # What is asked
    "not_found": Kind(
        404,
        "There is no such thing for this caller",
        "Check the path; an event is known here once the hub has answered for it.",
    ),
    "method_not_allowed": Kind(
        405, "This path does not take this method", "See the Allow header and docs/api.md."
    ),
    "bad_parameter": Kind(
        422, "A parameter is missing or out of range", "See docs/api.md for names and ranges."
    ),
    "ahead_of_hub": Kind(
        409,
        "The hub has not sent as much as this caller says to have",
        "Stop and ask the hub's operator: the hub was restored from an older backup, or this is "
        "another hub.",
    ),
    # What is sent
    "body_too_large": Kind(
        413, "The body is too large", f"Send smaller batches: at most {8 * 1024 * 1024} bytes."
    ),
    "body_too_slow": Kind(
        408, "The body did not arrive in time", "Send it again; nothing was changed."
    ),
    "wrong_media_type": Kind(
        415,
        "This media type is not taken here",
        "Send application/vnd.nrm.message.v1 and no Content-Encoding.",
    ),
    "not_yours": Kind(
        403,
        "The message was made by another agency than the caller",
        "Every agency sends what it has signed itself.",
    ),
    "receipt_refused": Kind(
        422,
        "The receipt proves nothing",
        "Make it again: it must be a SignedReceipt for this hub, signed with a valid key, over "
        "sequences the hub has sent.",
    ),
    "work_refused": Kind(
        422,
        "The work item cannot be closed so",
        "See `reason`: give a reason code of docs/work.md; only some kinds can be contested.",
    ),
    # How much, how soon
    "too_many_requests": Kind(
        429, "Too many requests", "Wait as long as Retry-After says; batch events."
    ),
    "busy": Kind(
        503,
        "The hub cannot take this now",
        "Send the same bytes again after Retry-After; nothing is lost by sending twice.",
    ),
    "stopped": Kind(
        503,
        "The hub has stopped and waits for its operator",
        "Send the same bytes again later; nothing unacknowledged is promised to be recorded.",
    ),
    "failed": Kind(
        500,
        "The hub failed to answer",
        "Send the same bytes again; if that fails too, tell the operator the request id.",
    ),
}


class Problem(Exception):
    """A documented refusal of a request. The code says everything; there is no free text."""

    def __init__(
        self,
        code: str,
        *,
        step: int | None = None,
        retry_after: float | None = None,
        reason: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """reason: a second, equally stable code (why a receipt was refused)."""
        super().__init__(code)
        self.code = code
        self.kind = KINDS[code]
        self.step = step
        self.reason = reason
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """What the caller reads."""
        document: dict[str, Any] = {
            "type": f"urn:nrm:problem:{self.code.replace('_', '-')}",
            "title": self.kind.title,
            "status": self.kind.status,
            "code": self.code,
        }
        if self.step is not None:
            document["step"] = self.step
        if self.reason is not None:
            document["reason"] = self.reason
        document["next"] = self.kind.next
        return document

    def response(self) -> Response:
        headers = dict(self.headers)
        if self.kind.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="nrm-hub"'
        if self.retry_after is not None or self.kind.status in (429, 503):
            headers["Retry-After"] = str(max(1, int((self.retry_after or 1.0) + 0.999)))
        return Response(
            json.dumps(self.document()).encode(), self.kind.status, headers, PROBLEM_JSON
        )
