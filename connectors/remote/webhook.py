"""The kind `webhook`: each delivery as a signed request to an address of the partner's.

    [sink]
    kind = "webhook"
    [sink.options]
    url = "https://cases.example/nrm"
    secrets = [{ file = "webhook.key" }]

Standard Webhooks (https://www.standardwebhooks.com): the receiver checks the signature with its own
library, and drops what it has seen by `webhook-id`, which is the same however often a message is
sent. Requests are sent one after another, the next only when the one before is taken. What an
answer means:

    2xx                taken, for good. To a recall it must be {"removed": true}: its receipt rests
                       on that, for nothing here can look whether the content is gone.
    413, 422           this delivery will never be taken: quarantined
    anything else      waited out: an answer that a wrong secret or address gets sets nothing aside
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, field_validator
from standardwebhooks.webhooks import Webhook

from connectors.errors import SettingsError, SinkDownError
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.loopback import is_here
from connectors.remote.messages import Message, Messages
from connectors.remote.outbound import Answer, Outbound
from connectors.remote.sink import RemoteSink
from connectors.secret import Secret
from connectors.tables.ledger_tables import instant

_NEVER: Final = (413, 422)
_FEWEST_BYTES: Final = 24  # of a symmetric secret, as the standard asks
_STATUS: Final = re.compile(r": ([1-5]\d\d)\b")


class Options(BaseModel):
    """Settings of the kind `webhook`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    url: str
    """Where requests go; https, or http on this machine."""

    secrets: tuple[Secret, ...] = Field(min_length=1, max_length=4)
    """whsec_… (shared) or whsk_… (Ed25519, private); every request is signed with each of them."""

    ca_file: Path | None = None
    """The authority of the receiver's certificate, where it is not a public one."""

    certificate: Path | None = None
    """Our own certificate, where the receiver asks for one."""

    certificate_key: Path | None = None
    """The key of it."""

    batch: int = Field(default=1, ge=1, le=500)
    """Messages in one request; a recall always has one of its own."""

    recall_answer: Literal["removed", "any"] = "removed"
    """What is an answer to a recall: {"removed": true}, or any 2xx, which then says as much."""

    seconds: float = Field(default=30.0, gt=0, le=600)
    """Longest wait for an answer."""

    state: Path = Path("webhook.state.db")
    """The books, on a disk of this machine."""

    @field_validator("url")
    @classmethod
    def encrypted(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and is_here(parts.hostname or "")
        ):
            raise ValueError("must begin with https:// (http:// only on this machine)")
        return url


class Signature(Protocol):
    """Signs one request: its id, the time of the attempt, and the body."""

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str: ...


