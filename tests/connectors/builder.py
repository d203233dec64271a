"""A hub in miniature: real keys, real signatures, real boxes, no decisions and no store.

It opens what a Publisher made, and hands out the categories a test names. What it builds is what
`hub/publisher.py` builds, from the same formats, so a connector that works with it works with the
hub; `tests/acceptance` shows that with the real one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from connectors.agency.enrolment import TOPIC_NAMES, Approval, HubKey, sign_approval, verify_request
from connectors.agency.identity import AgencyIdentity
from connectors.agency.outcomes import outcomes_to_sign
from connectors.opening.opener import deliveries_info
from connectors.submit import Event, Publisher
from hub.crypto import signing
from hub.crypto.compartment import (
    ATTESTED_ID,
    compartment_key,
    open_compartment,
    seal_compartment,
)
from hub.crypto.disclosure import Disclosure, commit
from hub.crypto.pseudonyms import Pseudonyms
from hub.crypto.sealing import SealingKey, padme, seal, sealing_key_id
from hub.crypto.signing import SigningKey
from hub.tlog import merkle
from schemas import wire
from schemas.registry import Schemas

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    """One event as a hub keeps it."""

    header: dict[str, Any]
    evidence: dict[str, Any]
    disclosure: Disclosure
    compartments: Mapping[str, tuple[int, bytes]]  # name → leaf index, ciphertext
    secret: bytes
    case: str
    subject: str

    @property
    def id(self) -> UUID:
        return UUID(bytes=self.header["event_id"])

    @property
    def categories(self) -> tuple[str, ...]:
        names = {name.partition("/")[0] for name in self.compartments} - {"routing"}
        return tuple(sorted(names))


class MiniHub:
    """Enough of a hub to talk to connectors."""

    def __init__(
        self, hub_id: str = "test-hub", topics_url: str | None = None, prefix: str = "nrm"
    ) -> None:
        self.hub_id = hub_id
        self.prefix = prefix  # of topic names, where a broker is shared
        self.topics_url = topics_url
        self.key = SigningKey.generate()
        self.ingest = SealingKey.generate()
        self.names = Pseudonyms(secrets.token_bytes(32))
        self.schemas = Schemas.load()
        self.agencies: dict[str, tuple[str, list[HubKey], bytes]] = {}
        self.sequences: dict[str, int] = {}
        self.position = 0
        self.decision = 1000

    # -- enrolment -------------------------------------------------------------------------

    def enrol(self, home: Path, agency: str, role: str = "police") -> AgencyIdentity:
        identity = AgencyIdentity.create(home / agency, agency, f"{agency} of Testland", role)
        identity.install_approval(self.approve(identity.enrolment_request()))
        return identity

    def approve(self, document: bytes) -> bytes:
        asked = verify_request(document)
        self.position += 1
        _, keys, _ = self.agencies.get(asked.agency, ("", [], b""))
        ended = [
            HubKey(k.key_id, k.public, k.valid_from, k.valid_to or self.position) for k in keys
        ]
        new = HubKey(signing.key_id(asked.signing_public), asked.signing_public, self.position)
        self.agencies[asked.agency] = (asked.role, [*ended, new], asked.sealing_public)
        return sign_approval(
            Approval(
                hub=self.hub_id,
                hub_keys=(HubKey(self.key.key_id, self.key.public),),
                ingest_key=self.ingest.public,
                recipient=self.names.recipient_ref(asked.agency),
                agency=asked.agency,
                role=asked.role,
                signing_key_id=new.key_id,
                sealing_key_id=sealing_key_id(asked.sealing_public),
                topics={
                    name: f"{self.prefix}.{name}" + (f".{asked.agency}" if name[0] in "od" else "")
                    for name in TOPIC_NAMES
                },
                topics_url=self.topics_url,
                http_url="http://hub.test",
                position=self.position,
            ),
            self.key,
        )

    def registry(self) -> bytes:
        def listed(keys: Iterable[HubKey]) -> list[dict[str, Any]]:
            return [
                {
                    "key_id": k.key_id,
                    "public": k.public,
                    "valid_from": k.valid_from,
                    "valid_to": k.valid_to,
                }
                for k in keys
            ]

        body = wire.REGISTRY.single(
            {
                "hub": self.hub_id,
                "position": self.position,
                "hub_keys": listed([HubKey(self.key.key_id, self.key.public)]),
                "agencies": [
                    {"agency": agency, "name": agency, "role": role, "keys": listed(keys)}
                    for agency, (role, keys, _) in self.agencies.items()
                ],
            }
        )
        return wire.SIGNED_REGISTRY.single(
            {
                "registry": body,
                "key_id": self.key.key_id,
                "signature": self.key.sign(signing.REGISTRY, body),
            }
        )

    # -- submissions -----------------------------------------------------------------------

    def open(self, sealed: bytes) -> dict[str, Any]:
        message = wire.SEALED_SUBMISSION.unsingle(sealed)
        info = b"nrm.submission.v1\n" + self.hub_id.encode()
        opened: dict[str, Any] = wire.SUBMISSION.unsingle(self.ingest.open(message["box"], info))
        return opened

    def record(self, sealed: bytes) -> list[Recorded]:
        """Open, and seal at rest. The signature must stand; nothing else is asked."""
        submission = self.open(sealed)
        head = wire.BATCH_HEAD.unsingle(submission["head"])
        _, keys, _ = self.agencies[head["agency"]]
        public = next(k.public for k in keys if k.key_id == head["key_id"])
        signing.verify(public, signing.BATCH, submission["head"], submission["signature"])
        tree = merkle.Tree([merkle.leaf_hash(e["header"]) for e in submission["events"]])
        assert tree.root == head["root"]
        recorded = []
        for index, event in enumerate(submission["events"]):
            header = wire.HEADER.unsingle(event["header"])
            parts = {c["name"]: (c["salt"], c["body"]) for c in event["compartments"]}
            disclosure = Disclosure.build(parts, event["padding"])
            assert disclosure.root == header["disclosure_root"]
            schema = self.schemas.by_id(header["schema"])
            assert schema is not None
            routing = schema.routing({name: body for name, (_, body) in parts.items()})
            secret = secrets.token_bytes(32)
            recorded.append(
                Recorded(
                    header=header,
                    evidence={
                        "header": event["header"],
                        "head": submission["head"],
                        "signature": submission["signature"],
                        "index": index,
                        "path": b"".join(tree.path(index)),
                    },
                    disclosure=disclosure,
                    compartments={
                        name: (
                            disclosure.index(commit(name, salt, body)),
                            seal_compartment(
                                compartment_key(secret, header["event_id"], name),
                                event_id=header["event_id"],
                                name=name,
                                schema_id=header["schema"],
                                salt=salt,
                                body=body,
                            ),
                        )
                        for name, (salt, body) in parts.items()
                    },
                    secret=secret,
                    case=routing.case,
                    subject=routing.subject,
                )
            )
        return recorded

    def stated(self, identity: AgencyIdentity, *events: Event) -> list[Recorded]:
        """Events as an agency would publish them, recorded."""
        return self.record(Publisher(identity, schemas=self.schemas).prepare(list(events)))

    def outcomes(self, sealed: bytes, **changes: Any) -> bytes:
        """The signed answer that accepts everything, with `changes` in every outcome."""
        outcomes = []
        for index, event in enumerate(self.open(sealed)["events"]):
            header = wire.HEADER.unsingle(event["header"])
            fields = {
                "agency": header["agency"],
                "event_id": header["event_id"],
                "digest": sha256(event["header"]).digest(),
                "accepted": True,
                "position": 100 + index,
                "step": None,
                "reason": None,
                "guard": None,
                "detail": None,
                "recorded_at": NOW,
            }
            outcomes.append(wire.OUTCOME.single({**fields, **changes}))
        return self.sign_outcomes(outcomes)

    def sign_outcomes(self, outcomes: list[bytes]) -> bytes:
        return wire.OUTCOME_BATCH.single(
            {
                "hub": self.hub_id,
                "key_id": self.key.key_id,
                "outcomes": outcomes,
                "signature": self.key.sign(
                    signing.OUTCOMES, outcomes_to_sign(self.hub_id, outcomes)
                ),
            }
        )

    # -- deliveries ------------------------------------------------------------------------

    def release(
        self,
        to: str,
        event: Recorded,
        bases: Mapping[str, str] | Sequence[str] | None = None,
        *,
        attested: bool = False,
    ) -> dict[str, Any]:
        """A release of these categories (all by default); its sequence is given by `message`."""
        if not isinstance(bases, Mapping):
            bases = dict.fromkeys(event.categories if bases is None else bases, "public_task")
        header = event.header
        return {
            **self._delivery(to, event, "release"),
            "event_ref": self.event_ref(to, event, attested=attested),
            "event_type": header["event_type"],
            "schema": header["schema"],
            "agency": None if attested else header["agency"],
            "occurred_at": header["occurred_at"].replace(hour=0, minute=0, second=0, microsecond=0)
            if attested
            else header["occurred_at"],
            "evidence": None if attested else event.evidence,
            "compartments": [
                self._attest(event, name) if attested else self._disclose(event, name)
                for name in event.compartments
                if _released(name, bases, to)
            ],
            "bases": [{"category": c, "basis": b} for c, b in sorted(bases.items())],
        }

    def recall(
        self,
        to: str,
        items: Sequence[tuple[Recorded, Sequence[str]]],
        *,
        action: str = "delete",
        attested: bool = False,
    ) -> dict[str, Any]:
        self.decision += 1
        return {
            **self._delivery(to, items[0][0], "recall"),
            "recall": {
                "recall_ref": f"r{self.decision}",
                "action": action,
                "due": NOW + timedelta(days=7),
                "items": [
                    {
                        "event_ref": self.event_ref(to, event, attested=attested),
                        "categories": list(categories),
                    }
                    for event, categories in items
                ],
            },
        }

    def message(
        self, to: str, deliveries: Sequence[dict[str, Any] | bytes], *, first: int | None = None
    ) -> bytes:
        """Sealed and signed. Without `first` the recipient's sequence goes on."""
        if first is None:
            first = self.sequences.get(to, 0) + 1
            self.sequences[to] = first + len(deliveries) - 1
        encoded = [
            one if isinstance(one, bytes) else encode({**one, "sequence": first + index})
            for index, one in enumerate(deliveries)
        ]
        size = sum(len(one) + 4 for one in encoded)
        plain = wire.DELIVERY_BATCH.single(
            {"deliveries": encoded, "padding": bytes(padme(size) - size)}
        )
        return self.sealed(to, plain, first, first + len(deliveries) - 1)

    def sealed(self, to: str, plain: bytes, first: int, last: int) -> bytes:
        _, _, sealing_public = self.agencies[to]
        recipient = self.names.recipient_ref(to)
        info = deliveries_info(self.hub_id, recipient, first, last)
        box = seal(sealing_public, info, plain)
        return wire.SEALED_DELIVERIES.single(
            {
                "hub": self.hub_id,
                "recipient": recipient,
                "first_sequence": first,
                "last_sequence": last,
                "sealing_key_id": sealing_key_id(sealing_public),
                "signing_key_id": self.key.key_id,
                "box": box,
                "signature": self.key.sign(signing.DELIVERIES, info + b"\n" + sha256(box).digest()),
            }
        )

    def receipt(self, signed: bytes) -> dict[str, Any]:
        """A receipt, its signature checked against the registered keys."""
        envelope = wire.SIGNED_RECEIPT.unsingle(signed)
        receipt: dict[str, Any] = wire.RECEIPT.unsingle(envelope["receipt"])
        _, keys, _ = self.agencies[receipt["agency"]]
        public = next(k.public for k in keys if k.key_id == receipt["key_id"])
        signing.verify(public, signing.RECEIPT, envelope["receipt"], envelope["signature"])
        return receipt

    def event_ref(self, to: str, event: Recorded, *, attested: bool = False) -> str:
        return self.names.pseudonym(to, "event", event.id) if attested else str(event.id)

    def case_ref(self, to: str, case: str) -> str:
        return self.names.pseudonym(to, "case", self.names.canonical("case", case))

    def _delivery(self, to: str, event: Recorded, kind: str) -> dict[str, Any]:
        subject = self.names.canonical("subject", event.subject)
        return {
            "sequence": 0,
            "kind": kind,
            "case_ref": self.case_ref(to, event.case),
            "subject_ref": self.names.pseudonym(to, "subject", subject),
            "decision": self.decision,
            "recorded": self.decision,
            "event_ref": None,
            "event_type": None,
            "schema": None,
            "agency": None,
            "occurred_at": None,
            "evidence": None,
            "compartments": [],
            "bases": [],
            "recall": None,
        }

    @staticmethod
    def _disclose(event: Recorded, name: str) -> dict[str, Any]:
        index, ciphertext = event.compartments[name]
        return {
            "name": name,
            "ciphertext": ciphertext,
            "key": compartment_key(event.secret, event.header["event_id"], name),
            "index": index,
            "path": b"".join(event.disclosure.path(index)),
        }

    @staticmethod
    def _attest(event: Recorded, name: str) -> dict[str, Any]:
        _, ciphertext = event.compartments[name]
        about = {"name": name, "schema_id": event.header["schema"]}
        event_id = event.header["event_id"]
        _, body = open_compartment(
            compartment_key(event.secret, event_id, name), ciphertext, event_id=event_id, **about
        )
        key = secrets.token_bytes(32)
        return {
            "name": name,
            "ciphertext": seal_compartment(
                key, event_id=ATTESTED_ID, salt=secrets.token_bytes(16), body=body, **about
            ),
            "key": key,
            "index": -1,
            "path": b"",
        }


