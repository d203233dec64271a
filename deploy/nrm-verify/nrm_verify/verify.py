"""Verification: the numbered steps of docs/evidence.md 5, in their order. No network, no clock.

`verify` returns what was found, or raises `Failure` at the first step that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nrm_verify import (
    absence,
    claims,
    container,
    decisions,
    deliveries,
    log,
    manifest,
    receipts,
    register,
    rows,
    statements,
)
from nrm_verify.absence import Absence
from nrm_verify.decisions import Decided
from nrm_verify.deliveries import Sent
from nrm_verify.failure import STEPS
from nrm_verify.log import Trust
from nrm_verify.manifest import ABSENCE, Manifest
from nrm_verify.receipts import Receipt
from nrm_verify.rows import Row
from nrm_verify.schemas import Schemas
from nrm_verify.statements import Content, Statement

Tell = Callable[[int, str], None]


@dataclass
class Report:
    """What a bundle proves. steps: (number, "holds" or "not in this bundle")."""

    trust: Trust
    steps: list[tuple[int, str]] = field(default_factory=list)
    manifest: Manifest | None = None
    rows: Sequence[Row] = ()
    statements: dict[int, Statement] = field(default_factory=dict)
    content: Sequence[Content] = ()
    decided: Decided | None = None
    sent: Sent = field(default_factory=Sent)
    receipts: Sequence[Receipt] = ()
    absence: Absence | None = None


def verify(data: bytes, trust: Trust, tell: Tell = lambda _step, _name: None) -> Report:
    """All steps. tell: called before each one, for progress."""
    report = Report(trust)

    def step(number: int, *, there: bool = True) -> bool:
        tell(number, STEPS[number])
        report.steps.append((number, "holds" if there else "not in this bundle"))
        return there

    step(1)
    members = container.read(data)
    step(2)
    told = report.manifest = manifest.read(members)
    step(3)
    head = log.checkpoint(members, told, trust)
    step(4)
    log.history(members, head, trust)
    step(5)
    rows.included(members, told, head)
    step(6)
    report.rows = rows.read(members, told)
    step(7)
    known = register.read(report.rows)
    step(8)
    report.statements = statements.signed(report.rows, known, told.origin)
    step(9)
    statements.committed(report.statements)
    report.content = statements.disclosed(members, told, report.statements, report.rows)
    schemas = Schemas(members)
    cases = _cases(report.rows)
    if step(10, there=bool(cases)):
        report.decided = decisions.decide(cases, report.statements, known, schemas)
    step(11)
    report.sent = deliveries.check(told, report.rows, cases, report.statements, known, schemas)
    step(12)
    report.receipts = receipts.check(told, report.rows, known)
    step(13)
    claims.check(told, report.rows, report.statements)
    if told.kind == ABSENCE:
        step(14)
        report.absence = absence.check(members, told, head, report.rows)
    return report


def _cases(found: Sequence[Row]) -> list[list[Row]]:
    """The streams of whole cases."""
    of_cases = sorted((row for row in found if row.why == "case"), key=lambda row: row.stream)
    return [list(stream) for _, stream in groupby(of_cases, key=lambda row: row.stream)]
