"""Publication: two persons put a policy profile in force, each by a signed statement in the log.

Each call is one transaction. What may be done is asked inside it, on the log as it is then: a
proposal is approved as it was proposed, by its digest, in place of the version it was meant to
replace, or not at all. Decisions recorded before the position it decides from stand.

There is no other way to change the profile of a hub that was initialised. The first version comes
with the first start (`hub/membership/enrolment.py`), unsigned, as part of setting the hub up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from hub.authority import officers as signed
from hub.authority import profiles
from hub.authority.acts import Acts, officers_of, reasoned, second, signing
from hub.authority.officers import TWO, Candidate, OfficerKey, Officers
from hub.authority.proposals import APPROVED, STALE, Proposal, Proposals
from hub.crypto.envelope import EnvelopeError
from hub.domain.policy import PolicyProfile
from hub.errors import Inconsistent, Refused
from hub.exchange import Exchange
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored
from hub.store.log import HubLog

SHORTEST = 8  # digits of a digest that are enough to name a proposal


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of a request: the position the key is valid from, or who vouched so far."""

    name: str
    position: int | None
    vouched: tuple[str, ...] = ()


def proposals_of(log: HubLog, hub: str) -> Proposals:
    """Proposals and versions on record."""
    found = Proposals()
    for one in log.stream(stream_id("policy", hub)):
        found.apply(one.position, one.event)
    return found


