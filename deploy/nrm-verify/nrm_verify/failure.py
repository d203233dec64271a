"""Failure: the step at which a bundle does not verify, why, and the program's exit code.

Steps and codes are those of docs/evidence.md 5 and 6; a test compares.
"""

from __future__ import annotations

from typing import Final

STEPS: Final = {
    1: "form",
    2: "manifest",
    3: "checkpoint",
    4: "history",
    5: "inclusion",
    6: "rows",
    7: "register and policy",
    8: "agency signatures",
    9: "commitments",
    10: "decisions",
    11: "deliveries",
    12: "receipts",
    13: "claims",
    14: "statement",
}

OK, USAGE = 0, 2
NOT_A_BUNDLE, DAMAGED, SIGNATURE, NOT_IN_LOG, DIFFERS, NEWER, WRONG_LOG, FORK = range(3, 11)

EXITS: Final = {
    "not_a_bundle": NOT_A_BUNDLE,
    "too_large": NOT_A_BUNDLE,
    "too_many_members": NOT_A_BUNDLE,
    "bad_name": NOT_A_BUNDLE,
    "bad_order": NOT_A_BUNDLE,
    "not_stored": NOT_A_BUNDLE,
    "truncated": DAMAGED,
    "not_canonical": DAMAGED,
    "bad_checksum": DAMAGED,
    "bad_manifest": DAMAGED,
    "newer_version": NEWER,
    "member_missing": DAMAGED,
    "member_unlisted": DAMAGED,
    "member_differs": DAMAGED,
    "bad_checkpoint": DAMAGED,
    "wrong_log": WRONG_LOG,
    "bad_log_signature": SIGNATURE,
    "few_witnesses": SIGNATURE,
    "fork": FORK,
    "bad_paths": DAMAGED,
    "not_in_log": NOT_IN_LOG,
    "bad_row": DAMAGED,
    "gap_in_stream": DIFFERS,
    "wrong_hub": DIFFERS,
    "bad_hub_signature": SIGNATURE,
    "register_incomplete": DIFFERS,
    "bad_evidence": DAMAGED,
    "unknown_key": SIGNATURE,
    "bad_agency_signature": SIGNATURE,
    "bad_commitment": DAMAGED,
    "not_disclosed": DAMAGED,
    "not_held": DIFFERS,
    "unknown_schema": DAMAGED,
    "decision_differs": DIFFERS,
    "delivery_differs": DIFFERS,
    "gap_in_deliveries": DIFFERS,
    "bad_receipt": SIGNATURE,
    "receipt_differs": DIFFERS,
    "claims_differ": DIFFERS,
    "bad_statement": DAMAGED,
    "not_absent": DIFFERS,
}


class Failure(Exception):
    """The bundle does not verify. step: 1 to 14; code: stable; text: what was found, in words."""

    def __init__(self, step: int, code: str, text: str) -> None:
        super().__init__(text)
        self.step = step
        self.code = code
        self.text = text

    @property
    def exit(self) -> int:
        return EXITS[self.code]

    def __str__(self) -> str:
        return f"step {self.step} ({STEPS[self.step]}): {self.code}: {self.text}"
