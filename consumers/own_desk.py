"""The hub's own desk: what the hub itself states, stated like any agency's.

Some events are the hub's own (a consent that expired, a referral that lapsed, a removal hold that
nobody placed). They are signed with a key of the hub's own agency, `HUB`, which is enrolled in the
register like any other, sealed, admitted through the same gate and recorded by the same call: there
is no second path into the log. The key lies in HOME/keys/own, made when a home is opened that has
none; it is enrolled when the desk first speaks.

Nothing is stated on an outdated view: a case that moved on since raises Overtaken, and the same
event said twice is recorded once.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from connectors.agency.identity import AgencyIdentity
from connectors.submit import Event, Publisher
from hub.crypto.signing import key_id
from hub.domain.agenda.fires import OwnEvent
from hub.domain.case import Case
from hub.domain.parties import HUB_ROLE
from hub.errors import NotReady
from hub.exchange import Exchange
from hub.ingest import Ingest
from hub.membership.enrolment import Enrolment
from hub.recording.answered import OutcomeFacts

AGENCY: Final = "HUB"
FOLDER: Final = "own"


def own_identity(keys: Path) -> AgencyIdentity:
    """The identity in the home's keys folder, made if there is none. Several may ask at once."""
    place = keys / FOLDER
    if not (place / "agency.toml").exists():
        made = keys / f"{FOLDER}.{secrets.token_hex(4)}"
        AgencyIdentity.create(made, AGENCY, "The hub itself", HUB_ROLE)
        try:
            os.rename(made, place)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    if not (place / "agency.toml").exists():
        raise NotReady(f"{place} is half made: restore it from your backup, or remove it")
    return AgencyIdentity.load(place)


class OwnDesk:
    """Publishes as the hub. For one thread."""

    def __init__(
        self, identity: AgencyIdentity, exchange: Exchange, ingest: Ingest, enrolment: Enrolment
    ) -> None:
        self._identity = identity
        self._exchange = exchange
        self._ingest = ingest
        self._enrolment = enrolment

    def enrol(self) -> None:
        """See that the desk's key is in the register; records something the first time only."""
        known = self._exchange.agencies.get(AGENCY)
        if known is not None and self._identity.enrolled:
            key = known.keys.get(key_id(self._identity.signing.public))
            if key is not None and key.valid_to is None and known.role == HUB_ROLE:
                return
        self._identity.install_approval(
            self._enrolment.enrol_own(self._identity.enrolment_request())
        )

    def publish(
        self, case: Case, events: Sequence[OwnEvent], *, item: UUID, at: datetime, seen: int
    ) -> list[OutcomeFacts]:
        """State these events of one case, as it was seen at log position `seen`.

        item and at: the work item that fell due, and when; with the type they make the event's id,
        so that stating it again after a crash changes nothing. Raises Overtaken.
        """
        self.enrol()
        assert case.case_id is not None
        assert case.subject_id is not None
        names = self._exchange.pseudonyms
        sealed = Publisher(self._identity).prepare(
            [
                Event(
                    one.type,
                    names.pseudonym(AGENCY, "case", case.case_id),
                    one.data,
                    subject=names.pseudonym(AGENCY, "subject", case.subject_id),
                    event_id=uuid5(item, f"{one.type}/{at.isoformat()}"),
                    occurred_at=at,
                )
                for one in events
            ]
        )
        [outcomes] = self._exchange.record([self._ingest.admit(sealed)], unmoved_since=seen)
        return outcomes
