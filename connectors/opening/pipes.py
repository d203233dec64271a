"""Pipes between the connector and the process that opens ahead: messages, each behind its length.

A message is read into one piece of memory of its size: half a megabyte a time, over and over.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from io import FileIO
from typing import Final

_LENGTH: Final = 4  # bytes
_HELD: Final = 1 << 20  # bytes a pipe holds; what anybody may ask of Linux


def pipe() -> tuple[FileIO, FileIO]:
    """Where to read and where to write, with room for a message or two."""
    reads, writes = os.pipe()
    with contextlib.suppress(OSError, AttributeError):  # not on every system; it is only slower
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _HELD)
    return FileIO(reads, "r"), FileIO(writes, "w")


def send(into: FileIO, message: bytes) -> None:
    """OSError if nobody reads any more."""
    for part in (len(message).to_bytes(_LENGTH, "big"), message):
        left = memoryview(part)
        while left:
            left = left[into.write(left) :]


def receive(out_of: FileIO) -> bytearray:
    """The next message. EOFError if nobody writes any more."""
    return _filled(out_of, int.from_bytes(_filled(out_of, _LENGTH), "big"))


def _filled(out_of: FileIO, size: int) -> bytearray:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        read = out_of.readinto(left)
        if not read:
            raise EOFError
        left = left[read:]
    return data
