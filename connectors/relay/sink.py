"""The relay: what this partner may see, as keyed messages in the partner's own Kafka.

    PREFIX.case_opened, PREFIX.identity_recorded, …   a compacted topic per event type
    key     the event's reference, as text
    value   magic 0, the schema's id (four bytes, big-endian), an Avro record (schemas/partner.py):
            all that is held of the event now; None when nothing is left

So a reader that knows nothing but Confluent's wire format and a schema registry's address
(`connectors/relay/registry.py`) has the partner's present view, and every change of it. A message
that is sent twice is the same last value of its key: nothing is lost or doubled by an unknown
outcome.

A recall is a new value without the category, or a tombstone; and it is done only when the cluster
has compacted the earlier values away. Until that was seen no receipt is owed: the delivery waits,
as in an outage. What readers made of the messages is theirs (docs/connect-kafka.md).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors import crash
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.landed import Landed
from connectors.relay.check import look, unfit
from connectors.relay.options import Options as Options  # noqa: PLC0414 - a kind's module has it
from connectors.remote.copies import CaseChange, Copies, Kept
from connectors.remote.sink import Recalled, RemoteSink
from hub.topics import MessageTooLargeError, TopicDeniedError, TopicError, UnknownTopicError
from hub.topics.compacted import CompactedTopics, Keyed, NotForgottenError, TooLargeError
from hub.topics.kafka_settings import KafkaSettings
from schemas.avro import AvroError
from schemas.compartments import SchemaError
from schemas.partner import ENVELOPE, About, PartnerSchemas, snake
from schemas.registry import Schemas

MAGIC: Final = b"\x00"


class Relay:
    """The partner's Kafka as a CaseSystem."""

    def __init__(
        self, options: Options, kafka: KafkaSettings, schemas: Schemas | None = None
    ) -> None:
        self._options = options
        self._settings = kafka
        self._schemas = PartnerSchemas(schemas or Schemas.load())
        self._topics: CompactedTopics | None = None
        self._known: set[str] = set()
        self.recalling = False
        """Whether this batch takes something back: earlier values have to leave."""

    def topic(self, event_type: str) -> str:
        return f"{self._options.prefix}.{snake(event_type)}"

    def prepare(self) -> None:
        with _told(self._options.prefix):
            self._look(self._reached().names(f"{self._options.prefix}."))

    def close(self) -> None:
        topics, self._topics = self._topics, None
        if topics is not None:
            topics.close()

    def put(self, changes: Sequence[CaseChange]) -> None:
        messages = [self._message(event) for change in changes for event in change.changed]
        with _told(self._options.prefix):
            gone = self._tombstones(changes)
            self._ready({one.topic for one in (*messages, *gone)})
            sequences = {
                (self.topic(event.event_type), event.event_ref.encode()): event.sequence
                for change in changes
                for event in change.changed
            }
            try:
                written = self._reached().write([*messages, *gone])
            except TooLargeError as large:
                raise SinkRefusedError(
                    "message_too_large",
                    f"{large.message.topic} takes no message of "
                    f"{len(large.message.value or b'')} bytes: raise its max.message.bytes",
                    sequences.get((large.message.topic, large.message.key)),
                ) from None
            if self.recalling or gone:
                crash.point("before_forgotten")
                self._reached().forget(written, self._options.recall_seconds)

    def check(self) -> list[Finding]:
        """Brokers, topics with their settings, rights, and the registry."""
        return look(self._options, self._settings, [self.topic(t) for t in self._schemas.types()])

    def landed(self, event_refs: Iterable[str]) -> list[Landed]:
        """What anybody can read of these events in the topics now."""
        with _told(self._options.prefix):
            topics = self._reached()
            keys = [one.encode() for one in event_refs]
            found = topics.readable(topics.names(f"{self._options.prefix}."), keys)
        there = []
        for (topic, _), value in found.items():
            [schema_id] = struct.unpack(">xI", value[:5])
            kind, record = self._schemas.decode(schema_id, value[5:])
            said = {n: v for n, v in record.items() if n not in ENVELOPE and v is not None}
            there.append(Landed(topic, kind, said))
        return there

    # -- what is written -------------------------------------------------------------------

    def _message(self, event: Kept) -> Keyed:
        about = About(
            event.event_ref,
            event.case_ref,
            event.subject_ref,
            event.agency,
            event.occurred_at,
            event.sequence,
            event.bases,
        )
        try:
            schema = self._schemas.current(event.event_type)
            body = schema.encode(about, event.values)
        except SchemaError as wrong:
            raise SinkRefusedError(
                "value_unsuitable",
                f"{event.event_type}.{wrong.field} does not fit its schema ({wrong.reason})",
                event.sequence,
            ) from None
        except AvroError as wrong:
            raise SinkRefusedError("value_unsuitable", str(wrong), event.sequence) from None
        key = event.event_ref.encode()
        value = MAGIC + struct.pack(">I", schema.id) + body
        return self._keyed(self.topic(event.event_type), key, value, event.sequence)

    def _tombstones(self, changes: Sequence[CaseChange]) -> list[Keyed]:
        """None for each event that is gone, wherever it may be."""
        gone = [one for change in changes for one in change.gone]
        places = [
            (self.topic(one.event_type), one.event_ref.encode()) for one in gone if one.event_type
        ]
        unknown = [one.event_ref.encode() for one in gone if not one.event_type]
        if unknown:  # recalled, and never seen by these books: before they were lost, perhaps
            topics = self._reached()
            places += topics.holding(topics.names(f"{self._options.prefix}."), unknown)
        return [self._keyed(topic, key, None, 0) for topic, key in places]

    @staticmethod
    def _keyed(topic: str, key: bytes, value: bytes | None, sequence: int) -> Keyed:
        """With an id that is the same however often it is sent."""
        digest = hashlib.sha256()
        for part in (topic.encode(), key, b"" if value is None else value):
            digest.update(struct.pack(">I", len(part)) + part)
        headers = [("nrm-id", digest.hexdigest()[:32].encode())]
        if value is not None:
            headers.append(("nrm-sequence", str(sequence).encode()))
        return Keyed(topic, key, value, tuple(headers))

    # -- where it is written ---------------------------------------------------------------

    def _reached(self) -> CompactedTopics:
        if self._topics is None:
            self._topics = CompactedTopics(self._settings)
        return self._topics

    def _ready(self, names: Iterable[str]) -> None:
        missing = sorted(set(names) - self._known)
        if not missing:
            return
        there = self._look(missing)
        absent = [name for name in missing if name not in there]
        if not absent:
            return
        if not self._options.make_topics:
            raise SinkDownError(
                f"the topic {absent[0]} is not there: make it, compacted (docs/connect-kafka.md), "
                "or set make_topics"
            )
        options = self._options
        self._reached().make(
            absent,
            options.partitions,
            options.replication,
            max(1, int(options.compaction_lag_seconds * 1000)),
        )
        self._look(absent)

    def _look(self, names: Iterable[str]) -> set[str]:
        """Which of these are there, and fit to be written to. SettingsError else."""
        found = self._reached().describe(names)
        for one in found.values():
            wrong = unfit(one)
            if wrong:
                raise SettingsError(f"the topic {one.name} {wrong[0]}: {wrong[1]}")
        self._known |= set(found)
        return set(found)


