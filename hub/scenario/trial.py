"""A trial: a partner's own sink is given what a practice hub has for its role, and all is recalled.

    refuse → deliver → look → recall → look again → undo

Refused where the sink's books, or those at the partner's real home, hold anything of a real hub:
invented persons and real ones are never in one system. Whatever interrupts a trial, it recalls and
takes away what it has brought.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import sqlalchemy as sa

from connectors import landed
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.database.engines import read_url
from connectors.errors import ConnectorError, RetryError, SettingsError, SinkDownError
from connectors.landed import Landed
from connectors.mapping import Mapping as MappingFile
from connectors.mapping import load_mapping
from connectors.remote.messages import Message, Messages
from connectors.runner import Runner
from connectors.settings import PartnerSettings, SinkSettings, open_sink
from connectors.sink import Quarantined, Sink
from connectors.sql import SqlDatabase, SqlSink
from hub.publisher import delivery_stream
from hub.scenario.practice import Practice
from hub.scenario.stage import StageError

TWIN: Final = "try it on a twin with --into sqlite:///twin.db"


@dataclass
class Seen:
    """What was found at one look. rows: None where the sink cannot show its system. leaves: what
    that system keeps of what was recalled. sent: where the system is told of messages, those that
    it has taken since the look before."""

    rows: list[Landed] | None
    held: dict[tuple[str, str], dict[str, str]]
    delivered: int
    answered: int
    quarantined: list[Quarantined] = field(default_factory=list)
    leaves: str = ""
    sent: list[Message] = field(default_factory=list)


@dataclass
class Trial:
    """One trial; what it makes is made inside its `with`, and undone at the end, however it ends.

    between: called between two steps, and may raise to end the trial there.
    """

    practice: Practice
    settings: PartnerSettings
    sink: Sink
    types: Collection[str] = ()
    made: tuple[Path, ...] = ()
    between: Callable[[], None] = lambda: None
    filled: Mapping[tuple[str, str], Collection[str]] = field(default_factory=dict)
    recalled: bool = False
    _sent: list[Message] = field(default_factory=list)

    @classmethod
    def open(
        cls,
        practice: Practice,
        settings: PartnerSettings,
        types: Collection[str] = (),
        between: Callable[[], None] = lambda: None,
    ) -> Trial:
        """Nothing is made yet. SettingsError where real deliveries are, or rows might be."""
        _refuse_real(settings)
        home = practice.home / practice.agency
        settings = settings.model_copy(update={"home": home})
        sink = open_sink(settings, practice.identity)
        try:
            landed.check_keys(sink)
            landed.check_rights(sink)
            if (told := _holding_real(sink)) is not None:
                raise SettingsError(told)
            made = tuple(path for path in _files(settings.sink) if not path.exists())
            _refuse_full(settings.sink, made)
        except BaseException:
            sink.close()
            raise
        trial = cls(practice, settings, sink, types, made, between)
        if isinstance(remote := getattr(sink, "remote", None), Messages):
            remote.taken = trial._sent.append
        return trial

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()

    def deliver(self) -> Seen:
        """Everything that waits, into the sink; then look."""
        for step in (self.sink.prepare, self.sink.claim):
            step()
            self.between()
        player = self.practice.stage.players[self.practice.agency]
        inbox = TopicInbox(self.practice.stage.hub.topics, player.identity)
        player.runner = Runner(
            inbox, self.sink, player.identity, on_progress=lambda *_: self.between()
        )
        self._settle(self.practice.stage.settle)
        self.filled = landed.filled(self.sink)
        self.between()
        return self._look(landed.landed(self.sink, self.types))

    def recall(self) -> Seen:
        """Everything is recalled; then look at what is left."""
        self._settle(self.practice.recall)
        self.recalled = True
        rows = landed.landed(self.sink)
        return self._look(None if rows is None else [*rows, *self._left()])

    def close(self) -> None:
        """Recall what was not recalled, take away what was made."""
        self.between = lambda: None  # nothing ends it here
        player = self.practice.stage.players[self.practice.agency]
        try:
            if player.runner is not None and not self.recalled:
                self.filled = self.filled or landed.filled(self.sink)
                with contextlib.suppress(ConnectorError, StageError):
                    self.practice.recall()
            self._undo(begun=player.runner is not None)
        finally:
            self.sink.close()
            player.runner = None
        for path in self.made:
            path.unlink(missing_ok=True)

    def _undo(self, *, begun: bool) -> None:
        try:
            landed.undo(self.sink, self.filled)
        except SinkDownError as wrong:
            if begun:  # else nothing of it was made there
                rows = ", ".join(f"{table} {key}" for table, key in self.filled)
                raise SinkDownError(
                    f"what the trial has made could not be taken away: {wrong}. Books and tables: "
                    "run it again with --undo" + (f". By hand: {rows}" if rows else "")
                ) from None

    def _left(self) -> list[Landed]:
        """Mapped rows that stay, emptied."""
        return landed.emptied(self.sink, self.filled)

    def _look(self, rows: list[Landed] | None) -> Seen:
        agency, hub = self.practice.agency, self.practice.stage.hub
        wanted = ("", *self.types)  # a recall names no type
        sent = [one for one in self._sent if not self.types or one.event_type in wanted]
        self._sent.clear()
        return Seen(
            rows,
            landed.holdings(self.sink) or {},
            hub.exchange.last_version(delivery_stream(agency)),
            hub.receipts.acknowledged(agency),
            self.sink.quarantine(),
            landed.leaves(self.sink),
            sent,
        )

    @staticmethod
    def _settle(step: Callable[[], object]) -> None:
        try:
            step()
        except SinkDownError:
            raise
        except RetryError as wrong:  # the hub is here: only the partner's side can be away
            raise SinkDownError(str(wrong)) from None


def into(settings: PartnerSettings, place: str, folder: Path) -> PartnerSettings:
    """The same settings with another place for what lands: a database's URL, or a file's path.

    A database gets the tables that the mapping names, empty, as they are in the partner's own.
    """
    sink = settings.sink
    if "://" not in place:
        changes: dict[str, object] = {"kind": "jsonl", "path": folder / place, "mapping": None}
    else:
        path = place.removeprefix("sqlite:///")
        if path != place and not path.startswith("/"):
            place = f"sqlite:///{folder / path}"
        if sink.mapping is not None and sink.url is not None:
            _copy_tables(load_mapping(sink.mapping), sink.url, place)
        changes = {"kind": "sql", "url": place, "url_file": None, "db_schema": None}
    return settings.model_copy(update={"sink": sink.model_copy(update=changes)})


def _copy_tables(mapping: MappingFile, url: str, twin: str) -> None:
    """Columns with their types, and keys; no rows, no rules, nothing that refers elsewhere."""
    source, target = SqlDatabase(url), SqlDatabase(twin)
    try:
        with source.reading() as theirs, target.writing() as ours:
            for name in dict.fromkeys(one.table for one in mapping.maps):
                schema, _, table = name.rpartition(".")
                if not sa.inspect(theirs).has_table(table, schema or None):
                    continue  # told when the mapping is checked, with its line
                found = sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=theirs)
                columns = (
                    sa.Column(
                        one.name, one.type.as_generic(), primary_key=one.primary_key,
                        nullable=one.nullable or one.server_default is not None,
                    )
                    for one in found.columns
                )  # fmt: skip
                sa.Table(table, sa.MetaData(), *columns).create(ours, checkfirst=True)
    finally:
        source.close()
        target.close()


def _refuse_real(settings: PartnerSettings) -> None:
    """Books beside a system are looked for where the partner's real connector keeps them.

    Without an identity there has been none; books kept elsewhere are found by the trial's own sink.
    """
    try:
        identity = AgencyIdentity.load(settings.home)
    except ConnectorError:
        return
    if not identity.enrolled:
        return
    sink = open_sink(settings, identity)
    try:
        if (told := _holding_real(sink)) is not None:
            raise SettingsError(told)
    finally:
        sink.close()


def _holding_real(sink: Sink) -> str | None:
    for hub in sorted(landed.hubs(sink)):
        if hub.startswith(landed.PRACTICE):
            return (
                f"this sink holds deliveries of the practice hub {hub!r}, from a trial that was "
                "killed or a connector run by hand. Take them away first: "
                "nrm-hub connector try … --undo"
            )
        return (
            f"this sink holds deliveries of hub {hub!r}: invented persons are never brought where "
            f"real ones are. Instead, {TWIN}"
        )
    return None


def _files(sink: SinkSettings) -> list[Path]:
    """Files the sink would make beside nothing: removed after the trial if it made them."""
    if sink.kind == "jsonl" and sink.path is not None:
        return [sink.path]
    if sink.kind == "sql" and sink.url is not None:
        url = read_url(sink.url, "sink.url")
        if url.get_backend_name() == "sqlite" and url.database:
            path = Path(url.database)
            return [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]
    return []


def _refuse_full(sink: SinkSettings, made: Collection[Path]) -> None:
    if sink.kind == "jsonl" and sink.path is not None and sink.path not in made:
        raise SettingsError(f"{sink.path} is there already: try it into another file with --into")


def take_away(practice: Practice, settings: PartnerSettings) -> bool:
    """What a killed trial has left in this sink; False if there is nothing of the kind.

    In a system that cannot hold our books only the books go: what landed there was invented, and
    its ids are those the trial has shown.
    """
    sink = open_sink(settings, practice.identity)
    try:
        if not landed.hubs(sink):
            return False
        if isinstance(sink, SqlSink):
            sink.prepare()
        landed.undo(sink, landed.filled(sink))
        return True
    finally:
        sink.close()
