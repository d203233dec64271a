"""Topics on Apache Kafka 4. With `compacted.py` the only module that speaks to Kafka's client.

Promises, beyond the port's: acks=all and an idempotent producer, each message's
future awaited before append() returns; topics with one partition, no time or size
limit on retention, and min.insync.replicas one below the replication factor. On a
single broker a message survives the process, not the machine: durability is
replication (docs/operations-kafka.md).

Offsets are the caller's: no group, no commit, no reset by the client. Kafka's own
transactions are not used; a failed send means unknown, and the producer that met
it is replaced, since its sequence numbers may be out of step with the broker.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

from hub.topics.kafka_settings import BOOTSTRAP_SECONDS, KafkaSettings
from hub.topics.kafka_tls import certificate_refused
from hub.topics.port import (
    MAX_MESSAGE_BYTES,
    Message,
    MessageTooLargeError,
    Operation,
    Received,
    TopicDeniedError,
    TopicError,
    TopicUnavailable,
    UnknownTopicError,
    check_messages,
    check_name,
)

with warnings.catch_warnings():
    # The client reads its protocol tables through a deprecated call of importlib.resources.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
    from kafka import errors as kafka_errors
    from kafka.admin import (
        ACL,
        ACLOperation,
        ACLPermissionType,
        ConfigResource,
        ConfigResourceType,
        NewTopic,
        ResourcePattern,
        ResourceType,
    )
    from kafka.net.inet import KafkaNetSocket

_MAX_BATCH_BYTES: Final = MAX_MESSAGE_BYTES + 1024 * 1024  # one largest message and its framing
_IN_FLIGHT_BYTES: Final = 32 * 1024 * 1024  # the client bounds nothing itself
_IN_FLIGHT_MESSAGES: Final = 2_000
_APPENDS_AT_ONCE: Final = 8
_IDLE_CONSUMERS: Final = 8
_FETCH_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 2.0

_GRANTS: Final = {
    "read": (ACLOperation.READ, ACLOperation.DESCRIBE),
    "write": (ACLOperation.WRITE, ACLOperation.DESCRIBE),
}
_Answer = TypeVar("_Answer")

# Every failure is raised as our own error: without a log set up, the client says nothing.
logging.getLogger("kafka").addHandler(logging.NullHandler())


class KafkaTopics:
    """Topics (hub.topics.port) on the Kafka cluster that `settings` names."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin = self._call(lambda: _Admin(**self._options()))
        self._lock = threading.Lock()
        self._producer: _SharedProducer | None = None
        self._consumers: deque[_Consumer] = deque()
        self._appends = threading.BoundedSemaphore(_APPENDS_AT_ONCE)
        self._closed = False

    @classmethod
    def open(cls, address: str) -> KafkaTopics:
        return cls(KafkaSettings.parse(address))

    def ensure(self, names: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(check_name(name) for name in names))
        if not wanted:
            return
        held = {
            topic["name"]: topic
            for topic in self._ask(lambda admin: admin.describe_topics(wanted))
            if topic["error_code"] == 0
        }
        for name, topic in held.items():
            if len(topic["partitions"]) != 1:
                raise TopicError(f"topic {name} has {len(topic['partitions'])} partitions, not 1")
        replication, config = self._layout()
        self.create({name: config for name in wanted if name not in held}, 1, replication)
        if held:  # a topic made by hand with a time limit would lose what waits for a partner
            limits = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name in held]
            self._ask(lambda admin: admin.alter_configs(limits))

    def create(
        self,
        topics: Mapping[str, Mapping[str, str]],
        partitions: int,
        replication: int,
        *,
        only_asked: bool = False,
    ) -> None:
        """Make topics with these settings; one that is there by now is left as it is.

        only_asked: make nothing, but fail as making them would.
        """
        new = [
            NewTopic(name, partitions, replication, topic_configs=dict(config))
            for name, config in topics.items()
        ]
        if new:
            with suppress(_AlreadyThere):
                self._ask(lambda admin: _create(admin, new, only_asked))

    def append(self, topic: str, messages: Sequence[Message]) -> None:
        check_messages(messages)
        if not messages:
            return
        deadline = time.monotonic() + self._settings.timeout
        with self._appends:
            try:
                with self._producing() as producer:
                    self._call(lambda: self._send(producer, topic, messages, deadline))
            except TopicUnavailable:
                self.end(topic)  # the client reports a missing topic as a time-out
                raise

    def read(self, topic: str, offset: int | None, limit: int, timeout: float) -> list[Received]:
        if limit <= 0:
            return []
        now = time.monotonic()
        quiet, stalled = now + timeout, now + max(timeout, self._settings.timeout)
        start = self._offset(topic, OffsetSpec.EARLIEST) if offset is None else offset
        with self._consuming(topic) as consumer:
            while time.monotonic() < stalled:
                found = self._poll(consumer, start, limit, quiet - time.monotonic())
                if found:
                    return found
                # Nothing came. Ask the broker: is it there, what does it hold? Without this
                # a dead broker, or an offset trimmed away, would look like a quiet topic.
                end = self._offset(topic, OffsetSpec.LATEST)
                start = max(start, self._offset(topic, OffsetSpec.EARLIEST))
                left = quiet - time.monotonic()
                if start < end:
                    # It is there and on its way: wait for it even if the caller would not.
                    quiet = max(quiet, time.monotonic() + _FETCH_SECONDS)
                elif left <= 0:
                    return []
                elif start > end:
                    time.sleep(min(left, _FETCH_SECONDS))
        raise TopicUnavailable(f"Kafka holds {topic} from {start} on but does not deliver it")

    def end(self, topic: str) -> int:
        return self._offset(topic, OffsetSpec.LATEST)

    def trim(self, topic: str, before: int) -> None:
        before = min(before, self.end(topic))
        if before > self._offset(topic, OffsetSpec.EARLIEST):
            partition = TopicPartition(topic, 0)
            self._ask(lambda admin: admin.delete_records({partition: before}))

    def identity(self, topic: str) -> str:
        described = self._ask(lambda admin: admin.describe_topics([topic]))
        if not described or described[0]["error_code"] != 0:
            raise UnknownTopicError(f"there is no topic {topic}")
        return str(described[0]["topic_id"])

    def grant(self, principal: str, topic: str, operation: Operation) -> None:
        """`principal` is a user's name, or Kafka's own form such as "User:CN=shelter"."""
        pattern = ResourcePattern(ResourceType.TOPIC, check_name(topic))
        name = principal if ":" in principal else f"User:{principal}"
        rules = [
            ACL(name, "*", right, ACLPermissionType.ALLOW, pattern) for right in _GRANTS[operation]
        ]
        refused = self._ask(lambda admin: admin.create_acls(rules))["failed"]
        if refused:  # the client returns refusals instead of raising them
            raise TopicDeniedError(f"Kafka refused the grant on {topic}: {refused}")

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            producer, self._producer = self._producer, None
            consumers, self._consumers = self._consumers, deque()
        if producer is not None:
            producer.retire()
        for consumer in consumers:
            consumer.close()
        self._admin.close()

    def _layout(self) -> tuple[int, dict[str, str]]:
        brokers = len(self._ask(lambda admin: admin.describe_cluster())["brokers"])
        replication = self._settings.replication or min(3, brokers)
        min_insync = self._settings.min_insync or max(1, replication - 1)
        return replication, {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "min.insync.replicas": str(min_insync),
            "unclean.leader.election.enable": "false",
            "max.message.bytes": str(_MAX_BATCH_BYTES),
            # Short segments, removed soon after a trim: nothing outlives its delivery here.
            "segment.bytes": str(32 * 1024 * 1024),
            "segment.ms": "600000",
            "file.delete.delay.ms": "1000",
        }

    def _send(
        self, producer: KafkaProducer, topic: str, messages: Sequence[Message], deadline: float
    ) -> None:
        waiting: deque[tuple[Any, int]] = deque()
        size = 0
        for message in messages:
            headers = list(message.headers.items())
            future = producer.send(topic, value=message.value, headers=headers, partition=0)
            waiting.append((future, message.size))
            size += message.size
            while size > _IN_FLIGHT_BYTES or len(waiting) > _IN_FLIGHT_MESSAGES:
                done, its_size = waiting.popleft()
                self._await(done, topic, deadline)
                size -= its_size
        for future, _ in waiting:
            self._await(future, topic, deadline)

    def _await(self, future: Any, topic: str, deadline: float) -> None:
        """Until Kafka has acknowledged. A broker may be waited for, a missing topic not."""
        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                future.get(min(left, _PATIENCE_SECONDS))
                return
            except kafka_errors.KafkaTimeoutError:
                if future.is_done or left <= 0:
                    raise
            try:
                self.end(topic)
            except UnknownTopicError:
                raise
            except TopicUnavailable:
                continue

    def _poll(self, consumer: _Consumer, offset: int, limit: int, timeout: float) -> list[Received]:
        try:
            return self._call(lambda: consumer.read(offset, limit, timeout))
        except _OffsetGone:
            return []

    def _options(self) -> dict[str, Any]:
        return self._settings.client() | {"proxy_url": f"{_DirectSocket.SCHEMES[0]}://"}

    # The client leaves threads behind when it cannot bootstrap, so the one that lives as
    # long as we do is asked first whether anybody is there.
    def _new_producer(self) -> _SharedProducer:
        _patiently(self._admin.describe_cluster)
        return _SharedProducer(self._options(), self._settings.timeout)

    def _new_consumer(self) -> _Consumer:
        _patiently(self._admin.describe_cluster)
        return _Consumer(self._options())

    def _offset(self, topic: str, spec: Any) -> int:
        partition = TopicPartition(topic, 0)
        answer = self._ask(lambda admin: admin.list_partition_offsets({partition: spec}))
        return int(answer[partition].offset)

    def _ask(self, question: Callable[[Any], _Answer]) -> _Answer:
        if self._closed:
            raise TopicUnavailable("the topics are closed")
        return self._call(lambda: _patiently(lambda: question(self._admin)))

    def _call(self, action: Callable[[], _Answer]) -> _Answer:
        try:
            return action()
        except kafka_errors.OffsetOutOfRangeError as error:
            raise _OffsetGone(str(error)) from error
        except kafka_errors.TopicAlreadyExistsError as error:
            raise _AlreadyThere(str(error)) from error
        except (kafka_errors.KafkaError, OSError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> NoReturn:
        """What the client said, as one of our errors and in words."""
        where = ",".join(self._settings.servers)
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, _UNKNOWN):
            raise UnknownTopicError(f"Kafka at {where} has no such topic ({told})") from error
        if isinstance(error, _DENIED) or "AuthorizationFailed" in told:
            raise TopicDeniedError(f"Kafka at {where} does not allow this ({told})") from error
        if isinstance(error, _TOO_LARGE):
            raise MessageTooLargeError(f"Kafka at {where}: {told}") from error
        if isinstance(error, _NOBODY) or "bootstrap" in str(error):
            refused = certificate_refused(self._settings)
            if refused:
                raise TopicUnavailable(
                    f"the certificate of Kafka is refused ({refused}): name the authority that "
                    "signed it (ca), and the broker as the certificate does; if both are right, "
                    "somebody stands between"
                ) from error
            raise TopicUnavailable(
                f"no Kafka answers at {where}: is the broker running,"
                f" and are address and password right? ({told})"
            ) from error
        raise TopicUnavailable(f"Kafka at {where}: {told}") from error

    @contextmanager
    def _producing(self) -> Iterator[KafkaProducer]:
        """The shared producer; after an error it is left to its other users and replaced."""
        with self._lock:
            if self._closed:
                raise TopicUnavailable("the topics are closed")
            if self._producer is None:
                self._producer = self._call(self._new_producer)
            shared = self._producer
            shared.users += 1
        failed = True
        try:
            yield shared.client
            failed = False
        finally:
            with self._lock:
                shared.users -= 1
                if failed and self._producer is shared:
                    self._producer = None
                unused = shared.users == 0 and self._producer is not shared
            if unused:
                shared.retire()

    @contextmanager
    def _consuming(self, topic: str) -> Iterator[_Consumer]:
        """A consumer nobody else uses, by preference the one that last read this topic."""
        with self._lock:
            if self._closed:
                raise TopicUnavailable("the topics are closed")
            consumer = next((c for c in self._consumers if c.topic == topic), None)
            if consumer is not None:
                self._consumers.remove(consumer)
            elif len(self._consumers) >= _IDLE_CONSUMERS:
                consumer = self._consumers.popleft()
        if consumer is None:
            consumer = self._call(self._new_consumer)
        keep = False
        try:
            self._call(lambda: consumer.turn_to(topic))
            yield consumer
            keep = True
        finally:
            with self._lock:
                keep = keep and not self._closed and len(self._consumers) < _IDLE_CONSUMERS
                if keep:
                    self._consumers.append(consumer)
            if not keep:
                consumer.close()


