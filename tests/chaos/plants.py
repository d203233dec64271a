"""Planted bugs: known mistakes a driver can be started with, which the checker must see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager


@contextmanager
def planted(names: Sequence[str]) -> Iterator[None]:
    with ExitStack():
        yield
