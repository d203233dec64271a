"""Frozen bundles (tests/vectors/evidence): read today as on the day they were made.

Never made anew to make a test pass: a file in somebody's drawer cannot be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nrm_verify.failure import Failure
from nrm_verify.log import Key, Trust
from nrm_verify.verify import verify

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "evidence"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(EXPECTED["good"]))
def test_what_verified_verifies(name: str) -> None:
    trust = Trust(log_key=Key.parse(EXPECTED["log_key"]))
    report = verify((FOLDER / name).read_bytes(), trust)
    manifest = report.manifest
    assert manifest is not None
    assert EXPECTED["good"][name] == {
        "kind": manifest.kind,
        "events": len(report.statements),
        "decisions": len(manifest.decisions),
        "deliveries": len(manifest.deliveries),
        "receipts": len(manifest.receipts),
        "content": len(report.content),
    }


@pytest.mark.parametrize("case", EXPECTED["bad"], ids=str)
def test_what_failed_fails_at_its_step(case: dict[str, Any]) -> None:
    data = bytearray((FOLDER / case["file"]).read_bytes())
    if "cut" in case:
        del data[case["cut"] :]
    else:
        data[case["at"]] ^= case["xor"]
    with pytest.raises(Failure) as caught:
        verify(bytes(data), Trust())
    assert (caught.value.step, caught.value.code) == (case["step"], case["code"])
