"""What the hub records: every class here is one kind of row in the log, for ever.

A class is found by its `TOPIC`, never by its module, so files may move. Its state is Avro
(`schemas/store/<TOPIC>.avsc`); `originator_id` (the stream) and `originator_version` (the place
in the stream, from 1) are columns of the row. Every timestamp is aware UTC and passed in.

Streams: one per case, one delivery log and one receipt log per recipient, one per agency,
agreement and so on; who writes a stream chooses its id. A file here per kind of stream.
"""

from __future__ import annotations

from hub.store.events.agencies import (
    AgencyEnrolled,
    AgencyKeyAdded,
    AgencyKeyRevoked,
    AgencyRequested,
    AgencySealingKeyChanged,
    AgreementEnded,
    AgreementSigned,
)
from hub.store.events.cases import (
    EventAccepted,
    HeldBack,
    InFlight,
    Refused,
    SealedCompartment,
    Settled,
)
from hub.store.events.deliveries import (
    Received,
    RedriveOrdered,
    Sending,
)
from hub.store.events.event import (
    StoreEvent,
)
from hub.store.events.hub import (
    HubInitialised,
    HubRestored,
    TablePublished,
)
from hub.store.events.persons import (
    SubjectExported,
    SubjectShredded,
)
from hub.store.events.policy import (
    OfficerAdmitted,
    OfficerRevoked,
    OfficerVouched,
    PolicyApproved,
    PolicyProposed,
    PolicyPublished,
)
from hub.store.events.viewers import (
    ConsoleLooked,
    ViewerGranted,
    ViewerPasskeyAdded,
    ViewerProposed,
    ViewerRevoked,
    ViewerSignedIn,
)
from hub.store.events.work import (
    WorkClosed,
    WorkFired,
    WorkRaised,
)

__all__ = [
    "EVENTS",
    "AgencyEnrolled",
    "AgencyKeyAdded",
    "AgencyKeyRevoked",
    "AgencyRequested",
    "AgencySealingKeyChanged",
    "AgreementEnded",
    "AgreementSigned",
    "ConsoleLooked",
    "EventAccepted",
    "HeldBack",
    "HubInitialised",
    "HubRestored",
    "InFlight",
    "OfficerAdmitted",
    "OfficerRevoked",
    "OfficerVouched",
    "PolicyApproved",
    "PolicyProposed",
    "PolicyPublished",
    "Received",
    "RedriveOrdered",
    "Refused",
    "SealedCompartment",
    "Sending",
    "Settled",
    "StoreEvent",
    "SubjectExported",
    "SubjectShredded",
    "TablePublished",
    "ViewerGranted",
    "ViewerPasskeyAdded",
    "ViewerProposed",
    "ViewerRevoked",
    "ViewerSignedIn",
    "WorkClosed",
    "WorkFired",
    "WorkRaised",
]

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
