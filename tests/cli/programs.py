"""`nrm-hub` for tests: as a process, or in this one."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


def nrm(*arguments: str | Path) -> Done:
    """Run a command in this process: quick, and as `main` runs it."""
    from hub.cli import main

    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["nrm-hub", *(str(one) for one in arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def installed(folder: Path) -> Mapping[str, str]:
    """An environment in which `nrm-hub` and `python3` are this checkout's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, line in (
        ("nrm-hub", f'exec "{sys.executable}" -m hub.cli "$@"'),
        ("python3", f'exec "{sys.executable}" "$@"'),
    ):
        script = folder / name
        script.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
        script.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NRM_")}
    return {
        **environment,
        "PATH": f"{folder}{os.pathsep}{environment.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }
