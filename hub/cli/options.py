"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

HUB_HOME: Final = Path("hub-home")

HubHome = Annotated[
    Path, typer.Option("--home", envvar="NRM_HUB_HOME", help="The hub's home directory.")
]
CaseRef = Annotated[str, typer.Option("--case", help="The case's common reference, e.g. C1.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Log position, date (its end, UTC) or instant; default: now."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
DecidedBy = Annotated[str, typer.Option("--by", help="Who decides this; recorded in the log.")]
OfficerFile = Annotated[
    Path, typer.Option("--officer", help="Your own officer's key file; signs this.")
]
