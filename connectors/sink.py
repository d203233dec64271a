"""Sink: where deliveries land at the partner, with what every sink promises.

Shipped are `connectors/sql.py`, `connectors/jsonl.py` and those of `connectors/kinds.py`. Others
register under the entry point group `nrm_hub.sinks`. All pass `connectors/conformance/`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from connectors.delivery import Arrived, BadMessage, Poison


@dataclass(frozen=True, slots=True)
class Batch:
    """What is applied together.

    items: deliveries in sequence, without gap. strangers: messages that were not the hub's.
    repeated: ranges the hub sent again after they were applied: it lacks their receipts.
    cursor: where the inbox goes on after this batch. received_at: the runner's clock.
    """

    items: Sequence[Arrived | Poison]
    received_at: datetime
    cursor: str = ""
    strangers: Sequence[BadMessage] = ()
    repeated: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """How far the sink is: last applied sequence (0: none), and the cursor kept with it."""

    sequence: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptException:
    """What was not plainly applied. outcome: as in schemas/wire/Receipt.avsc."""

    sequence: int
    outcome: str
    recall_ref: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class OwedReceipt:
    """A receipt the hub has to get; signed when it is sent, with the key of that day."""

    id: int
    first: int
    last: int
    applied_at: datetime
    exceptions: Sequence[ReceiptException]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row of the quarantine. sequence is None for a message that was not the hub's.

    state: "waiting", "redriven" (applied since), "recalled" (content removed on recall) or
    "discarded" (never to be applied; content removed).
    """

    id: int
    sequence: int | None
    reason: str
    detail: str
    event_ref: str
    raw: bytes
    arrived_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A row of the quarantine without what it holds. state: as above, but never "redriven"."""

    id: int
    sequence: int | None
    state: str


@dataclass(frozen=True, slots=True)
class RecallPolicy:
    """How this partner answers recalls.

    prefer: "delete" or "restrict", where the hub leaves the choice. Restricted content leaves
        the tables and is kept in nrm_restricted.
    own_basis: category → the partner's own legal basis for keeping it, named in the receipt.
    """

    prefer: str = "delete"
    own_basis: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """Where deliveries land.

    Promises of an implementation
    - apply() takes the batch wholly or not at all, in one transaction of the partner's system,
      together with the last applied sequence, the cursor, the receipt owed, the evidence and the
      quarantine rows. It is durable when apply() returns.
    - A sequence is applied once: items at or below position() are skipped. The receipts that
      cover them, or a repeated range, are owed again.
    - A recall removes: content, holding, evidence, quarantined content. What was recalled at
      sequence n is not written again from a delivery below n, whatever the order of arrival.
    - A poison item becomes a quarantine row under its sequence and never stops the items after.
    - claim() makes this process the writer; a runner that claimed before gets FencedError from
      its next apply() and has written nothing.

    Errors
    - SinkDownError: nothing was applied; the runner waits and calls again with the same batch.
    - SinkRefusedError: this batch will never be taken as it is; the runner finds the delivery at
      fault, quarantines it and goes on.
    - StopError: an operator has to act.
    """

    def prepare(self) -> None:
        """Make what is missing (tables, files); check settings against the real system."""

    def claim(self) -> int:
        """Become the writer; returns the generation, higher than any before."""

    def position(self) -> Position: ...

    def apply(self, batch: Batch) -> None: ...

    def owed(self, limit: int) -> list[OwedReceipt]:
        """Receipts not yet sent, oldest first."""

    def sent(self, ids: Sequence[int]) -> None:
        """These receipts are with the hub."""

    def quarantine(self, *, waiting_only: bool = True) -> list[Quarantined]: ...

    def aside(self, sequences: Collection[int] | None = None) -> list[Aside]:
        """Rows of the quarantine that were not redriven, oldest first: all, or of these sequences.

        Costs what is asked for, however much content lies there.
        """

    def redrive(self, row: int, items: Sequence[Arrived | Poison], at: datetime) -> None:
        """Apply what a quarantine row turned out to hold; poison among it stays in quarantine.

        The sequences were passed long ago: only their effect is made good, under the tombstones,
        and a receipt tells the hub.
        """

    def discard(self, row: int, reason: str, note: str, at: datetime) -> bool:
        """Never apply what this row holds: its content goes, a receipt tells the hub why.

        reason: a code of connectors.dead_letters.DISCARDS. note: kept here, not told. False, and
        nothing changed, if the row waits no more.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Addition:
    """One event gets these categories now. before: those the partner held already, with basis."""

    event: Arrived
    categories: tuple[str, ...]
    before: Mapping[str, str]
    received_at: datetime

    @property
    def bases(self) -> dict[str, str]:
        """Basis of every category held once this is added."""
        now = {category: self.event.bases[category] for category in self.categories}
        return {**self.before, **now}


@dataclass(frozen=True, slots=True)
class Removal:
    """One event loses these categories. left: what the partner still holds, with basis."""

    event_ref: str
    event_type: str
    case_ref: str
    categories: tuple[str, ...]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Correction:
    """A RecordCorrected about an event the partner holds: the field's value from now on.

    After a recall of the correction `value` is None: the stated value is not known to be right.
    """

    event_ref: str
    event_type: str
    field: str
    value: Any
    sequence: int
