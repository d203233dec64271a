"""One bundle and what the one who checks it knows; asked of both verifiers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nrm_verify.failure import Failure
from nrm_verify.log import Checkpoint, Key, Malformed, Trust, witness_keys
from nrm_verify.verify import verify

HERE = Path(__file__).parent
Verdict = tuple[int, int, str]  # exit code, step (0: none), reason code


@dataclass(frozen=True)
class Question:
    """file: a path. flip: (offset, mask) of one byte changed. cut: bytes kept."""

    name: str
    file: Path
    log_key: str = ""
    witnesses: Sequence[str] = ()
    quorum: int = 0
    earlier: str = ""
    flip: tuple[int, int] | None = None
    cut: int | None = None
    notes: dict[str, Any] = field(default_factory=dict, compare=False)

    def data(self) -> bytes:
        data = bytearray(self.file.read_bytes())
        if self.flip is not None:
            data[self.flip[0]] ^= self.flip[1]
        return bytes(data if self.cut is None else data[: self.cut])


def by_the_page(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """What the page's modules answer, under node."""
    lines = [
        json.dumps(
            {
                "file": str(one.file),
                "logKey": one.log_key,
                "witnesses": list(one.witnesses),
                "quorum": one.quorum,
                "earlier": one.earlier,
                **({"flip": list(one.flip)} if one.flip else {}),
                **({} if one.cut is None else {"cut": one.cut}),
            }
        )
        for one in questions
    ]
    done = subprocess.run(
        ["node", str(HERE / "check.mjs")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers


def by_the_program(question: Question) -> Verdict:
    """What nrm-verify answers, in this process."""
    try:
        trust = Trust(
            log_key=Key.parse(question.log_key) if question.log_key else None,
            witnesses=witness_keys(question.witnesses),
            quorum=question.quorum,
            earlier=Checkpoint.parse(question.earlier.encode()) if question.earlier else None,
        )
    except Malformed:
        return 2, 0, ""
    try:
        verify(question.data(), trust)
    except Failure as failure:
        return failure.exit, failure.step, failure.code
    return 0, 0, ""


def verdict(answer: dict[str, Any]) -> Verdict:
    return answer["exit"], answer["step"], answer["code"]


def disagreements(questions: Sequence[Question]) -> list[str]:
    """Where page and program differ, in words; none if they agree on all of it."""
    found = []
    for question, answer in zip(questions, by_the_page(questions), strict=True):
        page, program = verdict(answer), by_the_program(question)
        if page != program:
            found.append(f"{question.name}: page {page} {answer.get('where')}, program {program}")
    return found
