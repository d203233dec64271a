"""Proposals: what was proposed, what came of it, and which versions were ever in force.

A fold of the policy stream (`nrm.PolicyProfile.*`). Nothing is removed: a proposal is open until it
is approved or until another version comes in force, and stays on record either way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from hub.authority.officers import Ballot
from hub.store import events as stored
from hub.store.events import StoreEvent

OPEN, APPROVED, STALE = "open", "in force", "stale"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A document an officer proposed."""

    position: int
    at: datetime
    version: str
    digest: bytes
    document: bytes
    base: bytes
    base_position: int
    reason: str
    by: str
    by_key: bytes
    statement: bytes

    def ballot(self, hub: str) -> Ballot:
        return Ballot(hub, self.version, self.digest, self.base, self.base_position)


@dataclass(frozen=True, slots=True)
class InForce:
    """A version that decides, or decided, from `position` on; the first has no proposal."""

    position: int
    at: datetime
    version: str
    digest: bytes
    document: bytes
    proposal: Proposal | None = None
    approved_by: str = ""


@dataclass
class Proposals:
    """The policy stream, folded."""

    versions: list[InForce] = field(default_factory=list)
    proposals: dict[int, Proposal] = field(default_factory=dict)  # by position
    _approved: stored.PolicyApproved | None = None

    def apply(self, position: int, event: StoreEvent) -> None:
        match event:
            case stored.PolicyProposed():
                self.proposals[position] = Proposal(
                    position,
                    event.timestamp,
                    event.version,
                    event.digest,
                    event.document,
                    event.base,
                    event.base_position,
                    event.reason,
                    event.by,
                    event.by_key,
                    event.statement,
                )
            case stored.PolicyApproved():
                self._approved = event
            case stored.PolicyPublished():
                self.versions.append(self._in_force(position, event))
                self._approved = None
            case _:
                pass

    def _in_force(self, position: int, event: stored.PolicyPublished) -> InForce:
        digest = sha256(event.document).digest()
        approved = self._approved
        if approved is None or approved.digest != digest:
            return InForce(position, event.timestamp, event.version, digest, event.document)
        return InForce(
            position,
            event.timestamp,
            event.version,
            digest,
            event.document,
            self.proposals.get(approved.proposal),
            approved.by,
        )

    @property
    def current(self) -> InForce:
        """The version in force. There is one in every log that was initialised."""
        return self.versions[-1]

    def state(self, proposal: Proposal) -> str:
        """open, in force (now or once), or stale: another version came in force after it."""
        if any(one.proposal is proposal for one in self.versions):
            return APPROVED
        return OPEN if proposal.base_position == self.current.position else STALE

    def newest_first(self) -> list[Proposal]:
        return sorted(self.proposals.values(), key=lambda one: -one.position)

    def matching(self, prefix: str) -> list[Proposal]:
        """Proposals whose digest begins so, of one digest the newest only."""
        found: dict[bytes, Proposal] = {}
        for one in self.newest_first():
            if one.digest.hex().startswith(prefix.lower()):
                found.setdefault(one.digest, one)
        return list(found.values())
