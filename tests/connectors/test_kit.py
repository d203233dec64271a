"""`nrm-hub connector new`: what it makes is installed, passes the suite, and is checked and run."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.commands.new import Family
from connectors.errors import SettingsError
from connectors.kit.new import FAMILIES, new_connector
from hub.topics import Message, open_topics
from tests.connectors.builder import MiniHub, case_opened
from tests.connectors.commands.saying import said

ROOT = Path(__file__).parents[2]
QUICK = "is_shown or its_category_and_no_other or waited_out or passed_over"


def python(*arguments: str, folder: Path, path: Path, code: int = 0) -> str:
    """Run in a process of its own, as a third party would; PYTHONPATH stands for site-packages."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def suite(package: Path, *arguments: str, path: Path | None = None, code: int = 0) -> str:
    return python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments,
        folder=package, path=path or package / "src", code=code,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "", "A", "Case", "1st", "-x", "x-", "a--b", "a_b", "a/b", "../x", "x.y", "é", "a" * 41,
        "import", "class", "match", "sql", "jsonl", "json", "connectors", "hub", "pytest", "x y",
    ],
)  # fmt: skip
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        new_connector(name, "plain", tmp_path)
    assert "choose another" in str(refused.value) or "use small letters" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "pyproject.toml").write_text("precious")
    assert "there already" in said("connector", "new", "mine", "--into", tmp_path, code=1)
    assert (mine / "pyproject.toml").read_text() == "precious"
    assert len(list(mine.iterdir())) == 1


def test_the_command_offers_every_family() -> None:
    assert {one.value for one in Family} == set(FAMILIES)


def test_each_family_works_out_of_the_box_and_a_broken_one_is_caught(tmp_path: Path) -> None:
    """One run of the suite over all; the broken one's author forgot that a recall removes."""
    for family in FAMILIES:
        told = said("connector", "new", f"notes-{family}", "--family", family, "--into", tmp_path)
        assert "pip install" in told
    broken = new_connector("notes-broken", "plain", tmp_path)
    packages = sorted(tmp_path.iterdir())
    for file in tmp_path.rglob("*"):
        if file.is_file():
            text = file.read_text()
            assert not re.search(r"\$(name|package|Class|\{)", text), file
            if file.suffix == ".py":
                assert max(map(len, text.splitlines()), default=0) <= 100, file
    records = broken / "src/notes_broken/records.py"
    right = "        db.execute(self.table.delete().where(*mine))\n\n    def read("
    assert right in records.read_text()
    records.write_text(records.read_text().replace(right, "\n    def read("))
    path = os.pathsep.join(str(one / "src") for one in packages)
    told = suite(tmp_path, "-k", QUICK, "--import-mode=importlib", "-c", os.devnull,
                 "-p", "connectors.conformance.plugin",
                 *[str(one / "tests") for one in packages], path=Path(path), code=1)  # fmt: skip
    failed = set(re.findall(r"FAILED (\S+)::(\w+)", told))
    assert {test for _, test in failed} >= {"test_a_recall_takes_its_category_and_no_other"}
    assert {place.split("/")[0] for place, _ in failed} == {"notes-broken"}, told
    assert "what this asks (Recalling)" in told
    assert "A recall takes what it names, everywhere" in told
    assert "where shown = <" in told, "what was compared is told"


def test_a_source_works_out_of_the_box(tmp_path: Path) -> None:
    said("connector", "new", "case-files", "--source", "--into", tmp_path)
    package = tmp_path / "case-files"
    assert "nrm_hub.sources" in (package / "pyproject.toml").read_text()
    assert "passed" in suite(package)


@pytest.mark.slow
def test_installed_tested_checked_and_run(tmp_path: Path) -> None:
    package = new_connector("case-notes", "plain", tmp_path)
    site = tmp_path / "site"
    python(
        "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", str(site), str(package),
        folder=tmp_path, path=site,
    )  # fmt: skip
    assert "passed" in suite(
        tmp_path, "-p", "connectors.conformance.plugin", "--pyargs", "connectors.conformance",
        "--bench", "case_notes.bench:make", "-c", str(package / "pyproject.toml"), path=site,
    )  # fmt: skip

    hub = MiniHub(topics_url=f"embedded:///{tmp_path}/topics.db")
    shelter = hub.enrol(tmp_path, "SH-1", "shelter")
    hub.enrol(tmp_path, "POL-1")
    topics = open_topics(str(hub.topics_url))
    topics.ensure(["nrm.deliveries.POL-1", "nrm.receipts", "nrm.registry"])
    [event] = hub.stated(shelter, case_opened())
    topics.append("nrm.registry", [Message(hub.registry())])
    topics.append(
        "nrm.deliveries.POL-1", [Message(hub.message("POL-1", [hub.release("POL-1", event)]))]
    )
    example = (package / "partner.toml.example").read_text()
    (tmp_path / "partner.toml").write_text(example.replace('home = "agency"', 'home = "POL-1"'))

    def connector(*arguments: str, code: int = 0) -> str:
        called = (
            f"from connectors.commands.connector import connector; connector({list(arguments)!r})"
        )
        return python("-c", called, folder=tmp_path, path=site, code=code)

    checked = connector("check", "partner.toml")
    assert "case-notes sink" in checked
    assert "for its owner alone" in checked
    assert "1 applied, 0 quarantined" in connector("run", "partner.toml", "--once")
    [receipt] = topics.read("nrm.receipts", None, 10, 0.0)
    assert hub.receipt(receipt.value)["last_sequence"] == 1
    topics.close()
    (tmp_path / "records.db").chmod(0o644)
    assert "chmod 600" in connector("check", "partner.toml")
    (tmp_path / "partner.toml").write_text(
        (tmp_path / "partner.toml").read_text() + 'colour = "red"\n'
    )
    assert "sink.options.colour" in connector("check", "partner.toml", code=1)


def test_what_templates_and_pages_import_may_be_relied_on() -> None:
    """Every module named in the list is there, and nothing else is built on."""
    page = (ROOT / "docs" / "connector-kit.md").read_text("utf-8").partition("## What may be")[2]
    promised = set(re.findall(r"`((?:connectors|schemas)\.[a-z_.]+)`", page))
    assert [one for one in promised if importlib.util.find_spec(one) is None] == []
    sources = [*(ROOT / "connectors/kit/templates").rglob("*.txt"), *(ROOT / "docs").glob("*.md")]
    used = {
        one
        for path in sources
        for one in re.findall(r"^from (connectors\.[a-z_.]+) import", path.read_text("utf-8"), re.M)
    }
    assert used - promised == set()
