"""Rows of the policy profile, and of the officers of whom two decide on it."""

from __future__ import annotations

from dataclasses import dataclass

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPublished(StoreEvent):
    """A policy profile decides from this position on."""

    TOPIC = "nrm.PolicyProfile.Published"

    version: str
    document: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposed(StoreEvent):
    """An officer proposed a policy profile; it decides nothing yet."""

    TOPIC = "nrm.PolicyProfile.Proposed"

    version: str
    digest: bytes
    document: bytes
    base: bytes
    base_position: int
    reason: str
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyApproved(StoreEvent):
    """A second officer approved a proposal; the profile published next is the one approved."""

    TOPIC = "nrm.PolicyProfile.Approved"

    version: str
    digest: bytes
    proposal: int
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerVouched(StoreEvent):
    """An officer vouched for a person who asks to become one."""

    TOPIC = "nrm.Officer.Vouched"

    officer: str
    key_id: bytes
    request: bytes
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerAdmitted(StoreEvent):
    """A person may propose and approve policy profiles from this position on."""

    TOPIC = "nrm.Officer.Admitted"

    officer: str
    public: bytes
    key_id: bytes
    request: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerRevoked(StoreEvent):
    """An officer's key is not valid after this position."""

    TOPIC = "nrm.Officer.Revoked"

    officer: str
    key_id: bytes
    reason: str
    by: str
    by_key: bytes
    statement: bytes
