"""The publisher: mark what is owed as sending, then seal and send it.

Two steps, each resumable:

    mark   follows the log's decisions; in one transaction re-checks every item that stands on a
           consent or a window against the case as it is now, and appends what still stands to the
           recipient's delivery log, whose version is the gapless sequence. From the moment a
           withdrawal is acknowledged nothing resting on it is marked any more.
    send   seals marked deliveries, one HPKE box and one signature per recipient and batch, and
           appends them to the recipient's topic. Repeating it is harmless: recipients apply a
           sequence once.

Only compartments that were sealed at admission leave here, by choice, never re-encoded. Where the
policy says hub-attested, the same bytes are sealed afresh, so that nothing (ciphertext, event id,
signature, time) can be matched between two recipients.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from hashlib import sha256
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import orjson
import structlog

from hub import crash, redrives
from hub.crypto import signing
from hub.crypto.pseudonyms import Pseudonyms
from hub.crypto.sealing import padme, seal, sealing_key_id
from hub.crypto.signing import SigningKey
from hub.deliveries import Owed, Settlement
from hub.domain.case import Case
from hub.domain.timers import days
from hub.draft import Draft, Fresh, stream_id
from hub.exchange import Exchange
from hub.in_flight import MARKED
from hub.parts import Parts, PartsCache, released
from hub.recalled import Item, Recalled, left_of
from hub.release import CONSENT, standing
from hub.served import LOOK_AT, Served, progress
from hub.spans import span
from hub.store import events as stored
from hub.store.errors import StoreConflict
from hub.topics.port import Message, Topics, TopicUnavailable, UnknownTopicError
from schemas import wire

log = structlog.get_logger("hub.publisher")

FOLLOWER = MARKED
MARK_BATCH = 2_000  # log rows looked at in one transaction
SEND_BATCH = 500  # deliveries in one sealed message
SEND_BYTES = 4 * 1024 * 1024
TRIM_EVERY = 2.0  # seconds
LOOK_EVERY = 5.0  # seconds between looks whether a topic was lost
KEPT_NAMES = 50_000  # pseudonyms of recipients' cases kept in memory
KEPT_DUE = 20_000  # marked deliveries per recipient kept in memory; the rest wait in the log

_NOTHING_STATED = wire.DELIVERY_ABOUT.encode(
    {
        "recorded": 0,
        "event_ref": None,
        "event_type": None,
        "schema": None,
        "agency": None,
        "occurred_at": None,
        "evidence": None,
    }
)


@lru_cache(maxsize=4096)
def delivery_stream(agency: str) -> UUID:
    """Stream of a recipient's delivery log."""
    return stream_id("deliveries", agency)


def told_basis(names: Pseudonyms, agency: str, case_id: UUID, basis: str) -> str:
    """A basis as a hub-attested recipient is told it: a consent's id is the same at everybody."""
    if not basis.startswith(CONSENT):
        return basis
    return CONSENT + names.consent(agency, case_id, basis.removeprefix(CONSENT))


class _Elsewhere(Exception):
    """Another process has marked what this one was about to."""


@dataclass
class _Overtaken:
    """What a decision released to one agency and, by the time of sending, stood no longer so."""

    held_back: dict[str, list[str]] = field(default_factory=dict)
    rebased: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, item: Owed, standing: Mapping[str, str]) -> None:
        gone = sorted(set(item.bases) - set(standing))
        if gone:
            self.held_back[item.event_id] = gone
        other = {c: basis for c, basis in standing.items() if basis != item.bases[c]}
        if other:
            self.rebased[item.event_id] = other


def _turn(item: Owed, event_id: str, case: Case) -> int:
    """Recalls, then the event, then what is caught up on as it was recorded: of two corrections
    the later one has to arrive last, also when the decision was read back from the log."""
    if item.recall is not None:
        return -1
    return 0 if item.event_id == event_id else case.position_of(item.event_id)


