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
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Inbox, Sealed
from connectors.agency.receipts import sign_receipt
from connectors.agency.registry_cache import RegistryCache
from connectors.dead_letters import a_recall
from connectors.delivery import Arrived, BadMessage, Opened, Poison
from connectors.errors import (
    RetryError,
    SinkDownError,
    SinkRefusedError,
    TransportDownError,
    UntrustedError,
)
from connectors.notice import Notices
from connectors.opening.ahead import Ahead
from connectors.opening.opener import Opener
from connectors.sink import Batch, Quarantined, Sink
from schemas.registry import Schemas

log = logging.getLogger(__name__)

ALARMS: Final = {
    "hub_unreachable": "neither messages nor receipts get through to the hub",
    "partner_down": "the partner's system does not take anything; deliveries wait",
    "sequence_gap": (
        "a delivery is missing and later ones wait for it: stop the connector, fetch it from the "
        "hub's log with `connector run --once --via http`, start the connector again"
    ),
    "quarantined": "deliveries are in quarantine: look at `connector quarantine`",
    "strangers": "messages that are not the hub's lie on this agency's topic",
    "notice_unsent": "no mail tells that deliveries arrived: look at [notice] and its mail server",
    "registry": "the registry cannot be fetched or trusted: evidence of new keys cannot be checked",
}
"""Every alarm a runner raises, with what it means."""


@dataclass(frozen=True)
class Pace:
    """How much at once, and how long to wait. Times in seconds.

    messages: read at once. deliveries: applied in one transaction, at least one message's worth.
    poll: longest wait for a new message. pause_first, pause_most: between tries while something
    is away, doubling. registry: between looks for a newer registry.
    """

    messages: int = 50
    deliveries: int = 2000
    poll: float = 1.0
    pause_first: float = 0.2
    pause_most: float = 60.0
    registry: float = 60.0
    receipts: int = 200


@dataclass
class Alarm:
    """Something that keeps deliveries from arriving, until it is over.

    applying: it came up while a batch was applied.
    """

    reason: str
    detail: str
    since: datetime
    applying: bool = False


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


