"""Rows of an agency: taking part, its keys, the agreements it has signed."""

from __future__ import annotations

from dataclasses import dataclass

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyRequested(StoreEvent):
    """An agency asked to take part."""

    TOPIC = "nrm.Agency.Requested"

    agency: str
    name: str
    role: str
    request: bytes
    public: bytes
    key_id: bytes
    sealing_public: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyEnrolled(StoreEvent):
    """An agency takes part, and its key is valid, from this position on."""

    TOPIC = "nrm.Agency.Enrolled"

    agency: str
    name: str
    role: str
    request: bytes
    public: bytes
    key_id: bytes
    sealing_public: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyKeyAdded(StoreEvent):
    """A signing key is valid from this position on."""

    TOPIC = "nrm.Agency.KeyAdded"

    agency: str
    public: bytes
    key_id: bytes
    request: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyKeyRevoked(StoreEvent):
    """A signing key is not valid after this position."""

    TOPIC = "nrm.Agency.KeyRevoked"

    agency: str
    key_id: bytes
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencySealingKeyChanged(StoreEvent):
    """Deliveries are sealed to this key from this position on."""

    TOPIC = "nrm.Agency.SealingKeyChanged"

    agency: str
    sealing_public: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSigned(StoreEvent):
    """A data-sharing agreement applies from this position on."""

    TOPIC = "nrm.Agreement.Signed"

    agency: str
    agreement: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementEnded(StoreEvent):
    """A data-sharing agreement no longer applies."""

    TOPIC = "nrm.Agreement.Ended"

    agency: str
    agreement: str
    reason: str = ""
    by: str = ""
