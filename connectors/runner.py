"""The runner: read, verify and open, apply, send receipts; over and over, through every outage.

    inbox → opener → sink.apply (one partner transaction) → receipts → hub

Promises
- At-least-once on the wire, exactly-once in effect: the sink keeps the last applied sequence in
  the transaction of its rows. Killed anywhere, it goes on where the sink says.
- An outage, of hub or partner, is waited out with growing pauses. It quarantines nothing.
- A delivery that cannot be trusted, read or stored is quarantined with a reason; the next goes on.
  If the hub sends it once more, it is tried again; what was applied is not applied twice.
- A missing sequence is looked for again; nothing after it is applied, for a recall may be among
  what is missing. It raises the alarm `sequence_gap` until it is found.
- Nothing stalls silently: whatever keeps it from going on is in `alarms`, with since when.

One runner per partner database. A second one takes over; the first gets FencedError and stops.

Here is the round. What a message brings is told in `connectors/reading.py` (gaps, repeats), what
lies in quarantine in `connectors/redriving.py`, alarms in `connectors/telling/alarms.py`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Inbox
from connectors.agency.receipts import sign_receipt
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Poison
from connectors.errors import (
    RetryError,
    SinkDownError,
    SinkRefusedError,
    TransportDownError,
    UntrustedError,
)
from connectors.opening.opener import Opener
from connectors.pace import Pace
from connectors.reading import Read, Reader
from connectors.redriving import SetAside
from connectors.sink import Batch, Sink
from connectors.telling.alarms import Alarm, Alarms
from connectors.telling.notice import Notices
from schemas.registry import Schemas

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What one round did."""

    applied: int = 0
    quarantined: int = 0
    strangers: int = 0
    receipts: int = 0

    @property
    def idle(self) -> bool:
        return not (self.applied or self.quarantined or self.strangers or self.receipts)


