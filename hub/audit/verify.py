"""Verify: every leaf recomputed from its row, every checkpoint's root from the leaves; and every
version of the policy profile and every viewer of the console against the two officers' signatures
it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Notification

from hub.audit.two_persons import TOPICS, TwoPersons
from hub.store.errors import StoreUnavailable
from hub.store.log import HubLog, leaf_entry
from hub.tlog import merkle
from hub.tlog.checkpoint import CheckpointError, open_checkpoint
from hub.tlog.note import NoteError, VerifierKey

PAGE = 5_000


@dataclass
class Verdict:
    """What `verify_log` found. `problems` is empty when everything stands."""

    head: int
    checkpoints: int
    covered: int
    checked: int = 0
    policy_versions: int = 0
    policy_signed: int = 0  # of these, put in force by two officers; the first one never is
    viewers_signed: int = 0  # grants of the console, each by two officers
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verify_log(log: HubLog, origin: str, key: VerifierKey) -> Iterator[Verdict]:
    """Recompute every leaf from its row and every checkpoint's root from the leaves.

    Yields the verdict so far after each page, for progress; the last one is the answer. One pass,
    constant memory: a million rows take minutes on one core.
    """
    notes = dict(log.checkpoints())
    two_persons = TwoPersons(origin)
    verdict = Verdict(log.head, len(notes), 0)
    frontier = merkle.Frontier()
    position = 0
    while rows := _rows(log, position):
        stored_leaves = dict(log.leaves(position + 1, len(rows)))
        for row in rows:
            if row.id != position + 1:
                verdict.problems.append(f"position {position + 1} is missing")
            position = row.id
            entry = _entry(row)
            if stored_leaves.get(position) != entry:
                verdict.problems.append(f"position {position}: row and leaf differ")
            if row.topic in TOPICS:
                _look(log, two_persons, position)
            frontier.append(merkle.leaf_hash(entry))
            note = notes.get(position)
            if note is not None:
                _check_note(verdict, note, origin, key, position, frontier.root())
        verdict.checked = position
        yield verdict
    two_persons.finish()
    verdict.policy_versions, verdict.policy_signed = two_persons.versions, two_persons.signed
    verdict.viewers_signed = two_persons.viewers
    verdict.problems.extend(two_persons.problems)
    newest = max(notes, default=0)
    if newest > position:
        verdict.problems.append(f"a checkpoint covers {newest} leaves, the log holds {position}")
    yield verdict


def _rows(log: HubLog, after: int) -> Sequence[Notification]:
    """A page of rows: a shorter one before a row whose stream or version is none, then that row
    as one that makes no entry."""
    limit = PAGE
    while limit:
        try:
            return log.rows(after, limit)
        except StoreUnavailable:
            raise
        except Exception:  # whatever the database lets in for the id of a stream
            limit //= 2
    return [Notification(UUID(int=0), 0, "", b"", after + 1)]


def _entry(row: Notification) -> bytes:
    """The entry the row makes; empty if there is a text or nothing where bytes belong."""
    try:
        return leaf_entry(row)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return b""


def _look(log: HubLog, two_persons: TwoPersons, position: int) -> None:
    """Show a row to the check of officers' signatures. Damaged bytes are a problem, no more."""
    try:
        [recorded] = log.read(position - 1, 1)
    except Exception:  # whatever the decoder makes of bytes that nobody wrote
        two_persons.problems.append(f"position {position}: the row cannot be read")
    else:
        two_persons.look(position, recorded.event)


def _check_note(
    verdict: Verdict, note: str, origin: str, key: VerifierKey, size: int, root: bytes
) -> None:
    try:
        checkpoint = open_checkpoint(note.encode(), origin=origin, log_keys=[key]).checkpoint
    except (CheckpointError, NoteError):
        verdict.problems.append(f"checkpoint {size}: its signature does not verify")
        return
    if checkpoint.size != size or checkpoint.root != root:
        verdict.problems.append(f"checkpoint {size}: the log no longer has this root")
    else:
        verdict.covered = size
