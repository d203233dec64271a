"""Settings of a source: one file, `source.toml`.

    home = "agency"                     # the identity's directory
    kind = "outbox"                     # or "changes", "folder", or one registered by a package
    name = "casework"                   # part of the events' ids: choose it once

    [database]                          # outbox and changes
    url = "postgresql://nrm_source:${NRM_SOURCE_PASSWORD}@localhost/casework"

Relative paths are relative to the file. A secret need not stand in it: write `${NAME}` for the
environment variable NAME, or `url_file` for a file that holds the URL. docs/publish-outbox.md,
docs/publish-changes.md and docs/publish-folder.md list what each kind reads.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from connectors.agency.identity import AgencyIdentity
from connectors.errors import SettingsError
from connectors.given import Count, Seconds, beside, settings_of
from connectors.kinds import mistakes
from connectors.secret import warn_if_open
from connectors.source import Source
from connectors.sources.outbox.ddl import TABLE
from connectors.sources.runner import SourcePace
from connectors.sources.slot.ddl import SLOT_NAME

SOURCES: Final = "nrm_hub.sources"
"""Entry point group of sources from other packages: a function (SourceSettings, AgencyIdentity) →
Source."""


class _Part(BaseModel):
    # Each setting's docstring is its description.
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class HubSettings(_Part):
    """How the hub is reached."""

    via: Literal["topics", "http"] = "topics"
    """topics or http."""

    url: str | None = None
    """Address of the topics or of the HTTP API; what the approval says, if left out."""

    apart: bool = False
    """Sign every event alone: nobody can tell how many were published together."""

    answer_seconds: Seconds = 10.0
    """Wait for an answer before the same bytes are sent again."""

    give_up_seconds: Seconds = 60.0
    """Without an answer for so long the hub counts as away, and rows wait."""


class DatabaseSettings(_Part):
    """outbox, changes: the agency's database."""

    url: str | None = None
    """E.g. postgresql://user@host/casework, mariadb://user@host/casework, sqlite:///casework.db."""

    url_file: Path | None = None
    """A file that holds the url, in its place."""

    table: str = TABLE
    """outbox: the table, perhaps with its schema."""

    after: Literal["blank", "keep", "delete"] = "blank"
    """outbox: what becomes of an accepted row. blank: what it said is removed; the row stays."""

    mapping: Path | None = None
    """changes: the mapping file."""

    overlap: float = Field(default=300.0, ge=0, le=1e10)
    """changes: how far before the last change seen reading starts again: seconds, or numbers."""

    sweep_seconds: Seconds = 21_600.0
    """changes: between two looks at all rows."""

    slot: str | None = None
    """changes, PostgreSQL: follow the server's log by this slot, instead of the maps' `changed`."""

    log_kept_mb: Count = 1024
    """changes, with slot: an alarm when the server keeps more of its log for it."""

    @field_validator("slot")
    @classmethod
    def named(cls, slot: str | None) -> str | None:
        if slot is not None and not SLOT_NAME.fullmatch(slot):
            raise ValueError("a slot's name is nrm_ and small letters, digits and _: nrm_changes")
        return slot

    @model_validator(mode="after")
    def complete(self) -> DatabaseSettings:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("give one of url and url_file")
        return self


class FolderSettings(_Part):
    """folder: where files are dropped, and how they are read."""

    path: Path
    """The folder."""

    event: str | None = None
    """Type of every row; left out, files have a column `type`."""

    encoding: str = "utf-8"
    """Of CSV files; JSON is UTF-8."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """Between the cells of CSV files."""

    zone: str | None = None
    """Time zone of times without an offset, e.g. Europe/Vienna."""

    key: list[str] = []
    """Columns that identify a row; left out, all it says."""

    columns: dict[str, str] = {}
    """Name in the file = case, occurred_at, type, subject, or a field."""

    codes: dict[str, dict[str, Any]] = {}
    """[folder.codes.COLUMN]: code in the file = code of the field; "*" for every other."""

    marker: bool = False
    """A file is whole when NAME.done is beside it."""

    settle_seconds: float = Field(default=5.0, ge=0, le=2_000_000)
    """Without a marker: whole when it has not changed for so long."""

    keep_done: bool = True
    """Whether files are kept in done/ when every row was accepted."""


class PaceSettings(_Part):
    """How much at once, and how long to wait."""

    rows: Count = 200
    """Rows sent together."""

    poll_seconds: Seconds = 2.0
    """Between two looks when there was nothing."""

    pause_first_seconds: Seconds = 0.2
    """First pause while the hub or the database is away; each further one is twice as long."""

    pause_most_seconds: Seconds = 60.0
    """Longest pause."""


class SourceSettings(_Part):
    """A whole source.toml."""

    home: Path
    """The identity's directory (agency.toml, keys, hub.toml)."""

    kind: str
    """outbox, changes, folder, or the name of a source another package registers."""

    name: str = Field(default="", pattern=r"^[A-Za-z0-9_-]{0,64}$")
    """Part of what the events' ids are derived from; the kind, if left out. Never change it."""

    after_refusal: Literal["hold", "go_on"] = "hold"
    """Whether later rows of a case wait while an earlier one is refused."""

    state: Path | None = None
    """changes, folder: the source's own file; SETTINGS.state.db, if left out."""

    hub: HubSettings = HubSettings()
    database: DatabaseSettings | None = None
    folder: FolderSettings | None = None
    pace: PaceSettings = PaceSettings()
    options: dict[str, Any] = {}
    """For a source of another package: its own settings."""

    @model_validator(mode="after")
    def complete(self) -> SourceSettings:
        if self.kind in ("outbox", "changes") and self.database is None:
            raise ValueError("a [database] section is needed")
        if self.kind == "changes" and self.database and self.database.mapping is None:
            raise ValueError("database.mapping is needed: the file that says what rows state")
        if self.kind == "folder" and self.folder is None:
            raise ValueError("a [folder] section is needed")
        return self

    @property
    def source_name(self) -> str:
        return self.name or self.kind

    def source_pace(self) -> SourcePace:
        return SourcePace(
            rows=self.pace.rows,
            poll=self.pace.poll_seconds,
            pause_first=self.pace.pause_first_seconds,
            pause_most=self.pace.pause_most_seconds,
        )


