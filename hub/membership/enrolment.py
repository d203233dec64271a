"""Enrolment: how the operator lets an agency in, renews its keys, shuts it out and takes it back.

Each call is one transaction that other processes' state follows. Validity is by log position: the
key an approval adds signs from the position after it, a revoked one up to that position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.agency.enrolment import (
    AGENCY_ID,
    Approval,
    EnrolmentRequest,
    HubKey,
    sign_approval,
    verify_request,
)
from hub.authority import profiles
from hub.crypto.sealing import sealing_key_id
from hub.crypto.signing import key_id
from hub.domain.parties import HUB_ROLE
from hub.domain.policy import PolicyProfile
from hub.errors import NotReady, Refused
from hub.exchange import Exchange
from hub.home import HubKeys, Settings
from hub.ingest import INGEST_TOPIC
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored

RECEIPTS_TOPIC = "nrm.receipts"
REGISTRY_TOPIC = "nrm.registry"
_ANEW = (
    "its keys are revoked: the agency makes a new identity (nrm-hub agency init in another --home) "
    "and sends the request of that"
)


class Enrolment:
    """The operator's side of enrolment for one hub."""

    def __init__(self, exchange: Exchange, settings: Settings, keys: HubKeys) -> None:
        self._exchange = exchange
        self._settings = settings
        self._keys = keys

    def initialise(self, profile: Mapping[str, Any]) -> bool:
        """First start: record the hub's identity and policy profile. False if done before.

        Later versions of the profile need two persons (`hub/authority/publication.py`).
        """
        if self._exchange.profile is not None:
            return False
        document = profiles.written(profile)
        version = PolicyProfile.from_document(profile).version

        def first(draft: Draft) -> None:
            draft.add(
                stored.HubInitialised(
                    originator_id=stream_id("hub", self._settings.hub_id),
                    originator_version=1,
                    timestamp=draft.now,
                    hub=self._settings.hub_id,
                    public=self._keys.signing.public,
                )
            )
            draft.add(
                stored.PolicyPublished(
                    originator_id=stream_id("policy", self._settings.hub_id),
                    originator_version=1,
                    timestamp=draft.now,
                    version=version,
                    document=document,
                )
            )

        self._exchange.commit(first)
        return True

    def approve(
        self, document: bytes, *, by: str, role: str | None = None, agreement: str = "standard"
    ) -> bytes:
        """Enrol, or renew the keys of, the agency whose request this is; returns the approval.

        The request proves possession of both keys; a renewal is signed by the key it replaces,
        which must still be valid. An agency whose keys are all revoked comes back with a new
        identity: as at first, the operator vouches for the fingerprint. `role` overrides the role
        asked for: the operator decides.
        Raises Refused; connectors.errors.UntrustedError if the document does not verify.
        """
        asked = verify_request(document)
        if not AGENCY_ID.fullmatch(asked.agency):
            raise Refused(0, "bad_agency_id", "use letters, digits, '.', '_' and '-', at most 64")
        known = self._exchange.agencies.get(asked.agency)
        if known is not None and key_id(asked.signing_public) in known.keys:
            return self.approval(asked.agency)  # asked again: the same answer
        if known is not None and known.shut_out:
            if asked.replaces is not None or asked.sealing_public == known.sealing_public:
                raise Refused(0, "revoked_key", _ANEW)
            self._exchange.commit(lambda draft: self._return(draft, asked, document, by))
            return self.approval(asked.agency)
        if known is None:
            wanted = role or asked.role
            if wanted not in self._exchange.policy().matrix and wanted != HUB_ROLE:
                raise Refused(0, "unknown_role", f"the policy profile has no role {wanted}")
            self._exchange.commit(
                lambda draft: self._enrol(draft, asked, wanted, document, by, agreement)
            )
        else:
            old = known.keys.get(asked.replaces or b"")
            if old is None or not old.valid_at(self._exchange.position + 1):
                raise Refused(0, "agency_exists", "renew with a request signed by its current key")
            verify_request(document, known=old.public)
            self._exchange.commit(lambda draft: self._renew(draft, asked, document, by))
        return self.approval(asked.agency)

    def _enrol(
        self,
        draft: Draft,
        asked: EnrolmentRequest,
        role: str,
        document: bytes,
        by: str,
        agreement: str,
    ) -> None:
        stream = stream_id("agency", asked.agency)
        draft.add(
            stored.AgencyEnrolled(
                originator_id=stream,
                originator_version=1,
                timestamp=draft.now,
                agency=asked.agency,
                name=asked.name,
                role=role,
                key_id=key_id(asked.signing_public),
                public=asked.signing_public,
                sealing_public=asked.sealing_public,
                request=document,
                by=by,
            )
        )
        draft.add(
            stored.AgreementSigned(
                originator_id=stream,
                originator_version=2,
                timestamp=draft.now,
                agency=asked.agency,
                agreement=agreement,
                by=by,
            )
        )

    def _renew(self, draft: Draft, asked: EnrolmentRequest, document: bytes, by: str) -> None:
        stream = stream_id("agency", asked.agency)
        version = self._exchange.version_of(draft, stream)
        assert asked.replaces is not None
        _add_key(draft, asked, version + 1, document, by)
        draft.add(
            stored.AgencyKeyRevoked(
                originator_id=stream,
                originator_version=version + 2,
                timestamp=draft.now,
                agency=asked.agency,
                key_id=asked.replaces,
                reason="rotated",
                by=by,
            )
        )
        _change_sealing_key(draft, asked, version + 3)

    def enrol_own(self, document: bytes) -> bytes:
        """Enrol the hub's own agency, or add its present key; returns the approval.

        The hub needs nobody's leave to speak for itself, and a key lost with a machine has no
        successor signed by it; so another key is added, and the log shows since when.
        """
        asked = verify_request(document)
        known = self._exchange.agencies.get(asked.agency)
        if known is None:
            self._exchange.commit(
                lambda draft: self._enrol(draft, asked, HUB_ROLE, document, "hub", "own")
            )
        elif known.role != HUB_ROLE:
            raise NotReady(f"{asked.agency} is enrolled as {known.role}: only the hub is called so")
        elif key_id(asked.signing_public) not in known.keys:
            self._exchange.commit(lambda draft: self._return(draft, asked, document, "hub"))
        return self.approval(asked.agency)

    def _return(self, draft: Draft, asked: EnrolmentRequest, document: bytes, by: str) -> None:
        stream = stream_id("agency", asked.agency)
        version = self._exchange.version_of(draft, stream)
        _add_key(draft, asked, version + 1, document, by)
        _change_sealing_key(draft, asked, version + 2)

    def revoke(self, agency: str, key: bytes | None, *, reason: str, by: str) -> int:
        """Revoke one signing key, or all; returns the position from which it is refused."""
        known = self._exchange.agencies.get(agency)
        if known is None:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled")
        ids = [
            one.key_id
            for one in known.keys.values()
            if one.valid_to is None and key in (None, one.key_id)
        ]
        if not ids:
            raise Refused(0, "unknown_key", "no such valid key; see: nrm-hub agency list")

        def work(draft: Draft) -> int:
            stream = stream_id("agency", agency)
            version = self._exchange.version_of(draft, stream)
            position = 0
            for offset, one in enumerate(ids, start=1):
                position = draft.add(
                    stored.AgencyKeyRevoked(
                        originator_id=stream,
                        originator_version=version + offset,
                        timestamp=draft.now,
                        agency=agency,
                        key_id=one,
                        reason=reason,
                        by=by,
                    )
                )
            return position

        return self._exchange.commit(work)

    def end_agreement(self, agency: str, *, by: str) -> int:
        """End the data-sharing agreement: from here on the agency receives nothing."""
        if agency not in self._exchange.agencies:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled")

        def work(draft: Draft) -> int:
            stream = stream_id("agency", agency)
            return draft.add(
                stored.AgreementEnded(
                    originator_id=stream,
                    originator_version=self._exchange.version_of(draft, stream) + 1,
                    timestamp=draft.now,
                    agency=agency,
                    agreement=self._exchange.agencies.agreement(agency),
                    by=by,
                )
            )

        return self._exchange.commit(work)

    def sign_agreement(self, agency: str, *, by: str, agreement: str = "standard") -> int:
        """Sign an agreement again after one was ended; returns the position it applies from.

        What was decided meanwhile is not caught up on (docs/release.md 2.12): the next backfill
        finds what the agency does not hold. Raises Refused while one is in force.
        """
        if agency not in self._exchange.agencies:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled")
        if self._exchange.agencies.agreement(agency):
            raise Refused(0, "agreement_in_force", f"{agency} has one; nothing to sign")

        def work(draft: Draft) -> int:
            stream = stream_id("agency", agency)
            return draft.add(
                stored.AgreementSigned(
                    originator_id=stream,
                    originator_version=self._exchange.version_of(draft, stream) + 1,
                    timestamp=draft.now,
                    agency=agency,
                    agreement=agreement,
                    by=by,
                )
            )

        return self._exchange.commit(work)

    def approval(self, agency: str) -> bytes:
        """The signed answer for an enrolled agency; can be asked for again at any time."""
        known = self._exchange.agencies.get(agency)
        if known is None:
            raise Refused(0, "unknown_agency", f"{agency} is not enrolled")
        names = self._exchange.pseudonyms
        current = max(
            (one for one in known.keys.values() if one.valid_to is None),
            key=lambda one: one.valid_from,
            default=None,
        )
        if current is None:
            raise Refused(0, "revoked_key", _ANEW)
        settings = self._settings
        return sign_approval(
            Approval(
                hub=settings.hub_id,
                hub_keys=(HubKey(self._keys.signing.key_id, self._keys.signing.public),),
                ingest_key=self._keys.ingest.public,
                recipient=names.recipient_ref(agency),
                agency=agency,
                role=known.role,
                signing_key_id=current.key_id,
                sealing_key_id=sealing_key_id(known.sealing_public),
                topics={
                    "ingest": INGEST_TOPIC,
                    "outcomes": names.topic("nrm.o", agency),
                    "deliveries": names.topic("nrm.d", agency),
                    "receipts": RECEIPTS_TOPIC,
                    "registry": REGISTRY_TOPIC,
                },
                topics_url=settings.agencies_topics,
                http_url=settings.agencies_http,
                position=self._exchange.agencies.changes,
            ),
            self._keys.signing,
        )


def _add_key(draft: Draft, asked: EnrolmentRequest, version: int, document: bytes, by: str) -> None:
    draft.add(
        stored.AgencyKeyAdded(
            originator_id=stream_id("agency", asked.agency),
            originator_version=version,
            timestamp=draft.now,
            agency=asked.agency,
            key_id=key_id(asked.signing_public),
            public=asked.signing_public,
            request=document,
            by=by,
        )
    )


def _change_sealing_key(draft: Draft, asked: EnrolmentRequest, version: int) -> None:
    draft.add(
        stored.AgencySealingKeyChanged(
            originator_id=stream_id("agency", asked.agency),
            originator_version=version,
            timestamp=draft.now,
            agency=asked.agency,
            sealing_public=asked.sealing_public,
        )
    )
