"""Officers: the persons who together put a policy profile in force, and what they sign.

An officer is a name and an Ed25519 key of their own. Validity is by log position, as for agencies'
keys. Nothing an officer does counts alone: a profile needs one who proposes and another who
approves, a further officer needs two who vouch. So no single key, and no operator without keys,
can widen a release (docs/policy.md). Two keys of one name are one person.

Every statement names the hub and everything it is about, so that it can be used nowhere else and
for nothing else; it is a document of `hub/crypto/envelope.py` and is kept in the log as signed.

    request     format, name, public                      signed by the key it carries
    vouching    format, hub, officer, key, by             by an officer, for a request
    revocation  format, hub, officer, key, reason, by     by any officer
    proposal    format, hub, version, digest, base, base_position, reason, by
    approval    format, hub, version, digest, base, base_position, proposed_by, by

Pure: bytes and recorded events in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hub.crypto import envelope, signing
from hub.crypto.envelope import EnvelopeError
from hub.crypto.signing import SignatureError, SigningKey
from hub.store import events as stored
from hub.store.events import StoreEvent

REQUEST: Final = "application/vnd.nrm.officer-request.v1+json"
VOUCHING: Final = "application/vnd.nrm.officer-vouching.v1+json"
REVOCATION: Final = "application/vnd.nrm.officer-revocation.v1+json"
PROPOSAL: Final = "application/vnd.nrm.policy-proposal.v1+json"
APPROVAL: Final = "application/vnd.nrm.policy-approval.v1+json"

TWO = 2  # persons for anything that counts
NAME = re.compile(r"\w[\w .@'-]{0,63}")


@dataclass(frozen=True, slots=True)
class OfficerKey:
    """An officer's own key, as its file holds it."""

    name: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who asks to become an officer, and proved to have the key."""

    name: str
    public: bytes
    request: bytes

    @property
    def key_id(self) -> bytes:
        return signing.key_id(self.public)


@dataclass(frozen=True, slots=True)
class Officer:
    """One key on record and the log positions it may sign at, `[valid_from, valid_to)`."""

    name: str
    key_id: bytes
    public: bytes
    valid_from: int
    valid_to: int | None = None

    def valid_at(self, position: int) -> bool:
        return self.valid_from <= position and (self.valid_to is None or position < self.valid_to)


class Officers:
    """All officers. `apply` folds one recorded event; the rest only reads."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, Officer] = {}
        self._vouched: dict[bytes, dict[bytes, str]] = {}  # candidate's key → voucher's key → name

    def __iter__(self) -> Iterator[Officer]:
        return iter(sorted(self._by_key.values(), key=lambda one: one.valid_from))

    def __len__(self) -> int:
        return len(self._by_key)

    def apply(self, position: int, event: StoreEvent) -> None:
        match event:
            case stored.OfficerAdmitted():
                self._by_key[event.key_id] = Officer(
                    event.officer, event.key_id, event.public, position
                )
            case stored.OfficerVouched():
                self._vouched.setdefault(event.key_id, {})[event.by_key] = event.by
            case stored.OfficerRevoked():
                known = self._by_key.get(event.key_id)
                if known is not None:
                    self._by_key[event.key_id] = replace(known, valid_to=position)
            case _:
                pass

    def get(self, key_id: bytes) -> Officer | None:
        return self._by_key.get(key_id)

    def valid(self, position: int) -> list[Officer]:
        """Whose keys may sign at a position, those admitted first first."""
        return [one for one in self if one.valid_at(position)]

    def named(self, name: str, position: int) -> Officer | None:
        """The officer of this name whose key may sign at a position."""
        return next((one for one in self.valid(position) if one.name == name), None)

    def vouched(self, key_id: bytes, position: int) -> list[str]:
        """Names of the officers who vouched for this key and whose own keys are valid."""
        names = {
            name
            for voucher, name in self._vouched.get(key_id, {}).items()
            if (known := self.get(voucher)) is not None and known.valid_at(position)
        }
        return sorted(names)


# -- what is signed --------------------------------------------------------------------------


def request(officer: OfficerKey) -> bytes:
    """What a person sends to become an officer; proves possession of the key."""
    payload = {
        "format": "nrm.officer-request.1",
        "name": officer.name,
        "public": envelope.text(officer.key.public),
    }
    return envelope.written(REQUEST, payload, [officer.key])


def read_request(document: bytes) -> Candidate:
    """Who asks. Raises EnvelopeError, saying why, for anything but a sound request."""
    opened = envelope.opened(document, REQUEST)
    try:
        name, public = opened.text("name"), opened.octets("public")
        signing.check_public(public)
    except (KeyError, TypeError, ValueError, SignatureError) as wrong:
        raise EnvelopeError(f"the request is not usable: {wrong}") from None
    if not NAME.fullmatch(name):
        raise EnvelopeError("the name is not usable: 1 to 64 letters, digits, spaces and .@'-_")
    opened.require(public, "the key it carries")
    return Candidate(name, public, document)


def vouching(hub: str, candidate: Candidate, by: OfficerKey) -> bytes:
    payload = vouching_payload(hub, candidate.name, candidate.key_id, by.name)
    return envelope.written(VOUCHING, payload, [by.key])


def vouching_payload(hub: str, officer: str, key_id: bytes, by: str) -> dict[str, Any]:
    return {
        "format": "nrm.officer-vouching.1",
        "hub": hub,
        "officer": officer,
        "key": key_id.hex(),
        "by": by,
    }


def revocation(hub: str, officer: Officer, reason: str, by: OfficerKey) -> bytes:
    payload = revocation_payload(hub, officer.name, officer.key_id, reason, by.name)
    return envelope.written(REVOCATION, payload, [by.key])


def revocation_payload(
    hub: str, officer: str, key_id: bytes, reason: str, by: str
) -> dict[str, Any]:
    return {
        "format": "nrm.officer-revocation.1",
        "hub": hub,
        "officer": officer,
        "key": key_id.hex(),
        "reason": reason,
        "by": by,
    }


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a proposal and its approval are about: this document, in place of that one."""

    hub: str
    version: str
    digest: bytes
    base: bytes
    base_position: int

    def _common(self) -> dict[str, Any]:
        return {
            "hub": self.hub,
            "version": self.version,
            "digest": self.digest.hex(),
            "base": self.base.hex(),
            "base_position": self.base_position,
        }

    def proposal(self, reason: str, by: str) -> dict[str, Any]:
        return {
            "format": "nrm.policy-proposal.1",
            **self._common(),
            "reason": reason,
            "by": by,
        }

    def approval(self, proposed_by: str, by: str) -> dict[str, Any]:
        return {
            "format": "nrm.policy-approval.1",
            **self._common(),
            "proposed_by": proposed_by,
            "by": by,
        }

    def propose(self, reason: str, by: OfficerKey) -> bytes:
        return envelope.written(PROPOSAL, self.proposal(reason, by.name), [by.key])

    def approve(self, proposed_by: str, by: OfficerKey) -> bytes:
        return envelope.written(APPROVAL, self.approval(proposed_by, by.name), [by.key])


def check(
    statement: bytes, payload_type: str, expected: Mapping[str, Any], officer: Officer
) -> None:
    """Raise EnvelopeError unless this officer signed exactly this."""
    opened = envelope.opened(statement, payload_type)
    opened.require(officer.public, f"officer {officer.name}")
    if opened.payload != expected:
        raise EnvelopeError("the statement signed is another than the one recorded")
