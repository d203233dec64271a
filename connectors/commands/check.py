"""`nrm-hub connector check`: what is missing or wrong, before anything flows."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from connectors.commands.ending import reported
from connectors.commands.printed import console, table


@reported
def check(
    settings: Annotated[Path, typer.Argument(help="Settings of the connector: partner.toml.")],
    json_: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Check settings, files, identity, sink, mapping and hub; make the connector's own tables.

    Exit status 1 if something is wrong, so that nothing would flow; warnings alone are 0.

    Example: nrm-hub connector check partner.toml
    """
    from connectors.checks import look

    found = look(settings, datetime.now(UTC))
    if json_:
        typer.echo(json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False))
    else:
        shown = table("", "what", "found", "what to do")
        for one in found:
            shown.add_row(_MARKS[one.level], one.subject, one.text, one.fix)
        console().print(shown, markup=False)
    if any(one.level == "wrong" for one in found):
        raise typer.Exit(1)


_MARKS = {"ok": "ok", "warning": "?", "wrong": "!!"}  # as `connector map --check` has them
