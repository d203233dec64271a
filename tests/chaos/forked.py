"""A program in a forked process, that says through a pipe how it goes and takes what to do.

It says ready, armed or failed, and takes `arm` with a crash point, and `stop`.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any


def redirect(log: str) -> None:
    """Everything said from here on goes to the log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def obey(talk: Any, going: Callable[[], bool], arm: Callable[[str], None]) -> None:
    """Take what the pipe says, until it says stop or nothing is going any more."""
    while going():
        if not talk.poll(0.02):
            continue
        try:
            what, told = talk.recv()
        except EOFError:  # whoever started us is gone
            os._exit(1)
        if what == "stop":
            return
        arm(told)
        talk.send(("armed", told))


def loop(
    talk: Any, run: Callable[[threading.Event], None], arm: Callable[[str], None]
) -> BaseException | None:
    """Run until told to stop; returns what ended it before, if something did."""
    stop = threading.Event()
    failure: list[BaseException] = []

    def running() -> None:
        try:
            run(stop)
        except BaseException as wrong:
            failure.append(wrong)

    thread = threading.Thread(target=running, daemon=True)
    talk.send(("ready", os.getpid()))  # first: it may die at once
    thread.start()
    obey(talk, thread.is_alive, arm)
    stop.set()
    thread.join(30)
    if not failure:
        return None
    failed(talk, failure[0])
    return failure[0]


def failed(talk: Any, why: BaseException) -> None:
    """Say what ended it, to the log too."""
    print(f"stopped: {why!r}", flush=True)
    talk.send(("failed", repr(why)))
