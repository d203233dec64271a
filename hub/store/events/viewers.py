"""Rows of the console: who may open it, who signed in, and every look."""

from __future__ import annotations

from dataclasses import dataclass

from hub.store.events.event import StoreEvent


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