@dataclass
class _Read:
    """Messages opened and not yet applied, in order, without gap."""

    expected: int
    items: list[Arrived | Poison] = field(default_factory=list)
    strangers: list[BadMessage] = field(default_factory=list)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    redriven: list[Arrived | Poison] = field(default_factory=list)
    cursor: str | None = None

    def poisoned(self, first: int, last: int) -> list[int]:
        """Places of the items in this range that could not be read."""
        return [
            place
            for place, item in enumerate(self.items)
            if isinstance(item, Poison) and first <= item.sequence <= last
        ]


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
        self._on_alarm = on_alarm
        self._notices = notices
        self._on_progress = on_progress
        self._opener = Opener(identity, self._registry, schemas, refresh=self.refresh_registry)
        self._claimed = False
        self._resumed = False
        self._expected = 1
        self._applied: int | None = None  # last sequence the sink holds; None: not known yet
        self._cursor = ""
        self._ahead = False  # a message was left for later, because one before it is missing
        self._looking = False  # we are reading again what we have read, to find it
        self._missing = False  # it was not found in the last round
        self._waiting: set[int] = set()  # sequences in quarantine, some perhaps no longer
        self._unapplied: set[int] = set()  # those, and what was discarded or recalled there
        self._looked = False  # whether the topic was emptied of what should come next
        self._registry_at: datetime | None = None
        self.alarms: dict[str, Alarm] = {}

    # -- the loop --------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Raises only StopError: everything else is waited out."""
        pause = self._pace.pause_first
        while not stop.is_set():
            try:
                self.run_once(self._pace.poll)
                waiting = self._missing
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
        if early:
            self._look_at_quarantine()  # somebody may have redriven or discarded what lay there
        self._look_at_registry()
        try:
            read = self._read(0.0 if early else timeout)
        except BaseException:
            self._resumed = False  # what was read and not applied is read again
            raise
        applied, quarantined = self._apply(read)
        crash.point("before_receipts")
        late = self._send_receipts()
        did = Progress(applied, quarantined, len(read.strangers), early + late)
        self._on_progress(did, self._expected - 1, len(self._waiting))
        return did

    def _resume(self) -> None:
        """Go on where the sink says: at first, and after a batch that was not applied."""
        if self._resumed:
            return
        with self._partner_alarm():
            if not self._claimed:
                self._sink.prepare()
                # Once only: a runner that was overtaken must not take the sink back.
                log.info("generation %d", self._sink.claim())
                self._claimed = True
            position = self._sink.position()
            aside = self._sink.quarantine(waiting_only=False)
        self._applied = position.sequence
        with self._hub_alarm():
            self._inbox.start(position.cursor, position.sequence)
        self._expected = position.sequence + 1
        self._cursor = position.cursor
        self._resumed = True
        self._looked = False
        self._set_aside(aside)
        waiting = sum(row.state == "waiting" for row in aside)
        if waiting:
            self._raise_alarm("quarantined", f"{waiting} waiting")

    # -- reading ---------------------------------------------------------------------------

    def _read(self, timeout: float) -> _Read:
        """The next messages, verified and opened."""
        with self._hub_alarm():
            messages = self._inbox.read(self._pace.messages, timeout)
        read = _Read(self._expected)
        self._missing = False
        for message in messages:
            if len(read.items) >= self._pace.deliveries:
                # The rest is read again, from where this batch ends.
                with self._hub_alarm():
                    self._inbox.start(read.cursor or self._cursor, read.expected - 1)
                break
            self._take(message, read)
        if read.items and not self._ahead:
            self._end_alarm("sequence_gap")
        if not messages:
            self._at_the_end(read.expected)
        return read

    def _take(self, message: Sealed, read: _Read) -> None:
        if isinstance(self._inbox, Ahead):
            opened = self._inbox.opened(message.value, self._opener, read.expected)
        else:
            opened = self._opener.open(message.value, expected=read.expected)
        if isinstance(opened, BadMessage):
            read.strangers.append(opened)
        elif opened.first > read.expected:
            # Something before it is missing. It is left for later: what is missing may have been
            # sent again behind it. The cursor stays here, so that nothing is passed over for good.
            self._ahead = self._looking = True
            self._raise_alarm(
                "sequence_gap",
                f"sequence {read.expected} is missing, there is {opened.first} already",
            )
        elif opened.last >= read.expected:
            if opened.first < read.expected:  # what was had and what is new, sealed together
                self._take_again(message, replace(opened, last=read.expected - 1), read)
            read.items += [item for item in opened.items if item.sequence >= read.expected]
            read.expected = opened.last + 1
        else:
            self._take_again(message, opened, read)
        if not self._ahead:
            read.cursor = message.cursor

    def _take_again(self, message: Sealed, sent: Opened, read: _Read) -> None:
        """A message of before. What of it lies in quarantine here is tried as it was sent now."""
        asked = {one for one in self._unapplied if sent.first <= one <= sent.last}
        poisoned = read.poisoned(sent.first, sent.last)  # read a moment ago, not applied yet
        if asked or poisoned:
            opened = self._opener.open(message.value)
            assert isinstance(opened, Opened)  # it was verified a moment ago
            read.redriven += [item for item in opened.items if item.sequence in asked]
            good = {i.sequence: i for i in opened.items if isinstance(i, Arrived)}
            for place in poisoned:
                read.items[place] = good.get(read.items[place].sequence, read.items[place])
        # Unless it comes again because we went back ourselves, the hub lacks its receipt.
        if not self._looking and len(asked) <= sent.last - sent.first:
            read.repeated.append((sent.first, sent.last))

    def _at_the_end(self, expected: int) -> None:
        """Nothing more to read: if something was left for later, go back for it."""
        self._looking = self._ahead
        if self._ahead:
            self._ahead = False
            self._missing = "sequence_gap" in self.alarms
            with self._hub_alarm():
                self._inbox.rewind(expected)
        elif not self._looked:
            # Once after each start: a database that was lost or put back would wait for ever.
            self._looked = True
            with self._hub_alarm():
                if self._inbox.emptied(expected):
                    self._raise_alarm(
                        "sequence_gap",
                        f"sequence {expected} and later were applied before, by a connector whose "
                        "books this sink does not hold",
                    )

    # -- applying --------------------------------------------------------------------------

    def _apply(self, read: _Read) -> tuple[int, int]:
        """Apply what was read; returns how many were applied and quarantined."""
        if not (read.items or read.strangers or read.repeated or read.redriven):
            return 0, 0
        cursor = self._cursor if read.cursor is None else read.cursor
        poison = sum(isinstance(item, Poison) for item in read.items)
        try:
            with self._partner_alarm(applying=True):
                good = self._redrive(read) if read.redriven else 0
                batch = Batch(read.items, self._clock(), cursor, read.strangers, read.repeated)
                poison += self._apply_or_isolate(batch)
        except BaseException:
            self._resumed = False  # applied in part or not at all: the sink knows
            raise
        self._expected, self._cursor = read.expected, cursor
        self._applied = read.expected - 1
        if poison:
            self._raise_alarm("quarantined", f"{poison} more")
            log.warning("%d deliveries quarantined", poison)
        if read.strangers:
            self._raise_alarm("strangers", read.strangers[-1].reason)
        return good + len(read.items) - poison, poison

    def _redrive(self, read: _Read) -> int:
        """What the hub sent once more, each in a transaction of its own; how many were applied.

        Before the cursor moves: cut off here, the message is read again and what is applied by
        then is no longer waiting. What is not applied is answered as it was before.
        """
        applied = 0
        rows = {row.sequence: row for row in self._sink.quarantine(waiting_only=False)}
        for item in read.redriven:
            row = rows.get(item.sequence)
            state = None if row is None else row.state
            # Else redriven at this side. Discarded is for good, but for a recall that could not be
            # read when it was: somebody waits for its answer. Of what was recalled meanwhile the
            # sink takes what the recall has left.
            wanted = state in ("waiting", "recalled") or (state == "discarded" and a_recall([item]))
            if row is None or not wanted:
                read.repeated.append((item.sequence, item.sequence))
                continue
            try:
                self._sink.redrive(row.id, [item], self._clock())
            except SinkRefusedError as refused:
                log.warning("sequence %d is refused again: %s", item.sequence, refused.reason)
            else:
                if isinstance(item, Arrived) and state != "recalled":
                    del rows[item.sequence]
                    applied += 1
                    continue
            read.repeated.append((item.sequence, item.sequence))
        left = self._sink.quarantine(waiting_only=False)
        self._set_aside(left)
        if not any(row.state == "waiting" for row in left):
            self._end_alarm("quarantined")
        return applied

    def _apply_or_isolate(self, batch: Batch) -> int:
        """Apply; if the partner refuses, quarantine the delivery at fault. Returns how many."""
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
            return 1 + self._apply_or_isolate(replace(batch, items=items))
        poisoned = {one.sequence for one in batch.items if isinstance(one, Poison)}
        self._waiting |= poisoned
        self._unapplied |= poisoned
        return 0

    def _halves(self, batch: Batch) -> int:
        """Split until the one at fault is alone. The cursor moves with the last part only."""
        middle = len(batch.items) // 2
        first = replace(batch, items=batch.items[:middle], cursor=self._cursor)
        second = replace(batch, items=batch.items[middle:], strangers=(), repeated=())
        return self._apply_or_isolate(first) + self._apply_or_isolate(second)

    def _look_at_quarantine(self) -> None:
        if "quarantined" in self.alarms:
            with self._partner_alarm():
                left = self._sink.quarantine()
            self._waiting = _sequences(left)
            if not left:
                self._end_alarm("quarantined")

    def _set_aside(self, rows: Sequence[Quarantined]) -> None:
        self._waiting = _sequences(row for row in rows if row.state == "waiting")
        self._unapplied = _sequences(row for row in rows if row.state != "redriven")

    # -- receipts and registry -------------------------------------------------------------

    def _send_receipts(self) -> int:
        """Send what is owed, oldest first. At least once: marked only when the hub has it."""
        sent = 0
        while True:
            with self._partner_alarm():
                owed = self._sink.owed(self._pace.receipts)
            if not owed:
                return sent
            with self._hub_alarm():
                self._inbox.send_receipts([sign_receipt(self._identity, one) for one in owed])
            crash.point("after_receipts")
            with self._partner_alarm():
                self._sink.sent([one.id for one in owed])
            sent += len(owed)

    def _tell(self) -> None:
        """That something has arrived, to whoever is to look. It never holds a delivery up."""
        if self._notices is None or self._applied is None:
            return
        self._notices.look(self._applied)
        if self._notices.trouble:
            self._raise_alarm("notice_unsent", self._notices.trouble)
        else:
            self._end_alarm("notice_unsent")

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
            self._raise_alarm("registry", str(wrong))
            if isinstance(wrong, TransportDownError):
                raise
            return False
        self._end_alarm("registry")
        return newer

    # -- alarms ----------------------------------------------------------------------------

    def _raise_alarm(self, reason: str, detail: str, *, applying: bool = False) -> None:
        known = self.alarms.get(reason)
        applying = applying or (known is not None and known.applying)
        if known is not None and (known.detail, known.applying) == (detail, applying):
            return
        alarm = Alarm(reason, detail, known.since if known else self._clock(), applying)
        self.alarms[reason] = alarm
        if known is None:
            log.warning("%s: %s", reason, detail)
            self._on_alarm(alarm, True)

    def _end_alarm(self, reason: str) -> None:
        alarm = self.alarms.pop(reason, None)
        if alarm is not None:
            log.info("%s is over", reason)
            self._on_alarm(alarm, False)

    def _hub_alarm(self) -> _Watched:
        return _Watched(self, "hub_unreachable", TransportDownError)

    def _partner_alarm(self, *, applying: bool = False) -> _Watched:
        """applying: what failed in applying is over only when something is applied. That the books
        can be read says little: they may be kept beside the partner's system."""
        return _Watched(self, "partner_down", SinkDownError, applying=applying)


