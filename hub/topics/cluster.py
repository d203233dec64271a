"""A Kafka cluster and its clients, as `kafka.py` and `compacted.py` use them.

Promises: a question is asked again for a few seconds while brokers come, go or elect; the producer
is idempotent, waits for all replicas in sync, is shared and replaced after an error, since its
sequence numbers may be out of step with the broker; a client that cannot connect leaves no thread
and no socket behind; every failure is one of our errors (`port.py`), in words.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeVar

from hub.topics.kafka_settings import BOOTSTRAP_SECONDS, KafkaSettings
from hub.topics.kafka_tls import certificate_refused
from hub.topics.port import (
    MAX_MESSAGE_BYTES,
    Message,
    MessageTooLargeError,
    TopicDeniedError,
    TopicError,
    TopicUnavailable,
    UnknownTopicError,
)

with warnings.catch_warnings():
    # The client reads its protocol tables through a deprecated call of importlib.resources.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition
    from kafka import errors as kafka_errors
    from kafka.admin import NewTopic
    from kafka.net.inet import KafkaNetSocket

MAX_BATCH_BYTES: Final = MAX_MESSAGE_BYTES + 1024 * 1024  # one largest message and its framing
_PATIENCE_SECONDS: Final = 2.0
_Answer = TypeVar("_Answer")

# Every failure is raised as our own error: without a log set up, the client says nothing.
logging.getLogger("kafka").addHandler(logging.NullHandler())


class OffsetGone(TopicError):
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


class Cluster:
    """The cluster that `settings` names. For several threads at once."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._admin = self.call(lambda: _Admin(**self._options()))
        self._lock = threading.Lock()
        self._producer: _SharedProducer | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.retire()
        self._admin.close()

    def ask(self, question: Callable[[Any], _Answer]) -> _Answer:
        """What the admin client answers. For what may be repeated."""
        if self._closed:
            raise TopicUnavailable("the topics are closed")
        return self.call(lambda: _patiently(lambda: question(self._admin)))

    def call(self, action: Callable[[], _Answer]) -> _Answer:
        """What a client does, its failures as our errors."""
        try:
            return action()
        except kafka_errors.OffsetOutOfRangeError as error:
            raise OffsetGone(str(error)) from error
        except kafka_errors.TopicAlreadyExistsError as error:
            raise _AlreadyThere(str(error)) from error
        except (kafka_errors.KafkaError, OSError) as error:
            self._tell(error)

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
                self.ask(lambda admin: _create(admin, new, only_asked))

    def offset(self, topic: str, spec: Any) -> int:
        partition = TopicPartition(topic, 0)
        answer = self.ask(lambda admin: admin.list_partition_offsets({partition: spec}))
        return int(answer[partition].offset)

    def end(self, topic: str) -> int:
        return self.offset(topic, OffsetSpec.LATEST)

    def ends(self, topics: Iterable[str]) -> dict[str, int]:
        """By topic; asked of each broker once."""
        wanted = {TopicPartition(topic, 0): OffsetSpec.LATEST for topic in topics}
        answer = self.ask(lambda admin: admin.list_partition_offsets(wanted))
        return {partition.topic: int(told.offset) for partition, told in answer.items()}

    def brokers(self) -> int:
        return len(self.ask(lambda admin: admin.describe_cluster())["brokers"])

    @contextmanager
    def producing(self) -> Iterator[KafkaProducer]:
        """The shared producer; after an error it is left to its other users and replaced."""
        with self._lock:
            if self._closed:
                raise TopicUnavailable("the topics are closed")
            if self._producer is None:
                self._producer = self.call(self._new_producer)
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

    def sent(self, producer: KafkaProducer, topic: str, message: Message) -> Any:
        """A message on its way; what `acknowledged` waits for."""
        headers = list(message.headers.items())
        return self.call(
            lambda: producer.send(topic, value=message.value, headers=headers, partition=0)
        )

    def acknowledged(self, future: Any, topic: str, deadline: float) -> int:
        """Its offset, once Kafka has acknowledged; -1 if it had it already. A broker may be
        waited for, a missing topic not."""
        while True:
            left = max(0.0, deadline - time.monotonic())
            wait = min(left, _PATIENCE_SECONDS)
            try:
                return int(future.get(wait).offset)
            except kafka_errors.KafkaTimeoutError as error:
                if future.is_done or left <= 0:
                    self._tell(error)
            except (kafka_errors.KafkaError, OSError) as error:
                self._tell(error)
            try:
                self.end(topic)
            except UnknownTopicError:
                raise
            except TopicUnavailable:
                continue

    def consumer(self) -> Any:
        """A client that reads from where it is told, and commits nothing."""
        self._somebody_there()
        return KafkaConsumer(
            **self._options(),
            enable_auto_commit=False,
            auto_offset_reset="none",  # "earliest" would replay all after a wiped broker
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=2 * MAX_BATCH_BYTES,
            fetch_max_wait_ms=500,
        )

    @staticmethod
    def leave(consumer: Any) -> None:
        """Close a consumer, whatever the cluster says to it."""
        with suppress(kafka_errors.KafkaError):
            consumer.close(autocommit=False, timeout_ms=1_000)

    def _new_producer(self) -> _SharedProducer:
        self._somebody_there()
        return _SharedProducer(self._options(), self.settings.timeout)

    def _somebody_there(self) -> None:
        # The client leaves threads behind when it cannot bootstrap, so the one that lives as
        # long as we do is asked first whether anybody is there.
        _patiently(self._admin.describe_cluster)

    def _options(self) -> dict[str, Any]:
        return self.settings.client() | {"proxy_url": f"{_DirectSocket.SCHEMES[0]}://"}

    def _tell(self, error: Exception) -> NoReturn:
        """What the client said, as one of our errors and in words."""
        where = ",".join(self.settings.servers)
        told = f"{type(error).__name__}: {error}"
        if isinstance(error, _UNKNOWN):
            raise UnknownTopicError(f"Kafka at {where} has no such topic ({told})") from error
        if isinstance(error, _DENIED) or "AuthorizationFailed" in told:
            raise TopicDeniedError(f"Kafka at {where} does not allow this ({told})") from error
        if isinstance(error, _TOO_LARGE):
            raise MessageTooLargeError(f"Kafka at {where}: {told}") from error
        if isinstance(error, _NOBODY) or "bootstrap" in str(error):
            refused = certificate_refused(self.settings)
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
            max_block_ms=int(timeout * 1000),
            max_request_size=MAX_BATCH_BYTES,
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