def load_source_settings(path: Path) -> SourceSettings:
    """The settings in this file. SettingsError names every setting that is wrong."""
    path = beside(Path(), path).resolve()
    document = settings_of(path)
    try:
        settings = SourceSettings.model_validate(document)
    except ValidationError as wrong:
        raise SettingsError(f"{path}:\n{mistakes(wrong)}") from None
    return _resolved(settings, path)


def open_source(settings: SourceSettings, identity: AgencyIdentity) -> Source:
    """The source the settings name; not yet prepared."""
    name, holds = settings.source_name, settings.after_refusal == "hold"
    if settings.kind == "outbox":
        from connectors.sources.database import SourceDatabase
        from connectors.sources.outbox.source import OutboxSource

        given = _database(settings)
        return OutboxSource(
            SourceDatabase(str(given.url)),
            name=name,
            table=given.table,
            after=given.after,
            holds_cases=holds,
        )
    if settings.kind == "changes":
        return _changes_source(settings, identity)
    if settings.kind == "folder":
        return _folder_source(settings, identity)
    for entry in entry_points(group=SOURCES):
        if entry.name == settings.kind:
            source: Source = entry.load()(settings, identity)
            return source
    known = ["outbox", "changes", "folder", *(one.name for one in entry_points(group=SOURCES))]
    raise SettingsError(
        f"kind: there is no source {settings.kind[:40]!r}; known are {', '.join(known)}"
    )


def _changes_source(settings: SourceSettings, identity: AgencyIdentity) -> Source:
    from connectors.sources.captured import CapturedSource
    from connectors.sources.changes.capture import ChangesCapture
    from connectors.sources.changes.mapping import load_changes_mapping
    from connectors.sources.database import SourceDatabase
    from connectors.sources.slot.log import ChangeLog

    given = _database(settings)
    assert given.mapping is not None
    wrong: list[str] = []
    database = mapping = log = None
    try:
        database = SourceDatabase(str(given.url))
        if given.slot is not None and database.dialect != "postgresql":
            wrong.append("database.slot is for PostgreSQL: leave it out")
    except SettingsError as told:
        wrong.append(str(told))
    try:
        mapping = load_changes_mapping(given.mapping)
    except SettingsError as told:
        wrong.append(str(told))
    if database is None or mapping is None or wrong:
        raise SettingsError("\n".join(wrong))
    if given.slot is not None:
        most_kept = given.log_kept_mb * 2**20
        log = ChangeLog(database, mapping, given.slot, most_kept=most_kept)
    capture = ChangesCapture(
        database,
        mapping,
        identity.salt_secret,
        overlap=given.overlap,
        sweep_seconds=given.sweep_seconds,
        log=log,
    )
    holds = settings.after_refusal == "hold"
    return CapturedSource(capture, _state(settings), name=settings.source_name, holds_cases=holds)


def _folder_source(settings: SourceSettings, identity: AgencyIdentity) -> Source:
    from connectors.sources.captured import CapturedSource
    from connectors.sources.folder.capture import FolderCapture
    from connectors.sources.folder.rows import FileForm

    given = settings.folder
    assert given is not None
    holds = settings.after_refusal == "hold"
    try:
        zone = ZoneInfo(given.zone) if given.zone else None
    except (ValueError, OSError, LookupError):
        raise SettingsError(
            f"folder.zone: there is no time zone {str(given.zone)[:40]!r}"
        ) from None
    capture = FolderCapture(
        given.path,
        FileForm(given.event, given.columns, given.codes, given.key, zone),
        identity.salt_secret,
        encoding="utf-8-sig" if given.encoding.lower() in ("utf-8", "utf8") else given.encoding,
        delimiter=given.delimiter,
        settle_seconds=given.settle_seconds,
        marker=given.marker,
        keep_done=given.keep_done,
        holds_cases=holds,
    )
    return CapturedSource(capture, _state(settings), name=settings.source_name, holds_cases=holds)


def _database(settings: SourceSettings) -> DatabaseSettings:
    assert settings.database is not None
    return settings.database


def _state(settings: SourceSettings) -> Path:
    assert settings.state is not None
    return settings.state


def _resolved(settings: SourceSettings, path: Path) -> SourceSettings:
    folder = path.parent
    changes: dict[str, Any] = {
        "home": beside(folder, settings.home),
        "state": beside(folder, settings.state or Path(f"{path.stem}.state.db")),
    }
    if settings.folder is not None:
        where = beside(folder, settings.folder.path)
        changes["folder"] = settings.folder.model_copy(update={"path": where})
    if settings.database is not None:
        changes["database"] = _resolved_database(settings.database, folder)
    return settings.model_copy(update=changes)


def _resolved_database(given: DatabaseSettings, folder: Path) -> DatabaseSettings:
    url = given.url
    if given.url_file is not None:
        try:
            where = beside(folder, given.url_file)
            url = where.read_text(encoding="utf-8").strip()
            warn_if_open(where)
        except (OSError, UnicodeDecodeError):
            raise SettingsError("database.url_file cannot be read: check its path") from None
    assert url is not None
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / url.removeprefix('sqlite:///')}"
    mapping = beside(folder, given.mapping) if given.mapping is not None else None
    return given.model_copy(update={"url": url, "url_file": None, "mapping": mapping})
