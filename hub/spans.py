"""Spans: the hub's steps as they begin and end, for traces. Off unless somebody asked for them.

A span has a name of this list and counts, never a text: there is no way to put a case, an agency or
a word of content into one. While off, a span is one look at a variable.

    nrm.ingest          a turn: messages taken from the topic or from HTTP callers
    nrm.admit           one message verified and decoded
    nrm.record          one transaction of admitted events, decisions included
    nrm.decide          what a transaction will hold is worked out: state, law, release
    nrm.store           the transaction reaches the disk
    nrm.publish.mark    decisions become numbered deliveries
    nrm.publish.send    one batch sealed and appended for one recipient
    nrm.checkpoint      tiles and a signed tree head
    nrm.receipts        receipts verified and recorded
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

NAMES: Final = (
    "nrm.ingest",
    "nrm.admit",
    "nrm.record",
    "nrm.decide",
    "nrm.store",
    "nrm.publish.mark",
    "nrm.publish.send",
    "nrm.checkpoint",
    "nrm.receipts",
)

Begin = Callable[[str, Mapping[str, int]], AbstractContextManager[object]]

_NOTHING: Final = nullcontext()
_begin: Begin | None = None


def span(name: str, **counts: int) -> AbstractContextManager[object]:
    """A step, from `with` to its end."""
    return _NOTHING if _begin is None else _begin(name, counts)


def follow(begin: Begin | None) -> None:
    """From now on spans go to `begin`; None: nowhere."""
    global _begin  # noqa: PLW0603 - one process has one telemetry, as it has one log
    _begin = begin
