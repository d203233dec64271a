"""What the API answers in JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class PublicKey(BaseModel):
    """A public key, raw bytes in hexadecimal."""

    key_id: str
    algorithm: str
    public: str


class HubIdentity(BaseModel):
    """Which hub this is."""

    hub: str
    fingerprint: str
    signing_keys: list[PublicKey]
    ingest_key: PublicKey
    log_verifier: str


class EventSchemaEntry(BaseModel):
    """The current schema of one event type; `id` is SHA-256 of its text."""

    type: str
    id: str
    group: str
    emitters: list[str]
    categories: list[str]


class MessageSchemaEntry(BaseModel):
    """The schema of one thing that travels; `fingerprint` as in Avro's single-object encoding."""

    name: str
    fingerprint: str


class SchemaList(BaseModel):
    """Every schema this hub takes or sends."""

    events: list[EventSchemaEntry]
    messages: list[MessageSchemaEntry]


class WorkEntry(BaseModel):
    """One work item; `detail` holds codes that depend on the kind, never content."""

    item: str
    kind: str
    says: str
    urgency: str
    state: str
    case_ref: str | None
    since: str
    due: str | None
    detail: dict[str, Any]


class WorkItems(BaseModel):
    """The caller's open work items."""

    items: list[WorkEntry]


class PreviewRefusal(BaseModel):
    """Why the event would be refused, as an outcome says it."""

    step: int
    reason: str
    guard: str | None
    detail: str


class PreviewCategory(BaseModel):
    """One category for one agency: released on `basis`, or withheld for `reason`."""

    category: str
    released: bool
    basis: str | None
    reason: str | None
    says: str | None


class PreviewAgency(BaseModel):
    """What one agency would be released of the event."""

    agency: str
    categories: list[PreviewCategory]


class PreviewAnswer(BaseModel):
    """What would follow, on the case as the caller knows it."""

    refused: PreviewRefusal | None
    agencies: list[PreviewAgency]


class Alive(BaseModel):
    """The process answers."""

    alive: bool


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    code: str
    next: str
    step: int | None = None
    reason: str | None = None