def _sequences(rows: Iterable[Quarantined]) -> set[int]:
    return {row.sequence for row in rows if row.sequence is not None}


class _Watched:
    """Raises an alarm when the body fails in a certain way, and ends it when it does not."""

    def __init__(
        self, runner: Runner, reason: str, kind: type[Exception], *, applying: bool = False
    ) -> None:
        self._runner = runner
        self._reason = reason
        self._kind = kind
        self._applying = applying

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, wrong: BaseException | None, trace: object) -> None:
        if wrong is None:
            known = self._runner.alarms.get(self._reason)
            if known is not None and (self._applying or not known.applying):
                self._runner._end_alarm(self._reason)
        elif isinstance(wrong, self._kind):
            self._runner._raise_alarm(self._reason, str(wrong), applying=self._applying)


def redrive(
    sink: Sink, opener: Opener, *, at: datetime, only: int | None = None
) -> tuple[int, int]:
    """Try everything in quarantine again, or one row; returns how many were applied, how many not.

    Messages that are not the hub's are left where they are.
    """
    applied = failed = 0
    for row in sink.quarantine():
        if row.sequence is None or not row.raw or (only is not None and row.id != only):
            continue
        items = opener.reopen(row.raw, row.sequence)
        try:
            sink.redrive(row.id, items, at)
        except SinkRefusedError:
            failed += len(items)
            continue
        good = sum(isinstance(item, Arrived) for item in items)
        applied += good
        failed += len(items) - good
    return applied, failed
