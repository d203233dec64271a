"""Granting: two officers let somebody open the console, and one ends it again.

Each call is one transaction, asked on the log as it is then. Grants are approved as they were
proposed, in place of nothing else: `hub/authority/viewers.py` says what is signed. What a viewer
does of itself, registering a passkey with the one-time code and signing in, is recorded here too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hub.authority import viewers as signed
from hub.authority.acts import Acts, officers_of, reasoned, second, signing
from hub.authority.officers import OfficerKey, Officers
from hub.authority.viewers import (
    ALPHABET,
    HALF,
    OPEN,
    PASSKEY,
    REVOKED,
    STANDING,
    Grant,
    Granted,
    Proposed,
    Viewers,
)
from hub.errors import Refused
from hub.exchange import Exchange
from hub.membership.agencies import Agencies
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored
from hub.store.log import HubLog


@dataclass(frozen=True, slots=True)
class Step:
    """What one officer's signature brought. half: that officer's half of the code, if any."""

    position: int
    grant: Grant
    half: str = ""


def viewers_of(log: HubLog, hub: str) -> Viewers:
    """The viewers on record."""
    found = Viewers()
    for one in log.stream(stream_id("viewers", hub)):
        found.apply(one.position, one.event)
    return found


class Granting:
    """Viewers of one hub. `officer` in the calls is who signs."""

    def __init__(self, exchange: Exchange, hub: str) -> None:
        self._exchange = exchange
        self._hub = hub
        self._acts = Acts(exchange, hub)

    def viewers(self) -> Viewers:
        return viewers_of(self._exchange.log, self._hub)

    # -- by officers -----------------------------------------------------------------------

    def propose(self, grant: Grant, officer: OfficerKey) -> Step:
        """The first signature. Raises Refused."""
        grant.check()
        half = _half() if grant.how == PASSKEY else ""
        code = signed.hashed(half) if half else b""

        def work(draft: Draft) -> int:
            by = signing(self._officers(), officer, draft.next_position)
            known = self.viewers()
            self._free(known, grant, self._exchange.agencies)
            base = known.base(grant.viewer)
            payload = signed.proposal(self._hub, grant, code, base, by.name)
            return self._acts.record(
                draft,
                "viewers",
                stored.ViewerProposed,
                viewer=grant.viewer,
                role=grant.role,
                agency=grant.agency,
                how=grant.how,
                issuer=grant.issuer,
                subject=grant.subject,
                code=code,
                base=base,
                by=by.name,
                by_key=by.key_id,
                statement=signed.signed(signed.PROPOSAL, payload, officer),
            )

        return Step(self._exchange.commit(work), grant, half)

    def approve(self, position: int, officer: OfficerKey) -> Step:
        """The second signature, for the proposal at this log position. Raises Refused."""
        half = _half()

        def work(draft: Draft) -> tuple[int, Proposed]:
            officers = self._officers()
            by = signing(officers, officer, draft.next_position)
            known = self.viewers()
            proposed = self.open_proposal(position, known)
            second(officers, by, proposed.by, proposed.by_key, draft.next_position)
            self._free(known, proposed.grant, self._exchange.agencies)
            code = signed.hashed(half) if proposed.grant.how == PASSKEY else b""
            payload = signed.approval(self._hub, proposed, code, by.name)
            at = self._acts.record(
                draft,
                "viewers",
                stored.ViewerGranted,
                viewer=proposed.grant.viewer,
                proposal=proposed.position,
                code=code,
                by=by.name,
                by_key=by.key_id,
                statement=signed.signed(signed.APPROVAL, payload, officer),
            )
            return at, proposed

        at, proposed = self._exchange.commit(work)
        return Step(at, proposed.grant, half if proposed.grant.how == PASSKEY else "")

    def open_proposal(self, position: int, known: Viewers | None = None) -> Proposed:
        """The proposal at a log position, if it waits for a second officer. Raises Refused."""
        known = known or self.viewers()
        proposed = known.proposals.get(position)
        if proposed is None:
            raise Refused(0, "unknown_proposal", "no such proposal; see: nrm-hub viewer list")
        state = known.state(proposed)
        if state == STANDING:
            raise Refused(0, "already_granted", f"{proposed.grant.viewer} was granted before")
        if state == REVOKED:
            raise Refused(0, "revoked_grant", "an officer revoked it: propose it again")
        if state != OPEN:
            raise Refused(
                0, "stale_proposal", "another grant or revocation came after it: propose it again"
            )
        return proposed

    def revoke(self, viewer: str, officer: OfficerKey, reason: str) -> int:
        """End a grant, or take back what waits for a second officer. Raises Refused."""
        reasoned(reason)

        def work(draft: Draft) -> int:
            by = signing(self._officers(), officer, draft.next_position)
            known = self.viewers()
            gone = known.standing.get(viewer)
            waiting = [
                one
                for one in known.proposals.values()
                if one.grant.viewer == viewer and known.state(one) == OPEN
            ]
            if gone is None and not waiting:
                raise Refused(
                    0, "unknown_viewer", f"no viewer {viewer} stands; see: nrm-hub viewer list"
                )
            granted = gone.position if gone is not None else waiting[-1].position
            payload = signed.revocation(self._hub, viewer, granted, reason, by.name)
            return self._acts.record(
                draft,
                "viewers",
                stored.ViewerRevoked,
                viewer=viewer,
                granted=granted,
                reason=reason,
                by=by.name,
                by_key=by.key_id,
                statement=signed.signed(signed.REVOCATION, payload, officer),
            )

        return self._exchange.commit(work)

    # -- by the viewer ---------------------------------------------------------------------

    def add_passkey(
        self, code: str, credential: bytes, public: bytes, counter: int, aaguid: str
    ) -> Granted:
        """Register a passkey with the one-time code, which is used up. Raises Refused."""

        def work(draft: Draft) -> Granted:
            known = self.viewers()
            granted = known.by_code(code, draft.now)
            if granted is None:
                raise Refused(0, "code_not_valid", CODE_NOT_VALID)
            if credential in known.passkeys:
                raise Refused(0, "passkey_known", "this passkey is registered already")
            self._acts.record(
                draft,
                "viewers",
                stored.ViewerPasskeyAdded,
                viewer=granted.grant.viewer,
                granted=granted.position,
                credential=credential,
                public=public,
                counter=counter,
                aaguid=aaguid[:64],
                code=signed.plain(code).encode(),
            )
            return granted

        return self._exchange.commit(work)

    def signed_in(self, granted: Granted, credential: bytes = b"", counter: int = 0) -> None:
        """Record that a viewer signed in. Raises Refused if the grant fell, or the counter did."""

        def work(draft: Draft) -> None:
            name = granted.grant.viewer
            if self.viewers().stands(name, granted.position) is None:
                raise Refused(0, "not_granted", NOT_GRANTED)
            stream = stream_id("sign-ins", f"{granted.position}")
            if credential and not self._higher(draft, stream, credential, counter):
                raise Refused(
                    0, "passkey_copied", "the passkey's counter went back: let an officer revoke it"
                )
            draft.add(
                stored.ViewerSignedIn(
                    originator_id=stream,
                    originator_version=self._exchange.version_of(draft, stream) + 1,
                    timestamp=draft.now,
                    viewer=name,
                    granted=granted.position,
                    how=granted.grant.how,
                    credential=credential,
                    counter=counter,
                )
            )

        self._exchange.commit(work)

    def _higher(self, draft: Draft, stream: Any, credential: bytes, counter: int) -> bool:
        """Whether a counter has moved on. Zero throughout: the passkey has none."""
        last = self.viewers().passkeys[credential].counter
        version = self._exchange.version_of(draft, stream)
        if version:
            [newest] = self._exchange.log.stream(stream, after_version=version - 1, limit=1)
            if isinstance(newest.event, stored.ViewerSignedIn):
                last = newest.event.counter
        return counter > last or counter == last == 0

    # -- parts -----------------------------------------------------------------------------

    def _officers(self) -> Officers:
        return officers_of(self._exchange.log, self._hub)

    def _free(self, known: Viewers, grant: Grant, agencies: Agencies) -> None:
        if grant.viewer in known.standing:
            raise Refused(
                0, "viewer_exists", f"{grant.viewer} stands already: revoke first, or rename"
            )
        if grant.agency and agencies.get(grant.agency) is None:
            raise Refused(0, "unknown_agency", "no such agency; see: nrm-hub agency list")
        other = known.by_account(grant.issuer, grant.subject) if grant.issuer else None
        if other is not None:
            raise Refused(0, "account_taken", f"this account is {other.grant.viewer}'s already")


CODE_NOT_VALID: Final = (
    "this code is not valid: mistyped, used, or older than a week; ask the officers for another"
)
NOT_GRANTED: Final = "this account may not open the console; two officers grant it"


def _half() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(HALF))


def code_ends(granted: Granted) -> datetime:
    """Until when the one-time code may be used."""
    return granted.at + signed.CODE_LIFE
