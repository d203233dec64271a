"""docs/policy.md says what the code and the shipped profiles say."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from hub.audit.compared import CHANGES
from hub.domain.policy import PolicyProfile, shipped_document
from hub.domain.profile_changes import changes, length
from hub.domain.profile_check import ERRORS, INSIDE, PARTS, TEXTS, WARNINGS
from tests.cli.programs import ROOT

PAGE = (ROOT / "docs" / "policy.md").read_text("utf-8")
COE, UK = shipped_document("coe"), shipped_document("uk")


@pytest.mark.parametrize("code", [*ERRORS, *WARNINGS, *CHANGES])
def test_every_code_has_its_row(code: str) -> None:
    assert f"| `{code}` |" in PAGE


def test_every_reason_to_refuse_says_what_to_do() -> None:
    rooms = ("authority/publication", "authority/officer_file", "authority/profiles")
    sources = (*rooms, "cli/policy", "cli/policy_votes")
    code = "".join((ROOT / "hub" / f"{name}.py").read_text("utf-8") for name in sources)
    reasons = set(re.findall(r'Refused\(\s*0,\s*"(\w+)"', code))
    assert len(reasons) > 15
    assert [one for one in sorted(reasons) if f"`{one}`" not in PAGE] == []


@pytest.mark.parametrize("part", [*PARTS, INSIDE, *TEXTS])
def test_every_part_is_explained(part: str) -> None:
    assert f"`{part}`" in PAGE


@pytest.mark.parametrize("timer", sorted({*COE["timers"], *UK["timers"]}))
def test_timers_are_those_of_the_documents(timer: str) -> None:
    coe, uk = (length(one["timers"].get(timer)) for one in (COE, UK))
    assert f"| `{timer}` | {coe} | {uk} |" in PAGE


def test_every_difference_of_the_two_is_told() -> None:
    found = changes(*(PolicyProfile.from_document(one) for one in (COE, UK)))
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    for one in chain(found.gains, found.loses):
        if one.part == "matrix":
            told = f"| `{one.role}` / `{one.what}` | {one.before} | {one.after} |"
        elif one.part == "evidence":
            told = f"| `{one.role}` / evidence | `{one.before}` | `{one.after}` |"
        else:
            told = f"`{one.part}`"
        assert any(told in row for row in rows), one
        assert any(f"`{one.role}`" in row or one.part == INSIDE for row in rows), one


def test_the_commands_shown_are_the_commands() -> None:
    for group, name in set(re.findall(r"nrm-hub (policy|officer) (\w+)", PAGE)):
        page = (ROOT / "docs" / "commands.md").read_text("utf-8")
        assert f"`nrm-hub {group} {name}" in page
