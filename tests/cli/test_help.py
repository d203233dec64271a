"""Every command explains itself, with an example, and is listed in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from connectors.commands.agency import agency
from connectors.commands.connector import connector
from connectors.sources.cli import source
from hub.cli import app, headings
from tests.cli.programs import ROOT, nrm


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ALL = list(commands(typer.main.get_command(app)))


def test_there_are_commands_for_everybody() -> None:
    firsts = {path[0] for path in ALL}
    assert {"agency", "audit", "connector", "demo", "dev", "policy", "publish"} <= firsts
    assert {"refusals", "scenario", "serve", "status", "subject", "version"} <= firsts


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_with_an_example(path: tuple[str, ...]) -> None:
    done = nrm(*path, "--help")
    assert done.code == 0
    assert f"Example: nrm-hub {' '.join(path)}" in " ".join(done.out.split())
    assert nrm(*path, "-h").code == 0


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_listed_in_the_documentation(path: tuple[str, ...]) -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert f"`nrm-hub {' '.join(path)}" in page


@pytest.mark.parametrize("group", sorted({path[0] for path in ALL if len(path) > 1}))
def test_a_group_alone_shows_its_commands(group: str) -> None:
    done = nrm(group)
    told = done.out + done.err
    for path in ALL:
        if path[0] == group:
            assert path[1] in told


def test_every_command_stands_under_a_heading() -> None:
    """None was forgotten, and nothing else is listed."""
    for group, told in (
        (app, headings.PROGRAM),
        (connector, headings.CONNECTOR),
        (source, headings.SOURCE),
        (agency, headings.AGENCY),
    ):
        found = [*group.registered_commands, *group.registered_groups]
        listed = [name for names in told.values() for name in names]
        assert sorted(map(headings.name_of, found)) == sorted(listed)


def test_paragraphs_fill_the_line_and_brackets_stay() -> None:
    """At 80 columns no line of a paragraph ends early, and `[console]` is no markup."""
    told = nrm("connector", "reconcile", "--help").out
    assert "that is removed\n afterwards; the connector may run" in re.sub(" +\n", "\n", told)
    assert "Settings: [console] in" in nrm("console", "--help").out
    examples = nrm("publish", "--help").out.splitlines()
    assert sum(line.startswith(" Example: ") for line in examples) == 2


def test_no_options_help_is_taken_for_markup() -> None:
    """What stands in brackets would be left out where help is shown."""

    def options(group: Any) -> Iterator[tuple[str, str]]:
        for command in getattr(group, "commands", {}).values():
            yield from options(command)
            for one in command.params:
                yield f"{command.name} {one.name}", getattr(one, "help", None) or ""

    told = dict(options(typer.main.get_command(app)))
    assert len(told) > 200
    assert [name for name, text in told.items() if re.search(r"\[[a-z]", text)] == []


def test_the_version_is_told_both_ways() -> None:
    assert nrm("--version") == nrm("version")
    assert nrm("--version").out.count(".") >= 1


def test_wrong_usage_is_exit_code_2() -> None:
    assert nrm("no-such-command").code == 2
    assert nrm("scenario", "run").code == 2
    assert nrm("serve", "--only", "everything").code == 2
    assert nrm("audit", "why").code == 2
