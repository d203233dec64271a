"""Describe: every question in words, from the definitions the answers are made by.

`tests/questions/examples.py` prints the last part of docs/questions.md with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.audit.questions.asking import Question, option
from hub.audit.questions.catalogue import QUESTIONS


def describe(examples: Mapping[str, str]) -> str:
    """Markdown: one section for each question. examples: what one answer of it was, by id."""
    return "\n".join(line for one in QUESTIONS.values() for line in _section(one, examples[one.id]))


def _section(one: Question, example: str) -> Iterator[str]:
    yield f"### {one.id}\n"
    asked = one.asked if one.asked.endswith("?") else f"{one.asked}."
    empty = " **Must find nothing.**" if one.must_be_empty else ""
    yield f"{asked} Asked by: {one.who}.{empty}\n"
    yield f"```\n{one.command}\n```\n"
    if one.parameters:
        yield "| parameter | |"
        yield "|---|---|"
        for parameter in one.parameters:
            needed = " Required." if parameter.required else ""
            named = f"`{option(parameter.name)}`"
            if parameter.text:
                named = f"`{parameter.name}` (form and HTTP)"
            choices = f" One of {_codes(parameter.choices)}." if parameter.choices else ""
            yield f"| {named} | {parameter.means}{choices}{needed} |"
        yield ""
    yield "| column | |"
    yield "|---|---|"
    for column in one.columns:
        hidden = " Not for agencies." if column.hub_only else ""
        yield f"| `{column.name}` | {column.means}{hidden} |"
    yield ""
    yield f"Rests on: {one.rests_on}\n"
    yield f"Cannot tell: {one.cannot_tell}\n"
    if one.proof:
        yield f"To prove it: {one.proof}\n"
    yield f"{example}\n"


def _codes(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
