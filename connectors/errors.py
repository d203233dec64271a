"""Errors at the partner's and the agency's site, grouped by what to do.

    ConnectorError
    ├── InvalidEventError     correct the event named in the message; nothing was sent
    ├── RetryError            nothing is lost; the same call may succeed later
    │   ├── TransportDownError   hub or broker cannot be reached; unknown whether it got the bytes
    │   ├── SinkDownError        the partner's system is away; nothing was applied
    │   └── SourceDownError      the agency's own system is away; nothing was read or written back
    ├── SinkRefusedError      the partner's system does not take this delivery: quarantine it
    └── StopError             an operator has to act before going on
        ├── SettingsError        a settings or mapping file is wrong; the message says where
        ├── IdentityError        the identity directory is missing, half made or damaged
        ├── UntrustedError       something is not signed by the hub that was pinned
        └── FencedError          another runner has taken over; this one must not write again

Messages carry identifiers, field names and reason codes, never what an event says.
"""

from __future__ import annotations


class ConnectorError(Exception):
    """Any error this package raises on purpose."""


class InvalidEventError(ConnectorError):
    """An event does not fit its schema: correct the named field and publish again.

    index: its place in the call (from 0); field: the field, or "" when it is about the whole.
    """

    def __init__(self, index: int, event_type: str, field: str, reason: str) -> None:
        where = f"event {index + 1} ({event_type})" + (f", field {field!r}" if field else "")
        super().__init__(f"{where}: {reason}")
        self.index = index
        self.event_type = event_type
        self.field = field
        self.reason = reason


class RetryError(ConnectorError):
    """Something needed is away for now; call again later."""


class TransportDownError(RetryError):
    """Hub or broker cannot be reached; it is unknown whether what was sent arrived. Send again."""


class SinkDownError(RetryError):
    """The partner's system is away; nothing of the batch was applied. Apply it again."""


class SourceDownError(RetryError):
    """The agency's own system is away; nothing was read or written back. Call again."""


class SinkRefusedError(ConnectorError):
    """The partner's system does not take what was delivered, and never will as it is.

    sequence: the delivery at fault, or None when only the batch as a whole is known to fail.
    reason: stable code for the quarantine.
    """

    def __init__(self, reason: str, detail: str, sequence: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.sequence = sequence


class StopError(ConnectorError):
    """Going on needs an operator; the message says what to do."""


class SettingsError(StopError):
    """A settings or mapping file is wrong; the message names file, place and remedy."""


class IdentityError(StopError):
    """The identity directory is missing, half made or damaged; the message says which file."""


class UntrustedError(StopError):
    """A document is not signed by the hub this identity has pinned: check with the hub."""


class FencedError(StopError):
    """Another runner has taken over this partner; this one has stopped and wrote nothing."""
