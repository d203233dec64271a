"""The mapping file as the workbench writes it: every line with its score and its reason.

What cannot be used as the tables are now (NOT NULL, no column for our reference) is written too, as
comments with what to do, so that it only has to be uncommented later.

Names of tables and columns are whoever's made them: in a comment they stay on its line, and in a
statement somebody may run they stand only if they need no quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from connectors.workbench.codes import Translation
from connectors.workbench.events_told import OCCURRED
from connectors.workbench.proposing import Proposal, TableProposal
from connectors.workbench.scoring import Line

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def written(proposal: Proposal, looked_into: Sequence[str]) -> str:
    """The file's text. Empty if nothing in it could be used."""
    codes: dict[str, Translation] = {}
    maps = [part for one in proposal.tables for part in _table(one, codes)]
    if not any(part.startswith("[[map]]") for part in maps):
        return ""
    head = [
        "version = 1",
        'default_tables = "unmapped"  # events without a map below get a table of their own',
        "",
        "# Proposed from names, types and code lists. Behind each line: how sure (of 1), and why.",
        "# No row of a person was read." + _looked(looked_into),
        "# Look through it, then: nrm-hub connector map --check THIS_FILE, and connector try.",
        "",
    ]
    return "\n".join([*head, *_code_tables(codes), *maps]).rstrip() + "\n"


def source_text(line: Line) -> str:
    """What a line takes, in short: CaseOpened.channel."""
    part = f" ({line.choice.part})" if line.choice.part else ""
    return f"{line.event}.{line.choice.name}{part}"


def unused(proposal: Proposal) -> list[str]:
    """What has to be done to the tables, told once each."""
    notes = [note for one in proposal.tables for note in one.notes]
    notes += [line.blocked for one in proposal.tables for line in one.lines if line.blocked]
    return list(dict.fromkeys(notes))


def statements(proposal: Proposal) -> list[str]:
    """What the owner of the tables may run before the file is used whole."""
    return [f"{one};" for table in proposal.tables for one in table.statements]


def _looked(names: Sequence[str]) -> str:
    return f" Rows of lookup tables were: {_said(', '.join(names))}." if names else ""


def _code_tables(codes: Mapping[str, Translation]) -> list[str]:
    lines = []
    for name, one in codes.items():
        lines.append(f"[codes.{_key(name)}]")
        lines += [f"{_key(ours)} = {_value(theirs)}" for ours, theirs in one.table.items()]
        if one.rest is not None:
            lines.append(f'"*" = {_value(one.rest)}  # every other')
        elif one.missing:
            lines.append(
                f"# without one of yours: {', '.join(one.missing)}. A delivery with such a"
            )
            lines.append('# code waits in quarantine: add them, or "*" for every other.')
        lines.append("")
    return lines


def _table(one: TableProposal, codes: dict[str, Translation]) -> list[str]:
    parts = [f"# {_said(note)}" for note in one.notes]
    parts += [f"#   {_said(statement)};" for statement in one.statements]
    for event, lines in one.by_event().items():
        usable = one.key is not None and any(not line.blocked for line in lines)
        key = one.key or ("nrm_ref", "event_ref")
        text = [
            "[[map]]",
            f"event = {_value(event)}",
            f"table = {_value(one.table.place)}",
            f"key = {{ {_key(key[0])} = {_value(key[1])} }}{_found(key[1])}",
            f"when_empty = {_value('delete' if key[1] == 'event_ref' else 'null')}",
            "",
            "[map.columns]",
        ]
        for line in lines:
            if line.translation is not None and line.translation.table and usable:
                codes[_codes_name(one, line)] = line.translation
            text += _line(one, line, usable)
        text.append("")
        parts += text if usable else [f"# {line}".rstrip() for line in text]
    return ["\n".join(parts)] if not _starts(parts) else _blocks(parts)


def _found(source: str) -> str:
    told = {
        "subject_ref": "  # one row per person",
        "case_ref": "  # one row per case: a later event of the type overwrites an earlier one",
        "event_ref": "  # one row per event",
    }
    return told.get(source, "")


def _line(one: TableProposal, line: Line, usable: bool) -> list[str]:
    text = f"{_key(line.column.name)} = {_spec(one, line)}"
    why = f"  # {line.score:.2f} {_said(line.reason)}"
    if line.pick:
        why += "; the first of a list only"
    if line.blocked and usable:
        return [f"# {_said(line.blocked)}:", f"# {text}{why}"]
    return [text + why]


def _spec(one: TableProposal, line: Line) -> str:
    choice = line.choice
    if choice.name == OCCURRED:
        kind = ', type = "date"' if line.column.kind == "date" else ""
        return f'{{ from = "occurred_at"{kind} }}'
    more = [f"field = {_value(choice.name)}"]
    if line.translation is not None and line.translation.table:
        more.append(f"codes = {_value(_codes_name(one, line))}")
    if choice.part:
        more.append(f"part = {_value(choice.part)}")
    if line.pick:
        more.append('pick = "first"')
    return _value(choice.name) if len(more) == 1 else f"{{ {', '.join(more)} }}"


def _codes_name(one: TableProposal, line: Line) -> str:
    return f"{one.table.name}_{line.column.name}".lower()


def _starts(parts: Iterable[str]) -> bool:
    return any(part == "[[map]]" for part in parts)


def _blocks(parts: Sequence[str]) -> list[str]:
    """Each used map begins an element of its own."""
    blocks: list[list[str]] = [[]]
    for part in parts:
        if part == "[[map]]":
            blocks.append([])
        blocks[-1].append(part)
    return ["\n".join(block) for block in blocks if block]


def _said(text: str) -> str:
    """As a comment can hold it: on one line, and without what TOML or a terminal takes amiss."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
