"""Settings of a connector: one file, `partner.toml`.

    home = "agency"                                # the identity's directory

    [inbox]
    via = "topics"                                 # or "http"
    url = "kafka://broker.example:9092"            # what the approval says, if left out

    [sink]
    kind = "sql"                                   # or "jsonl", or one registered by a package
    url = "postgresql://nrm@db.example/casework"   # jsonl: path = "deliveries.jsonl"
    mapping = "mapping.toml"                       # left out: default tables

    [recalls]
    prefer = "delete"                              # or "restrict", where the hub leaves the choice
    [recalls.own_basis]                            # category = the law you keep it under
    criminal_justice = "Criminal Procedure Code s. 12"

Relative paths are relative to the file. A secret need not stand in it: write `${NAME}` for the
environment variable NAME, or `url_file` for a file that holds the URL. Every setting but `home`
and `[sink]` has a default; docs/connectors.md lists them all.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox, Inbox, TopicInbox
from connectors.errors import SettingsError
from connectors.given import Count, Seconds, beside, filled, settings_of
from connectors.kinds import KINDS, Place, mistakes, open_kind
from connectors.pace import Pace
from connectors.secret import warn_if_open
from connectors.sink import RecallPolicy, Sink
from connectors.telling.notice import Notices, NoticeSettings
from hub.topics import TopicError, open_topics
from schemas import codelists

MOST_LAW = 190  # letters of an own basis; it stands in the holding and in the receipt
SINKS = "nrm_hub.sinks"
"""Entry point group of sinks from other packages: a function (SinkSettings, AgencyIdentity,
RecallPolicy) → Sink."""


class _Part(BaseModel):
    # Each setting's docstring is its description: `connector settings` and the docs show it.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class InboxSettings(_Part):
    """Where messages come from."""

    via: Literal["topics", "http"] = "topics"
    """How the hub is reached."""

    url: str | None = None
    """Address of the topics or of the HTTP API; what the approval says, if left out."""

    timeout_seconds: Seconds = 30.0
    """http: longest wait for an answer."""


class SinkSettings(_Part):
    """Where deliveries go."""

    kind: str = "sql"
    """sql, jsonl, another kind of connectors/kinds.py, or one another package registers."""

    url: str | None = None
    """sql: the database, e.g. sqlite:///partner.db or postgresql://nrm@host/casework."""

    url_file: Path | None = None
    """sql: a file that holds the url, in its place."""

    db_schema: str | None = None
    """sql: PostgreSQL schema for our own tables; the database's default, if left out."""

    mapping: Path | None = None
    """sql: a mapping file; left out, every event type gets a default table."""

    path: Path | None = None
    """jsonl: the file."""

    options: dict[str, Any] = {}
    """For every kind but sql and jsonl: its own settings."""

    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """What relative paths among the options are relative to: where partner.toml is."""
        return self._folder

    @model_validator(mode="after")
    def complete(self) -> SinkSettings:
        if self.kind == "sql" and (self.url is None) == (self.url_file is None):
            raise ValueError("give one of url and url_file")
        if self.kind == "jsonl" and self.path is None:
            raise ValueError("give the path of the file")
        return self


class RecallSettings(_Part):
    """How recalls are answered."""

    prefer: Literal["delete", "restrict"] = "delete"
    """What to do where the hub leaves the choice; restricted content is kept in nrm_restricted."""

    own_basis: dict[str, str] = {}
    """Category = the law under which this partner keeps it all the same, named in the receipt."""

    @field_validator("own_basis")
    @classmethod
    def named(cls, own_basis: dict[str, str]) -> dict[str, str]:
        """A category nobody knows would never be kept; a law nobody names would not be one."""
        known = codelists.load("nrm.category").labels
        for category, law in own_basis.items():
            if category not in known:
                raise ValueError(f"there is no category {category!r}; see docs/events.md")
            if not 3 <= len(law.strip()) <= MOST_LAW:
                raise ValueError(f"name the law that keeps {category}, in 3 to {MOST_LAW} letters")
        return own_basis


class PaceSettings(_Part):
    """How much at once, and how long to wait."""

    messages: Count = 50
    """Messages read at once."""

    deliveries: Count = 2000
    """Deliveries applied in one transaction, about."""

    ahead: bool = True
    """While there is a backlog, and two processors, open the next messages in a second process."""

    poll_seconds: Seconds = 1.0
    """Longest wait for a new message."""

    pause_first_seconds: Seconds = 0.2
    """First pause of an outage; each further one is twice as long."""

    pause_most_seconds: Seconds = 60.0
    """Longest pause of an outage."""

    registry_seconds: Seconds = 60.0
    """Between looks for a newer registry."""

    def pace(self) -> Pace:
        return Pace(
            messages=self.messages,
            deliveries=self.deliveries,
            poll=self.poll_seconds,
            pause_first=self.pause_first_seconds,
            pause_most=self.pause_most_seconds,
            registry=self.registry_seconds,
        )


