"""Reading: the inbox's messages, opened, in the hub's sequence and without a gap.

    message before what is expected   sent again: its receipt is owed again; what of it lies in
                                      quarantine is to be redriven
    message with what is expected     its deliveries are next
    message after it                  one is missing: `sequence_gap`; left for later, looked for
    message that is not the hub's     a stranger, kept apart

A missing sequence is looked for again from where it should be, as often as the topic's end is
reached; nothing after it is given out, for a recall may be among what is missing.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace

from connectors.agency.inbox import Inbox, Opens, Sealed
from connectors.delivery import Arrived, BadMessage, Opened, Poison
from connectors.sink import Position
from connectors.telling.alarms import Alarms


@dataclass
class Read:
    """Messages opened and not yet applied.

    expected: the sequence that comes after `items`, which are in order and without gap.
    repeated: ranges that were applied and sent again. redriven: deliveries out of such ranges that
    lie in quarantine. cursor: where the inbox goes on once all of this is applied.
    """

    expected: int
    cursor: str
    items: list[Arrived | Poison] = field(default_factory=list)
    strangers: list[BadMessage] = field(default_factory=list)
    repeated: list[tuple[int, int]] = field(default_factory=list)
    redriven: list[Arrived | Poison] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        return not (self.items or self.strangers or self.repeated or self.redriven)

    @property
    def poison(self) -> int:
        """How many of the items could not be read."""
        return sum(isinstance(item, Poison) for item in self.items)

    def poisoned(self, first: int, last: int) -> list[int]:
        """Places of the items in this range that could not be read."""
        return [
            place
            for place, item in enumerate(self.items)
            if isinstance(item, Poison) and first <= item.sequence <= last
        ]


class Reader:
    """Reads on from where the sink is: start(), then read(), and applied() once the sink has it."""

    def __init__(
        self, inbox: Inbox, opener: Opens, alarms: Alarms, *, messages: int, deliveries: int
    ) -> None:
        """messages: read at once. deliveries: after so many the rest is left for the next time."""
        self.opener = opener
        self.missing = False  # what is missing was not found in the last round
        self.expected = 1
        self.cursor = ""
        self._inbox = inbox
        self._alarms = alarms
        self._messages = messages
        self._deliveries = deliveries
        self._ahead = False  # a message was left for later, because one before it is missing
        self._looking = False  # we are reading again what we have read, to find it
        self._emptied = False  # asked whether what should come next was taken away

    def start(self, position: Position) -> None:
        """Go on behind what the sink holds."""
        with self._alarms.hub():
            self._inbox.start(position.cursor, position.sequence)
        self.expected = position.sequence + 1
        self.cursor = position.cursor
        self._emptied = False

    def applied(self, read: Read) -> None:
        """The sink holds it."""
        self.expected, self.cursor = read.expected, read.cursor

    def read(self, timeout: float, aside: Set[int]) -> Read:
        """The next messages, verified and opened. aside: sequences that lie in quarantine."""
        with self._alarms.hub():
            messages = self._inbox.read(self._messages, timeout)
        read = Read(self.expected, self.cursor)
        self.missing = False
        for message in messages:
            if len(read.items) >= self._deliveries:
                # The rest is read again, from where this batch ends.
                with self._alarms.hub():
                    self._inbox.start(read.cursor, read.expected - 1)
                break
            self._take(message, read, aside)
        if read.items and not self._ahead:
            self._alarms.end("sequence_gap")
        if not messages:
            self._at_the_end(read.expected)
        return read

    def _take(self, message: Sealed, read: Read, aside: Set[int]) -> None:
        opened = message.opened(self.opener, read.expected)
        if isinstance(opened, BadMessage):
            read.strangers.append(opened)
        elif opened.first > read.expected:
            # Something before it is missing. It is left for later: what is missing may have been
            # sent again behind it. The cursor stays here, so that nothing is passed over for good.
            self._ahead = self._looking = True
            self._alarms.sound(
                "sequence_gap",
                f"sequence {read.expected} is missing, there is {opened.first} already",
            )
        elif opened.last >= read.expected:
            if opened.first < read.expected:  # what was had and what is new, sealed together
                had = replace(opened, last=read.expected - 1)
                self._take_again(message, had, read, aside)
            read.items += [item for item in opened.items if item.sequence >= read.expected]
            read.expected = opened.last + 1
        else:
            self._take_again(message, opened, read, aside)
        if not self._ahead:
            read.cursor = message.cursor

    def _take_again(self, message: Sealed, sent: Opened, read: Read, aside: Set[int]) -> None:
        """A message of before. What of it lies in quarantine here is tried as it was sent now."""
        asked = {one for one in aside if sent.first <= one <= sent.last}
        poisoned = read.poisoned(sent.first, sent.last)  # read a moment ago, not applied yet
        if asked or poisoned:
            opened = self.opener.open(message.value)
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
            self.missing = "sequence_gap" in self._alarms
            with self._alarms.hub():
                self._inbox.rewind(expected)
        elif not self._emptied:
            # Once after each start: a database that was lost or put back would wait for ever.
            self._emptied = True
            with self._alarms.hub():
                if self._inbox.emptied(expected):
                    self._alarms.sound(
                        "sequence_gap",
                        f"sequence {expected} and later were applied before, by a connector whose "
                        "books this sink does not hold",
                    )
