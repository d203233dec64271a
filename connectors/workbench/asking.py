"""Going through a proposal at the keyboard: one line a question, letters and Enter only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from connectors.workbench.proposing import Proposal, TableProposal
from connectors.workbench.scoring import Line
from connectors.workbench.writing import source_text

HELP = "Enter take, n leave out, o another field, a all of this table, s skip it, q stop"

Ask = Callable[[str], str]
Tell = Callable[[str], None]
Others = Callable[[TableProposal, Line], Sequence[Line]]
Named = Callable[[TableProposal, Line, str], Line | None]


class Stopped(Exception):
    """Nothing is written."""


def gone_through(
    proposal: Proposal, ask: Ask, tell: Tell, others: Others, named: Named
) -> Proposal:
    """The proposal as somebody wants it. Stopped if they stop."""
    kept = []
    for one in proposal.tables:
        tell(f"\n{one.table.name}: rows found by {_key(one)}.  {HELP}")
        lines = _table(one, ask, tell, others, named)
        if lines:
            kept.append(replace(one, lines=tuple(lines)))
    return replace(proposal, tables=kept)


def _table(one: TableProposal, ask: Ask, tell: Tell, others: Others, named: Named) -> list[Line]:
    kept: list[Line] = []
    for number, line in enumerate(one.lines):
        told = f"  {line.column.name} ← {source_text(line)}  {line.score:.2f} {line.reason}"
        while True:
            answer = ask(told).strip().lower()
            if answer in ("", "y"):
                kept.append(line)
            elif answer == "a":
                return [*kept, *one.lines[number:]]
            elif answer == "s":
                return []
            elif answer == "q":
                raise Stopped
            elif answer == "o":
                chosen = _other(one, line, ask, tell, others, named)
                if chosen is None:
                    continue
                kept.append(chosen)
            elif answer != "n":
                tell(f"  {HELP}")
                continue
            break
    return kept


def _other(
    one: TableProposal, line: Line, ask: Ask, tell: Tell, others: Others, named: Named
) -> Line | None:
    """One of the next best; None to be asked about the line again."""
    ranked = [each for each in others(one, line) if source_text(each) != source_text(line)]
    for number, each in enumerate(ranked, 1):
        tell(f"    {number}  {source_text(each)}  {each.score:.2f} {each.reason}")
    answer = ask("    a number, a field (CaseOpened.channel), or Enter to go back").strip()
    if answer.isdigit() and 1 <= int(answer) <= len(ranked):
        return ranked[int(answer) - 1]
    if not answer:
        return None
    found = named(one, line, answer)
    if found is None:
        tell(f"    {answer} is no field that {line.column.name} ({line.column.shown}) can take")
    return found


def _key(one: TableProposal) -> str:
    return f"{one.key[0]} = {one.key[1]}" if one.key else "no column yet"
