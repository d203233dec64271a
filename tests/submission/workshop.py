"""A workshop for bad submissions: everything an agency signs, with any part bent on purpose.

`python -m tests.submission.workshop` writes the frozen fixtures of `tests/vectors/admission/`.
They are written once; a fixture is never made again to let a test pass. Keys are of this test only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hub.crypto import signing
from hub.crypto.disclosure import Disclosure
from hub.crypto.sealing import SealingKey, seal, sealing_key_id
from hub.crypto.signing import SMALL_ORDER, SigningKey
from hub.membership.agencies import Agencies, Agency, SigningKeyRecord
from hub.tlog import merkle
from schemas import wire
from schemas.registry import Routing, Schemas

FOLDER = Path(__file__).parents[1] / "vectors" / "admission"
HUB = "test-hub"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
POSITION = 100
KEY = SigningKey.from_private(hashlib.sha256(b"admission fixtures: agency").digest())
OLD_KEY = SigningKey.from_private(hashlib.sha256(b"admission fixtures: revoked").digest())
STRANGER = SigningKey.from_private(hashlib.sha256(b"admission fixtures: stranger").digest())
INGEST = SealingKey.from_private(
    b"".join(hashlib.sha256(b"admission fixtures: ingest %d" % n).digest() for n in range(3))
)
TEXT = "a text nobody may read in a refusal"


def agencies() -> Agencies:
    """NGO-1 with a valid and a revoked key; EMB-1, an embassy, which may emit next to nothing."""
    known = Agencies()
    ngo = Agency("NGO-1", "NGO", "ngo_support", 1)
    ngo.keys[KEY.key_id] = SigningKeyRecord(KEY.key_id, KEY.public, 1)
    ngo.keys[OLD_KEY.key_id] = SigningKeyRecord(OLD_KEY.key_id, OLD_KEY.public, 1, 50)
    embassy = Agency("EMB-1", "Embassy", "embassy", 1)
    embassy.keys[KEY.key_id] = SigningKeyRecord(KEY.key_id, KEY.public, 1)
    known._agencies = {"NGO-1": ngo, "EMB-1": embassy}
    return known


@dataclass
class Bench:
    """One batch of one event; change any attribute, then `sealed()`."""

    agency: str = "NGO-1"
    header_agency: str | None = None
    key: SigningKey = KEY
    signer: SigningKey | None = None
    audience: str = HUB
    sealed_for: str = HUB
    payload_type: str = signing.BATCH
    event_type: str = "RiskAssessed"
    schema_id: bytes | None = None
    occurred_at: datetime = NOW
    bend_body: Callable[[str, bytes], bytes] = field(default=lambda name, body: body)
    leave_out: tuple[str, ...] = ()
    bend_header: Callable[[bytes], bytes] = field(default=bytes)
    bend_event: Callable[[dict[str, Any]], object] = field(default=id)
    bend_head: Callable[[dict[str, Any]], object] = field(default=id)
    bend_signature: Callable[[bytes], bytes] = field(default=bytes)
    bend_submission: Callable[[bytes], bytes] = field(default=bytes)
    bend_sealed: Callable[[bytes], bytes] = field(default=bytes)
    events: int = 1

    def _event(self, number: int) -> dict[str, Any]:
        schema = Schemas.load().by_type("RiskAssessed")
        data = {
            "risk_id": "k1",
            "level": "high",
            "reviewed_by": "2026-04-01",
            "scope": "current",
            "persons_at_risk": [TEXT],
        }
        bodies = schema.split(data, routing=Routing("C1", "P1"))
        compartments = {
            name: (_salt(number, name), self.bend_body(name, body))
            for name, body in bodies.items()
            if name not in self.leave_out
        }
        disclosure = Disclosure.build(
            compartments, randomness=lambda size: hashlib.shake_256(b"pad%d" % number).digest(size)
        )
        header = wire.HEADER.single(
            {
                "event_id": uuid5(NAMESPACE_URL, f"admission/{number}").bytes,
                "event_type": self.event_type,
                "schema": self.schema_id or schema.schema_id,
                "agency": self.header_agency or self.agency,
                "occurred_at": self.occurred_at,
                "disclosure_root": disclosure.root,
            }
        )
        event = {
            "header": self.bend_header(header),
            "compartments": [
                {"name": name, "salt": salt, "body": body}
                for name, (salt, body) in compartments.items()
            ],
            "padding": list(disclosure.padding),
        }
        self.bend_event(event)
        return event

    def sealed(self) -> bytes:
        events = [self._event(number) for number in range(self.events)]
        tree = merkle.Tree([merkle.leaf_hash(event["header"]) for event in events])
        head = {
            "agency": self.agency,
            "key_id": self.key.key_id,
            "audience": self.audience,
            "size": len(events),
            "root": tree.root,
        }
        self.bend_head(head)
        encoded = wire.BATCH_HEAD.single(head)
        signature = (self.signer or self.key).sign(self.payload_type, encoded)
        plain = wire.SUBMISSION.single(
            {"head": encoded, "signature": self.bend_signature(signature), "events": events}
        )
        info = b"nrm.submission.v1\n" + self.sealed_for.encode()
        raw = wire.SEALED_SUBMISSION.single(
            {
                "audience": self.sealed_for,
                "ingest_key_id": sealing_key_id(INGEST.public),
                "sender_hint": self.agency,
                "box": seal(INGEST.public, info, self.bend_submission(plain)),
            }
        )
        return self.bend_sealed(raw)


def _salt(number: int, name: str) -> bytes:
    return hashlib.sha256(b"salt%d%b" % (number, name.encode())).digest()[:16]


def _flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def _s_plus_l(signature: bytes) -> bytes:
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    return signature[:32] + scalar


def bad_inputs() -> Iterator[tuple[str, int, str, bytes]]:
    """(name, step, reason, message) of everything admission must refuse."""
    good = Bench().sealed()
    yield "empty", 2, "malformed", b""
    yield "one_byte", 2, "malformed", b"\xc3"
    yield "truncated_message", 2, "malformed", good[:-1]
    yield "trailing_byte", 2, "malformed", good + b"\0"
    yield "not_ours_at_all", 2, "malformed", b'{"type": "RiskAssessed"}'
    yield "sealed_for_another_hub", 2, "wrong_audience", Bench(sealed_for="other-hub").sealed()
    yield "box_bit_flipped", 2, "cannot_open", _flip(good, len(good) - 3)
    yield "submission_truncated", 2, "malformed", Bench(bend_submission=lambda p: p[:-1]).sealed()
    yield "submission_trailing", 2, "malformed", Bench(bend_submission=lambda p: p + b"\0").sealed()
    yield "no_events", 1, "too_many_events", Bench(events=0).sealed()
    yield "unknown_agency", 3, "unknown_agency", Bench(agency="NOBODY").sealed()
    yield "unknown_key", 3, "unknown_key", Bench(key=STRANGER).sealed()
    yield "revoked_key", 3, "revoked_key", Bench(key=OLD_KEY).sealed()
    yield "signed_by_another_key", 3, "bad_signature", Bench(signer=STRANGER).sealed()
    yield (
        "signed_as_a_receipt",
        3,
        "bad_signature",
        Bench(payload_type=signing.RECEIPT).sealed(),
    )
    yield "signed_for_another_hub", 3, "wrong_audience", Bench(audience="other-hub").sealed()
    yield (
        "signature_bit_flipped",
        3,
        "bad_signature",
        Bench(bend_signature=lambda s: _flip(s, 5)).sealed(),
    )
    yield "signature_s_plus_l", 3, "bad_signature", Bench(bend_signature=_s_plus_l).sealed()
    small = sorted(SMALL_ORDER)[0]
    yield (
        "signature_small_order_point",
        3,
        "bad_signature",
        Bench(bend_signature=lambda _: small + bytes(32)).sealed(),
    )
    yield (
        "head_of_another_batch",
        3,
        "batch_mismatch",
        Bench(bend_head=lambda h: h.update(root=bytes(32))).sealed(),
    )
    yield (
        "head_says_two_events",
        3,
        "batch_mismatch",
        Bench(bend_head=lambda h: h.update(size=2)).sealed(),
    )
    yield "header_trailing", 4, "malformed_header", Bench(bend_header=lambda h: h + b"\0").sealed()
    yield "header_truncated", 4, "malformed_header", Bench(bend_header=lambda h: h[:-1]).sealed()
    yield "header_of_another_agency", 4, "wrong_agency", Bench(header_agency="EMB-1").sealed()
    future = NOW + timedelta(days=3)
    yield "from_the_future", 4, "occurred_in_future", Bench(occurred_at=future).sealed()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    yield "from_1970", 4, "occurred_too_early", Bench(occurred_at=epoch).sealed()
    yield (
        "compartment_swapped",
        4,
        "commitment_mismatch",
        Bench(bend_event=lambda e: e["compartments"][0].update(salt=bytes(16))).sealed(),
    )
    yield (
        "compartment_dropped",
        4,
        "bad_padding",
        Bench(bend_event=lambda e: e["compartments"].pop()).sealed(),
    )
    yield (
        "compartment_twice",
        4,
        "duplicate_compartment",
        Bench(bend_event=lambda e: e["compartments"].append(e["compartments"][0])).sealed(),
    )
    yield (
        "padding_missing",
        4,
        "bad_padding",
        Bench(bend_event=lambda e: e["padding"].pop()).sealed(),
    )
    yield "unknown_schema", 5, "unknown_schema", Bench(schema_id=bytes(32)).sealed()
    yield "wrong_schema", 5, "wrong_schema", Bench(event_type="NeedsAssessed").sealed()
    yield (
        "body_trailing",
        5,
        "wrong_content",
        Bench(bend_body=lambda n, b: b + b"\0" if n == "protection" else b).sealed(),
    )
    yield (
        "body_truncated",
        5,
        "wrong_content",
        Bench(bend_body=lambda n, b: b[:-1] if n == "family" else b).sealed(),
    )
    yield (
        "enum_out_of_range",
        5,
        "wrong_content",
        Bench(bend_body=lambda n, b: b"\x01" + b[1:] if n == "protection" else b).sealed(),
    )
    incomplete = Bench(leave_out=("case_management", "protection")).sealed()
    yield "required_compartments_left_out", 5, "wrong_content", incomplete
    yield "no_routing", 5, "wrong_content", Bench(leave_out=("routing",)).sealed()
    yield "role_may_not", 6, "role_may_not_emit", Bench(agency="EMB-1").sealed()


def _write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, step, reason, message in bad_inputs():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            document = {
                "expect": {"step": step, "reason": reason},
                "message": base64.b64encode(message).decode(),
            }
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    good = FOLDER / "good.json"
    if not good.exists():
        message = base64.b64encode(Bench().sealed()).decode()
        good.write_text(json.dumps({"expect": None, "message": message}, indent=1) + "\n")


if __name__ == "__main__":
    _write()
