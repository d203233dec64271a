"""Evidence: has anybody seen more of this hub than this log holds?

A log put back to an older state would number new deliveries as old ones, which partners drop, and
grow another tree over the same sizes. Looked at, as far as they are there:

    outcomes      signed by the hub: an event acknowledged at a later position
    deliveries    signed by the hub: a delivery of a later sequence
    receipts      signed by a partner: a later sequence applied
    registry      signed by the hub: a change of agencies at a later position
    checkpoints   given by whoever holds one: a larger tree, or another one of the same size

Only signatures count. That nothing is found proves nothing where there was nothing to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from consumers.receipts import RECEIPTS_TOPIC, ReceiptError, receipts_from, verify_receipt
from hub.audit.in_force import REGISTER
from hub.crypto import signing
from hub.crypto.pseudonyms import Pseudonyms
from hub.errors import NotReady
from hub.membership.agencies import Agencies
from hub.membership.registry import TOPIC as REGISTRY_TOPIC
from hub.recording.draft import delivery_stream
from hub.sending.served import signed_sequence
from hub.store.log import HubLog
from hub.tlog import merkle
from hub.tlog.checkpoint import CheckpointError, open_checkpoint
from hub.tlog.note import NoteError, VerifierKey
from hub.topics.port import Received, Topics, UnknownTopicError
from schemas import wire
from schemas.avro import AvroError

LAST = 200  # messages looked at from the end of each topic


@dataclass
class Evidence:
    """What was found. looked_at: messages that the hub or a partner had signed.

    receipts: name and offset at which the receipts topic is read on, if what lay before it was
    recorded, in a later log than this, and trimmed.
    """

    head: int
    looked_at: int = 0
    position: int = 0
    sequences: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, int] = field(default_factory=dict)

    @property
    def newer(self) -> list[str]:
        """What others have seen and this log does not hold, each in a sentence."""
        told = []
        if self.position > self.head:
            told.append(
                f"log position {self.position} was given out; the backup ends at {self.head}"
            )
        told += [
            f"{agency} was sent delivery {seen}; the backup ends at {self.recorded[agency]}"
            for agency, seen in sorted(self.sequences.items())
            if seen > self.recorded[agency]
        ]
        if self.receipts:
            told.append("receipts were recorded after this backup")
        return told


class Search:
    """Looks for evidence about one log."""

    def __init__(self, log: HubLog, names: Pseudonyms, hub_id: str, public: bytes) -> None:
        self._log = log
        self._names = names
        self._hub_id = hub_id
        self._public = public
        self._agencies = agencies_of(log)
        self.found = Evidence(log.head)
        for one in self._agencies:
            stream = delivery_stream(one.agency)
            self.found.recorded[one.agency] = log.last_version(stream)

    def in_topics(self, topics: Topics) -> None:
        """Everything that lies in topics. TopicUnavailable if they cannot be reached."""
        names = self._names
        for one in self._agencies:
            for message in _last(topics, names.topic("nrm.d", one.agency)):
                self._delivery(one.agency, message.value)
            for message in _last(topics, names.topic("nrm.o", one.agency)):
                self._outcomes(message.value)
        for message in _last(topics, RECEIPTS_TOPIC):
            self._receipt(message.value)
        with suppress(UnknownTopicError):
            follower, first = receipts_from(topics)
            if first > self._log.tracking(follower):
                self.found.receipts[follower] = first
        for message in _last(topics, REGISTRY_TOPIC):
            self._registry(message.value)

    def in_checkpoint(self, note: str, key: VerifierKey) -> None:
        """A checkpoint somebody kept. NotReady if it is not this log's at all."""
        try:
            opened = open_checkpoint(note.encode(), origin=self._hub_id, log_keys=[key]).checkpoint
        except (CheckpointError, NoteError):
            raise NotReady("the checkpoint is not signed by this hub's log key") from None
        self._seen(opened.size)
        if opened.size <= self.found.head:
            leaves = self._log.leaves(1, opened.size)
            if merkle.root([merkle.leaf_hash(entry) for _, entry in leaves]) != opened.root:
                raise NotReady(
                    f"the checkpoint of {opened.size} entries is of another tree than this backup:"
                    " the log was forked; keep both and call the auditors"
                )

    def _seen(self, position: int) -> None:
        self.found.looked_at += 1
        self.found.position = max(self.found.position, position)

    def _sent(self, agency: str, sequence: int) -> None:
        self.found.looked_at += 1
        known = self.found.sequences.get(agency, 0)
        self.found.sequences[agency] = max(known, sequence)

    def _delivery(self, agency: str, raw: bytes) -> None:
        last = signed_sequence(raw, self._hub_id, self._public)
        if last is not None:
            self._sent(agency, last)

    def _outcomes(self, raw: bytes) -> None:
        with suppress(AvroError, signing.SignatureError, ValueError):
            batch = wire.OUTCOME_BATCH.unsingle(raw)
            outcomes = batch["outcomes"]
            root = merkle.root([merkle.leaf_hash(one) for one in outcomes])
            said = b"%b\n%d\n%b" % (self._hub_id.encode(), len(outcomes), root)
            signing.verify(self._public, signing.OUTCOMES, said, batch["signature"])
            told = [one for one in outcomes if one.startswith(wire.OUTCOME.prefix)]
            self._seen(max(wire.OUTCOME.unsingle(one)["position"] or 0 for one in told))

    def _registry(self, raw: bytes) -> None:
        with suppress(AvroError, signing.SignatureError):
            signed = wire.SIGNED_REGISTRY.unsingle(raw)
            signing.verify(self._public, signing.REGISTRY, signed["registry"], signed["signature"])
            self._seen(wire.REGISTRY.unsingle(signed["registry"])["position"])

    def _receipt(self, raw: bytes) -> None:
        with suppress(ReceiptError):
            told = verify_receipt(raw, self._hub_id, self._agencies, self.found.head).receipt
            self._sent(told["agency"], told["last_sequence"])


def agencies_of(log: HubLog) -> Agencies:
    """Who takes part, by this log."""
    agencies = Agencies()
    for one in log.every(REGISTER):
        agencies.apply(one.position, one.event)
    return agencies


def _last(topics: Topics, name: str) -> Sequence[Received]:
    try:
        end = topics.end(name)
        return topics.read(name, max(0, end - LAST), LAST, 0.0) if end else []
    except UnknownTopicError:
        return []
