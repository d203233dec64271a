"""Involvement: which agencies have a part in a case, and why (docs/release.md 2.1 to 2.4).

The grounds are having opened it, a referral or transfer accepted, being the guardian, a proceeding
linked. A person who leaves an authority takes its grounds from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hub.domain.dates import instant
from hub.domain.referral import ACCEPTED, DECLINED, ENDED, MESSAGES, Referral

if TYPE_CHECKING:
    from hub.domain.case import CaseEvent

# 2.1: emitting `ProceedingLinked` involves these roles and no other.
PROCEEDING_ROLES = frozenset({"police", "prosecutor", "labour_inspectorate"})


class Involvement:
    """Of one case, after the events it was told of."""

    def __init__(self) -> None:
        self.opener: str | None = None  # agency of the first CaseOpened
        self.referrals: dict[tuple[str, str], Referral] = {}
        self.guardian: str | None = None
        self.left: set[str] = set()  # authorities left by the person, until referred to anew
        self._opener_left = False
        self._about: dict[str, Referral] = {}  # message → the referral it is about
        self._outgoing_guardian: str | None = None
        self._proceedings: set[str] = set()
        self._agencies: frozenset[str] | None = None

    # -- before the decision -----------------------------------------------------------------

    def opened(self, event: CaseEvent) -> None:
        self.opener = event.emitter
        self._agencies = None

    def proceeding_linked(self, event: CaseEvent) -> None:
        if event.role in PROCEEDING_ROLES:
            self._proceedings.add(event.emitter)
            self._agencies = None

    def offered(self, event: CaseEvent) -> None:
        kind, name = MESSAGES[event.type]
        referral_id = str(event.facts.get(name))
        self.referrals[kind, referral_id] = Referral(
            kind,
            referral_id,
            sender=event.emitter,
            recipient=str(event.facts.get("to_agency")),
            made=event.event_id,
            respond_by=instant(event.facts.get("respond_by")),
        )

    def accepted(self, event: CaseEvent) -> None:
        referral = self.referral_of(event)
        if referral is None or not referral.pending or referral.recipient != event.emitter:
            return
        if event.type == "TransferAnswered" and event.facts.get("outcome") != "accepted":
            return
        referral.state = ACCEPTED
        if event.type == "ReferralAccepted":
            # 2.4: only a referral made and accepted later brings a left authority back; those
            # made before leaving are no longer pending.
            self.left.discard(event.emitter)
        self._agencies = None

    def guardian_appointed(self, event: CaseEvent) -> None:
        named = event.facts.get("guardian_agency")
        if named != self.guardian:
            self._outgoing_guardian, self.guardian = self.guardian, named
            self._agencies = None

    def note(self, event: CaseEvent) -> None:
        """Of a message about a referral: the one it is about now."""
        if event.type in MESSAGES:
            referral = self.referral_of(event)
            if referral is not None:
                self._about[event.event_id] = referral

    # -- 3.2: three endings come after it ----------------------------------------------------

    def end(self, event: CaseEvent, leaving: Sequence[str]) -> None:
        """Leaving, the end or decline of a referral, the replacement of a guardian."""
        if event.type == "ReferralDeclined" or (
            event.type == "TransferAnswered" and event.facts.get("outcome") == "declined"
        ):
            referral = self.referral_of(event)
            if referral and referral.pending and referral.recipient == event.emitter:
                referral.state = DECLINED
        elif event.type == "ReferralEnded":
            referral = self.referral_of(event)
            if referral and referral.may_be_ended_by(event.emitter, event.role):
                referral.state = ENDED
        elif event.type != "GuardianAppointed" and not leaving:
            return
        self._outgoing_guardian = None
        for agency in leaving:
            self._leave(agency)
        self._agencies = None

    def _leave(self, agency: str) -> None:
        """2.4: the authority loses all its grounds; its pending referrals end."""
        if self.includes(agency):
            self.left.add(agency)
        if self.opener == agency:
            self._opener_left = True
        if self.guardian == agency:
            self.guardian = None
        for referral in self.referrals.values():
            if referral.recipient != agency:
                continue
            if referral.pending:
                referral.state = ENDED
            referral.void = True

    # -- questions ---------------------------------------------------------------------------

    def includes(self, agency: str) -> bool:
        """2.1, and nothing else."""
        return agency in self.agencies()

    def agencies(self) -> frozenset[str]:
        found = self._agencies
        if found is None:
            grounds = set(self._proceedings)
            if self.opener is not None and not self._opener_left:
                grounds.add(self.opener)
            for guardian in (self.guardian, self._outgoing_guardian):
                if guardian is not None:
                    grounds.add(guardian)
            grounds.update(r.recipient for r in self.referrals.values() if r.involves)
            found = self._agencies = frozenset(grounds - self.left)
        return found

    def grounds(self) -> dict[str, tuple[str, ...]]:
        """Who is involved and why (2.1): `opened`, `referral:<id>`, `guardian`, `proceeding`."""
        found: dict[str, list[str]] = {}
        if self.opener is not None and not self._opener_left:
            found.setdefault(self.opener, []).append("opened")
        for referral in self.referrals.values():
            if referral.involves:
                why = f"{referral.kind}:{referral.referral_id}"
                found.setdefault(referral.recipient, []).append(why)
        if self.guardian is not None:
            found.setdefault(self.guardian, []).append("guardian")
        for agency in self._proceedings:
            found.setdefault(agency, []).append("proceeding")
        return {agency: tuple(found[agency]) for agency in sorted(found) if self.includes(agency)}

    def has_ground_or_offer(self, agency: str) -> bool:
        """Whether leaving would take something from this authority."""
        return self.includes(agency) or any(
            r.pending and r.recipient == agency for r in self.referrals.values()
        )

    def referral_of(self, event: CaseEvent) -> Referral | None:
        """The referral or transfer a message is about.

        Of a recorded message, the one it was about then: an id may be used again once a referral
        was declined or ended, and the parties of the later one are none of the earlier.
        """
        message = MESSAGES.get(event.type)
        if message is None:
            return None
        about = self._about.get(event.event_id)
        if about is not None:
            return about
        kind, name = message
        return self.referrals.get((kind, str(event.facts.get(name))))

    def pending_recipient(self, event: CaseEvent) -> str | None:
        """2.2: the recipient of the still pending referral this message is about."""
        referral = self.referral_of(event)
        return referral.recipient if referral is not None and referral.pending else None
