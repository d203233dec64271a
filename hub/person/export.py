"""Export: everything the hub itself holds about a person, content included, as one JSON document.

Only for a request for access or portability that an agency has granted in the case (signed and
recorded: `SubjectRequestReceived`, `SubjectRequestDecided`), within a month of the grant. The hub
opens the sealed compartments for this, and for what an agency holds already in
`hub/audit/evidence`. What is made is recorded, with the digest of its bytes, before it is handed
out: no export leaves without a leaf in the log.

Left out, and said so in place: what is about others (links to other cases, an anonymous author's
words, the hub's own audit notes) and the categories the grant excludes. Erased content is a
tombstone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson

from hub.crypto.compartment import compartment_key, open_compartment
from hub.errors import Refused
from hub.exchange import Exchange
from hub.person.document import document
from hub.person.reading import Read, Tell, read, silent
from hub.person.requests import Request
from hub.recording.accepted import key_context
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored
from schemas import codelists
from schemas.registry import Schemas
from schemas.routing import ROUTING_NAME

RIGHTS = ("access", "portability")
GRANTED = ("granted", "partly")
WITHIN = timedelta(days=30)  # of the grant
FORMAT = "nrm-hub-person-export-1"

# Why something is left out, in the words of the catalogue's exemptions.
OTHERS = "rights_of_others"
DECIDED = "left_out_by_decision"
ERASED = "erased"

CHANGED = Refused(0, "case_changed", "something was recorded meanwhile; make the export again")


@dataclass(frozen=True)
class Export:
    """One export: the bytes to hand out, and the log position at which it was recorded."""

    content: bytes
    digest: bytes
    position: int
    events: int


def export(
    exchange: Exchange,
    case_ref: str,
    request_id: str,
    *,
    by: str,
    leave_out: Sequence[str] = (),
    tell: Tell = silent,
) -> Export:
    """Make and record an export. Raises Refused with what is missing, before opening anything.

    leave_out: categories a partial grant excludes.
    """
    known = codelists.load("nrm.category").labels
    for category in leave_out:
        if category not in known:
            raise Refused(0, "unknown_category", f"there is no category {category[:64]}")
    epoch = exchange.secrets.epoch
    found = read(exchange, case_ref, complaints=True, tell=tell)
    request = _granted(found, request_id, leave_out)
    content = _content(exchange, found, case_ref, request, leave_out)
    digest = hashlib.sha256(content).digest()
    position = exchange.commit(
        lambda draft: _record(exchange, draft, found, epoch, request, digest, by, leave_out)
    )
    return Export(content, digest, position, len(found.account.events))


def _granted(found: Read, request_id: str, leave_out: Sequence[str]) -> Request:
    request = next((one for one in found.account.requests if one.request_id == request_id), None)
    if request is None or not request.right:
        raise Refused(
            0, "unknown_request", "the case has no request of this id; nrm-hub person requests"
        )
    if request.right not in RIGHTS:
        raise Refused(
            0, "wrong_right", f"the request is for {request.right}, not for access or portability"
        )
    if request.decided_at is None:
        raise Refused(
            0, "request_undecided", "an agency of the case grants it first: SubjectRequestDecided"
        )
    if request.outcome not in GRANTED:
        raise Refused(0, "request_refused", "the request was refused; nothing may be opened for it")
    if found.now - request.decided_at > WITHIN:
        raise Refused(0, "grant_lapsed", "it was granted over a month ago; record the request anew")
    if request.outcome == "partly" and not leave_out:
        raise Refused(
            0, "say_what_is_left_out", "it was granted in part: name what is not, --leave-out"
        )
    return request


def _record(
    exchange: Exchange,
    draft: Draft,
    found: Read,
    epoch: int,
    request: Request,
    digest: bytes,
    by: str,
    leave_out: Sequence[str],
) -> int:
    if exchange.log.last_version(found.case_id) != len(found.recorded) or (
        exchange.secrets.epoch != epoch
    ):
        raise CHANGED  # by an erasure, perhaps
    stream = stream_id("exports", found.subject_id.hex)
    return draft.add(
        stored.SubjectExported(
            originator_id=stream,
            originator_version=exchange.version_of(draft, stream) + 1,
            timestamp=draft.now,
            subject_id=found.subject_id.bytes,
            case_id=found.case_id.bytes,
            request=request.request_id,
            digest=digest,
            left_out=tuple(sorted(set(leave_out))),
            by=by,
        )
    )


def _content(
    exchange: Exchange, found: Read, case_ref: str, request: Request, leave_out: Sequence[str]
) -> bytes:
    account = document(found.account, found.agencies, reference=case_ref, made_at=found.now)
    events = {one["event_id"]: one for one in account["events"]}
    for one in found.recorded:
        if isinstance(one.event, stored.EventAccepted):
            shown = events[str(UUID(bytes=one.event.event_id))]
            shown["occurred_at"] = one.event.occurred_at.isoformat()
            shown["data"], shown["left_out"] = _opened(exchange, one.event, leave_out)
    made = {
        "format": FORMAT,
        "request": request.request_id,
        "right": request.right,
        "outcome": request.outcome,
        **account,
    }
    return orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def _opened(
    exchange: Exchange, event: stored.EventAccepted, leave_out: Sequence[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """(the event's data, categories left out and why)."""
    secret_id = UUID(bytes=event.secret_id)
    secret = exchange.secrets.secrets({secret_id}).get(secret_id)
    sealed = {one.name: one.ciphertext for one in event.compartments if one.name != ROUTING_NAME}
    if secret is None:
        return {}, {_category(name): ERASED for name in sealed}
    schema = Schemas.load().by_id(event.schema_id)
    assert schema is not None  # it was there when the event was admitted
    bodies: dict[str, bytes] = {}
    for name, ciphertext in sealed.items():
        _, bodies[name] = open_compartment(
            compartment_key(secret, key_context(event.digest), name),
            ciphertext,
            event_id=event.event_id,
            name=name,
            schema_id=event.schema_id,
        )
    others = _others(event.event_type, schema.join(bodies, trusted=True))
    left = {
        _category(name): DECIDED if _category(name) in leave_out else OTHERS
        for name in bodies
        if _category(name) in others or _category(name) in leave_out
    }
    shown = {name: body for name, body in bodies.items() if _category(name) not in left}
    return schema.join(shown, trusted=True), left


def _others(event_type: str, data: Mapping[str, Any]) -> frozenset[str]:
    """Categories of an event that are about somebody else."""
    about = {"audit"}
    if event_type == "CaseLinkDecided" and data.get("agreed_by_person") is not True:
        about |= {"linkage", "consent"}
    if event_type == "FeedbackRecorded" and data.get("anonymous") is True:
        about.add("feedback")
    return frozenset(about)


def _category(name: str) -> str:
    return name.partition("/")[0]
