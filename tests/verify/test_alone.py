"""The verifier is a second opinion only as long as it shares nothing with the hub."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from nrm_verify import FORMAT, container, signature
from nrm_verify.failure import EXITS, STEPS
from nrm_verify.rows import STREAMS
from schemas.avro import Codec

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "deploy" / "nrm-verify"
PAGE = (ROOT / "docs" / "evidence.md").read_text("utf-8")
ALLOWED = {"nrm_verify", "cryptography", "fastavro"}
FILES = sorted((PLACE / "nrm_verify").rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_of_the_hub_is_imported(path: Path) -> None:
    assert imported(path) - ALLOWED - set(sys.stdlib_module_names) == set()
    assert not imported(path) & {"socket", "http", "urllib", "ssl", "subprocess"}


def test_nothing_of_the_hub_imports_it() -> None:
    for folder in ("hub", "schemas", "connectors", "consumers"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "nrm_verify" not in imported(path), path


def test_it_runs_without_the_hub_on_the_path(tmp_path: Path) -> None:
    """Imported by an interpreter that sees this package and its two dependencies only."""
    import subprocess

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import nrm_verify.cli, nrm_verify.rows\n"
        "nrm_verify.rows.forms()\n"
        "print(sorted({'hub', 'schemas', 'connectors', 'consumers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(PLACE)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_two_dependencies_and_a_command() -> None:
    project = tomllib.loads((PLACE / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=\[]", one)[0] for one in project["dependencies"]}
    assert names == {"cryptography", "fastavro"}
    assert project["scripts"] == {"nrm-verify": "nrm_verify.cli:run"}
    hub = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert set(project["dependencies"]) <= {one.partition(" ")[0] for one in hub}


def test_its_schemas_are_the_hubs() -> None:
    """Copies on purpose, and every one a hub could have written with."""
    copies = {path.name: path for path in (PLACE / "nrm_verify" / "schemas").iterdir()}
    for name, copy in copies.items():
        originals = [*(ROOT / "schemas" / "store").rglob(name), ROOT / "schemas" / "wire" / name]
        assert any(one.exists() and one.read_bytes() == copy.read_bytes() for one in originals)
    former = ROOT / "schemas" / "store" / "former"
    for path in former.iterdir() if former.is_dir() else ():
        document = json.loads(path.read_text("utf-8"))
        prefixes = {Codec(one.read_text("utf-8")).prefix for one in copies.values()}
        known = f"{document['namespace']}.{document['name']}.avsc" in copies
        assert not known or Codec(path.read_text("utf-8")).prefix in prefixes


def test_format_names_are_the_hubs() -> None:
    from hub.audit.evidence import file
    from hub.crypto import signing
    from hub.recording.draft import STREAMS as HUB_STREAMS

    assert (file.FORMAT, HUB_STREAMS) == (FORMAT, STREAMS)
    assert (signing.EVIDENCE, signing.ABSENCE) == (signature.MANIFEST, signature.ABSENCE)
    assert (signing.BATCH, signing.RECEIPT) == (signature.BATCH, signature.RECEIPT)
    for name in ("LARGEST_FILE", "LARGEST_MEMBER", "LARGEST_MANIFEST", "MOST_MEMBERS"):
        assert getattr(file, name) == getattr(container, name)


# -- the page ----------------------------------------------------------------------------------


def test_steps_are_those_of_the_page() -> None:
    section = PAGE.partition("## 5. ")[2].partition("## 6. ")[0]
    told = re.findall(r"^(\d+)\. \*\*([^*]+)\*\* \(([\d, ]+)\)", section, re.MULTILINE)
    assert {int(number): name.lower() for number, name, _ in told} == STEPS
    exits = {int(number): {int(one) for one in codes.split(",")} for number, _, codes in told}
    for code, steps, exit_ in codes_of_the_page():
        for step in steps:
            assert exit_ in exits[step], f"{code}: step {step}"


def codes_of_the_page() -> list[tuple[str, list[int], int]]:
    section = PAGE.partition("<!-- codes: a test compares -->")[2].partition("<!-- end -->")[0]
    found = re.findall(r"^\| `(\w+)` \| ([\d, ]+) \| (\d+) \|", section, re.MULTILINE)
    return [
        (code, [int(one) for one in steps.split(",")], int(exit_)) for code, steps, exit_ in found
    ]


def test_codes_are_those_of_the_page() -> None:
    assert {code: exit_ for code, _, exit_ in codes_of_the_page()} == EXITS


def test_every_code_is_raised_at_the_steps_the_page_says() -> None:
    """Read from the program: `Failure(step, "code", …)`."""
    raised: dict[str, set[int]] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Failure"
            if called and isinstance(node, ast.Call) and len(node.args) == 3:
                step, code = node.args[0], node.args[1]
                if isinstance(code, ast.Constant):
                    steps = {step.value} if isinstance(step, ast.Constant) else set()
                    raised.setdefault(str(code.value), set()).update(
                        one for one in steps if isinstance(one, int)
                    )
    told = {code: set(steps) for code, steps, _ in codes_of_the_page()}
    assert set(raised) == set(told)
    for code, steps in raised.items():
        assert steps <= told[code], code


def test_exit_codes_are_told_three_times_alike() -> None:
    from nrm_verify.cli import _CODES

    section = PAGE.partition("| exit code |")[2].partition("A failure names")[0]
    page = {int(one) for one in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert page == {0, 1, 2, *EXITS.values()}
    readme = (PLACE / "README.md").read_text("utf-8")
    for code in sorted(page - {1}):
        assert f"{code} " in _CODES
        assert f"| {code} |" in readme
