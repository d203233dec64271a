"""Q07: is the ledger complete and unaltered? No key that opens content is used.

Leaves, checkpoints and officers' signatures are recomputed by `hub/audit/verify.py`; beside that,
completeness is counted: no position, no place in any stream, no delivery sequence is missing, and
every event was decided once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hub.audit.questions.answer import Column, Found, Row
from hub.audit.questions.asking import PAGE, Asked, Question
from hub.audit.verify import verify_log
from hub.store import events as stored

MOST: Final = 100  # problems told one by one, of each check


@dataclass
class _Complete:
    """Counts what must be without a gap. Looks at columns of rows, decodes nothing."""

    versions: dict[object, int] = field(default_factory=dict)
    deliveries: set[object] = field(default_factory=set)
    accepted: dict[object, int] = field(default_factory=dict)
    position: int = 0
    gaps: dict[str, list[str]] = field(
        default_factory=lambda: {"positions": [], "streams": [], "deliveries": [], "decisions": []}
    )
    decided: int = 0

    def take(self, position: int, stream: object, version: int, topic: str) -> None:
        if position != self.position + 1:
            self.gaps["positions"].append(f"{self.position + 1} to {position - 1} are missing")
        self.position = position
        last = self.versions.get(stream, 0)
        self.versions[stream] = version
        sending = topic == stored.Sending.TOPIC
        if sending:
            self.deliveries.add(stream)
        if version != last + 1:
            kind = "deliveries" if sending else "streams"
            what = "sequence" if sending else "stream version"
            self.gaps[kind].append(f"position {position}: {what} {version} follows {last}")
        if topic == stored.EventAccepted.TOPIC:
            if stream in self.accepted:
                self._undecided(stream)
            self.accepted[stream] = position
        elif topic == stored.Settled.TOPIC:
            self.decided += 1
            if self.accepted.pop(stream, None) is None:
                self.gaps["decisions"].append(f"position {position} decides nothing, or again")

    def _undecided(self, stream: object) -> None:
        self.gaps["decisions"].append(f"position {self.accepted[stream]} was never decided")

    def finish(self) -> None:
        for stream in self.accepted:
            self._undecided(stream)


def _stands(asked: Asked) -> Found:
    log = asked.exchange.log
    total = 2 * max(asked.end, 1)
    verdict = None
    for verdict in verify_log(log, asked.hub.hub_id, asked.hub.verifier):
        asked.tell(verdict.checked, total)
    assert verdict is not None
    complete, after = _Complete(), 0
    while rows := log.rows(after, PAGE):
        for row in rows:
            complete.take(row.id, row.originator_id, row.originator_version, row.topic)
        after = rows[-1].id
        asked.tell(min(asked.end + after, total), total)
    complete.finish()
    found = Found(findings=0)
    for check, looked, problems in (
        ("leaves, checkpoints and officers' signatures", verdict.checked, verdict.problems),
        ("log positions", complete.position, complete.gaps["positions"]),
        ("places in streams", len(complete.versions), complete.gaps["streams"]),
        ("delivery sequences", len(complete.deliveries), complete.gaps["deliveries"]),
        ("one decision for each event", complete.decided, complete.gaps["decisions"]),
    ):
        found.rows += _rows(check, looked, problems)
        assert found.findings is not None
        found.findings += len(problems)
    found.summary = {
        "entries": verdict.head,
        "checkpoints": verdict.checkpoints,
        "covered by a verified checkpoint": verdict.covered,
        "policy versions": verdict.policy_versions,
        "put in force by two officers": verdict.policy_signed,
    }
    if verdict.covered < complete.position:
        found.notes.append(
            f"The last {complete.position - verdict.covered} entries are under no checkpoint yet."
        )
    return found


def _rows(check: str, looked: int, problems: list[str]) -> list[Row]:
    result = "does not stand" if problems else "stands"
    rows: list[Row] = [(check, result, looked, len(problems), "")]
    rows += [(check, "problem", None, None, text) for text in problems[:MOST]]
    return rows


Q07: Final = Question(
    "Q07",
    "auditor",
    "Is the ledger complete and unaltered; can we prove it without decrypting?",
    (),
    (
        Column("check", "What was checked."),
        Column("result", "stands, or does not; then each problem on a line."),
        Column("looked_at", "How many entries, streams or decisions."),
        Column("problems", "How many."),
        Column("detail", "The problem, by log position."),
    ),
    _stands,
    "Every row recomputed to its Merkle leaf, every signed checkpoint to its root, every version "
    "of the policy to two officers' signatures; gaps counted. No secret of a person is read.",
    "A history rewritten together with every checkpoint: compare one kept elsewhere, or a "
    "witness's. What was never submitted to the hub.",
    must_be_empty=True,
    proof="Files that others check without this hub: nrm-hub audit export-log, then nrm-hub audit "
    "check-log; of one entry: nrm-hub audit proof, then nrm-hub audit check-proof.",
)
