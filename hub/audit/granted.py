"""Granted: every viewer of the console, checked against the two signatures the grant rests on.

Fed every viewer's row of a log in order, with the officers as they stood then. A passkey must show
the one-time code whose halves the two officers' statements hash: whoever writes to the store can
let nobody in that two officers did not sign for.

A row that does not verify is a problem and counts for nothing after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hub.authority import officers as statements
from hub.authority import viewers as signed
from hub.authority.officers import Officer
from hub.authority.viewers import Viewers, grant_of
from hub.crypto.envelope import EnvelopeError
from hub.store import events as stored
from hub.store.events import StoreEvent

TOPICS: Final = signed.TOPICS

Signer = Callable[[int, str, bytes], Officer]
"""(position, name, key id) → the officer. Raises if nobody could sign so at that position."""


@dataclass
class GrantCheck:
    """The check for one hub's log. `signed` counts grants whose two signatures verified."""

    hub: str
    signed: int = 0
    _viewers: Viewers = field(default_factory=Viewers)

    def look(self, position: int, event: StoreEvent, signer: Signer) -> None:
        """Take one row in. Raises EnvelopeError, or what `signer` raises, if it does not stand."""
        match event:
            case stored.ViewerProposed():
                self._proposed(position, event, signer)
            case stored.ViewerGranted():
                self._granted(position, event, signer)
                self.signed += 1
            case stored.ViewerRevoked():
                by = signer(position, event.by, event.by_key)
                expected = signed.revocation(
                    self.hub, event.viewer, event.granted, event.reason, event.by
                )
                statements.check(event.statement, signed.REVOCATION, expected, by)
            case stored.ViewerPasskeyAdded():
                self._passkey(event)
            case _:
                pass
        self._viewers.apply(position, event)

    def _proposed(self, position: int, event: stored.ViewerProposed, signer: Signer) -> None:
        by = signer(position, event.by, event.by_key)
        expected = signed.proposal(self.hub, grant_of(event), event.code, event.base, event.by)
        statements.check(event.statement, signed.PROPOSAL, expected, by)
        if event.base != self._viewers.base(event.viewer):
            raise EnvelopeError("the proposal was signed before another grant or revocation")

    def _granted(self, position: int, event: stored.ViewerGranted, signer: Signer) -> None:
        by = signer(position, event.by, event.by_key)
        proposed = self._viewers.proposals.get(event.proposal)
        if proposed is None or proposed.grant.viewer != event.viewer:
            raise EnvelopeError(f"{event.viewer} was granted without two officers")
        if self._viewers.state(proposed) != signed.OPEN:
            raise EnvelopeError("grants what was overtaken or granted before")
        if event.by == proposed.by or event.by_key == proposed.by_key:
            raise EnvelopeError(f"{event.by} approved an own proposal")
        signer(position, proposed.by, proposed.by_key)
        expected = signed.approval(self.hub, proposed, event.code, event.by)
        statements.check(event.statement, signed.APPROVAL, expected, by)

    def _passkey(self, event: stored.ViewerPasskeyAdded) -> None:
        granted = self._viewers.stands(event.viewer, event.granted)
        if granted is None or not granted.opened_by(event.code.decode(errors="replace")):
            raise EnvelopeError(f"a passkey of {event.viewer} was added without the one-time code")
        if self._viewers.enrolled(granted):
            raise EnvelopeError(f"the one-time code of {event.viewer} was used twice")
        if event.timestamp - granted.at > signed.CODE_LIFE:
            raise EnvelopeError(f"the one-time code of {event.viewer} was used too late")
