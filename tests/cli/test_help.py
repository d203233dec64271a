"""Every command explains itself, with an example, and is listed in the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from hub.cli import app
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


def test_wrong_usage_is_exit_code_2() -> None:
    assert nrm("no-such-command").code == 2
    assert nrm("scenario", "run").code == 2
    assert nrm("serve", "--only", "everything").code == 2
    assert nrm("audit", "why").code == 2