class PartnerSettings(_Part):
    """A whole partner.toml."""

    home: Path
    """The identity's directory (agency.toml, keys, hub.toml)."""

    inbox: InboxSettings = InboxSettings()
    sink: SinkSettings
    recalls: RecallSettings = RecallSettings()
    pace: PaceSettings = PaceSettings()
    notice: NoticeSettings | None = None
    """Who is told by mail that something arrived; docs/connect-email.md."""

    def through(self, via: Literal["topics", "http"] | None) -> PartnerSettings:
        """The same by another way to the hub, at the address its approval names."""
        if via in (None, self.inbox.via):
            return self
        return self.model_copy(
            update={"inbox": self.inbox.model_copy(update={"via": via, "url": None})}
        )


def load_settings(path: Path) -> PartnerSettings:
    """The settings in this file. SettingsError names every setting that is wrong."""
    path = beside(Path(), path).resolve()
    document = settings_of(path)
    try:
        settings = PartnerSettings.model_validate(document)
    except ValidationError as wrong:
        raise SettingsError(f"{path}:\n{mistakes(wrong)}") from None
    return _resolved(settings, path.parent)


def from_environment(url: str | None) -> str | None:
    """An address given on a command line: `${NAME}` is filled there too, so that a password need
    not stand in the list of processes. SettingsError if the variable is not set."""
    return None if url is None else str(filled(url, Path("the command line")))


def _resolved(settings: PartnerSettings, folder: Path) -> PartnerSettings:
    sink = settings.sink
    changes: dict[str, Any] = {
        name: beside(folder, value)
        for name in ("mapping", "path", "url_file")
        if (value := getattr(sink, name)) is not None
    }
    if sink.url_file is not None:
        try:
            changes["url"] = changes["url_file"].read_text(encoding="utf-8").strip()
            warn_if_open(changes["url_file"])
        except (OSError, UnicodeDecodeError) as wrong:
            why = getattr(wrong, "strerror", None) or "is no text"
            raise SettingsError(f"sink.url_file cannot be read ({why})") from None
        changes["url_file"] = None
    url = changes.get("url", sink.url)
    if url is not None and url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        changes["url"] = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    resolved = sink.model_copy(update=changes)
    resolved._folder = folder
    return settings.model_copy(update={"home": beside(folder, settings.home), "sink": resolved})


def open_inbox(settings: PartnerSettings, identity: AgencyIdentity) -> Inbox:
    """The inbox the settings, or else the hub's approval, name."""
    hub = identity.hub
    if settings.inbox.via == "http":
        from connectors.agency.http_auth import signed_requests  # topics need no tokens

        url = settings.inbox.url or hub.http_url
        if url is None:
            raise SettingsError("inbox.url is missing and the approval names no HTTP address")
        return HttpInbox(url, signed_requests(identity), timeout=settings.inbox.timeout_seconds)
    url = settings.inbox.url or hub.topics_url
    if url is None:
        raise SettingsError("inbox.url is missing and the approval names no topics")
    try:
        return TopicInbox(open_topics(url), identity)
    except TopicError as wrong:
        raise SettingsError(f"inbox.url: {wrong}") from None


def open_notices(settings: PartnerSettings, identity: AgencyIdentity) -> Notices | None:
    """Who is told by mail that something arrived; None unless the settings say."""
    if settings.notice is None:
        return None
    return Notices(settings.notice, identity.agency, identity.hub.hub, settings.sink.folder)


def open_sink(settings: PartnerSettings, identity: AgencyIdentity) -> Sink:
    """The sink the settings name; not yet prepared."""
    given = settings.sink
    recalls = RecallPolicy(settings.recalls.prefer, settings.recalls.own_basis)
    agency, hub = identity.agency, identity.hub.hub
    if given.kind == "sql":
        from connectors.sql import SqlSink

        assert given.url is not None
        mapping = None
        if given.mapping:
            from connectors.mapping import load_mapping

            mapping = load_mapping(given.mapping)
        return SqlSink(
            given.url, agency, hub, mapping=mapping, recalls=recalls, db_schema=given.db_schema
        )
    if given.kind == "jsonl":
        from connectors.jsonl import JsonlSink

        assert given.path is not None
        return JsonlSink(given.path, agency, hub, recalls=recalls)
    if given.kind in KINDS:
        place = Place(agency, hub, settings.home, given.folder, recalls)
        return open_kind(given.kind, given.options, place)
    for entry in entry_points(group=SINKS):
        if entry.name == given.kind:
            sink: Sink = entry.load()(given, identity, recalls)
            return sink
    known = ", ".join(
        ["sql", "jsonl", *KINDS, *(entry.name for entry in entry_points(group=SINKS))]
    )
    raise SettingsError(f"sink.kind: there is no sink {given.kind[:40]!r}; known are {known}")
