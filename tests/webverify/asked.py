"""Questions about single parts of the page's modules, answered under node."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "parts.mjs"


def answers(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """{"answer": …} or {"refused": …} for each."""
    done = subprocess.run(
        ["node", str(PROGRAM)],
        input="\n".join(map(json.dumps, questions)),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(read) == len(questions)
    return read


def answer(ask: str, **question: Any) -> Any:
    """One answer; a refusal is an AssertionError."""
    [one] = answers([{"ask": ask, **question}])
    assert "answer" in one, one
    return one["answer"]


def refused(questions: Sequence[dict[str, Any]]) -> list[bool]:
    return ["refused" in one for one in answers(questions)]
