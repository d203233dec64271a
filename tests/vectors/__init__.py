"""Frozen bytes. Each vector names what it expects; none is ever regenerated to make a
test pass: a change here is a change of a published format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8")
    )
    return document


def vectors(name: str) -> list[Any]:
    """The vectors of one file, each as a pytest parameter bearing its name."""
    import pytest

    return [pytest.param(one, id=one["name"]) for one in load(name)["vectors"]]