class _OffsetGone(TopicError):
    """The offset was trimmed away, or lies beyond the end: the caller looks which."""


class _AlreadyThere(TopicError):
    """Somebody else made the topic first."""


_UNKNOWN: Final = (
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.UnknownTopicIdError,
    kafka_errors.InconsistentTopicIdError,
)
_DENIED: Final = (
    kafka_errors.AuthorizationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.SecurityDisabledError,
)
_NOBODY: Final = (kafka_errors.NodeNotReadyError, kafka_errors.KafkaConnectionError)
_TOO_LARGE: Final = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
)


class _Admin(KafkaAdminClient):  # type: ignore[misc]  # the client has no types
    """Kafka's admin client, which would leave its thread behind when nobody answers."""

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except BaseException:
            self._closed = False
            self.close()
            raise


class _DirectSocket(KafkaNetSocket):  # type: ignore[misc]
    """A plain socket, closed when it cannot connect; the client's own is left open then."""

    SCHEMES = ("nrm-direct",)

    async def sock_connect(self, net: Any, sock: socket.socket, *args: Any, **options: Any) -> Any:
        try:
            return await super().sock_connect(net, sock, *args, **options)
        except BaseException:
            sock.close()
            raise


class _SharedProducer:
    """One producer and how many appends are using it."""

    def __init__(self, options: dict[str, Any], timeout: float) -> None:
        self.users = 0
        self.client = KafkaProducer(
            **options,
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            delivery_timeout_ms=int(max(timeout * 1000, options["request_timeout_ms"])),
            max_block_ms=int(BOOTSTRAP_SECONDS * 1000),
            max_request_size=_MAX_BATCH_BYTES,
            batch_size=256 * 1024,
            compression_type=None,  # what is sealed does not compress
        )

    def retire(self) -> None:
        """Drop what was not sent: sent later, it would come behind its own repetition.

        close() alone waits for it, gives up, and leaves the sender trying for ever.
        """
        self.client._sender.force_close()
        with suppress(kafka_errors.KafkaError):
            self.client.close(timeout=5.0)


