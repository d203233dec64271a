"""Ingest: batches come in over a topic or over HTTP and leave as signed outcomes.

Messages that wait together share one transaction (group commit): a run of Kafka messages, or all
HTTP requests that arrived while the previous commit was under way. The topic's offset is kept in
that same transaction; Kafka's own offsets are never asked. Order of effects: commit, then answer.
A crash in between loses an answer, never an event: the agency sends again and is told the same.
"""

from __future__ import annotations

import hashlib
import queue
from collections import defaultdict
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass

from hub import crash
from hub.errors import RetryLater
from hub.exchange import Exchange
from hub.home import HubKeys
from hub.outcomes import outcome_batch
from hub.recording.answered import OutcomeFacts
from hub.spans import span
from hub.store.errors import StoreConflict
from hub.submission import Admission, Gate
from hub.topics.port import Message, Received, Topics, TopicUnavailable, UnknownTopicError

INGEST_TOPIC = "nrm.ingest"
GROUP = 64  # messages per transaction
GROUP_EVENTS = 4_000  # events per transaction, so that one transaction stays short


@dataclass(frozen=True)
class Answered:
    """Outcomes of one message, as sent to the agency."""

    outcomes: tuple[OutcomeFacts, ...]
    signed: bytes


def topic_follower(topics: Topics, topic: str) -> str:
    """Name under which a reader of this life of a topic keeps its offset.

    A topic that was lost and made again has another identity, so it is read from its start.
    """
    life = hashlib.sha256(topics.identity(topic).encode()).hexdigest()[:16]
    return f"{topic}/{life}"


class Ingest:
    """Admits and records what agencies send."""

    def __init__(
        self, exchange: Exchange, gate: Gate, topics: Topics, hub_id: str, keys: HubKeys
    ) -> None:
        self._exchange = exchange
        self._gate = gate
        self._topics = topics
        self._hub_id = hub_id
        self._keys = keys
        self._waiting: queue.SimpleQueue[tuple[Admission, Future[Answered]]] = queue.SimpleQueue()
        self._unanswered: list[tuple[str, Message]] = []

    # -- topic -----------------------------------------------------------------------------

    def step(self, timeout: float = 0.0) -> int:
        """Take what lies on the ingest topic; returns the number of messages taken."""
        self._flush_answers()
        follower = topic_follower(self._topics, INGEST_TOPIC)
        offset = self._exchange.log.tracking(follower) or None
        messages = self._topics.read(INGEST_TOPIC, offset, GROUP, timeout)
        if not messages:
            return 0
        with span("nrm.ingest", messages=len(messages)):
            return self._take(messages, follower)

    def _take(self, messages: list[Received], follower: str) -> int:
        admissions = []
        events = 0
        for taken, message in enumerate(messages, start=1):
            admissions.append(self.admit(message.value))
            events += len(admissions[-1].events)
            if events >= GROUP_EVENTS:
                messages = messages[:taken]
                break
        try:
            outcomes = self._exchange.record(admissions, {follower: messages[-1].offset + 1})
        except StoreConflict:
            if self._exchange.log.tracking(follower) <= messages[-1].offset:
                raise
            return len(messages)  # another process took these messages and answers them
        crash.point("after_ingest_record")
        for admission, answers in zip(admissions, outcomes, strict=True):
            self._answer(admission.sender, answers)
        self._flush_answers()
        crash.point("after_answers")
        return len(messages)

    def _answer(self, sender: str, answers: list[OutcomeFacts]) -> None:
        if sender not in self._exchange.agencies:
            return  # nobody to answer: recorded as a refusal, visible to the operator
        topic = self._exchange.pseudonyms.topic("nrm.o", sender)
        signed = outcome_batch(self._hub_id, self._keys.signing, answers)
        self._unanswered.append((topic, Message(signed)))

    def _flush_answers(self) -> None:
        by_topic: defaultdict[str, list[Message]] = defaultdict(list)
        for topic, message in self._unanswered:
            by_topic[topic].append(message)
        if not by_topic:
            return
        done = self._topics.append_each(by_topic)
        self._unanswered = [one for one in self._unanswered if not isinstance(done[one[0]], int)]
        lost = [topic for topic, end in done.items() if isinstance(end, UnknownTopicError)]
        if lost:  # this keeps no other agency waiting
            with suppress(TopicUnavailable):
                self._topics.ensure(lost)
        del self._unanswered[:-10_000]  # agencies ask again; the record has the answers

    # -- HTTP ------------------------------------------------------------------------------

    def admit(self, raw: bytes) -> Admission:
        exchange = self._exchange
        with span("nrm.admit"):
            return self._gate.admit(raw, exchange.agencies, exchange.position, exchange.clock.now())

    def submit(self, raw: bytes, timeout: float = 30.0) -> Answered:
        """Admit one message in the caller's thread; wait until its group is committed."""
        answer: Future[Answered] = Future()
        self._waiting.put((self.admit(raw), answer))
        try:
            return answer.result(timeout)
        except TimeoutError:
            raise RetryLater("the hub is busy; send the same batch again") from None

    def commit_waiting(self, timeout: float = 0.2) -> int:
        """Record everything that waits in one transaction; the committer thread's loop body."""
        try:
            group = [self._waiting.get(timeout=timeout)]
        except queue.Empty:
            return 0
        events = len(group[0][0].events)
        while len(group) < GROUP * 4 and events < GROUP_EVENTS:
            try:
                group.append(self._waiting.get_nowait())
            except queue.Empty:
                break
            events += len(group[-1][0].events)
        try:
            with span("nrm.ingest", messages=len(group)):
                outcomes = self._exchange.record([admission for admission, _ in group])
        except BaseException as failure:
            for _, answer in group:
                answer.set_exception(failure)
            raise
        for (_, answer), answers in zip(group, outcomes, strict=True):
            signed = outcome_batch(self._hub_id, self._keys.signing, answers)
            answer.set_result(Answered(tuple(answers), signed))
        return len(group)
