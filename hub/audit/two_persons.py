"""Two persons: every version of the policy profile but the first, and every viewer of the console,
checked against its signatures.

Fed every officer's, policy and viewer's row of a log in order. Nothing but the log is needed, so
the check can be made offline and years later: statements carry what was signed, admissions the
public keys.
The first officers are taken as they stand: compare their fingerprints (`nrm-hub officer list`) by
another channel, as an agency's.

An admission, proposal or approval that does not verify is a problem and counts for nothing after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from hub.audit import granted
from hub.audit.granted import GrantCheck
from hub.authority import officers as signed
from hub.authority.officers import TWO, Officer, Officers
from hub.authority.proposals import Proposals
from hub.crypto.envelope import EnvelopeError
from hub.store import events as stored
from hub.store.events import StoreEvent

TOPICS = frozenset(
    one.TOPIC
    for one in (
        stored.OfficerVouched,
        stored.OfficerAdmitted,
        stored.OfficerRevoked,
        stored.PolicyProposed,
        stored.PolicyApproved,
        stored.PolicyPublished,
    )
).union(granted.TOPICS)


class _Wrong(Exception):
    """Why a row does not stand."""


@dataclass
class TwoPersons:
    """The check for one hub's log. `signed` counts versions whose two signatures verified."""

    hub: str
    problems: list[str] = field(default_factory=list)
    versions: int = 0
    signed: int = 0
    _officers: Officers = field(default_factory=Officers)
    _proposals: Proposals = field(default_factory=Proposals)
    _founders: set[str] = field(default_factory=set)
    _founding: int = 0  # position of the last row of the founding
    _approved: tuple[int, stored.PolicyApproved] | None = None
    _grants: GrantCheck = field(init=False)

    def __post_init__(self) -> None:
        self._grants = GrantCheck(self.hub)

    @property
    def viewers(self) -> int:
        """Viewers' grants whose two signatures verified."""
        return self._grants.signed

    def look(self, position: int, event: StoreEvent) -> None:
        """Take one row in. Never raises: what is wrong becomes a problem."""
        try:
            self._check(position, event)
        except (_Wrong, EnvelopeError) as wrong:
            self.problems.append(f"position {position}: {wrong}")
            if not isinstance(event, stored.PolicyPublished):
                return
        self._officers.apply(position, event)
        self._proposals.apply(position, event)

    def finish(self) -> None:
        """After the last row."""
        if self._founders and len(self._founders) < TWO:
            self.problems.append(f"position {self._founding}: one officer was admitted alone")

    def _check(self, position: int, event: StoreEvent) -> None:
        match event:
            case stored.OfficerVouched():
                self._vouched(position, event)
            case stored.OfficerAdmitted():
                self._admitted(position, event)
            case stored.OfficerRevoked():
                by = self._signer(position, event.by, event.by_key)
                gone = self._officers.get(event.key_id)
                if gone is None or gone.name != event.officer:
                    raise _Wrong("revokes a key that is no officer's")
                expected = signed.revocation_payload(
                    self.hub, event.officer, event.key_id, event.reason, event.by
                )
                signed.check(event.statement, signed.REVOCATION, expected, by)
            case stored.PolicyProposed():
                self._proposed(position, event)
            case stored.PolicyApproved():
                self._approve(position, event)
                self._approved = (position, event)
            case stored.PolicyPublished():
                self._published(position, event)
            case _:
                self._grants.look(position, event, self._signer)

    def _signer(self, position: int, name: str, key_id: bytes) -> Officer:
        officer = self._officers.get(key_id)
        if officer is None or officer.name != name or not officer.valid_at(position):
            raise _Wrong(f"{name} was no officer then, or with another key")
        return officer

    def _vouched(self, position: int, event: stored.OfficerVouched) -> None:
        by = self._signer(position, event.by, event.by_key)
        asked = signed.read_request(event.request)
        if (asked.name, asked.key_id) != (event.officer, event.key_id):
            raise _Wrong("the request vouched for is another person's")
        expected = signed.vouching_payload(self.hub, event.officer, event.key_id, event.by)
        signed.check(event.statement, signed.VOUCHING, expected, by)

    def _admitted(self, position: int, event: stored.OfficerAdmitted) -> None:
        asked = signed.read_request(event.request)
        if (asked.name, asked.public, asked.key_id) != (event.officer, event.public, event.key_id):
            raise _Wrong("the officer's request is another person's")
        if not event.by:
            # The founding is one transaction, so its rows are neighbours.
            if self._founding not in (0, position - 1):
                raise _Wrong(f"{event.officer} was admitted without two officers vouching")
            self._founding = position
            self._founders.add(event.officer)
        elif len(self._officers.vouched(event.key_id, position)) < TWO:
            raise _Wrong(f"{event.officer} was admitted without two officers vouching")

    def _proposed(self, position: int, event: stored.PolicyProposed) -> None:
        by = self._signer(position, event.by, event.by_key)
        if sha256(event.document).digest() != event.digest:
            raise _Wrong("the document proposed is not the one signed")
        if not self._proposals.versions:
            raise _Wrong("proposed before there was any profile")
        current = self._proposals.current
        if (event.base, event.base_position) != (current.digest, current.position):
            raise _Wrong("the proposal was to replace another version than the one in force")
        expected = signed.Ballot(
            self.hub, event.version, event.digest, event.base, event.base_position
        ).proposal(event.reason, event.by)
        signed.check(event.statement, signed.PROPOSAL, expected, by)

    def _approve(self, position: int, event: stored.PolicyApproved) -> None:
        by = self._signer(position, event.by, event.by_key)
        proposal = self._proposals.proposals.get(event.proposal)
        if proposal is None or proposal.digest != event.digest:
            raise _Wrong("approves something that was not proposed")
        if proposal.base_position != self._proposals.current.position:
            raise _Wrong("approves a proposal that another version had overtaken")
        if event.by == proposal.by or event.by_key == proposal.by_key:
            raise _Wrong(f"{event.by} approved an own proposal")
        self._signer(position, proposal.by, proposal.by_key)
        expected = proposal.ballot(self.hub).approval(proposal.by, event.by)
        signed.check(event.statement, signed.APPROVAL, expected, by)

    def _published(self, position: int, event: stored.PolicyPublished) -> None:
        self.versions += 1
        if self.versions == 1:
            return  # came with the first start
        approved, self._approved = self._approved, None
        digest = sha256(event.document).digest()
        if approved is None or approved[0] != position - 1 or approved[1].digest != digest:
            raise _Wrong(f"version {event.version} was put in force without two officers")
        self.signed += 1
