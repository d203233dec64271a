"""What a command says, and what lies on the topics for one that runs a connector."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from connectors.agency.identity import AgencyIdentity
from connectors.commands.agency import agency, publish
from connectors.commands.connector import connector
from hub.topics import Message, Topics
from tests.connectors.builder import MiniHub, case_opened

cli = typer.Typer()
cli.add_typer(agency, name="agency")
cli.add_typer(connector, name="connector")
cli.command()(publish)


def said(*arguments: Any, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(one) for one in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


def delivered(hub: MiniHub, topics: Topics, tmp_path: Path, *, spoil: bool = False) -> None:
    home = tmp_path / "SH-1"
    shelter = AgencyIdentity.load(home) if home.exists() else hub.enrol(tmp_path, "SH-1", "shelter")
    release = hub.release("POL-1", hub.stated(shelter, case_opened())[0])
    if spoil:
        release["compartments"][0]["key"] = bytes(32)
    topics.append("nrm.deliveries.POL-1", [Message(hub.message("POL-1", [release]))])
    topics.append("nrm.registry", [Message(hub.registry())])
