"""Handing over: an opened message as bytes for the process beside, and back.

Plain tuples, of which Python's own encoding takes a third of the time that objects do. Both ends
are of one program and one version; nothing else may read or write these bytes.
"""

from __future__ import annotations

import marshal
from datetime import datetime
from typing import Any

from connectors.delivery import Arrived, BadMessage, Disclosed, Evidence, Opened, Poison, Recall

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


def taken_over(data: bytes) -> tuple[int, Result]:
    """What `handed_over` was given."""
    position, told = marshal.loads(data)  # noqa: S302 - of our own process
    if told is None:
        return position, None
    if len(told) == 3:
        return position, BadMessage(*told)
    first, last, items, _ = told
    return position, Opened(first, last, tuple(map(_item, items)))


def _told(item: Arrived | Poison) -> tuple[Any, ...]:
    if isinstance(item, Poison):
        return (item.sequence, item.reason, item.detail, item.raw, item.event_ref)
    evidence, recall, at = item.evidence, item.recall, item.occurred_at
    return (
        item.sequence,
        item.kind,
        item.case_ref,
        item.subject_ref,
        item.decision,
        item.event_ref,
        item.event_type,
        item.schema_id,
        item.agency,
        None if at is None else at.isoformat(),
        item.categories,
        item.fields,
        item.bases,
        None
        if evidence is None
        else (
            evidence.header,
            evidence.head,
            evidence.signature,
            evidence.index,
            evidence.path,
            [(d.name, d.salt, d.body, d.index, d.path) for d in evidence.disclosed],
        ),
        None
        if recall is None
        else (recall.recall_ref, recall.action, recall.due.isoformat(), recall.items),
        item.raw,
    )


def _item(told: tuple[Any, ...]) -> Arrived | Poison:
    if len(told) == 5:
        return Poison(*told)
    at, evidence, recall = told[9], told[13], told[14]
    kept = gone = None
    if evidence is not None:
        header, batch, signature, index, path, disclosed = evidence
        parts = tuple(Disclosed(*one) for one in disclosed)
        kept = Evidence(header, batch, signature, index, path, parts)
    if recall is not None:
        ref, action, due, items = recall
        gone = Recall(ref, action, datetime.fromisoformat(due), items)
    moment = None if at is None else datetime.fromisoformat(at)
    return Arrived(*(*told[:9], moment, *told[10:13], kept, gone, told[15]))
