"""Loopback: addresses that lead nowhere but to this machine."""

from __future__ import annotations

from ipaddress import ip_address


def is_here(host: str) -> bool:
    """Whether this is `localhost` or an address of loopback. Another name may lead anywhere, also
    one that begins as such an address does."""
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