def encode(delivery: dict[str, Any]) -> bytes:
    """As `hub/publisher.py` does, from the parts a test may have changed."""
    evidence = delivery["evidence"]
    return wire.DELIVERY.single(
        {
            **delivery,
            "evidence": None if evidence is None else wire.AGENCY_EVIDENCE.single(evidence),
            "compartments": [
                wire.DELIVERED_COMPARTMENT.single(part) for part in delivery["compartments"]
            ],
        }
    )


def _released(name: str, bases: Mapping[str, str], to: str) -> bool:
    category, _, party = name.partition("/")
    return category in bases and (not party or party == to)


def case_opened(case: str = "C-1", **data: Any) -> Event:
    """CaseOpened: categories case_management and, with a group_ref, linkage."""
    return Event(
        "CaseOpened",
        case,
        {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult", **data},
        occurred_at=NOW,
    )


def identity_recorded(case: str = "C-1", **data: Any) -> Event:
    """IdentityRecorded: categories identity and demographics."""
    return Event(
        "IdentityRecorded",
        case,
        {
            "given_name": "Synthetic",
            "family_name": "Person",
            "date_of_birth": "2001-02-03",
            "gender": "f",
            **data,
        },
        occurred_at=NOW + timedelta(minutes=1),
    )


def correction(of: Recorded, field: str, value: Any, **data: Any) -> Event:
    """RecordCorrected about a recorded event."""
    return Event(
        "RecordCorrected",
        of.case,
        {"corrects_event": str(of.id), "field": field, "new_value": value, **data},
        occurred_at=NOW + timedelta(minutes=5),
        corrects_type=of.header["event_type"],
    )
