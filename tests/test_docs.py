"""The documents: their links lead somewhere, their example runs, and every code is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hub.domain.reasons import BASES, REFUSED, WITHHELD
from hub.scenario import Servers, run
from hub.scenario.story import read

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("hub/**/*.md")])
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    for target in LINK.findall(document.read_text("utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_documents_named_in_the_code_are_there() -> None:
    for folder in ("hub", "schemas", "connectors", "consumers"):
        for path in (ROOT / folder).rglob("*.py"):
            for named in re.findall(r"docs/[\w/-]+\.(?:md|json)", path.read_text("utf-8")):
                assert (ROOT / named).exists(), f"{path}: {named}"


def test_the_example_scenario_runs_as_written() -> None:
    text = (ROOT / "docs/scenarios.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    with Servers() as servers:
        result = run(read(json.loads(example)), servers)
    assert [str(one) for one in result.differences] == []


def test_every_reason_code_is_documented() -> None:
    release = (ROOT / "docs/release.md").read_text("utf-8")
    admission = (ROOT / "docs/admission.md").read_text("utf-8")
    told = release + admission
    missing = [code for code in (*BASES, *WITHHELD, *REFUSED) if f"`{code}`" not in told]
    assert missing == []