class Ed25519Signature:
    """The standard's asymmetric scheme, `v1a`: the receiver needs the public key only."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)

    @property
    def public(self) -> str:
        raw = self._key.public_key().public_bytes_raw()
        return "whpk_" + base64.b64encode(raw).decode()

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        signed = f"{msg_id}.{int(timestamp.timestamp())}.{data}".encode()
        return "v1a," + base64.b64encode(self._key.sign(signed)).decode()


def signature_of(text: str) -> Signature:
    """The scheme a secret is for. SettingsError if it is none, without repeating it."""
    prefix, _, encoded = text.partition("_")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if prefix == "whsk" and len(raw) in (32, 64):  # the seed, or the seed and the public key
        return Ed25519Signature(raw[:32])
    if prefix == "whsec" and len(raw) >= _FEWEST_BYTES:
        return Webhook(text)
    raise SettingsError(
        "sink.options.secrets: a secret is whsec_ and the Base64 of at least 24 random bytes, or "
        "whsk_ and that of an Ed25519 private key"
    )


class Receiver:
    """A `MessageSystem` behind one address."""

    def __init__(
        self,
        outbound: Outbound,
        signatures: Sequence[Signature],
        *,
        batch: int = 1,
        confirmed: bool = True,
    ) -> None:
        """confirmed: whether a recall has to be answered with {"removed": true}."""
        self.outbound = outbound
        self._signatures = signatures
        self._batch = batch
        self._confirmed = confirmed

    def prepare(self) -> None:
        """Nothing is sent that is no message."""

    def send(self, messages: Sequence[Message]) -> None:
        for some in _requests(messages, self._batch):
            self._post(some)

    def close(self) -> None:
        self.outbound.close()

    def _post(self, messages: Sequence[Message]) -> None:
        now = datetime.now(UTC)
        if self._batch == 1 or messages[0].kind == "recalled":
            [only] = messages
            id_, told = only.id, _told(only, now)
        else:
            ids = "\n".join(one.id for one in messages)
            id_ = hashlib.sha256(ids.encode()).hexdigest()[:32]
            told = {
                "type": "nrm.batch",
                "timestamp": instant(now),
                "data": {"messages": [_told(one, now) for one in messages]},
            }
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        answer = self.outbound.request(
            "POST",
            "",
            content=body.encode(),
            headers={
                "content-type": "application/json",
                "webhook-id": id_,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": " ".join(one.sign(id_, now, body) for one in self._signatures),
            },
        )
        self._taken(answer, messages)

    def _taken(self, answer: Answer, messages: Sequence[Message]) -> None:
        sequences = {one.sequence for one in messages}
        if answer.status in _NEVER:
            raise answer.refused(sequences.pop() or None if len(sequences) == 1 else None)
        if not answer.good:
            raise SinkDownError(
                f"the receiver answered {answer.status}: check url and secrets there and here; a "
                "delivery it will never take it answers with 422"
            )
        if messages[0].kind == "recalled" and self._confirmed:
            said = answer.json()
            if not isinstance(said, dict) or said.get("removed") is not True:
                raise SinkDownError(
                    f"the receiver answered {answer.status} to a recall, and not "
                    '{"removed": true}: it has to remove the content, then say so'
                )


def _requests(messages: Sequence[Message], most: int) -> Iterator[list[Message]]:
    """In order; a recall alone."""
    some: list[Message] = []
    for one in messages:
        if some and (one.kind == "recalled" or len(some) == most):
            yield some
            some = []
        some.append(one)
        if one.kind == "recalled":
            yield some
            some = []
    if some:
        yield some


def _told(message: Message, now: datetime) -> dict[str, Any]:
    """The payload of one message."""
    data: dict[str, Any] = {
        "id": message.id,
        "sequence": message.sequence,
        "event_ref": message.event_ref,
    }
    if message.kind == "event":
        data |= {
            "event_type": message.event_type,
            "case_ref": message.case_ref,
            "subject_ref": message.subject_ref,
            "agency": message.agency,
            "occurred_at": instant(message.occurred_at) if message.occurred_at else None,
            "received_at": instant(message.received_at) if message.received_at else None,
            "categories": list(message.categories),
            "bases": message.bases,
            "fields": message.fields,
        }
    elif message.kind == "corrected":
        [(name, value)] = message.fields[""].items()
        data |= {"event_type": message.event_type, "field": name, "value": value}
    else:
        data |= {
            "recall_ref": message.recall_ref,
            "case_ref": message.case_ref,
            "subject_ref": message.subject_ref,
            "categories": list(message.categories),
        }
    return {
        "type": f"nrm.{message.kind}",
        "timestamp": instant(message.occurred_at or now),
        "data": data,
    }


class WebhookSink(RemoteSink):
    """Sink of requests, with its books in a file of this machine."""

    receiver: Receiver

    def check(self) -> list[Finding]:
        """Whether something answers there; it is asked with GET, which a receiver refuses."""
        outbound = self.receiver.outbound
        found = []
        if self._recalls.prefer == "restrict":
            found.append(
                Finding(
                    "warning", "recalls", "prefer is restrict, and this kind keeps no content",
                    'set prefer = "delete": recalled content is deleted in any case',
                )
            )  # fmt: skip
        try:
            outbound.request("GET", "")
        except SinkDownError as down:
            answered = _STATUS.search(str(down))
            if answered is None or answered[1] != "501":  # many a server's word for: POST only
                level: Literal["warning", "wrong"] = "warning" if answered else "wrong"
                return [*found, Finding(level, "webhook", str(down), "see docs/connect-webhook.md")]
        text = "something answers there" + (", its certificate is good" * outbound.encrypted)
        return [*found, Finding("ok", "webhook", text)]


def open_sink(options: Options, place: Place) -> WebhookSink:
    if (options.certificate is None) != (options.certificate_key is None):
        raise SettingsError("sink.options: give certificate and certificate_key, or neither")
    certificate = None
    if options.certificate is not None and options.certificate_key is not None:
        certificate = (place.file(options.certificate), place.file(options.certificate_key))
    outbound = Outbound(
        options.url,
        ca_file=None if options.ca_file is None else place.file(options.ca_file),
        certificate=certificate,
        seconds=options.seconds,
        most_bytes=65536,
    )
    receiver = Receiver(
        outbound,
        [signature_of(one.read(place.folder)) for one in options.secrets],
        batch=options.batch,
        confirmed=options.recall_answer == "removed",
    )
    metadata = sa.MetaData()
    sink = WebhookSink(
        place.file(options.state),
        place.agency,
        place.hub,
        Messages(receiver, metadata),
        metadata,
        place.recalls,
    )
    sink.receiver = receiver
    return sink