class _Consumer:
    """One consumer, its topic and the offset it would deliver next."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.topic: str | None = None
        self._next: int | None = None
        self._client = KafkaConsumer(
            **options,
            enable_auto_commit=False,
            auto_offset_reset="none",  # "earliest" would replay all after a wiped broker
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=2 * _MAX_BATCH_BYTES,
            fetch_max_wait_ms=500,
        )

    def turn_to(self, topic: str) -> None:
        if self.topic != topic:
            self._client.assign([TopicPartition(topic, 0)])
            self.topic, self._next = topic, None

    def read(self, offset: int, limit: int, timeout: float) -> list[Received]:
        partition = TopicPartition(str(self.topic), 0)
        if self._next != offset:  # seeking drops what was fetched ahead
            self._next = None
            self._client.seek(partition, offset)
            self._next = offset
        try:
            wait = max(0, int(timeout * 1000))
            batches = self._client.poll(timeout_ms=wait, max_records=limit)
        except BaseException:
            self._next = None
            raise
        records = batches.get(partition, [])
        if records:
            self._next = records[-1].offset + 1
        return [Received(r.offset, r.value or b"", dict(r.headers)) for r in records]

    def close(self) -> None:
        with suppress(kafka_errors.KafkaError):
            self._client.close(autocommit=False, timeout_ms=1_000)


def _patiently(question: Callable[[], _Answer]) -> _Answer:
    """Ask again for a few seconds while brokers come, go or elect. For what may be repeated."""
    deadline = time.monotonic() + BOOTSTRAP_SECONDS
    while True:
        try:
            return question()
        except _UNKNOWN:
            raise
        except (kafka_errors.RetriableError, OSError):
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)


def _create(admin: Any, new: list[NewTopic], only_asked: bool) -> None:
    answer = admin.create_topics(new, raise_errors=False, validate_only=only_asked)
    for topic in answer["topics"]:
        error = kafka_errors.for_code(topic["error_code"])
        if error not in {kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError}:
            raise error(f"topic {topic['name']}: {topic['error_message']}")
    if not only_asked:
        admin.wait_for_topics([topic.name for topic in new])


def cluster_id(address: str) -> str | None:
    """Which cluster answers at `address`; None when none does yet."""
    try:
        topics = KafkaTopics.open(address)
    except TopicUnavailable:
        return None
    try:
        return str(topics._ask(lambda admin: admin.describe_cluster())["cluster_id"])
    except TopicUnavailable:
        return None
    finally:
        topics.close()
