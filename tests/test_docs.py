"""The documents: their links lead somewhere, their example runs, and every code is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hub.domain.reasons import BASES, REFUSED, WITHHELD
from hub.scenario import Servers, run
from hub.scenario.story import read
from tests.cli.test_help import ALL

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("hub/**/*.md")])
ANCHOR = re.compile(r"\]\(([^)\s#]*)#([^)\s]+)\)")
COMMAND = re.compile(r"nrm-hub ([a-z]+(?: [a-z]+(?:-[a-z]+)*)?)(?=[\s`]|$)", re.MULTILINE)
PARTNERS_OWN = {"tests/test_conformance.py"}  # in the package that the kit makes
LINK = re.compile(r"(?:\]\(|<img src=\")([^)\"\s#]+)(?:#[^)\s]*)?[)\"]")


def commands() -> dict[str, set[str]]:
    """Every command; of a group, those in it."""
    found: dict[str, set[str]] = {}
    for first, *rest in ALL:
        found.setdefault(first, set()).update(rest)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    for target in LINK.findall(document.read_text("utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def anchors(document: Path) -> set[str]:
    """What headings can be linked by, as GitHub makes it."""
    found = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", one).strip().lower() for one in found)
    return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_into_a_page_lead_to_a_heading(document: Path) -> None:
    for target, anchor in ANCHOR.findall(document.read_text("utf-8")):
        if "://" not in target:
            page = document.parent / target if target else document
            assert anchor in anchors(page), f"{document.name}: {target}#{anchor}"


def test_the_index_lists_every_page() -> None:
    listed = set(LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8")))
    pages = {path.name for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".json")}
    assert pages - listed == {"README.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_named_in_documents_are_there(document: Path) -> None:
    """`nrm-hub group command`: both words; what follows is checked where it is run."""
    known = commands()
    for words in COMMAND.findall(document.read_text("utf-8")):
        first, _, second = words.partition(" ")
        assert first in known, f"{document.name}: nrm-hub {words}"
        if known[first]:
            assert not second or second in known[first], f"{document.name}: nrm-hub {words}"


def test_documents_named_in_the_code_are_there() -> None:
    for folder in ("hub", "schemas", "connectors", "consumers"):
        for path in (ROOT / folder).rglob("*.py"):
            for named in re.findall(r"docs/[\w/-]+\.(?:md|json)", path.read_text("utf-8")):
                assert (ROOT / named).exists(), f"{path}: {named}"


def test_files_named_in_documents_and_code_are_there() -> None:
    """With their room before them: `hub/release.py`; a star stands for several."""
    rooms = ("hub", "schemas", "connectors", "consumers", "deploy", "tests")
    named = re.compile(rf"(?<![\w/.-])(?:{'|'.join(rooms)})/[\w./*-]+\.(?:py|avsc|sh|csv)\b")
    code = [path for room in rooms[:4] for path in (ROOT / room).rglob("*.py")]
    for path in (*DOCUMENTS, *code):
        for one in set(named.findall(path.read_text("utf-8"))) - PARTNERS_OWN:
            assert any(ROOT.glob(one)), f"{path.relative_to(ROOT)}: {one}"


def test_every_room_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = {
        f"`{found.parent.relative_to(ROOT)}/`"
        for house in ("hub", "connectors", "consumers")
        for found in (ROOT / house).glob("*/__init__.py")
    }
    assert {room for room in rooms if room not in text} == set()


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
