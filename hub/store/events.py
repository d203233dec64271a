"""What the hub records: every class here is one kind of row in the log, for ever.

A class is found by its `TOPIC`, never by its module, so files may move. Its state is Avro
(`schemas/store/<TOPIC>.avsc`); `originator_id` (the stream) and `originator_version` (the place
in the stream, from 1) are columns of the row. Every timestamp is aware UTC and passed in.

Streams: one per case, one delivery log and one receipt log per recipient, one per agency,
agreement and so on; who writes a stream chooses its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, Self
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvent:
    """One recorded fact: where it stands in its stream, and when the hub recorded it."""

    TOPIC: ClassVar[str] = ""

    originator_id: UUID
    originator_version: int
    timestamp: datetime

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        """The event whose state, read as Avro, is this record."""
        return cls(originator_id=stream, originator_version=version, **record)


@dataclass(frozen=True, slots=True)
class SealedCompartment:
    """A compartment as stored: its name, its leaf in the disclosure tree, its ciphertext."""

    name: str
    index: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAccepted(StoreEvent):
    """An event of a case, as admitted. Ids and hashes are raw bytes (16 and 32)."""

    TOPIC = "nrm.Case.EventAccepted"

    event_id: bytes
    event_type: str
    emitter: str
    role: str
    schema_id: bytes
    header: bytes
    head: bytes
    signature: bytes
    index: int
    path: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    compartments: tuple[SealedCompartment, ...]
    categories: tuple[str, ...]
    facts: bytes
    personal: bytes
    subject_id: bytes
    secret_id: bytes
    occurred_at: datetime
    digest: bytes

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        record["path"] = tuple(record["path"])
        record["leaves"] = tuple(record["leaves"])
        record["categories"] = tuple(record["categories"])
        record["compartments"] = tuple(
            SealedCompartment(one["name"], one["index"], one["ciphertext"])
            for one in record["compartments"]
        )
        return cls(originator_id=stream, originator_version=version, **record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(StoreEvent):
    """What each party was released or refused of one accepted event."""

    TOPIC = "nrm.Case.Settled"

    event_version: int
    position: int
    settlement: bytes
    policy: str
    parties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack(StoreEvent):
    """What had been released and, when it was to be sent, no longer stood or stood differently."""

    TOPIC = "nrm.Case.HeldBack"

    agency: str
    items: bytes
    rebased: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight(StoreEvent):
    """What was being sent, or had been, on a consent when it was withdrawn."""

    TOPIC = "nrm.Case.InFlight"

    position: int
    items: bytes
    told: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(StoreEvent):
    """A submission, or one event of it, that was not admitted. Holds no content."""

    TOPIC = "nrm.Submission.Refused"

    agency: str
    event_id: bytes | None
    digest: bytes
    step: int
    reason: str
    guard: str | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(StoreEvent):
    """One delivery. Its `originator_version` is the recipient's gapless delivery sequence."""

    TOPIC = "nrm.DeliveryLog.Sending"

    agency: str
    kind: Literal["release", "recall"]
    case_id: bytes
    subject_id: bytes
    decision: int
    items: bytes
    event_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveOrdered(StoreEvent):
    """A delivery that its recipient set aside is to be sent once more, sealed anew."""

    TOPIC = "nrm.DeliveryLog.RedriveOrdered"

    agency: str
    sequence: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(StoreEvent):
    """A partner's signed receipt, as sent."""

    TOPIC = "nrm.ReceiptLog.Received"

    agency: str
    first_sequence: int
    last_sequence: int
    receipt: bytes
    signature: bytes


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectShredded(StoreEvent):
    """A person's secret was destroyed; their sealed content can no longer be read."""

    TOPIC = "nrm.Subject.Shredded"

    subject_id: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectExported(StoreEvent):
    """What the hub holds about a person was opened and handed out, for a request granted."""

    TOPIC = "nrm.Subject.Exported"

    subject_id: bytes
    case_id: bytes
    request: str
    digest: bytes
    left_out: tuple[str, ...]
    by: str = ""

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        record["left_out"] = tuple(record["left_out"])
        return cls(originator_id=stream, originator_version=version, **record)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInitialised(StoreEvent):
    """The first event of a log: whose log it is."""

    TOPIC = "nrm.Hub.Initialised"

    hub: str
    public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRaised(StoreEvent):
    """A work item that no event of a case opens."""

    TOPIC = "nrm.Work.Raised"

    item: bytes
    kind: str
    ref: str
    agency: str
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFired(StoreEvent):
    """A timer of a work item came due."""

    TOPIC = "nrm.Work.Fired"

    item: bytes
    phase: Literal["opens", "due"]
    at: datetime
    due: datetime | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkClosed(StoreEvent):
    """A work item was closed or contested."""

    TOPIC = "nrm.Work.Closed"

    item: bytes
    by: str
    because: str
    contested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePublished(StoreEvent):
    """A table of statistics, as published: its figures, never what they were made from.

    Streams are one per table and period; `originator_version` is the edition.
    """

    TOPIC = "nrm.Statistics.Published"

    table: str
    period: str
    as_of: datetime
    position: int
    suppression: str
    epsilon: str
    figures: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRestored(StoreEvent):
    """The hub was put back from a backup: what stands before this position is the backup's."""

    TOPIC = "nrm.Hub.Restored"

    hub: str
    backup: str
    head: int
    after_loss: bool
    seen: bytes
    former_verifier: str
    log_verifier: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerProposed(StoreEvent):
    """An officer proposed that somebody may open the console; it grants nothing yet."""

    TOPIC = "nrm.Viewer.Proposed"

    viewer: str
    role: str
    agency: str
    how: str
    issuer: str
    subject: str
    code: bytes
    base: int
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerGranted(StoreEvent):
    """A second officer signed; the viewer may open the console from this position on."""

    TOPIC = "nrm.Viewer.Granted"

    viewer: str
    proposal: int
    code: bytes
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerRevoked(StoreEvent):
    """The viewer may not open the console after this position."""

    TOPIC = "nrm.Viewer.Revoked"

    viewer: str
    granted: int
    reason: str
    by: str
    by_key: bytes
    statement: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerPasskeyAdded(StoreEvent):
    """A viewer used the one-time code and registered a passkey. Public key only."""

    TOPIC = "nrm.Viewer.PasskeyAdded"

    viewer: str
    granted: int
    credential: bytes
    public: bytes
    counter: int
    aaguid: str
    code: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerSignedIn(StoreEvent):
    """A viewer signed in at the console."""

    TOPIC = "nrm.Viewer.SignedIn"

    viewer: str
    granted: int
    how: str
    credential: bytes
    counter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLooked(StoreEvent):
    """A viewer opened a page or asked a question of the console, or was refused."""

    TOPIC = "nrm.Console.Looked"

    viewer: str
    granted: int
    role: str
    agency: str
    page: str
    about: str
    seen: int
    refused: str


EVENTS: tuple[type[StoreEvent], ...] = (
    EventAccepted,
    Settled,
    HeldBack,
    InFlight,
    Refused,
    Sending,
    RedriveOrdered,
    Received,
    AgencyRequested,
    AgencyEnrolled,
    AgencyKeyAdded,
    AgencyKeyRevoked,
    AgencySealingKeyChanged,
    AgreementSigned,
    AgreementEnded,
    PolicyPublished,
    PolicyProposed,
    PolicyApproved,
    OfficerVouched,
    OfficerAdmitted,
    OfficerRevoked,
    SubjectShredded,
    SubjectExported,
    HubInitialised,
    WorkRaised,
    WorkFired,
    WorkClosed,
    TablePublished,
    HubRestored,
    ViewerProposed,
    ViewerGranted,
    ViewerRevoked,
    ViewerPasskeyAdded,
    ViewerSignedIn,
    ConsoleLooked,
)
