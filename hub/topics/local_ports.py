"""Ports of this machine: which are free, and who listens at one."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many ports of 127.0.0.1 as asked for, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


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