class Publisher:
    """Marks and sends for one hub, in one thread; `sealed_after` and `sent_again` are for any."""

    def __init__(self, exchange: Exchange, topics: Topics, hub_id: str, key: SigningKey) -> None:
        self._exchange = exchange
        self._topics = topics
        self._hub_id = hub_id
        self._key = key
        self._marked_to = exchange.log.tracking(FOLLOWER)
        self._sent: dict[str, int] = {}
        self._due: dict[str, OrderedDict[int, stored.Sending]] = {}
        self._parts = PartsCache(exchange.log, exchange.secrets)
        self._recalled = Recalled(exchange.log)
        self._ends: dict[str, deque[tuple[int, int]]] = {}
        self._named: dict[tuple[str, bytes, bytes], tuple[str, str]] = {}
        self._trimmed_at = 0.0
        self._served = Served(exchange.log, topics, exchange.pseudonyms, self._returned)
        self._looked_at = time.monotonic()
        self._failing: set[str] = set()  # recipients whose topic did not take the last batch
        self._shut_out: set[str] = set()  # recipients whose keys are revoked, once seen to
        self._epoch = exchange.secrets.epoch
        self._redriven = exchange.log.tracking(redrives.FOLLOWER)
        self.carried_out = redrives.CarriedOut(exchange.log)

    def step(self) -> int:
        """Mark and send what is there; returns how much was done (0: nothing to do)."""
        self._forget_erased()
        done = self.mark() + self.send() + self.redrive()
        if time.monotonic() - self._looked_at > LOOK_EVERY:
            self.look()
        if not done or time.monotonic() - self._trimmed_at > TRIM_EVERY:
            self.trim()
        return done

    def check(self) -> None:
        """Raise Inconsistent if recipients were sent more than the log holds: see `Served.beyond`.

        Looks at the busiest few now, so that a hub starts quickly; at each other before its first
        message.
        """
        names = [one.agency for one in self._exchange.agencies]
        names.sort(key=lambda one: -self._exchange.last_version(delivery_stream(one)))
        for agency in names[:LOOK_AT]:
            self._served.beyond(agency, self._hub_id, self._key.public)

    @property
    def idle(self) -> bool:
        """Whether everything recorded so far was followed, and everything marked is sent."""
        return self._marked_to >= self._exchange.position and not any(self._due.values())

    def _forget_erased(self) -> None:
        """After an erasure, here or in another process, no secret stays behind in memory."""
        epoch = self._exchange.secrets.epoch
        if epoch != self._epoch:
            self._epoch = epoch
            self._parts.forget()
            self._exchange.forget_fresh()

    # -- mark ------------------------------------------------------------------------------

    def mark(self) -> int:
        """Mark owed deliveries as sending. Returns the number of log rows followed."""
        start = self._marked_to
        rows = self._exchange.fresh_after(start, MARK_BATCH) or [
            Fresh(one.position, one.event) for one in self._exchange.log.read(start, MARK_BATCH)
        ]
        if not rows:
            return 0
        if rows[-1].position > self._exchange.position:  # recorded by another process
            self._exchange.catch_up()
        settled = [row for row in rows if isinstance(row.event, stored.Settled)]
        for row in rows:
            if isinstance(row.event, stored.EventAccepted):
                self._parts.remember(row.position, row.event, row.secret)
        end = rows[-1].position
        if settled:
            try:
                with span("nrm.publish.mark", settlements=len(settled)):
                    marked = self._exchange.commit(
                        lambda draft: self._mark(draft, settled, start, end)
                    )
            except (_Elsewhere, StoreConflict):
                elsewhere = self._exchange.log.tracking(FOLLOWER)
                if elsewhere <= start:
                    raise
                self._marked_to = elsewhere  # another process marked these: go on where it is
                return 1
            crash.point("after_mark")
            for sending in marked:
                self._keep(sending)
                self._recalled.note(sending)
        self._marked_to = end
        return len(settled)

    def _keep(self, sending: stored.Sending) -> None:
        """In memory, if it is the next there: whatever is left out is read back from the log."""
        due, sequence = (
            self._due.setdefault(sending.agency, OrderedDict()),
            sending.originator_version,
        )
        if not due or (len(due) < KEPT_DUE and next(reversed(due)) + 1 == sequence):
            due[sequence] = sending

    def _mark(
        self, draft: Draft, settled: Sequence[Fresh], start: int, end: int
    ) -> list[stored.Sending]:
        if self._exchange.log.tracking(FOLLOWER) > start:
            raise _Elsewhere
        draft.tracking[FOLLOWER] = end
        marked: list[stored.Sending] = []
        for row in settled:
            decided = row.event
            assert isinstance(decided, stored.Settled)
            settlement = row.settlement or Settlement.from_record(orjson.loads(decided.settlement))
            owed = list(settlement.owed())
            if not owed:
                continue
            case = self._exchange.case(decided.originator_id)
            assert case is not None
            overtaken: dict[str, _Overtaken] = {}
            if settlement.backfill:
                turns = [(_turn(item, settlement.event_id, case), item) for item in owed]
                owed = [item for _, item in sorted(turns, key=itemgetter(0))]
            for item in owed:
                sending = self._sending(draft, row.position, decided, case, item, overtaken)
                if sending is not None:
                    draft.add(sending)
                    marked.append(sending)
            for agency, changes in overtaken.items():
                self._record(draft, decided.originator_id, case, agency, changes)
        return marked

    def _sending(
        self,
        draft: Draft,
        position: int,
        decided: stored.Settled,
        case: Case,
        item: Owed,
        overtaken: dict[str, _Overtaken],
    ) -> stored.Sending | None:
        """The next delivery of one recipient, or None if nothing of it stands any more."""
        kind: Literal["release", "recall"] = "release"
        if item.recall is not None:
            kind = "recall"
            about = decided.position
            body: dict[str, Any] = {
                "action": item.recall.action,
                "due": (draft.now + self._recall_due(draft.now, case)).isoformat(),
                "items": [[event, sorted(names)] for event, names in item.recall.items],
            }
        else:
            parties, profile = self._exchange.agencies.parties(), self._exchange.policy()
            bases = standing(
                case, item.agency, item.event_id, item.bases, parties, profile, draft.now
            )
            if bases != item.bases:
                overtaken.setdefault(item.agency, _Overtaken()).note(item, bases)
            if not bases:
                return None
            about = case.position_of(item.event_id)
            body = {"bases": bases}
        stream = delivery_stream(item.agency)
        return stored.Sending(
            originator_id=stream,
            originator_version=self._exchange.version_of(draft, stream) + 1,
            timestamp=draft.now,
            agency=item.agency,
            kind=kind,
            case_id=decided.originator_id.bytes,
            subject_id=case.subject_id.bytes if case.subject_id else bytes(16),
            event_position=about,
            decision=position,
            items=orjson.dumps(body),
        )

    def _recall_due(self, now: datetime, case: Case) -> timedelta:
        """T11."""
        policy = self._exchange.policy().timers
        return timedelta(days=days(policy, "T11_recall_answer_days", case.jurisdiction, now.date()))

    def _record(
        self, draft: Draft, case_id: UUID, case: Case, agency: str, changes: _Overtaken
    ) -> None:
        """Record what is not sent after all, or sent on another basis than was decided."""
        draft.add(
            stored.HeldBack(
                originator_id=case_id,
                originator_version=self._exchange.next_case_version(case_id),
                timestamp=draft.now,
                agency=agency,
                items=orjson.dumps(changes.held_back),
                rebased=orjson.dumps(changes.rebased),
            )
        )
        case.hold_back(agency, changes.held_back)
        case.rebase(agency, changes.rebased)

    # -- send ------------------------------------------------------------------------------

    def send(self) -> int:
        """Seal and append what is marked. Returns the number of deliveries sent."""
        sent: dict[str, int] = {}
        count = 0
        # Those that failed last come last, so that one recipient's topic keeps nobody waiting.
        for agency in sorted(self._exchange.agencies, key=lambda a: a.agency in self._failing):
            name = agency.agency
            try:
                if self._waits(name, agency.shut_out):
                    continue
                due = self._due_for(name)
                while due:
                    batch = self._batch(due)
                    follower = self._served.follower(name)
                    with span("nrm.publish.send", deliveries=len(batch)):
                        self._append(name, agency.sealing_public, batch)
                    for sending in batch:
                        due.pop(sending.originator_version, None)
                    self._sent[name] = batch[-1].originator_version
                    sent[f"sent/{name}"] = sent[follower] = self._sent[name]
                    count += len(batch)
                    if not due:
                        due = self._due_for(name)
                self._failing.discard(name)
            except TopicUnavailable as away:
                # Unknown whether stored: sent again on the next step, to the topic it then has.
                self._failing.add(name)
                self._again(name)
                if not isinstance(away, UnknownTopicError):
                    break  # it took long to find out, and is likely so for all
        if sent:
            crash.point("after_send")
            self._note(sent)
        return count

    def _waits(self, agency: str, shut_out: bool) -> bool:
        """Whether nothing is sealed to this recipient: somebody else may hold its keys.

        What waits on its topic is taken away; it gets all of it when it is back with new keys.
        """
        if shut_out:
            if agency not in self._shut_out:
                self._served.empty(agency)
                self._shut_out.add(agency)
            self._again(agency)
        elif agency in self._shut_out:
            self._again(agency)
            self._shut_out.remove(agency)
        return shut_out

    def _returned(self, agency: str) -> int:
        known = self._exchange.agencies.get(agency)
        return known.returned if known is not None else 0

    def _note(self, sent: Mapping[str, int]) -> None:
        """Record how far each recipient was sent. Another process may have sent as far."""
        followers = self._exchange.log.counts
        with suppress(StoreConflict):
            self._exchange.commit(
                lambda draft: draft.tracking.update(progress(followers().followers, sent))
            )

    def look(self) -> None:
        """Find out whose topic was lost; what was not acknowledged is sent again from the log."""
        self._looked_at = time.monotonic()
        followers = self._exchange.log.counts().followers
        waiting = [
            agency
            for agency, sent in self._sent.items()
            if sent > followers.get(f"acknowledged/{agency}", 0)
        ]
        for agency in self._served.lost(waiting):
            log.warning("topic_lost", agency=agency)
            self._again(agency)

    def _again(self, agency: str) -> None:
        """Nothing in memory is trusted: go on where the log says for the topic there is."""
        self._served.forget(agency)
        self._sent.pop(agency, None)
        self._due.pop(agency, None)
        self._ends.pop(agency, None)

    def trim(self) -> None:
        """Remove from each topic what its recipient has acknowledged: nothing outlives delivery."""
        self._trimmed_at = time.monotonic()
        followers = self._exchange.log.counts().followers
        for agency, ends in self._ends.items():
            acknowledged = followers.get(f"acknowledged/{agency}", 0)
            before = None
            while ends and ends[0][0] <= acknowledged:
                before = ends.popleft()[1]
            if before is not None:
                self._topics.trim(self._exchange.pseudonyms.topic("nrm.d", agency), before)
                crash.point("after_trim")

    def sealed_after(self, agency: str, after: int, limit: int) -> list[bytes]:
        """Sealed messages of a recipient that asks over HTTP; sealed from the log, any thread.

        Up to `limit` deliveries with sequences greater than `after`; only what was sent already.
        """
        known = self._exchange.agencies.get(agency)
        assert known is not None
        sent = self._exchange.log.tracking(f"sent/{agency}")
        batch = [
            one.event
            for one in self._exchange.log.stream(
                delivery_stream(agency), after_version=after, limit=min(limit, SEND_BATCH)
            )
            if isinstance(one.event, stored.Sending) and one.event.originator_version <= sent
        ]
        if not batch:
            return []
        recalled = self._recalled.since(agency, batch[0].originator_version)
        messages = self._messages(agency, known.sealing_public, batch, recalled)
        return [message.value for message in messages]

    def republish(self, agency: str, after: int = 0) -> None:
        """Send everything after `after` again."""
        self._due.pop(agency, None)
        self._sent[agency] = after

    def redrive(self) -> int:
        """Send again what was ordered to be, each delivery sealed anew under its old sequence.

        Returns how many orders were carried out. Cut off in between it is done again; the
        recipient applies it once.
        """
        if self._exchange.last_version(redrives.STREAM) <= self._redriven:
            return 0
        done = 0
        # Another process may have carried out some of them.
        self._redriven = max(self._redriven, self._exchange.log.tracking(redrives.FOLLOWER))
        for one in self._exchange.log.stream(redrives.STREAM, self._redriven, SEND_BATCH):
            order = one.event
            assert isinstance(order, stored.RedriveOrdered)
            try:
                if not self._send_again(order.agency, order.sequence):
                    break  # its recall is marked first, with the next step
            except TopicUnavailable as away:
                if isinstance(away, UnknownTopicError):
                    self._again(order.agency)  # all it lacks is sent, this with it or after it
                    self._topics.ensure([self._exchange.pseudonyms.topic("nrm.d", order.agency)])
                break
            self._redriven = order.originator_version
            self._note({redrives.FOLLOWER: self._redriven})
            done += 1
        return done

    def _send_again(self, agency: str, sequence: int) -> bool:
        """False: a withdrawal was recorded whose recall is not marked yet."""
        known = self._exchange.agencies.get(agency)
        if known is None or known.shut_out:
            return True  # nothing is sealed to it; back with new keys it gets all it lacks
        asked, recalled = self._asked_again(agency, [sequence])
        if sequence in asked.early:
            return False
        if sequence not in asked.stand:
            log.warning("redrive_no_longer_stands", agency=agency, sequence=sequence)
            return True
        crash.point("before_redrive")
        sealed = self._messages(agency, known.sealing_public, [asked.stand[sequence]], recalled)
        self._topics.append(self._exchange.pseudonyms.topic("nrm.d", agency), sealed)
        crash.point("after_redrive")
        return True

    def _asked_again(
        self, agency: str, sequences: Collection[int]
    ) -> tuple[redrives.Asked, Mapping[Item, int]]:
        """What of these deliveries stands now, and what was recalled since the first of them."""
        # In this order: a recall marked in between counts as one that is not marked yet.
        marked_to = max(self._marked_to, self._exchange.log.tracking(FOLLOWER))
        recalled = self._recalled.since(agency, min(sequences))
        return redrives.ask(self._exchange, agency, sequences, recalled, marked_to), recalled

    def sent_again(
        self, agency: str, again: int, after: int, limit: int, size: int
    ) -> tuple[list[bytes], int]:
        """What a recipient that asks over HTTP was sent again, sealed at this moment; any thread.

        again: how many of the orders for it, in `carried_out`, it has seen; returned with the
        messages is how many it has seen then. Only deliveries up to `after`: the later ones it is
        handed in their turn. Ends before an order whose recall is not marked yet.
        """
        known = self._exchange.agencies.get(agency)
        assert known is not None
        messages: list[bytes] = []
        while not messages and (orders := self.carried_out.after(agency, again, limit)):
            sequences = sorted({one for one in orders if one <= after})
            if not sequences:
                again += len(orders)
                continue
            asked, recalled = self._asked_again(agency, sequences)
            left = dict(asked.stand)  # ordered more than once, it is sealed once
            for sequence in orders:
                if sequence in asked.early or size <= 0:
                    return messages, again
                again += 1
                sending = left.pop(sequence, None)
                if sending is not None:
                    sealed = self._messages(agency, known.sealing_public, [sending], recalled)
                    messages += [one.value for one in sealed]
                    size -= len(messages[-1])
        return messages, again

    def _due_for(self, agency: str) -> OrderedDict[int, stored.Sending]:
        """Marked and not yet sent, from memory where it continues there, else from the log."""
        stream = delivery_stream(agency)
        marked = self._exchange.last_version(stream)
        if agency not in self._sent:
            self._sent[agency] = self._served.resume(agency, marked)
        sent = self._sent[agency]
        due = self._due.setdefault(agency, OrderedDict())
        if due and next(iter(due)) == sent + 1:
            return due
        if marked <= sent:
            due.clear()
            return due
        due.clear()
        for one in self._exchange.log.stream(stream, after_version=sent, limit=SEND_BATCH * 4):
            assert isinstance(one.event, stored.Sending)
            due[one.event.originator_version] = one.event
        return due

    @staticmethod
    def _batch(due: OrderedDict[int, stored.Sending]) -> list[stored.Sending]:
        batch = []
        for sending in due.values():
            batch.append(sending)
            if len(batch) == SEND_BATCH:
                break
        return batch

    def _append(self, agency: str, sealing_public: bytes, batch: Sequence[stored.Sending]) -> None:
        topic = self._exchange.pseudonyms.topic("nrm.d", agency)
        marked = self._exchange.last_version(delivery_stream(agency))
        recalled = self._recalled.since(agency, batch[0].originator_version, marked)
        if agency not in self._ends:
            self._served.beyond(agency, self._hub_id, self._key.public)
        self._topics.append(topic, self._messages(agency, sealing_public, batch, recalled))
        crash.point("after_append")
        end = self._topics.end(topic)
        self._ends.setdefault(agency, deque()).append((batch[-1].originator_version, end))

    def _messages(
        self,
        agency: str,
        sealing_public: bytes,
        batch: Sequence[stored.Sending],
        recalled: Mapping[Item, int],
    ) -> list[Message]:
        """The batch sealed, in as few messages as topics take."""
        attested = self._attested(agency)
        encoded = [self._delivery(agency, attested, one, recalled) for one in batch]
        messages = []
        start = 0
        while start < len(batch):
            end, size = start, 0
            while end < len(batch) and (end == start or size + len(encoded[end]) <= SEND_BYTES):
                size += len(encoded[end])
                end += 1
            part = slice(start, end)
            messages.append(self._sealed(agency, sealing_public, batch[part], encoded[part]))
            start = end
        return messages

    def _sealed(
        self,
        agency: str,
        sealing_public: bytes,
        batch: Sequence[stored.Sending],
        encoded: Sequence[bytes],
    ) -> Message:
        recipient = self._exchange.pseudonyms.recipient_ref(agency)
        first, last = batch[0].originator_version, batch[-1].originator_version
        info = f"nrm.deliveries.v1\n{self._hub_id}\n{recipient}\n{first}\n{last}".encode()
        size = sum(len(one) + 4 for one in encoded)
        plain = wire.DELIVERY_BATCH.single(
            {"deliveries": list(encoded), "padding": bytes(padme(size) - size)}
        )
        box = seal(sealing_public, info, plain)
        value = wire.SEALED_DELIVERIES.single(
            {
                "hub": self._hub_id,
                "recipient": recipient,
                "first_sequence": first,
                "last_sequence": last,
                "sealing_key_id": sealing_key_id(sealing_public),
                "signing_key_id": self._key.key_id,
                "box": box,
                "signature": self._key.sign(
                    signing.DELIVERIES, info + b"\n" + sha256(box).digest()
                ),
            }
        )
        return Message(value)

    def _delivery(
        self,
        agency: str,
        attested: bool,
        sending: stored.Sending,
        recalled: Mapping[Item, int],
    ) -> bytes:
        """One Delivery, single-object encoded, put together from its three parts."""
        case_ref, subject_ref = self._refs(agency, sending.case_id, sending.subject_id)
        # By change of the register: a log position would count what was recorded about others.
        change_at = self._exchange.agencies.change_at
        decision = 0 if attested else change_at(sending.decision)
        to = wire.DELIVERY_TO.encode(
            {
                "sequence": sending.originator_version,
                "kind": sending.kind,
                "case_ref": case_ref,
                "subject_ref": subject_ref,
                "decision": decision,
            }
        )
        body = orjson.loads(sending.items)
        what: dict[str, Any] = {"compartments": [], "bases": [], "recall": None}
        if sending.kind == "recall":
            about = _NOTHING_STATED
            what["recall"] = {
                "recall_ref": f"r{sending.originator_version}",
                "action": body["action"],
                "due": datetime.fromisoformat(body["due"]),
                "items": [
                    {
                        "event_ref": self._event_ref(agency, attested, event_id),
                        "categories": categories,
                    }
                    for event_id, categories in body["items"]
                ],
            }
        else:
            parts = self._parts.of(sending.event_position)
            if attested:
                event_id = str(UUID(bytes=parts.event.event_id))
                about = parts.about_attested(self._event_ref(agency, attested, event_id))
            else:
                about = parts.about(change_at(sending.event_position))
            bases = body["bases"]
            if recalled:
                event_id = str(UUID(bytes=parts.event.event_id))
                bases = left_of(bases, event_id, sending.originator_version, recalled)
            if parts.secret is not None:  # else the person was erased after marking
                case_id = UUID(bytes=sending.case_id)
                self._release(agency, attested, case_id, parts, bases, what)
        return b"".join((wire.DELIVERY.prefix, to, about, wire.DELIVERY_WHAT.encode(what)))

    def _release(
        self,
        agency: str,
        attested: bool,
        case_id: UUID,
        parts: Parts,
        bases: Mapping[str, str],
        what: dict[str, Any],
    ) -> None:
        rename = partial(self._exchange.pseudonyms.event_for, agency, parts.event.emitter)
        names = self._exchange.pseudonyms
        what["compartments"] = [
            parts.attest(sealed, rename) if attested else parts.disclose(sealed)
            for sealed in parts.event.compartments
            if released(sealed.name, bases, agency)
        ]
        what["bases"] = [
            {
                "category": category,
                "basis": told_basis(names, agency, case_id, basis) if attested else basis,
            }
            for category, basis in sorted(bases.items())
        ]

    def _refs(self, agency: str, case_id: bytes, subject_id: bytes) -> tuple[str, str]:
        """What the recipient calls this case and this person."""
        known = self._named.get((agency, case_id, subject_id))
        if known is None:
            names = self._exchange.pseudonyms
            known = (
                names.pseudonym(agency, "case", UUID(bytes=case_id)),
                names.pseudonym(agency, "subject", UUID(bytes=subject_id)),
            )
            if len(self._named) >= KEPT_NAMES:
                self._named.clear()
            self._named[agency, case_id, subject_id] = known
        return known

    def _attested(self, agency: str) -> bool:
        party = self._exchange.agencies.get(agency)
        assert party is not None
        return self._exchange.policy().evidence_for(party.role) == "hub"

    def _event_ref(self, agency: str, attested: bool, event_id: str) -> str:
        if attested:
            return self._exchange.pseudonyms.pseudonym(agency, "event", UUID(event_id))
        return event_id
