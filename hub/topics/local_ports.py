"""Ports of this machine: which are free, and who listens at one."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

_RANGE: Final = range(15_000, 32_000)
"""Below what a system gives to outgoing connections: one of those would take what is free now."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses, and none likely before a server has begun to listen."""
    sockets: list[socket.socket] = []
    try:
        for port in random.SystemRandom().sample(_RANGE, 1_000):
            if len(sockets) == count:
                break
            one = socket.socket()
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                one.close()
            else:
                sockets.append(one)
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def accepts(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def listens(pid: int, port: int) -> bool:
    """Whether this very process holds the listening socket. Where only Linux can tell, yes."""
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.is_dir():
        return True
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                part = line.split()
                if part[3] == "0A" and int(part[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{part[9]}]")
    held = set()
    for descriptor in descriptors.iterdir():
        with suppress(OSError):
            held.add(str(descriptor.readlink()))
    return bool(inodes & held)
