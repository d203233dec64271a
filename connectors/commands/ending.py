"""How a command ends: told why in one line, or asked to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def between_steps(told: str) -> Iterator[Callable[[], None]]:
    """Ctrl-C or SIGTERM ends what is done here where the function yielded is called, by raising
    KeyboardInterrupt; `told` is said at once.

    Amid a statement it would leave what that holds locked, and taking things away would wait for
    it. Asked twice, it ends at once.
    """
    asked = threading.Event()

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        os.write(2, f"\n{told}\n".encode())  # print may be amid a line of its own

    def between() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, ask) for number in numbers]
    try:
        yield between
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
