"""Handing over: an opened message as bytes for the process beside, and back.

Plain lists and tuples, of which Python's own encoding takes a third of the time that objects do.
Both ends are of one program and one version; nothing else may read or write these bytes.
"""

from __future__ import annotations

import marshal
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from connectors.delivery import Arrived, BadMessage, Opened, Poison, Recall

Result = Opened | BadMessage | None
"""None: the process that opens cannot say."""


def handed_over(position: int, result: Result) -> bytes:
    """position: of the registry it was opened under."""
    told: Any = None
    if isinstance(result, BadMessage):
        told = (result.reason, result.raw, result.detail)
    elif result is not None:
        told = (result.first, result.last, tuple(map(_told, result.items)), True)
    return marshal.dumps((position, told))


def taken_over(data: bytes | bytearray) -> tuple[int, Result]:
    """What `handed_over` was given."""
    position, told = marshal.loads(data)  # noqa: S302 - of our own process
    if told is None:
        return position, None
    if len(told) == 3:
        return position, BadMessage(*told)
    first, last, items, _ = told
    return position, Opened(first, last, tuple(map(_item, items)))


_FIELDS = attrgetter(*(one.name for one in fields(Arrived)))
_NAMES = [one.name for one in fields(Arrived)]
_AT, _RECALL = map(_NAMES.index, ("occurred_at", "recall"))


def _told(item: Arrived | Poison) -> tuple[Any, ...] | list[Any]:
    if isinstance(item, Poison):
        return (item.sequence, item.reason, item.detail, item.raw, item.event_ref)
    told = [*_FIELDS(item)]
    recall, at = item.recall, item.occurred_at
    if at is not None:
        told[_AT] = at.isoformat()
    if recall is not None:
        told[_RECALL] = (recall.recall_ref, recall.action, recall.due.isoformat(), recall.items)
    return told


def _item(told: Any) -> Arrived | Poison:
    if len(told) == 5:
        return Poison(*told)
    if told[_AT] is not None:
        told[_AT] = datetime.fromisoformat(told[_AT])
    if told[_RECALL] is not None:
        ref, action, due, items = told[_RECALL]
        told[_RECALL] = Recall(ref, action, datetime.fromisoformat(due), items)
    return Arrived(*told)