class Publication:
    """Officers and the profile of one hub. `officer` in the calls is who signs."""

    def __init__(self, exchange: Exchange, hub: str) -> None:
        self._exchange = exchange
        self._hub = hub
        self._acts = Acts(exchange, hub)

    def officers(self) -> Officers:
        return officers_of(self._exchange.log, self._hub)

    def proposals(self) -> Proposals:
        return proposals_of(self._exchange.log, self._hub)

    # -- officers --------------------------------------------------------------------------

    def found(self, requests: Sequence[bytes]) -> list[Admission]:
        """Admit the first officers, all at once, where there are none. The operator compares."""
        candidates = [_candidate(one) for one in requests]
        self._none_yet()
        several = {one.name for one in candidates}
        if len(several) < TWO or len({one.public for one in candidates}) < len(candidates):
            raise Refused(
                0, "two_officers_needed", "give the requests of two or more persons at once"
            )
        if len(several) < len(candidates):
            raise Refused(0, "officer_exists", "two of the requests carry the same name")

        def work(draft: Draft) -> list[Admission]:
            self._none_yet()
            return [self._admit(draft, one, ()) for one in candidates]

        return self._exchange.commit(work)

    def _none_yet(self) -> None:
        if len(self.officers()):
            raise Refused(
                0, "officer_needed", "there are officers here: two of them vouch, --officer KEY"
            )

    def vouch(self, request: bytes, officer: OfficerKey) -> Admission:
        """Vouch for one more person; the second officer's vouching admits. Repeating is safe."""
        asked = _candidate(request)

        def work(draft: Draft) -> Admission:
            known = self.officers()
            position = draft.next_position
            same = known.get(asked.key_id)
            if same is not None and same.valid_at(position):
                return Admission(asked.name, same.valid_from)
            if same is not None:
                raise Refused(0, "revoked_officer", "this key was revoked; make a new one")
            if known.named(asked.name, position) is not None:
                raise Refused(
                    0, "officer_exists", f"{asked.name} has a valid key: revoke it, or rename"
                )
            by = signing(known, officer, position)
            if by.name not in known.vouched(asked.key_id, position):
                self._acts.record(
                    draft,
                    "officers",
                    stored.OfficerVouched,
                    officer=asked.name,
                    key_id=asked.key_id,
                    request=asked.request,
                    by=by.name,
                    by_key=by.key_id,
                    statement=signed.vouching(self._hub, asked, officer),
                )
            vouched = {*known.vouched(asked.key_id, position), by.name}
            if len(vouched) < TWO:
                return Admission(asked.name, None, tuple(sorted(vouched)))
            return self._admit(draft, asked, tuple(sorted(vouched)))

        return self._exchange.commit(work)

    def _admit(self, draft: Draft, asked: Candidate, vouched: tuple[str, ...]) -> Admission:
        position = self._acts.record(
            draft,
            "officers",
            stored.OfficerAdmitted,
            officer=asked.name,
            public=asked.public,
            key_id=asked.key_id,
            request=asked.request,
            by=" and ".join(vouched),
        )
        return Admission(asked.name, position, vouched)

    def revoke(self, name: str, officer: OfficerKey, reason: str) -> int:
        """Revoke an officer's key, one's own included; returns the position."""

        def work(draft: Draft) -> int:
            known = self.officers()
            position = draft.next_position
            by = signing(known, officer, position)
            gone = known.named(name, position)
            if gone is None:
                raise Refused(0, "unknown_officer", f"no officer {name}; see: nrm-hub officer list")
            if len(known.valid(position)) <= TWO:
                raise Refused(
                    0, "last_officers", "two must remain, or nothing can be published: admit first"
                )
            return self._acts.record(
                draft,
                "officers",
                stored.OfficerRevoked,
                officer=gone.name,
                key_id=gone.key_id,
                reason=reason,
                by=by.name,
                by_key=by.key_id,
                statement=signed.revocation(self._hub, gone, reason, officer),
            )

        return self._exchange.commit(work)

    # -- the profile -----------------------------------------------------------------------

    def propose(self, profile: Mapping[str, Any], officer: OfficerKey, reason: str) -> Proposal:
        """Record a signed proposal. Raises PolicyError for a wrong document; Refused."""
        document = profiles.written(profile)
        version = PolicyProfile.from_document(profile).version
        digest = sha256(document).digest()
        reasoned(reason)

        def work(draft: Draft) -> int:
            by = signing(self.officers(), officer, draft.next_position)
            known = self._known()
            if digest == known.current.digest:
                raise Refused(0, "same_profile", "this very document is in force already")
            if any(version == one.version for one in known.versions):
                raise Refused(
                    0,
                    "same_version",
                    f"{version} was in force before: give it a version of its own",
                )
            base = known.current
            ballot = signed.Ballot(self._hub, version, digest, base.digest, base.position)
            return self._acts.record(
                draft,
                "policy",
                stored.PolicyProposed,
                version=version,
                digest=digest,
                document=document,
                base=base.digest,
                base_position=base.position,
                reason=reason,
                by=by.name,
                by_key=by.key_id,
                statement=ballot.propose(reason, officer),
            )

        position = self._exchange.commit(work)
        return self.proposals().proposals[position]

    def proposal(self, digest: str) -> Proposal:
        """The open proposal of this digest, or of its first digits. Raises Refused."""
        return self._open(self._known(), digest)

    def approve(self, digest: str, officer: OfficerKey) -> int:
        """Put a proposal in force; returns the position it decides from.

        Raises Refused; PolicyError if this program would no longer let the document be proposed.
        """

        def work(draft: Draft) -> int:
            officers, known = self.officers(), self._known()
            position = draft.next_position
            by = signing(officers, officer, position)
            proposal = self._open(known, digest)
            second(officers, by, proposal.by, proposal.by_key, position)
            PolicyProfile.from_document(json.loads(proposal.document))  # this program may be newer
            ballot = proposal.ballot(self._hub)
            self._acts.record(
                draft,
                "policy",
                stored.PolicyApproved,
                version=proposal.version,
                digest=proposal.digest,
                proposal=proposal.position,
                by=by.name,
                by_key=by.key_id,
                statement=ballot.approve(proposal.by, officer),
            )
            return self._acts.record(
                draft,
                "policy",
                stored.PolicyPublished,
                version=proposal.version,
                document=proposal.document,
                by=f"{proposal.by} and {by.name}",
            )

        return self._exchange.commit(work)

    def _open(self, known: Proposals, digest: str) -> Proposal:
        found = known.matching(digest)
        if len(digest) < SHORTEST or not found:
            raise Refused(0, "unknown_proposal", "no such proposal; see: nrm-hub policy proposals")
        if len(found) > 1:
            raise Refused(0, "ambiguous_digest", "several proposals begin so; give more digits")
        [proposal] = found
        state = known.state(proposal)
        if state == APPROVED:
            raise Refused(0, "already_in_force", f"{proposal.version} was approved before")
        if state == STALE:
            raise Refused(
                0,
                "stale_proposal",
                "another version came in force since it was proposed: compare with policy diff, "
                "then propose again",
            )
        return proposal

    def _known(self) -> Proposals:
        known = self.proposals()
        if not known.versions:
            raise Inconsistent("no policy profile is recorded; this store was never initialised")
        return known


def _candidate(request: bytes) -> Candidate:
    try:
        return signed.read_request(request)
    except EnvelopeError as wrong:
        raise Refused(0, "bad_request", f"{wrong}; ask for it again: officer create") from None