class Runner:
    """Brings one agency's deliveries into one sink."""

    def __init__(
        self,
        inbox: Inbox,
        sink: Sink,
        identity: AgencyIdentity,
        registry: RegistryCache | None = None,
        *,
        schemas: Schemas | None = None,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_alarm: Callable[[Alarm, bool], None] = lambda alarm, raised: None,  # noqa: ARG005
        notices: Notices | None = None,
        on_progress: Callable[[Progress, int, int], None] = lambda did, at, waiting: None,  # noqa: ARG005
    ) -> None:
        """on_alarm(alarm, raised): called when one is raised (True) and when it is over (False).
        on_progress(did, position, waiting): after each round; how many wait in quarantine."""
        self._inbox = inbox
        self._sink = sink
        self._identity = identity
        self._registry = registry or RegistryCache(identity)
        self._pace = pace or Pace()
        self._clock = clock
        self._notices = notices
        self._on_progress = on_progress
        self._claimed = False
        self._resumed = False
        self._applied: int | None = None  # last sequence the sink holds; None: not known yet
        self._registry_at: datetime | None = None
        self.alarms = Alarms(clock, on_alarm)
        self.reader = Reader(
            inbox,
            Opener(identity, self._registry, schemas, refresh=self.refresh_registry),
            self.alarms,
            messages=self._pace.messages,
            deliveries=self._pace.deliveries,
        )
        self._aside = SetAside(sink, self.alarms)

    # -- the loop --------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises only StopError: everything else is waited out."""
        pause = self._pace.pause_first
        while not stop.is_set():
            try:
                self.run_once(self._pace.poll)
                waiting = self.reader.missing
            except RetryError:
                waiting = True
            if waiting:
                stop.wait(pause)
                pause = min(pause * 2, self._pace.pause_most)
            else:
                pause = self._pace.pause_first

    def run_once(self, timeout: float = 0.0) -> Progress:
        """One round. RetryError when hub or partner is away; nothing is lost, call again."""
        try:
            self._resume()
        finally:
            self._tell()
        # Receipts first: those of a round that ended between apply and send go out even if
        # nothing new ever comes.
        early = self._send_receipts()
        if early and "quarantined" in self.alarms:
            with self.alarms.partner():  # somebody may have redriven or discarded what lay there
                self._aside.look()
        self._look_at_registry()
        try:
            read = self.reader.read(0.0 if early else timeout, self._aside.sequences)
            applied, quarantined = self._apply(read)
        except BaseException:
            self._resumed = False  # read and not applied, or in part: the sink knows
            raise
        crash.point("before_receipts")
        late = self._send_receipts()
        did = Progress(applied, quarantined, len(read.strangers), early + late)
        self._on_progress(did, self.reader.expected - 1, len(self._aside.waiting))
        return did

    def _resume(self) -> None:
        """Go on where the sink says: at first, and after a batch that was not applied."""
        if self._resumed:
            return
        with self.alarms.partner():
            if not self._claimed:
                self._sink.prepare()
                # Once only: a runner that was overtaken must not take the sink back.
                log.info("generation %d", self._sink.claim())
                self._claimed = True
            position = self._sink.position()
            self._aside.look()
        self._applied = position.sequence
        self.reader.start(position)
        self._resumed = True

    # -- applying --------------------------------------------------------------------------

    def _apply(self, read: Read) -> tuple[int, int]:
        """Apply what was read; returns how many were applied and quarantined."""
        if read.nothing:
            return 0, 0
        with self.alarms.partner(applying=True):
            redriven, repeated = self._aside.redrive(read.redriven, self._clock())
            batch = Batch(
                read.items, self._clock(), read.cursor, read.strangers, [*read.repeated, *repeated]
            )
            poison = self._apply_or_isolate(batch)
        self.reader.applied(read)
        self._applied = read.expected - 1
        if poison:
            self._aside.add(poison)
            self.alarms.sound("quarantined", f"{len(poison)} more")
            log.warning("%d deliveries quarantined", len(poison))
        if read.strangers:
            self.alarms.sound("strangers", read.strangers[-1].reason)
        return redriven + len(read.items) - len(poison), len(poison)

    def _apply_or_isolate(self, batch: Batch) -> set[int]:
        """Apply; if the partner refuses, quarantine the delivery at fault.

        Returns the sequences that are quarantined, those that could not be read among them.
        """
        try:
            self._sink.apply(batch)
        except SinkRefusedError as refused:
            named = [item for item in batch.items if item.sequence == refused.sequence]
            if not named and len(batch.items) > 1:
                return self._halves(batch)
            at_fault = named[0] if named else batch.items[0] if batch.items else None
            if at_fault is None or isinstance(at_fault, Poison):
                raise SinkDownError(
                    "the partner's system refuses what none of these deliveries is about "
                    f"({refused.reason}): look what it refuses; they wait"
                ) from None
            poison = Poison(
                at_fault.sequence, refused.reason, refused.detail, at_fault.raw, at_fault.event_ref
            )
            items = [poison if item is at_fault else item for item in batch.items]
            return self._apply_or_isolate(replace(batch, items=items))
        return {item.sequence for item in batch.items if isinstance(item, Poison)}

    def _halves(self, batch: Batch) -> set[int]:
        """Split until the one at fault is alone. The cursor moves with the last part only."""
        middle = len(batch.items) // 2
        first = replace(batch, items=batch.items[:middle], cursor=self.reader.cursor)
        second = replace(batch, items=batch.items[middle:], strangers=(), repeated=())
        return self._apply_or_isolate(first) | self._apply_or_isolate(second)

    # -- receipts, notices, registry ---------------------------------------------------------

    def _send_receipts(self) -> int:
        """Send what is owed, oldest first. At least once: marked only when the hub has it."""
        sent = 0
        while True:
            with self.alarms.partner():
                owed = self._sink.owed(self._pace.receipts)
            if not owed:
                return sent
            with self.alarms.hub():
                self._inbox.send_receipts([sign_receipt(self._identity, one) for one in owed])
            crash.point("after_receipts")
            with self.alarms.partner():
                self._sink.sent([one.id for one in owed])
            sent += len(owed)

    def _tell(self) -> None:
        """That something has arrived, to whoever is to look. It never holds a delivery up."""
        if self._notices is None or self._applied is None:
            return
        self._notices.look(self._applied)
        if self._notices.trouble:
            self.alarms.sound("notice_unsent", self._notices.trouble)
        else:
            self.alarms.end("notice_unsent")

    def _look_at_registry(self) -> None:
        now = self._clock()
        looked = self._registry_at
        due = looked is None or (now - looked).total_seconds() >= self._pace.registry
        if due or "registry" in self.alarms:
            with contextlib.suppress(TransportDownError):  # what is needed of it is asked for again
                self.refresh_registry()

    def refresh_registry(self) -> bool:
        """Fetch the registry; True if it is newer than the one held. TransportDownError if the
        hub is away: then nothing can be said about a key that is not known."""
        self._registry_at = self._clock()
        try:
            signed = self._inbox.registry()
            newer = signed is not None and self._registry.update(signed)
        except (TransportDownError, UntrustedError) as wrong:
            self.alarms.sound("registry", str(wrong))
            if isinstance(wrong, TransportDownError):
                raise
            return False
        self.alarms.end("registry")
        return newer