class RelayCopies(Copies):
    """Copies that tell the relay when a batch takes something back."""

    def __init__(self, relay: Relay, metadata: sa.MetaData) -> None:
        super().__init__(relay, metadata)
        self._relay = relay

    def begin(self) -> None:
        super().begin()
        self._relay.recalling = False

    def recalled(self, db: Connection, about: Recalled) -> None:
        super().recalled(db, about)
        self._relay.recalling = True


class RelaySink(RemoteSink):
    """Sink into the partner's Kafka."""

    leaves = "the topics, with a tombstone for each event"
    """What a recall leaves behind."""

    def __init__(self, options: Options, place: Place, schemas: Schemas | None = None) -> None:
        metadata = sa.MetaData()
        self.relay = Relay(options, options.kafka(place), schemas)
        copies = RelayCopies(self.relay, metadata)
        super().__init__(
            place.file(options.state), place.agency, place.hub, copies, metadata, place.recalls
        )

    def check(self) -> list[Finding]:
        return self.relay.check()

    def landed(self) -> list[Landed]:
        return self.relay.landed(self.known_events())


def open_sink(options: Options, place: Place) -> RelaySink:
    return RelaySink(options, place)


@contextmanager
def _told(prefix: str) -> Iterator[None]:
    """What the cluster says, as what the runner should do."""
    try:
        yield
    except NotForgottenError as late:
        raise SinkDownError(
            f"{late}: the recall is not answered before that. Is the broker's log cleaner running "
            "(log.cleaner.enable, its log), and is max.compaction.lag.ms of the topic short?"
        ) from None
    except MessageTooLargeError as large:
        raise SinkRefusedError("message_too_large", str(large)) from None
    except TopicDeniedError as denied:
        raise SinkDownError(
            f"{denied}. This user needs Describe, DescribeConfigs, Read and Write, and Create "
            f"where make_topics is set, on topics prefixed {prefix!r} (docs/connect-kafka.md)"
        ) from None
    except UnknownTopicError as gone:
        raise SinkDownError(f"{gone}. Was a topic deleted? Restart the connector") from None
    except TopicError as down:
        raise SinkDownError(str(down)) from None
