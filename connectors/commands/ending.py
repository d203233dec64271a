"""How a command ends: told why in one line, or asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from connectors.commands.printed import visible
from connectors.errors import ConnectorError

P = ParamSpec("P")
R = TypeVar("R")


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Errors we raise on purpose become one line on stderr and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ConnectorError as wrong:
            typer.secho(visible(f"Error: {wrong}"), err=True, fg=typer.colors.RED)
            raise typer.Exit(1) from None

    return run


def asked_to_stop() -> threading.Event:
    """Set from now on by Ctrl-C and SIGTERM, in place of ending the process where it stands."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
